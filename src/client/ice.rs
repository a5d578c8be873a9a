//! The ICE of a synthetic participant: controlling, one candidate of its own, the server is lite
//! (RFC 8445 section 2.5). It checks the server's candidates in turn, nominates with each check, and
//! goes on checking for consent (RFC 7675). It answers the checks of a server that is not lite.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Random, Time};
use crate::transport::ice::IceCredentials;
use crate::wire::WireError;
use crate::wire::stun::{Class, METHOD_BINDING, StunView, StunWriter, TransactionId};

/// Between two checks while nothing has answered.
const RETRY: Duration = Duration::from_millis(50);
/// Between two checks for consent.
const CONSENT: Duration = Duration::from_secs(5);
/// Checks that may be answered: those of a second.
const MAX_CHECKS: usize = 20;
/// The longest response: header, address, integrity and fingerprint.
const MAX_REPLY: usize = 128;
/// A host candidate's priority (RFC 8445 section 5.1.2.1).
const PRIORITY: u32 = 2_130_706_431;

/// The controlling agent.
#[derive(Debug)]
pub(super) struct ClientIce {
    local: IceCredentials,
    remote: IceCredentials,
    candidates: Vec<SocketAddr>,
    tried: usize,
    /// The newest checks: on a long way several are out before the first is answered.
    transactions: VecDeque<TransactionId>,
    tie_breaker: u64,
    selected: Option<SocketAddr>,
    /// Whether a check has been answered since the own address last changed.
    is_answered: bool,
    due: Time,
}

impl ClientIce {
    /// An agent that checks `candidates` from `now` on.
    #[must_use]
    pub(super) fn new(
        now: Time,
        local: IceCredentials,
        remote: IceCredentials,
        candidates: Vec<SocketAddr>,
        random: &mut Random,
    ) -> Self {
        let tie_breaker = random.next_u64();
        Self {
            local,
            remote,
            candidates,
            tried: 0,
            transactions: VecDeque::new(),
            tie_breaker,
            selected: None,
            is_answered: false,
            due: now,
        }
    }

    /// Where the server answers.
    #[must_use]
    pub(super) fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    /// The own address has changed: the server has to be checked anew, at once.
    pub(super) fn address_changed(&mut self, now: Time) {
        self.is_answered = false;
        self.due = now;
    }

    /// When the next check is due.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Time {
        self.due
    }

    /// Writes the check that is due; answers where it goes and its length.
    ///
    /// # Errors
    /// Where `out` is too small.
    pub(super) fn poll_check(
        &mut self,
        now: Time,
        random: &mut Random,
        out: &mut [u8],
    ) -> Result<Option<(SocketAddr, usize)>, WireError> {
        if now < self.due {
            return Ok(None);
        }
        let to = match self.selected {
            Some(selected) => Some(selected),
            None => self.candidates.get(self.tried % self.candidates.len().max(1)).copied(),
        };
        self.tried += 1;
        self.due = now + if self.is_answered { CONSENT } else { RETRY };
        let Some(to) = to else { return Ok(None) };
        let mut transaction = [0; 12];
        random.fill(&mut transaction);
        if self.transactions.len() >= MAX_CHECKS {
            self.transactions.pop_front();
        }
        self.transactions.push_back(transaction);
        let username = format!("{}:{}", self.remote.ufrag, self.local.ufrag);
        let len = StunWriter::new(Class::Request, METHOD_BINDING, transaction, out)?
            .username(&username)?
            .priority(PRIORITY)?
            .ice_controlling(self.tie_breaker)?
            .use_candidate()?
            .integrity(self.remote.pwd.as_bytes())?
            .fingerprint()?
            .finish();
        Ok(Some((to, len)))
    }

    /// The response to a check of the server's, where that is not lite; `None` for anything else, and
    /// for a check that is not signed as it has to be.
    pub(super) fn reply(&self, from: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
        let view = StunView::parse(message).ok()?;
        let is_check = (view.class(), view.method()) == (Class::Request, METHOD_BINDING);
        if !is_check || !view.check_integrity(self.local.pwd.as_bytes()) {
            return None;
        }
        let mut out = [0; MAX_REPLY];
        let len = StunWriter::new(Class::Success, METHOD_BINDING, view.transaction_id(), &mut out)
            .ok()?
            .xor_mapped_address(from)
            .ok()?
            .integrity(self.local.pwd.as_bytes())
            .ok()?
            .fingerprint()
            .ok()?
            .finish();
        out.get(..len).map(<[u8]>::to_vec)
    }

    /// Takes a response; one that the server did not sign has no effect.
    pub(super) fn handle_response(&mut self, now: Time, from: SocketAddr, message: &[u8]) {
        let Ok(view) = StunView::parse(message) else { return };
        let ours = view.class() == Class::Success && self.transactions.contains(&view.transaction_id());
        if ours && !self.is_answered && view.check_integrity(self.remote.pwd.as_bytes()) {
            self.selected.get_or_insert(from);
            self.is_answered = true;
            self.due = now + CONSENT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_the_servers_is_answered_if_it_is_signed_with_our_password() {
        let mut random = Random::from_number(1);
        let (ours, theirs) = (IceCredentials::random(&mut random), IceCredentials::random(&mut random));
        let ice = ClientIce::new(Time(0), ours.clone(), theirs.clone(), Vec::new(), &mut random);
        let from = "10.0.0.1:5000".parse().unwrap();
        let check = |pwd: &str| {
            let mut out = [0; 256];
            let writer = StunWriter::new(Class::Request, METHOD_BINDING, [7; 12], &mut out).unwrap();
            let len = writer.integrity(pwd.as_bytes()).unwrap().fingerprint().unwrap().finish();
            out[..len].to_vec()
        };
        assert_eq!(ice.reply(from, &check(&theirs.pwd)), None);
        let reply = ice.reply(from, &check(&ours.pwd)).unwrap();
        let view = StunView::parse(&reply).unwrap();
        assert_eq!((view.class(), view.transaction_id()), (Class::Success, [7; 12]));
        assert_eq!(view.xor_mapped_address(), Some(from));
        assert!(view.check_integrity(ours.pwd.as_bytes()));
        assert_eq!(ice.reply(from, &reply), None);
    }
}
