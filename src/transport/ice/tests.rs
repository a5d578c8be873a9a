//! Every rule of the agent, on virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::base::{Random, Time};
use crate::transport::Path;
use crate::wire::WireError;
use crate::wire::stun::{Class, METHOD_BINDING, StunView, StunWriter};

mod consent;

const START: Time = Time::from_unix_seconds(1_000);

fn at(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn path(remote: &str) -> Path {
    Path::new(remote.parse().unwrap(), Some("10.0.0.1".parse().unwrap()))
}

fn wifi() -> Path {
    path("192.0.2.1:5000")
}

fn mobile() -> Path {
    path("[2001:db8::7]:6000")
}

/// A full, controlling agent at the other end, as far as its checks go.
#[derive(Clone)]
struct Client {
    server: IceCredentials,
    own: IceCredentials,
}

/// What a check deviates in from a good one.
#[derive(Clone, Copy, Default)]
struct Check {
    nominate: bool,
    controlled: bool,
    unknown: Option<u16>,
}

const PLAIN: Check = Check { nominate: false, controlled: false, unknown: None };
const NOMINATING: Check = Check { nominate: true, ..PLAIN };

impl Client {
    fn check(&self, check: Check) -> Vec<u8> {
        let username = format!("{}:{}", self.server.ufrag, self.own.ufrag);
        self.write(Class::Request, METHOD_BINDING, &username, check).unwrap()
    }

    fn write(&self, class: Class, method: u16, username: &str, check: Check) -> Result<Vec<u8>, WireError> {
        let mut out = [0; 512];
        let mut writer =
            StunWriter::new(class, method, [3; 12], &mut out)?.username(username)?.priority(0x6eff_ffff)?;
        writer =
            if check.controlled { writer.ice_controlled(0)? } else { writer.ice_controlling(u64::MAX)? };
        if check.nominate {
            writer = writer.use_candidate()?;
        }
        if let Some(kind) = check.unknown {
            writer = writer.attribute(kind, &[1, 2, 3])?;
        }
        let len = writer.integrity(self.server.pwd.as_bytes())?.fingerprint()?.finish();
        Ok(out[..len].to_vec())
    }
}

struct Session {
    agent: IceLite,
    client: Client,
    random: Random,
}

impl Session {
    fn new() -> Self {
        let mut random = Random::from_number(1);
        let client =
            Client { server: IceCredentials::random(&mut random), own: IceCredentials::random(&mut random) };
        Self { agent: IceLite::new(client.server.clone(), client.own.clone()), client, random }
    }

    fn handle(&mut self, now: Time, path: Path, message: &[u8]) -> (IceOutcome, Vec<u8>) {
        let mut out = [0; MAX_REPLY];
        let outcome = self.agent.handle_request(now, path, message, &mut out);
        (outcome, out[..outcome.reply_len().unwrap_or(0)].to_vec())
    }

    /// A good check, answered as one.
    fn checked(&mut self, now: Time, path: Path, check: Check) -> Accepted {
        let message = self.client.check(check);
        match self.handle(now, path, &message).0 {
            IceOutcome::Accepted(accepted) => accepted,
            other => panic!("{other:?}"),
        }
    }

    fn dropped(&mut self, message: &[u8]) -> IceDrop {
        match self.handle(START, wifi(), message) {
            (IceOutcome::Dropped(reason), reply) if reply.is_empty() => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Restarts with fresh credentials; answers the client that knows them.
    fn restart(&mut self) -> Client {
        let server = IceCredentials::random(&mut self.random);
        let own = IceCredentials::random(&mut self.random);
        self.agent.restart(server.clone(), own.clone());
        Client { server, own }
    }
}

#[test]
fn a_check_is_answered_with_the_address_it_came_from() {
    for remote in ["192.0.2.1:5000", "[2001:db8::7]:6000"] {
        let mut session = Session::new();
        let message = session.client.check(PLAIN);
        let (outcome, reply) = session.handle(START, path(remote), &message);
        assert!(matches!(outcome, IceOutcome::Accepted(accepted) if accepted.validated));
        let response = StunView::parse(&reply).unwrap();
        assert_eq!((response.class(), response.method()), (Class::Success, METHOD_BINDING));
        assert_eq!(response.transaction_id(), [3; 12]);
        assert_eq!(response.xor_mapped_address(), Some(remote.parse().unwrap()));
        assert!(response.has_fingerprint());
        assert!(response.check_integrity(session.client.server.pwd.as_bytes()));
    }
}

#[test]
fn strangers_get_no_reply_and_change_nothing() {
    let mut session = Session::new();
    let good = session.client.check(NOMINATING);
    let (server, own) = (session.client.server.ufrag.clone(), session.client.own.ufrag.clone());
    let write = |client: &Client, class, method, username: &str| {
        client.write(class, method, username, NOMINATING).unwrap()
    };
    let named = format!("{server}:{own}");

    let mut wrong_password = session.client.clone();
    wrong_password.server.pwd = session.client.own.pwd.clone();
    assert_eq!(session.dropped(&wrong_password.check(NOMINATING)), IceDrop::Unauthenticated);

    let usernames = [
        format!("{own}:{server}"),
        format!("{server}:"),
        format!("{server}:{own}x"),
        format!("x{server}:{own}"),
        format!("{server}{own}"),
        server.clone(),
        String::new(),
    ];
    for username in usernames {
        let message = write(&session.client, Class::Request, METHOD_BINDING, &username);
        assert_eq!(session.dropped(&message), IceDrop::UnknownUser, "{username}");
    }
    for (class, method) in [
        (Class::Indication, METHOD_BINDING),
        (Class::Success, METHOD_BINDING),
        (Class::Error, METHOD_BINDING),
        (Class::Request, 3),
    ] {
        let message = write(&session.client, class, method, &named);
        assert_eq!(session.dropped(&message), IceDrop::NotARequest, "{class:?} {method}");
    }

    let mut bare = [0; 128];
    let writer = StunWriter::new(Class::Request, METHOD_BINDING, [1; 12], &mut bare).unwrap();
    let len = writer.username(&named).unwrap().use_candidate().unwrap().fingerprint().unwrap().finish();
    assert_eq!(session.dropped(&bare[..len]), IceDrop::Unauthenticated);
    assert_eq!(session.dropped(&good[..good.len() - 4]), IceDrop::Malformed);
    assert_eq!(session.dropped(&[0; MAX_REQUEST + 1]), IceDrop::Malformed);
    assert_eq!(session.dropped(&[]), IceDrop::Malformed);

    assert_eq!((session.agent.path(), session.agent.poll_timeout()), (None, None));
    assert!(!session.agent.is_validated(wifi()) && !session.agent.is_lost());
    assert!(session.checked(START, wifi(), NOMINATING).validated);
}

#[test]
fn a_message_that_is_too_long_is_not_even_authenticated() {
    let mut session = Session::new();
    let username = format!("{}:{}", session.client.server.ufrag, session.client.own.ufrag);
    let mut out = [0; 4_000];
    let writer = StunWriter::new(Class::Request, METHOD_BINDING, [1; 12], &mut out).unwrap();
    let writer = writer.username(&username).unwrap().attribute(0xc000, &[0; 2_000]).unwrap();
    let len = writer.integrity(session.client.server.pwd.as_bytes()).unwrap().finish();
    assert_eq!(session.dropped(&out[..len]), IceDrop::Malformed);
}

#[test]
fn a_changed_bit_in_what_is_protected_silences_the_reply() {
    let mut session = Session::new();
    let good = session.client.check(NOMINATING);
    let fingerprint = 8;
    for bit in 0..(good.len() - fingerprint) * 8 {
        let mut forged = good.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        session.dropped(&forged);
    }
    assert_eq!(session.agent.path(), None);
}

#[test]
fn a_client_that_claims_to_be_controlled_is_told_of_the_conflict() {
    let mut session = Session::new();
    let message = session.client.check(Check { controlled: true, ..NOMINATING });
    let (outcome, reply) = session.handle(START, wifi(), &message);
    assert!(matches!(outcome, IceOutcome::Refused { code: 487, .. }));
    let response = StunView::parse(&reply).unwrap();
    assert_eq!((response.class(), response.error_code()), (Class::Error, Some(487)));
    assert!(response.has_fingerprint() && response.check_integrity(session.client.server.pwd.as_bytes()));
    assert_eq!(session.agent.path(), None);
}

#[test]
fn what_must_be_understood_and_is_not_is_refused_once_authentic() {
    let mut session = Session::new();
    let odd = Check { unknown: Some(0x7abc), ..NOMINATING };
    let message = session.client.check(odd);
    let (outcome, reply) = session.handle(START, wifi(), &message);
    assert!(matches!(outcome, IceOutcome::Refused { code: 420, .. }));
    let response = StunView::parse(&reply).unwrap();
    assert_eq!(response.unknown_attributes().collect::<Vec<_>>(), [0x7abc]);
    assert!(response.check_integrity(session.client.server.pwd.as_bytes()));
    assert_eq!(session.agent.path(), None);

    let mut stranger = session.client.clone();
    stranger.server.pwd = session.client.own.pwd.clone();
    assert_eq!(session.dropped(&stranger.check(odd)), IceDrop::Unauthenticated);
    session.checked(START, wifi(), Check { unknown: Some(0xc057), ..NOMINATING });
}

#[test]
fn a_refusal_fits_the_longest_reply() {
    let mut session = Session::new();
    let username = format!("{}:{}", session.client.server.ufrag, session.client.own.ufrag);
    let mut out = [0; 512];
    let mut writer = StunWriter::new(Class::Request, METHOD_BINDING, [1; 12], &mut out).unwrap();
    writer = writer.username(&username).unwrap();
    for kind in 0x100..0x120 {
        writer = writer.attribute(kind, &[]).unwrap();
    }
    let len = writer.integrity(session.client.server.pwd.as_bytes()).unwrap().finish();
    let (outcome, reply) = session.handle(START, wifi(), &out[..len]);
    assert!(matches!(outcome, IceOutcome::Refused { code: 420, .. }));
    assert_eq!(reply.len(), MAX_REPLY);
    let mut small = [0; MAX_REPLY - 1];
    let outcome = session.agent.handle_request(START, wifi(), &out[..len], &mut small);
    assert_eq!(outcome, IceOutcome::Dropped(IceDrop::NoSpace));
}

#[test]
fn a_nomination_selects_at_once_and_a_later_one_moves_the_session() {
    let mut session = Session::new();
    assert!(session.checked(at(0), wifi(), NOMINATING).selected);
    assert_eq!((session.agent.selected(), session.agent.path()), (Some(wifi()), Some(wifi())));
    assert!(!session.checked(at(1), wifi(), NOMINATING).selected, "nothing new");

    let moved = session.checked(at(2), mobile(), NOMINATING);
    assert!(moved.selected && moved.validated);
    assert_eq!(session.agent.path(), Some(mobile()));
    assert!(session.agent.is_validated(wifi()), "what is still under way on the old path counts");

    assert!(!session.checked(at(3), wifi(), PLAIN).selected, "a check alone moves nothing");
    assert_eq!(session.agent.path(), Some(mobile()));
    assert!(session.checked(at(4), wifi(), NOMINATING).selected);
    assert_eq!(session.agent.path(), Some(wifi()));
}

#[test]
fn a_check_without_nomination_moves_the_session_off_a_silent_path() {
    let mut session = Session::new();
    let rebound = path("192.0.2.1:5001");
    session.checked(at(0), wifi(), NOMINATING);
    session.checked(at(5), wifi(), PLAIN);
    assert!(!session.checked(at(7), rebound, PLAIN).selected, "both are in use");
    assert_eq!(session.agent.path(), Some(wifi()));
    assert!(session.checked(at(5) + FORSAKEN, rebound, PLAIN).selected);
    assert_eq!((session.agent.selected(), session.agent.path()), (Some(rebound), Some(rebound)));
    assert!(!session.checked(at(20), rebound, PLAIN).selected, "nothing new");
    assert!(session.checked(at(21), wifi(), NOMINATING).selected, "a nomination counts at once");
}

#[test]
fn a_client_that_has_nominated_nothing_is_not_moved_by_silence() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), PLAIN);
    assert!(!session.checked(at(20), mobile(), PLAIN).selected);
    assert_eq!((session.agent.selected(), session.agent.path()), (None, Some(wifi())));
}

