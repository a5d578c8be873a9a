//! The agent: which checks it answers, and what they change.

use std::net::SocketAddr;
use std::time::Duration;

use super::IceCredentials;
use super::paths::Paths;
use crate::base::{Bucket, Time};
use crate::transport::Path;
use crate::wire::WireError;
use crate::wire::stun::{Class, METHOD_BINDING, StunView, StunWriter};

/// How long a path stays valid without an authenticated check and without authentic media.
///
/// RFC 7675 section 5.1 counts checks alone. Stock GStreamer (libnice up to 0.1.21) makes none once ICE is
/// done: it keeps its path by binding indications, which are not authenticated, and by its media. That proves
/// as much as a check: who sends it has the keys, is at that address and sends of its own will, and unlike a
/// check it cannot be repeated by somebody on the way.
pub const CONSENT: Duration = Duration::from_secs(30);

/// How long the selected path may be silent before a check over another one takes its place. Checks
/// for consent are at least 4 s apart (RFC 7675 section 5.1), so the first one from a new port is
/// enough. Of a client that checks more often, the first after this time is.
pub const FORSAKEN: Duration = Duration::from_secs(3);

/// The longest check that is looked at, in bytes: an Ethernet frame's worth, so that the HMAC of a
/// forgery stays cheap.
pub const MAX_REQUEST: usize = 1_500;

/// The longest reply, in bytes: an error response with its list of eight unknown attributes. An
/// output buffer of this size is never too small.
pub const MAX_REPLY: usize = 80;

/// Checks a second that are answered: a client that checks [`super::MAX_PATHS`] paths every 50 ms
/// (RFC 8445 section 14.2) makes 160.
const CHECKS_PER_SECOND: u64 = 200;

/// Why a datagram changed nothing and got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IceDrop {
    /// It is no STUN message, or one that is too long.
    Malformed,
    /// It is no binding request. A lite agent sends no requests, so nothing else is for it.
    NotARequest,
    /// Its user name is not `local:remote` of this session.
    UnknownUser,
    /// It is not authenticated by the password of this session.
    Unauthenticated,
    /// It is authentic, and so were too many before it.
    TooMany,
    /// The output buffer is below [`MAX_REPLY`].
    NoSpace,
}

/// What an answered check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Length of the success response in the output buffer, in bytes.
    pub len: usize,
    /// Whether the path was not validated before.
    pub validated: bool,
    /// The path that is no longer valid because [`super::MAX_PATHS`] are.
    pub evicted: Option<Path>,
    /// Whether this path is selected from now on and another one, or none, was before.
    pub selected: bool,
    /// Whether it was the first check after a restart: the credentials from before it are void.
    pub restarted: bool,
}

/// What became of a datagram. Replies go back on the path that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceOutcome {
    /// Nothing happened and nothing is sent.
    Dropped(IceDrop),
    /// It is authentic and cannot be fulfilled: an error response is in the output buffer.
    Refused {
        /// Length of the response in bytes.
        len: usize,
        /// 420 for attributes that must be understood, 487 for a conflict of roles.
        code: u16,
    },
    /// It is a valid check: a success response is in the output buffer.
    Accepted(Accepted),
}

impl IceOutcome {
    /// Length of the reply in the output buffer, if there is one.
    #[must_use]
    pub const fn reply_len(&self) -> Option<usize> {
        match self {
            Self::Dropped(_) => None,
            Self::Refused { len, .. } => Some(*len),
            Self::Accepted(accepted) => Some(accepted.len),
        }
    }
}

/// What the checks of one session are recognised by. The peer's password is not needed, for a lite
/// agent sends no checks.
#[derive(Clone, Debug)]
struct Session {
    local: IceCredentials,
    remote_ufrag: String,
}

impl Session {
    fn new(local: IceCredentials, remote: IceCredentials) -> Self {
        Self { local, remote_ufrag: remote.ufrag }
    }

