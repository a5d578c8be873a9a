//! For how long there is consent to be sent to.

use super::*;

#[test]
fn thirty_silent_seconds_end_the_consent() {
    let mut session = Session::new();
    assert_eq!(session.agent.poll_timeout(), None);
    assert!(session.agent.handle_timeout(at(1_000)).is_empty() && !session.agent.is_lost());

    session.checked(at(0), wifi(), NOMINATING);
    session.checked(at(5), wifi(), PLAIN);
    assert_eq!((session.agent.poll_timeout(), session.agent.last_check()), (Some(at(35)), Some(at(5))));
    assert!(session.agent.handle_timeout(at(34)).is_empty());
    assert_eq!(session.agent.path(), Some(wifi()));
    assert_eq!(session.agent.handle_timeout(at(35)), [wifi()]);
    assert!(session.agent.is_lost());
    assert_eq!((session.agent.path(), session.agent.poll_timeout()), (None, None));
    assert!(!session.agent.is_validated(wifi()));

    assert!(session.checked(at(40), mobile(), NOMINATING).selected, "a client that was away comes back");
    assert!(!session.agent.is_lost());
}

#[test]
fn forgeries_do_not_prolong_the_consent() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    let mut stranger = session.client.clone();
    stranger.server.pwd.push('x');
    let forged = stranger.check(NOMINATING);
    let refused = session.client.check(Check { controlled: true, ..NOMINATING });
    for second in 1..30 {
        session.handle(at(second), wifi(), &forged);
        session.handle(at(second), wifi(), &refused);
    }
    assert_eq!(session.agent.handle_timeout(at(30)), [wifi()]);
}

#[test]
fn a_silent_selected_path_gives_way_to_one_that_is_alive() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    session.checked(at(2), mobile(), PLAIN);
    assert_eq!(session.agent.handle_timeout(at(30)), [wifi()]);
    assert_eq!((session.agent.selected(), session.agent.path()), (None, Some(mobile())));
    assert!(!session.agent.is_lost());
    assert_eq!(session.agent.poll_timeout(), Some(at(32)));
}

/// Opens a packet from there, as far as ICE is concerned.
fn hear(session: &mut Session, now: Time, path: Path) -> bool {
    session.agent.heard(path).is_some_and(|heard| {
        *heard = now;
        true
    })
}

#[test]
fn media_prolongs_the_consent_of_its_own_path() {
    let mut session = Session::new();
    assert!(!hear(&mut session, at(0), wifi()), "there is no such path yet");
    session.checked(at(0), wifi(), NOMINATING);
    session.checked(at(0), mobile(), PLAIN);
    for second in 1..=100 {
        assert!(hear(&mut session, at(second), wifi()));
        let gone = session.agent.handle_timeout(at(second));
        assert_eq!(gone, if second == 30 { vec![mobile()] } else { vec![] }, "{second}");
    }
    assert!(!hear(&mut session, at(100), mobile()));
    assert_eq!((session.agent.selected(), session.agent.poll_timeout()), (Some(wifi()), Some(at(130))));
    assert!(session.agent.handle_timeout(at(129)).is_empty());
    assert_eq!(session.agent.handle_timeout(at(130)), [wifi()]);
    assert!(session.agent.is_lost());
}

#[test]
fn media_moves_no_address() {
    let mut session = Session::new();
    session.checked(at(0), wifi(), NOMINATING);
    session.checked(at(0), mobile(), PLAIN);
    assert!(hear(&mut session, at(1), mobile()));
    assert_eq!((session.agent.path(), session.agent.last_check()), (Some(wifi()), Some(at(0))));
    assert!(hear(&mut session, at(20), wifi()));
    let rebound = path("192.0.2.1:5001");
    assert!(session.checked(at(20), rebound, PLAIN).selected, "no check has come over it for long");
    assert_eq!(session.agent.checks_from(wifi().remote), Some((at(0), at(0))));
}