#[test]
fn before_a_nomination_the_first_validated_path_serves() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), PLAIN);
    session.checked(at(1), mobile(), PLAIN);
    assert_eq!((session.agent.selected(), session.agent.path()), (None, Some(wifi())));
    session.checked(at(2), mobile(), NOMINATING);
    assert_eq!(session.agent.path(), Some(mobile()));
}

#[test]
fn a_mapped_address_is_the_same_path() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    let mapped = Path { remote: "[::ffff:192.0.2.1]:5000".parse().unwrap(), local: wifi().local };
    let message = session.client.check(NOMINATING);
    let (outcome, reply) = session.handle(at(1), mapped, &message);
    assert!(matches!(outcome, IceOutcome::Accepted(accepted) if !accepted.validated && !accepted.selected));
    let seen = StunView::parse(&reply).unwrap().xor_mapped_address();
    assert_eq!(seen, Some("192.0.2.1:5000".parse::<SocketAddr>().unwrap()));
    assert!(session.agent.is_validated(mapped));
}

#[test]
fn addresses_beyond_the_bound_push_out_the_most_silent_but_never_the_selected() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    let numbered = |number: u64| path(&format!("198.51.100.{number}:7000"));
    let bound = u64::try_from(MAX_PATHS).unwrap();
    for number in 1..bound {
        assert_eq!(session.checked(at(number), numbered(number), PLAIN).evicted, None);
        session.checked(at(number), wifi(), PLAIN);
    }
    session.checked(at(9), numbered(1), PLAIN);
    session.checked(at(9), wifi(), PLAIN);
    assert_eq!(session.checked(at(10), numbered(100), PLAIN).evicted, Some(numbered(2)));
    for number in 101..200 {
        session.checked(at(number - 90), wifi(), PLAIN);
        assert!(session.checked(at(number - 90), numbered(number), PLAIN).evicted.is_some());
        assert_eq!(session.agent.paths().count(), MAX_PATHS);
    }
    assert_eq!(session.agent.path(), Some(wifi()));
    assert!(!session.agent.is_validated(numbered(2)));
}