    /// RFC 8445 section 7.2.2: the receiver's fragment, a colon, the sender's.
    fn is_named(&self, username: &str) -> bool {
        let rest = username.strip_prefix(&*self.local.ufrag).and_then(|rest| rest.strip_prefix(':'));
        rest == Some(&*self.remote_ufrag)
    }
}

/// An ICE-lite agent (RFC 8445 sections 2.5 and 7.3), always controlled.
///
/// It answers authenticated binding requests from any address and is silent to everything else. Each
/// request validates the path that it came over; one with USE-CANDIDATE selects it at once, and a
/// later one moves the session to another path. So does one without if the selected path has been
/// silent for [`FORSAKEN`]: that client sits behind a NAT which gave it another port, of which it knows
/// nothing, and so it nominates nothing.
#[derive(Clone, Debug)]
pub struct IceLite {
    session: Session,
    /// The session of a restart of which no check has come yet.
    next: Option<Session>,
    paths: Paths,
    was_connected: bool,
    /// Only authentic checks count: nobody else can use them up.
    checks: Bucket,
}

impl IceLite {
    /// An agent that waits for the peer's first check. Without one it waits for ever: how long a
    /// connection may take is its owner's rule.
    #[must_use]
    pub fn new(local: IceCredentials, remote: IceCredentials) -> Self {
        let session = Session::new(local, remote);
        let checks = Bucket::new(CHECKS_PER_SECOND, Duration::from_secs(1));
        Self { session, next: None, paths: Paths::default(), was_connected: false, checks }
    }

    /// Handles a STUN message from `path`; a reply, if any, is written to the front of `out`, which
    /// holds at least [`MAX_REPLY`] bytes.
    pub fn handle_request(&mut self, now: Time, path: Path, message: &[u8], out: &mut [u8]) -> IceOutcome {
        let path = path.canonical();
        let (request, restarted) = match self.authenticate(message) {
            Ok(authentic) => authentic,
            Err(reason) => return IceOutcome::Dropped(reason),
        };
        if !self.checks.take(now, 1) {
            return IceOutcome::Dropped(IceDrop::TooMany);
        }
        let session = self.next.as_ref().filter(|_| restarted).unwrap_or(&self.session);
        let pwd = session.local.pwd.as_bytes();
        let written = match refusal(&request) {
            Some(code) => refuse(&request, code, pwd, out).map(|len| (len, Some(code))),
            None => accept(&request, path, pwd, out).map(|len| (len, None)),
        };
        let len = match written {
            Ok((len, None)) => len,
            Ok((len, Some(code))) => return IceOutcome::Refused { len, code },
            Err(_) => return IceOutcome::Dropped(IceDrop::NoSpace),
        };
        if restarted && let Some(next) = self.next.take() {
            self.session = next;
            self.paths.restart();
        }
        self.was_connected = true;
        let change = self.paths.validate(now, path);
        let moves = request.use_candidate() || self.paths.is_forsaken(now, FORSAKEN);
        let selected = moves && self.paths.select(path);
        IceOutcome::Accepted(Accepted {
            len,
            validated: change.validated,
            evicted: change.evicted,
            selected,
            restarted,
        })
    }

