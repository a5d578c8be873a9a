//! A listener's link that bears less than it is sent, and a worker that gets too little processor time.

use std::collections::VecDeque;

use super::world::{Client, Heard, LOUD, SILENT, World};
use crate::base::{Kind, KindSet, Ssrc};
use crate::media::DropReason;
use crate::media::feedback::Reception;
use crate::message::SlotReason;
use crate::wire::extension::read_transport_cc;
use crate::wire::rtcp::{Arrivals, ReportBlock, write_receiver_report};
use crate::wire::sequence::SequenceUnwrapper;

/// Milliseconds between two packets of the share and of the talker.
const SHARE_MS: u64 = 4;
const SOUND_MS: u64 = 20;
/// Milliseconds between two reports of listener 2, and how long each is on its way.
const REPORT_MS: u64 = 1_000;
const DELAY_MS: u64 = 100;
/// Packets that wait in front of the narrow link.
const QUEUE: usize = 20;

/// Listener 2 behind a narrow link, and listener 3 with one that bears everything.
struct Narrow {
    world: World,
    /// What listener 2 tells of single packets, if it does.
    arrivals: Option<Arrivals>,
    /// What it reports on of the share.
    numbers: SequenceUnwrapper,
    reception: Reception,
    report: Vec<u8>,
    /// How many numbers the share leaves out at a millisecond.
    gap: fn(u64) -> u64,
    queue: VecDeque<Heard>,
    /// Hundredths of a packet that may pass a millisecond; nothing for no limit.
    rate: Option<u64>,
    saved: u64,
    ms: u64,
    /// Whether the share's next frame has to be a keyframe.
    is_asked: bool,
    /// What came to each of the two, by kind.
    came: [[u64; 2]; 2],
}

impl Narrow {
    fn new() -> Self {
        let mut world = World::new();
        world.group(1, 6, KindSet::NONE);
        world.join_as(1, 1, KindSet::of(&[Kind::Share, Kind::Audio]), Client::default());
        (2..=3).for_each(|id| world.join_as(id, 1, KindSet::NONE, Client::default()));
        Self {
            world,
            arrivals: Some(Arrivals::default()),
            numbers: SequenceUnwrapper::new(),
            reception: Reception::default(),
            report: Vec::new(),
            gap: |_| 0,
            queue: VecDeque::new(),
            rate: None,
            saved: 0,
            ms: 0,
            is_asked: false,
            came: [[0; 2]; 2],
        }
    }

    /// Listener 2 tells of no single packets.
    fn without_arrivals() -> Self {
        Self { arrivals: None, ..Self::new() }
    }

    /// Lets time pass; answers what came to listeners 2 and 3 of sound and picture.
    fn run(&mut self, ms: u64) -> [[u64; 2]; 2] {
        self.came = [[0; 2]; 2];
        for _ in 0..ms {
            self.is_asked |= self.ms == 0 || self.world.asked_for_keyframes(1) > 0;
            self.world.rtcp.clear();
            if self.ms.is_multiple_of(SOUND_MS) {
                self.world.say(1, LOUD);
            }
            if self.ms.is_multiple_of(SHARE_MS) {
                let is_asked = std::mem::take(&mut self.is_asked);
                self.world.show(1, Kind::Share, is_asked);
            }
            for _ in 0..(self.gap)(self.ms) {
                self.world.packet(1, Kind::Share, SILENT, &[]);
            }
            for heard in self.world.flush() {
                if heard.listener == 3 {
                    self.note(&heard);
                } else if heard.listener == 2 && self.queue.len() < QUEUE {
                    self.queue.push_back(heard);
                }
            }
            self.saved = (self.saved + self.rate.unwrap_or(u64::MAX / 2)).min(400);
            while self.rate.is_none() || self.saved >= 100 {
                let Some(heard) = self.queue.pop_front() else { break };
                self.saved = self.saved.saturating_sub(100);
                let view = heard.view();
                let number = read_transport_cc(view.extension(3).unwrap()).unwrap();
                self.arrivals.iter_mut().for_each(|arrivals| arrivals.note(number, self.world.now));
                if view.payload_type() != 111 {
                    let index = self.numbers.unwrap(view.sequence());
                    self.reception.count(index, view.timestamp(), self.world.now, 90_000);
                }
                self.note(&heard);
            }
            self.tell();
            self.world.pass(1);
            self.ms += 1;
        }
        self.came
    }

    /// Listener 2 tells what came.
    fn tell(&mut self) {
        let (now, mut feedback) = (self.world.now, [0; 1_200]);
        if let Some(arrivals) = self.arrivals.as_mut().filter(|arrivals| arrivals.is_due(now)) {
            let len = arrivals.write(now, Ssrc(9), Ssrc(8), &mut feedback).unwrap();
            self.world.hand_in(2, feedback[..len].to_vec());
        }
        let slots = self.world.slots(2);
        let share = slots.iter().find(|slot| slot.video && slot.publisher.is_some());
        if let Some(share) = share.filter(|_| self.ms % REPORT_MS == REPORT_MS - DELAY_MS)
            && let Some(block) = self.reception.take_block(share.ssrc, now)
        {
            let len = write_receiver_report(Ssrc(9), &[block], &mut feedback).unwrap();
            self.report = feedback[..len].to_vec();
        }
        if self.ms.is_multiple_of(REPORT_MS) && !self.report.is_empty() {
            self.world.hand_in(2, std::mem::take(&mut self.report));
        }
    }