#[test]
fn a_restart_keeps_the_old_path_until_the_new_credentials_are_used() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    let renewed = session.restart();
    assert_eq!(session.agent.local(), &renewed.server);
    let known: Vec<String> = session.agent.local_ufrags().map(str::to_owned).collect();
    assert_eq!(known, [session.client.server.ufrag.clone(), renewed.server.ufrag.clone()]);

    let old = session.checked(at(1), wifi(), PLAIN);
    assert!(!old.restarted && !old.validated, "old credentials are still answered");
    assert_eq!(session.agent.path(), Some(wifi()));

    let former = std::mem::replace(&mut session.client, renewed);
    let first = session.checked(at(2), mobile(), PLAIN);
    assert!(first.restarted && first.validated);
    assert_eq!(session.agent.path(), Some(mobile()));
    assert!(session.agent.is_validated(wifi()), "what is still under way on the old path counts");
    assert_eq!(session.dropped(&former.check(NOMINATING)), IceDrop::UnknownUser);
    assert_eq!(session.agent.local_ufrags().collect::<Vec<_>>(), [&*session.client.server.ufrag]);

    assert!(!session.checked(at(3), mobile(), NOMINATING).restarted);
    assert_eq!(session.agent.selected(), Some(mobile()));
    assert_eq!(session.agent.handle_timeout(at(31)), [wifi()], "silent since the second second");
}

