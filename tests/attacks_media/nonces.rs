//! Whether what leaves the server ever uses a nonce twice.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use anteroom::base::{Kind, Ssrc};
use anteroom::client::{ParticipantSettings, Pattern};
use anteroom::wire::rtcp::write_nack;
use anteroom::wire::rtp::RtpView;
use anteroom::wire::sequence::SequenceUnwrapper;
use tokio::time::{sleep, timeout};

use super::beside::{Attack, Beside, Part};
use super::ear::name;
use super::hostile::{Hostile, Manners};
use super::tally::Tally;

const RECORDS: usize = 100_000;

/// 1,000 packets a second.
const DENSE: Pattern = Pattern {
    interval: Duration::from_millis(10),
    packets_per_frame: 10,
    payload_len: 200,
    burst: 10,
    spacing: Duration::ZERO,
};

/// The nonces of one connection: what made each of them, and the hash of what was sealed with it.
#[derive(Default)]
struct Nonces {
    used: BTreeMap<(&'static str, u32, u64), u64>,
    sequences: BTreeMap<u32, SequenceUnwrapper>,
    repeated: u64,
}

impl Nonces {
    fn note(&mut self, datagram: &[u8]) {
        let kind = name(datagram);
        let (source, number) = match kind {
            // RFC 7714 section 8.1: SSRC, rollover counter and sequence number.
            "rtp" => {
                let view = RtpView::parse_protected(datagram).unwrap();
                let unwrapper = self.sequences.entry(view.ssrc().0).or_default();
                (view.ssrc().0, unwrapper.unwrap(view.sequence()))
            }
            // RFC 7714 section 9.1: SSRC and index, which is the last word.
            "rtcp" => {
                let word = u32::from_be_bytes(*datagram.last_chunk::<4>().unwrap());
                let ssrc = u32::from_be_bytes(*datagram[4..].first_chunk::<4>().unwrap());
                (ssrc, u64::from(word & 0x7fff_ffff))
            }
            // RFC 5288 section 3: the explicit part in front of an encrypted record.
            "dtls" if datagram[3..5] == [0, 1] => {
                (0, u64::from_be_bytes(*datagram[13..].first_chunk::<8>().unwrap()))
            }
            _ => return,
        };
        let mut hasher = DefaultHasher::new();
        datagram.hash(&mut hasher);
        // The same bytes again would be a waste, other bytes a catastrophe: neither may be.
        self.repeated += u64::from(self.used.insert((kind, source, number), hasher.finish()).is_some());
    }
}

#[tokio::test]
async fn a06_no_nonce_is_used_twice() {
    let mut tally = Tally::of("attacks", "A6");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let settings = ParticipantSettings { video: DENSE, ..Manners::default().settings };
    let manners = Manners { settings, ..Manners::default() };
    let publisher = Hostile::join_as(beside.http, "nonces", "Publisher", "participant", manners).await;
    publisher.is_up().await;
    let mut listeners = Vec::new();
    for n in 0..12 {
        listeners.push(Hostile::join(beside.http, "nonces", &format!("Listener-{n}"), "participant").await);
    }
    for listener in &listeners {
        listener.is_up().await;
        // They keep what comes as it is, and so they ask for everything again without having seen it.
        listener.tap();
        // The server reports to those who send.
        listener.publish(Kind::Audio);
    }
    publisher.publish(Kind::Audio);
    publisher.publish(Kind::Video);
    let hands: Vec<_> = listeners.iter().map(|one| (one.hand(), slots_of(one))).collect();
    let attack = Attack::start(100, move |step| {
        let (hand, slots) = &hands[step as usize % hands.len()];
        let sequences: Vec<u16> = (0..200).map(|n| (step as u16).wrapping_mul(200).wrapping_add(n)).collect();
        let mut nack = [0; 1_000];
        let asked = slots.iter().filter(|slot| {
            let len = write_nack(Ssrc(1), **slot, &sequences, &mut nack).unwrap();
            hand.feedback(&nack[..len])
        });
        asked.count() as u64
    });
    let captured = async {
        while listeners.iter().map(Hostile::taken_count).sum::<usize>() < RECORDS {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(40), captured).await.expect("enough packets");
    // What follows takes a processor.
    beside.end(attack).await;
    let mut records = 0;
    for listener in &listeners {
        let mut nonces = Nonces::default();
        listener.taken().iter().for_each(|datagram| nonces.note(datagram));
        assert_eq!(nonces.repeated, 0);
        let of = |wanted| nonces.used.keys().filter(|(kind, ..)| *kind == wanted).count();
        assert!(of("rtp") > 1_000 && of("rtcp") > 10, "{} and {}", of("rtp"), of("rtcp"));
        records += nonces.used.len() as u64;
    }
    beside.stop().await;
    assert!(records >= RECORDS as u64, "{records} records");
    tally.count(records, "records");
}

fn slots_of(listener: &Hostile) -> Vec<Ssrc> {
    listener.answer.slots.iter().filter(|slot| slot.video).map(|slot| slot.ssrc).collect()
}