    fn note(&mut self, heard: &Heard) {
        let listener = usize::try_from(heard.listener - 2).unwrap();
        self.came[listener][usize::from(heard.view().payload_type() != 111)] += 1;
    }

    fn reasons(&self, id: u64) -> Vec<SlotReason> {
        self.world.slots(id).into_iter().filter_map(|slot| slot.reason).collect()
    }
}

#[test]
fn f03_pictures_pause_on_a_narrow_link_and_come_back() {
    let mut narrow = Narrow::new();
    assert_eq!(narrow.run(1_000), [[50, 250]; 2]);
    // A third of what it is sent.
    narrow.rate = Some(10);
    narrow.run(1_000);
    assert!(!narrow.reasons(2).is_empty(), "a second is enough to see it");
    assert!(narrow.world.bound(2, Kind::Audio).contains(&1));
    let [full, free] = narrow.run(20_000);
    assert!(full[0] >= 850, "sound, half of what the link bears, is not starved: {full:?} of 1,000");
    assert!(full[1] < 1_000, "tried now and then: {full:?}");
    assert_eq!(free, [1_000, 5_000], "the other listener sees nothing of it");
    assert!(narrow.reasons(3).is_empty());
    narrow.rate = None;
    narrow.run(3_000);
    assert_eq!(narrow.world.bound(2, Kind::Share), [1], "the share is back");
    assert_eq!(narrow.run(10_000)[0], [500, 2_500], "and stays");
    assert!(narrow.reasons(2).is_empty());
    narrow.world.check_conservation();
}

#[test]
fn gaps_of_a_publisher_pause_nobodys_pictures() {
    let third = |ms: u64| u64::from(ms.is_multiple_of(2 * SHARE_MS));
    // Smaller each time, and while a report is on its way that knows nothing of it.
    let leaps = |ms: u64| match ms % (3 * REPORT_MS) {
        950 => 900,
        1_950 => 270,
        2_950 => 60,
        _ => 0,
    };
    for (mut narrow, gap) in [
        (Narrow::new(), third as fn(u64) -> u64),
        (Narrow::without_arrivals(), third),
        (Narrow::without_arrivals(), leaps),
    ] {
        narrow.run(2_000);
        narrow.gap = gap;
        narrow.run(10_000);
        assert_eq!(narrow.world.worker.statistics().pauses, 0);
        narrow.rate = Some(10);
        narrow.run(4_000);
        assert!(narrow.world.worker.statistics().pauses > 0, "a full link is still seen");
    }
}

#[test]
fn a21_one_viewers_lies_change_no_others_media() {
    let mut narrow = Narrow::without_arrivals();
    narrow.run(1_000);
    let everybody: Vec<Ssrc> =
        [2, 3].iter().flat_map(|id| narrow.world.slots(*id)).map(|slot| slot.ssrc).collect();
    for lie in 0..100_u32 {
        let blocks = everybody.iter().map(|ssrc| ReportBlock {
            ssrc: *ssrc,
            fraction_lost: 255,
            cumulative_lost: 0x7f_ffff,
            highest_sequence: u32::MAX,
            jitter: u32::MAX,
            last_sender_report: lie,
            delay: u32::MAX,
        });
        let mut report = [0; 800];
        let len = write_receiver_report(Ssrc(5), &blocks.collect::<Vec<_>>(), &mut report).unwrap();
        narrow.world.hand_in(2, report[..len].to_vec());
        // REMB: the mantissa's 18 bits and an exponent of 6, once 0 and once far beyond any link.
        let rate: [u8; 3] = if lie % 2 == 0 { [0, 0, 0] } else { [0xff, 0xff, 0xff] };
        let mut remb = vec![0x8f, 206, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0];
        remb.extend(b"REMB");
        remb.extend([1, rate[0], rate[1], rate[2]]);
        remb.extend(everybody[0].0.to_be_bytes());
        narrow.world.hand_in(2, remb);
        let [_, honest] = narrow.run(100);
        assert_eq!(honest, [5, 25], "after {lie} lies");
    }
    assert!(narrow.reasons(3).is_empty());
    let statistics = narrow.world.worker.statistics();
    assert!(statistics.pauses > 2, "the liar's own pictures pause");
    let asked = statistics.keyframe_requests;
    assert!(asked <= 10, "{asked} keyframes in 11 s for somebody who goes on and off");
}

#[test]
fn f17_a_worker_that_is_behind_drops_pictures_and_no_sound() {
    let mut narrow = Narrow::new();
    narrow.run(1_000);
    for _ in 0..10 {
        narrow.world.worker.note_backlog(narrow.world.now, true);
        narrow.run(100);
    }
    assert_eq!(narrow.run(500), [[25, 0]; 2], "all of the sound, and no picture");
    narrow.world.worker.note_backlog(narrow.world.now, false);
    narrow.run(1_000);
    assert_eq!(narrow.run(1_000), [[50, 250]; 2], "pictures come back, by a keyframe");
    assert!(narrow.world.drops(DropReason::Overload) > 250);
    narrow.world.check_conservation();
}
