use std::time::Duration;

use super::*;
use crate::base::{Epoch, Mid, Random, Ssrc, Time};
use crate::media::ring::{PacketInfo, Ring};
use crate::transport::ExtensionIds;
use crate::wire::extension::AudioLevel;
use crate::wire::rtp::RtpView;
use crate::wire::vp8::PictureId;

const VIDEO_CLOCK: u32 = 90_000;
const START: Time = Time(1_000_000_000);

fn packet(index: u64, timestamp: u32, arrived_ms: u64) -> PacketInfo {
    PacketInfo {
        index,
        segment: 0,
        gap: 0,
        fresh: 0,
        epoch: Epoch(1),
        arrived: START + Duration::from_millis(arrived_ms),
        timestamp,
        marker: false,
        codec: 0,
        keyframe: false,
        level: None,
    }
}

struct Slot {
    outgoing: Outgoing,
    mapping: Mapping,
}

impl Slot {
    fn new(seed: u64) -> Self {
        Self { outgoing: Outgoing::new(&mut Random::from_number(seed)), mapping: Mapping::default() }
    }

    fn send(&mut self, info: &PacketInfo, numbers: Numbers) -> Option<Placed> {
        let placed = self.mapping.place(&self.outgoing, info, numbers, VIDEO_CLOCK)?;
        self.mapping.commit(&mut self.outgoing, &placed, info.arrived, 100);
        Some(placed)
    }

    fn rebind(&mut self) {
        self.mapping = Mapping::default();
    }
}

fn long(picture: u16) -> Numbers {
    Numbers { picture: Some(PictureId::Long(picture)), tl0: None, frame: None }
}

#[test]
fn the_first_sequence_number_is_below_half() {
    for seed in 0..200 {
        assert!(Slot::new(seed).outgoing.next() < 1 << 15);
    }
}

#[test]
fn gaps_of_the_source_stay_gaps() {
    let mut slot = Slot::new(1);
    let first = slot.send(&packet(65_530, 0, 0), Numbers::default()).unwrap().out;
    let after_gap = slot.send(&packet(65_540, 3_000, 33), Numbers::default()).unwrap().out;
    let late = slot.send(&packet(65_535, 0, 34), Numbers::default()).unwrap().out;
    assert_eq!((after_gap - first, late - first), (10, 5));
    assert_eq!(slot.outgoing.next(), after_gap + 1);
    assert_eq!(slot.mapping.source_of(late), Some((0, 65_535)));
}

#[test]
fn another_publisher_goes_on_without_a_gap_and_in_real_time() {
    let mut slot = Slot::new(2);
    let old = slot.send(&packet(500, u32::MAX - 100, 0), long(7)).unwrap();
    slot.rebind();
    let new = slot.send(&packet(9, 42, 1_000), long(32_000)).unwrap();
    assert_eq!(new.out, old.out + 1);
    assert_eq!(new.timestamp.wrapping_sub(old.timestamp), VIDEO_CLOCK);
    assert_eq!(new.numbers.picture.unwrap().value(), (old.numbers.picture.unwrap().value() + 1) & 0x7fff);
    assert_eq!(slot.mapping.source_of(old.out), None, "what came before the binding cannot be asked for");
}

#[test]
fn timestamps_wrap_with_their_source() {
    let mut slot = Slot::new(3);
    let before = slot.send(&packet(1, u32::MAX - 1_499, 0), Numbers::default()).unwrap();
    let after = slot.send(&packet(2, 1_500, 33), Numbers::default()).unwrap();
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 3_000);
}

#[test]
fn a_packet_from_before_the_binding_is_not_placed() {
    let mut slot = Slot::new(4);
    slot.send(&packet(100, 0, 0), Numbers::default()).unwrap();
    assert_eq!(slot.send(&packet(99, 0, 1), Numbers::default()), None);
}

#[test]
fn a_hole_of_ours_closes_and_keeps_the_clock() {
    let mut slot = Slot::new(5);
    let before = slot.send(&packet(10, 0, 0), long(5)).unwrap();
    let resumed = PacketInfo { segment: 1, fresh: 1, ..packet(500, 900_000, 10_002) };
    let after = slot.send(&resumed, long(300)).unwrap();
    assert_eq!(after.out, before.out + 1);
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 900_000);
    assert_eq!(slot.mapping.fresh(), 1);
    // A packet of the stretch before still finds its place, one from inside the hole does not.
    assert_eq!(slot.send(&packet(499, 0, 10_003), long(299)), None);
}

#[test]
fn what_a_listener_misses_because_of_us_is_no_leap() {
    let mut slot = Slot::new(11);
    let before = slot.send(&packet(100, 0, 0), long(5)).unwrap();
    let far = slot.send(&packet(1_101, 3_000, 33), long(6)).unwrap();
    assert_eq!(far.out, before.out + 1_001, "a loss stays one");
    let leap = slot.send(&packet(90_000, 6_000, 66), long(9)).unwrap();
    assert_eq!(leap.out, far.out + 2, "one number is missing");
    assert_eq!(leap.timestamp.wrapping_sub(far.timestamp), 3_000);
    let pictures = [&far, &leap].map(|placed| placed.numbers.picture.unwrap().value());
    assert_eq!(pictures[1].wrapping_sub(pictures[0]) & 0x7fff, 3);
    // Both sides of it can be asked for, and what was late on the near side still comes.
    assert_eq!(slot.mapping.source_of(far.out), Some((0, 1_101)));
    assert_eq!(slot.mapping.source_of(leap.out), Some((0, 90_000)));
    assert_eq!(slot.send(&packet(1_100, 2_990, 67), long(6)).unwrap().out, far.out - 1);
    assert_eq!(slot.send(&packet(89_999, 5_990, 67), long(8)), None, "nor does anything get a number twice");
    assert_eq!(slot.send(&packet(90_001, 9_000, 99), long(10)).unwrap().out, leap.out + 1);
    assert_eq!(slot.mapping.fresh(), 0);
}