#[test]
fn credentials_of_two_sessions_do_not_mix() {
    let mut session = Session::new();
    let renewed = session.restart();
    let mixed = [
        Client { server: renewed.server.clone(), own: session.client.own.clone() },
        Client { server: session.client.server.clone(), own: renewed.own.clone() },
    ];
    for client in mixed {
        assert_eq!(session.dropped(&client.check(NOMINATING)), IceDrop::UnknownUser);
    }
    let crossed = Client {
        server: IceCredentials { pwd: session.client.server.pwd.clone(), ..renewed.server.clone() },
        own: renewed.own.clone(),
    };
    assert_eq!(session.dropped(&crossed.check(NOMINATING)), IceDrop::Unauthenticated);
}

#[test]
fn a_second_restart_replaces_the_one_that_was_not_used() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    let skipped = session.restart();
    let renewed = session.restart();
    assert_eq!(session.dropped(&skipped.check(NOMINATING)), IceDrop::UnknownUser);
    session.client = renewed;
    let first = session.checked(at(1), wifi(), NOMINATING);
    assert!(first.restarted && first.selected && !first.validated);
    assert_eq!(session.agent.path(), Some(wifi()));
}

#[test]
fn a_refused_check_does_not_end_the_old_session() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    let renewed = session.restart();
    let message = renewed.check(Check { controlled: true, ..NOMINATING });
    assert!(matches!(session.handle(at(1), wifi(), &message).0, IceOutcome::Refused { code: 487, .. }));
    assert!(!session.checked(at(2), wifi(), PLAIN).restarted);
}

