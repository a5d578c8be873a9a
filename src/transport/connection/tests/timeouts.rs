//! When a connection is given up.

use super::*;

#[test]
fn silence_ends_the_consent_after_30_seconds() {
    let mut world = World::up(&BROWSER);
    world.pass(Duration::from_secs(10));
    assert!(world.check(false));
    world.pass(Duration::from_millis(29_999));
    assert!(world.server.is_up());
    world.pass(Duration::from_millis(1));
    world.assert_over(LossReason::Consent);
    assert_eq!(world.events.len(), 2);
}

/// As stock GStreamer does once ICE is done.
#[test]
fn media_alone_keeps_the_consent() {
    let mut world = World::up(&BROWSER);
    for number in 1..=10 {
        world.pass(Duration::from_secs(29));
        let mut packet = world.sealed_by_client(number);
        assert!(world.server.open_rtp(world.now, wifi(), &mut packet).is_ok(), "{number}");
    }
    for _ in 0..10 {
        world.pass(Duration::from_secs(29));
        let mut report = [REPORT.to_vec(), vec![0; OVERHEAD_RTCP]].concat();
        let (outbound, _) = world.client.media.as_mut().unwrap();
        let len = outbound.seal_rtcp(&mut report, REPORT.len()).unwrap();
        assert!(world.server.open_rtcp(world.now, wifi(), &mut report[..len]).is_ok());
    }
    assert_eq!((world.events.len(), world.server.path()), (1, Some(wifi())));
    world.pass(Duration::from_secs(30));
    world.assert_over(LossReason::Consent);
}

#[test]
fn what_is_forged_or_repeated_keeps_no_consent() {
    let mut world = World::up(&BROWSER);
    let packet = world.sealed_by_client(1);
    assert!(world.server.open_rtp(world.now, wifi(), &mut packet.clone()).is_ok());
    let mut forged = world.sealed_by_client(2);
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..29 {
        world.pass(Duration::from_secs(1));
        for (tried, error) in [(&packet, SrtpError::Replayed), (&forged, SrtpError::Unauthentic)] {
            assert_eq!(world.server.open_rtp(world.now, wifi(), &mut tried.clone()), Err(error.into()));
        }
        let mut strays = world.sealed_by_client(3);
        assert!(world.server.open_rtp(world.now, stranger(), &mut strays).is_err());
    }
    world.pass(Duration::from_secs(1));
    world.assert_over(LossReason::Consent);
}

#[test]
fn a_client_that_never_says_hello_is_given_up_after_30_seconds() {
    let mut world = World::new(&BROWSER);
    for _ in 0..29 {
        world.check(true);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.events, []);
    }
    world.check(true);
    world.pass(Duration::from_secs(1));
    world.assert_over(LossReason::Handshake);

    let mut absent = World::new(&BROWSER);
    absent.pass(CONNECT_TIMEOUT);
    absent.assert_over(LossReason::Handshake);
}

#[test]
fn a_client_that_stops_half_way_is_given_up_after_10_seconds() {
    let mut world = World::new(&BROWSER);
    world.check(true);
    world.pass(Duration::from_secs(5));
    let hello = world.client.dtls.poll_transmit().unwrap();
    world.server.handle_dtls(world.now, wifi(), &hello);
    world.pass(Duration::from_millis(9_999));
    assert_eq!(world.events, []);
    let repeated = std::iter::from_fn(|| world.server.poll_transmit()).count();
    assert!((1..20).contains(&repeated), "{repeated} datagrams for one");
    world.pass(Duration::from_millis(1));
    world.assert_over(LossReason::Handshake);
}