#[test]
fn a_source_whose_clock_stood_still_is_put_right() {
    let mut slot = Slot::new(6);
    let before = slot.send(&packet(10, 0, 0), Numbers::default()).unwrap();
    let woken = PacketInfo { segment: 1, fresh: 1, ..packet(11, 3_000, 60_000) };
    let after = slot.send(&woken, Numbers::default()).unwrap();
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 60 * VIDEO_CLOCK);
}

#[test]
fn picture_ids_of_seven_bits_wrap_in_seven_bits() {
    let mut slot = Slot::new(7);
    let short = |picture| Numbers { picture: Some(PictureId::Short(picture)), tl0: Some(255), frame: None };
    let first = slot.send(&packet(1, 0, 0), short(126)).unwrap().numbers.picture.unwrap().value();
    for (step, picture) in [127, 0, 1].into_iter().enumerate() {
        let step = u16::try_from(step).unwrap() + 1;
        let info = packet(1 + u64::from(step), 3_000 * u32::from(step), 33);
        let placed = slot.send(&info, short(picture)).unwrap();
        assert_eq!(
            placed.numbers.picture,
            Some(PictureId::Short(u8::try_from((first + step) & 0x7f).unwrap()))
        );
    }
    slot.rebind();
    let next = slot.send(&packet(70_000, 5, 100), long(9)).unwrap();
    assert_eq!(next.numbers.picture.unwrap().value() & 0x7f, (first + 4) & 0x7f);
}

#[test]
fn indices_of_the_lowest_layer_and_frames_go_on() {
    let mut slot = Slot::new(8);
    let numbers = |tl0, frame| Numbers { picture: None, tl0: Some(tl0), frame: Some(frame) };
    let first = slot.send(&packet(1, 0, 0), numbers(250, 65_535)).unwrap().numbers;
    let second = slot.send(&packet(2, 1, 1), numbers(251, 0)).unwrap().numbers;
    slot.rebind();
    let third = slot.send(&packet(3, 2, 2), numbers(3, 77)).unwrap().numbers;
    for (earlier, later) in [(first, second), (second, third)] {
        assert_eq!(later.tl0.unwrap().wrapping_sub(earlier.tl0.unwrap()), 1);
        assert_eq!(later.frame.unwrap().wrapping_sub(earlier.frame.unwrap()), 1);
    }
}

#[test]
fn no_number_repeats_over_a_thousand_bindings() {
    let mut random = Random::from_number(9);
    let mut slot = Slot::new(9);
    let (mut last, mut at) = (None, 0);
    for _ in 0..1_000 {
        slot.rebind();
        let (mut index, mut timestamp) = (random.below(1 << 20), random.next_u32());
        for _ in 0..1 + random.below(5) {
            at += 20;
            index += 1;
            timestamp = timestamp.wrapping_add(1_800);
            let placed = slot.send(&packet(index, timestamp, at), Numbers::default()).unwrap();
            if let Some((out, timestamp)) = last {
                assert_eq!(placed.out, out + 1);
                assert_eq!(placed.timestamp.wrapping_sub(timestamp), 1_800);
            }
            last = Some((placed.out, placed.timestamp));
        }
    }
}

#[test]
fn a_packet_is_dressed_for_its_listener() {
    let mut ring = Ring::new(4);
    let level = AudioLevel { level: 33, voice: true };
    let info = PacketInfo { level: Some(level), marker: true, ..packet(1, 7, 0) };
    let vp8 = [0x90, 0xc0, 0x81, 0x02, 0x05, 0xaa, 0xbb];
    assert!(ring.put(info, &[0xc1, 0, 9], &vp8));
    let stored = ring.get(1, 0).unwrap();
    let mut slot = Slot::new(10);
    let numbers = Numbers::read(Codec::Vp8, stored.payload, stored.descriptor);
    let placed = slot.send(stored.info, numbers).unwrap();
    let extensions = ExtensionIds {
        mid: Some(3),
        audio_level: Some(4),
        transport_cc: Some(5),
        abs_send_time: None,
        dependency_descriptor: Some(6),
    };
    let mid = Mid::from("v0");
    let dress = Dress {
        mid: &mid,
        extensions: &extensions,
        ssrc: Ssrc(99),
        payload_type: 101,
        sequence: 55,
        marker: true,
        codec: Codec::Vp8,
        transport_cc: 0x0102,
        now: START,
        original_sequence: Some(44),
    };
    let mut buffer = [0; 200];
    let len = write_packet(&stored, &placed, &dress, &mut buffer).unwrap();
    let view = RtpView::parse(&buffer[..len]).unwrap();
    assert_eq!((view.ssrc(), view.payload_type(), view.sequence()), (Ssrc(99), 101, 55));
    assert_eq!((view.timestamp(), view.marker()), (placed.timestamp, true));
    assert_eq!(view.extension(3), Some(&b"v0"[..]));
    assert_eq!(view.extension(4), Some(&level.write()[..]));
    assert_eq!(view.extension(5), Some(&[1, 2][..]));
    let frame = placed.numbers.frame.unwrap().to_be_bytes();
    assert_eq!(view.extension(6), Some(&[0xc1, frame[0], frame[1]][..]));
    assert_eq!(view.payload()[..2], 44_u16.to_be_bytes());
    let sent = Numbers::read(Codec::Vp8, &view.payload()[2..], &[]);
    assert_eq!((sent.picture, sent.tl0), (placed.numbers.picture, placed.numbers.tl0));
    assert_eq!(view.payload()[7..], [0xaa, 0xbb], "media is never touched");
}