#[test]
fn credentials_are_long_and_random_and_the_password_stays_out_of_logs() {
    let mut random = Random::from_number(5);
    let (one, other) = (IceCredentials::random(&mut random), IceCredentials::random(&mut random));
    assert!(one.ufrag != other.ufrag && one.pwd != other.pwd);
    assert_eq!((one.ufrag.len(), one.pwd.len()), (8, 32));
    let allowed = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    assert!(allowed(&one.ufrag) && allowed(&one.pwd));
    assert!(!format!("{one:?}").contains(&one.pwd));
}

#[test]
fn the_worker_finds_the_session_before_any_checksum() {
    let session = Session::new();
    let mut message = session.client.check(PLAIN);
    assert_eq!(local_ufrag(&message), Some(&*session.client.server.ufrag));
    let last = message.len() - 1;
    message[last] ^= 1;
    assert_eq!(local_ufrag(&message), Some(&*session.client.server.ufrag), "a wrong fingerprint");
    assert_eq!(local_ufrag(&message[..30]), None);
}

#[test]
fn more_checks_than_a_client_makes_get_no_reply() {
    let mut session = Session::new();
    let good = session.client.check(PLAIN);
    let mut forged = session.client.clone();
    forged.server.pwd = session.client.own.pwd.clone();
    for _ in 0..1_000 {
        // Somebody else's do not count.
        assert_eq!(session.dropped(&forged.check(PLAIN)), IceDrop::Unauthenticated);
    }
    let answered = (0..1_000).filter(|_| session.handle(START, wifi(), &good).0.reply_len().is_some());
    assert_eq!(answered.count(), 200);
    assert_eq!(session.dropped(&good), IceDrop::TooMany);
    session.checked(at(1), wifi(), PLAIN);
}
