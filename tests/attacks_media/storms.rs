//! Storms of malformed datagrams, one after the other beside one live call: of strangers, and from the ports of
//! those whose addresses ICE has validated.

use std::io::Write;
use std::time::{Duration, Instant};

use anteroom::base::{Kind, Random, Ssrc};
use anteroom::client::Pattern;

use super::attacker::Stranger;
use super::beside::{Attack, Beside, Part, is_long};
use super::crafted;
use super::ear::name as ear_name;
use super::hostile::{Hostile, Manners};
use super::reports::three;
use super::tally::Tally;

/// How often they send at the least where a machine has other work, which the short ones are for as well.
const LEAST: u64 = 3_000;

/// How long each lasts, in seconds.
pub(crate) fn length() -> u64 {
    if is_long() { 30 } else { 3 }
}

fn least_per_second(asked: u64) -> u64 {
    if is_long() { asked / 2 } else { LEAST }
}

/// Makes a datagram.
type Make = fn(&mut Random, Ssrc) -> Vec<u8>;

pub(crate) type Step = Box<dyn FnMut(u64) -> u64 + Send>;

/// Pictures that are missing because the machine, with the tests beside this one, left the worker so little
/// time that it took none for a while, and the frame behind them that brings a keyframe. The long form has the
/// machine for itself.
async fn given_up(beside: &Beside, before: u64) -> u64 {
    if is_long() {
        return 0;
    }
    beside.has_counted().await;
    let given_up = beside.dropped("overload").await - before;
    given_up + if given_up == 0 { 0 } else { u64::from(Pattern::SCREEN.packets_per_frame) }
}

/// Lets a storm blow. Of each its own people, who talk in the room of the hostile ones, lose at most one
/// packet in a thousand, and nobody is disconnected.
pub(crate) async fn blow(
    beside: &mut Beside,
    people: &mut [Hostile; 3],
    hostile: &mut [Hostile],
    (name, per_second, storm): (&str, u64, Step),
) {
    let mut tally = Tally::of("storms", name);
    for one in people.iter_mut().chain(hostile.iter_mut()) {
        one.listen().await;
        one.forget();
    }
    let overload = beside.dropped("overload").await;
    let began = Instant::now();
    let attack = Attack::start(per_second, storm);
    tokio::time::sleep(Duration::from_secs(length())).await;
    let done = attack.end();
    let rate = done.sent as f64 / began.elapsed().as_secs_f64();
    // Not through eprintln, which is shown of failed tests only.
    let _ = writeln!(std::io::stderr(), "{name}: {} datagrams, {rate:.0} a second", done.sent);
    assert!(done.sent >= length() * least_per_second(per_second), "{name}: {done:?}");
    assert!(done.failed * 2 <= done.steps, "{name}: {done:?}");
    for one in people.iter_mut().chain(hostile.iter_mut()) {
        one.catch_up(beside.media).await;
        assert!(one.is_alive(), "{name}");
    }
    let [publisher, first, second] = people;
    let pictures = |one: &Hostile| one.hears(|ear| ear.of(publisher.id, Kind::Video).lost());
    let granted = match [&*first, &*second].into_iter().map(pictures).max() {
        Some(0) | None => 0,
        Some(_) => given_up(beside, overload).await,
    };
    for listener in [&*first, &*second] {
        listener.hears(|ear| {
            // What a publisher of a machine that is at its limit does send is what has to come.
            ear.of(publisher.id, Kind::Audio).assert_whole(50 * length() / 3);
            ear.of(publisher.id, Kind::Video).assert_whole_but(60 * length() / 3, granted);
        });
    }
    assert!(beside.is_on(), "{name} has outlived the call");
    tally.count(done.sent, "datagrams");
}

/// One who goes as far in its handshake as the server's first flight, and no further.
async fn half_way(beside: &Beside, name: &'static str) -> Hostile {
    let is_first = |datagram: &[u8]| match ear_name(datagram) {
        "stun" => true,
        // A ClientHello in a plaintext record.
        "dtls" => datagram[0] == 22 && datagram[3..5] == [0, 0] && datagram[13] == 1,
        _ => false,
    };
    let manners = Manners { gate: Some(Box::new(is_first)), ..Manners::default() };
    let half = Hostile::join_as(beside.http, "storms", name, "participant", manners).await;
    half.until("the server's first flight", |_, ear| ear.count_of("dtls") > 0).await;
    half
}