    /// The request, and whether it is of the session of a restart.
    fn authenticate<'a>(&self, message: &'a [u8]) -> Result<(StunView<'a>, bool), IceDrop> {
        if message.len() > MAX_REQUEST {
            return Err(IceDrop::Malformed);
        }
        let request = StunView::parse(message).map_err(|_| IceDrop::Malformed)?;
        if (request.class(), request.method()) != (Class::Request, METHOD_BINDING) {
            return Err(IceDrop::NotARequest);
        }
        let username = request.username().ok_or(IceDrop::UnknownUser)?;
        let next = self.next.as_ref().filter(|next| next.is_named(username));
        let (session, restarted) = match next {
            Some(next) => (next, true),
            None if self.session.is_named(username) => (&self.session, false),
            None => return Err(IceDrop::UnknownUser),
        };
        if !request.check_integrity(session.local.pwd.as_bytes()) {
            return Err(IceDrop::Unauthenticated);
        }
        Ok((request, restarted))
    }

    /// Takes new credentials on both sides (RFC 8445 section 9). What was agreed before holds until
    /// the first check under the new ones; a second restart before that replaces the first.
    pub fn restart(&mut self, local: IceCredentials, remote: IceCredentials) {
        self.next = Some(Session::new(local, remote));
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.paths.next_expiry(CONSENT)
    }

    /// When the last authentic media came over a path, if that is validated. Who opens a packet from there
    /// sets it, and so prolongs the consent; it moves nothing, for where to send is for checks to say.
    pub fn heard(&mut self, path: Path) -> Option<&mut Time> {
        self.paths.heard(path.canonical())
    }

    /// Ends the consent of paths that were silent for [`CONSENT`]; answers which.
    pub fn handle_timeout(&mut self, now: Time) -> Vec<Path> {
        self.paths.expire(now, CONSENT)
    }

    /// Whether there was consent and there is none left: nothing may be sent to this peer.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.was_connected && self.paths.is_empty()
    }

    /// The path that the peer nominated.
    #[must_use]
    pub const fn selected(&self) -> Option<Path> {
        self.paths.selected()
    }

    /// Where to send: the selected path; before a nomination the first validated one.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.paths.best()
    }

    /// Whether an authenticated check came over this path and its consent lasts.
    #[must_use]
    pub fn is_validated(&self, path: Path) -> bool {
        self.paths.contains(path.canonical())
    }

    /// The validated paths, at most [`super::MAX_PATHS`], in the order of their validation.
    pub fn paths(&self) -> impl Iterator<Item = Path> {
        self.paths.iter()
    }

    /// When the first and the last authenticated check came from an address, while its consent lasts.
    #[must_use]
    pub fn checks_from(&self, remote: SocketAddr) -> Option<(Time, Time)> {
        self.paths.checks_from(remote)
    }

    /// When the last authenticated check came over a path that is still valid.
    #[must_use]
    pub fn last_check(&self) -> Option<Time> {
        self.paths.last_check()
    }

    /// The credentials of this side: those of a restart as soon as it was asked for.
    #[must_use]
    pub const fn local(&self) -> &IceCredentials {
        match &self.next {
            Some(next) => &next.local,
            None => &self.session.local,
        }
    }

    /// The fragments by which checks find this agent: one, or two while a restart waits for its
    /// first check.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.session).chain(&self.next).map(|session| &*session.local.ufrag)
    }
}

/// Why an authentic request cannot be fulfilled, as an error code.
fn refusal(request: &StunView<'_>) -> Option<u16> {
    if request.unknown_comprehension_required().next().is_some() {
        return Some(420);
    }
    // RFC 8445 section 6.1.1: of a lite and a full agent the full one controls. So this side never
    // gives way, whatever the tie-breakers of section 7.3.1.1 say.
    request.ice_controlled().map(|_| 487)
}

fn refuse(request: &StunView<'_>, code: u16, pwd: &[u8], out: &mut [u8]) -> Result<usize, WireError> {
    let mut response = StunWriter::new(Class::Error, METHOD_BINDING, request.transaction_id(), out)?;
    response = response.error_code(code)?;
    if code == 420 {
        response = response.unknown_attributes(request.unknown_comprehension_required())?;
    }
    Ok(response.integrity(pwd)?.fingerprint()?.finish())
}

fn accept(request: &StunView<'_>, path: Path, pwd: &[u8], out: &mut [u8]) -> Result<usize, WireError> {
    let response = StunWriter::new(Class::Success, METHOD_BINDING, request.transaction_id(), out)?;
    Ok(response.xor_mapped_address(path.remote)?.integrity(pwd)?.fingerprint()?.finish())
}