/// What the server has counted of what came.
struct Counts {
    received: u64,
    unknown_source: u64,
    not_authentic: u64,
}

impl Counts {
    async fn of(beside: &Beside) -> Self {
        beside.has_counted().await;
        Self {
            received: beside.metric("anteroom_datagrams_received_total").await,
            unknown_source: beside.dropped("unknown_source").await,
            not_authentic: beside.dropped("not_authentic").await,
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            received: self.received - before.received,
            unknown_source: self.unknown_source - before.unknown_source,
            not_authentic: self.not_authentic - before.not_authentic,
        }
    }
}

/// Where a storm's datagrams leave from.
struct Ports {
    stranger: Stranger,
    /// Of one whose connection is up.
    up: Hostile,
    ssrc: Ssrc,
}

impl Ports {
    /// Sends what is made from the port of the one who is up, and of eight datagrams one from the port of
    /// `half` and two from a stranger's.
    fn storm(&self, beside: &Beside, half: Option<&Hostile>, seed: u64, make: Make) -> Step {
        let (mut stranger, media, ssrc) = (self.stranger.share(), beside.media, self.ssrc);
        let up = self.up.hand().socket();
        let half = half.unwrap_or(&self.up).hand().socket();
        let mut random = Random::from_number(seed);
        Box::new(move |step| {
            let datagram = make(&mut random, ssrc);
            let socket = match step % 8 {
                0 | 4 => return stranger.send(media, &datagram),
                2 => &half,
                _ => &up,
            };
            u64::from(socket.send_to(&datagram, media).is_ok())
        })
    }
}

#[tokio::test]
async fn storm_of_strangers() {
    let (part, rate) = Part::flood().await;
    let mut beside = Beside::start(part, length()).await;
    let mut people = three(beside.http, "storms", Pattern::SCREEN).await;
    let stranger = Stranger::on(9, 64);
    let up = Hostile::join(beside.http, "storms", "Up", "participant").await;
    up.is_up().await;
    let username = format!("{}:{}", people[0].answer.ufrag, people[0].ufrag);
    let (mut sender, media, mut random) = (stranger.share(), beside.media, Random::from_number(20));
    let stun: Step = Box::new(move |_| sender.send(media, &crafted::stun(&mut random, &username)));
    blow(&mut beside, &mut people, &mut [], ("storm_stun", rate, stun)).await;
    let ssrc = up.declared(Kind::Audio).ssrc;
    let mut ports = Ports { stranger, up, ssrc };
    let hellos: [(&str, Make); 2] = [
        ("storm_dtls_12", |random, _| crafted::dtls_12(random)),
        ("storm_dtls_13", |random, _| crafted::dtls_13(random)),
    ];
    for (seed, (name, make)) in (21..).zip(hellos) {
        let mut half = half_way(&beside, name).await;
        let before = Counts::of(&beside).await;
        let storm = ports.storm(&beside, Some(&half), seed, make);
        blow(&mut beside, &mut people, std::slice::from_mut(&mut ports.up), (name, rate, storm)).await;
        let Counts { received, unknown_source, .. } = Counts::of(&beside).await.since(&before);
        // DTLS took the rest.
        assert!(unknown_source >= length() * LEAST / 10, "{name}: {unknown_source}");
        assert!(received >= 2 * unknown_source, "{name}: {unknown_source} of {received}");
        // No storm makes more or less of a handshake than one that did not end in time.
        assert_eq!(half.client.event("transportLost").await["reason"], "handshake");
    }
    let media: [(&str, Make); 2] = [("storm_srtp", crafted::srtp), ("storm_srtcp", crafted::srtcp)];
    for (seed, (name, make)) in (23..).zip(media) {
        let before = Counts::of(&beside).await;
        let storm = ports.storm(&beside, None, seed, make);
        blow(&mut beside, &mut people, std::slice::from_mut(&mut ports.up), (name, rate, storm)).await;
        let Counts { unknown_source, not_authentic, .. } = Counts::of(&beside).await.since(&before);
        assert!(unknown_source >= length() * LEAST / 10, "{name}: {unknown_source}");
        let counted = format!("{name}: {not_authentic} not authentic, {unknown_source} of strangers");
        assert!(not_authentic >= length() * LEAST / 2, "{counted}");
        assert!(not_authentic >= 2 * unknown_source, "{counted}");
    }
    beside.end(Attack::none()).await;
    beside.stop().await;
    assert_eq!(ports.stranger.earned(), Vec::<Vec<u8>>::new());
}
