//! What a stream leaves out, refuses and lets through.

use super::*;
use crate::media::slab::Slab;

fn stream(kind: Kind) -> Stream {
    let owner: Key<()> = Slab::default().insert(());
    let codecs = vec![CodecLine { codec: Codec::Opus, payload_type: 111, rtx_payload_type: None }];
    let mut stream = Stream::new(owner.cast(), ParticipantId(1), kind, codecs);
    stream.place(Some(GroupId(1)), Epoch(1), None);
    stream.regulate(KindSet::ALL, Some(KindSet::NONE));
    stream
}

fn packet(index: u64) -> PacketInfo {
    let ms = 20 * index;
    PacketInfo {
        index,
        segment: 0,
        gap: 0,
        fresh: 0,
        epoch: Epoch(0),
        arrived: Time(1_000_000) + Duration::from_millis(ms),
        timestamp: u32::try_from(ms * 48).unwrap(),
        marker: false,
        codec: 0,
        keyframe: false,
        level: None,
    }
}

fn stretch(stream: &mut Stream, info: PacketInfo) -> (u32, u32) {
    let segment = stream.admit(info, &[], &[1]).unwrap();
    (segment, stream.fresh)
}

#[test]
fn loss_goes_on_in_the_same_stretch_and_what_we_leave_out_does_not() {
    let mut stream = stream(Kind::Audio);
    let (segment, fresh) = stretch(&mut stream, packet(10));
    assert_eq!(stretch(&mut stream, packet(15)), (segment, fresh));
    stream.skipped(16);
    assert_eq!(stretch(&mut stream, packet(12)), (segment, fresh), "late packets change nothing");
    assert_eq!(stretch(&mut stream, packet(17)), (segment + 1, fresh));
    stream.left_out();
    stream.skipped(18);
    assert_eq!(stretch(&mut stream, packet(19)), (segment + 2, fresh + 1));
}

#[test]
fn what_is_skipped_hides_no_loss_beside_it() {
    let mut stream = stream(Kind::Video);
    let (segment, fresh) = stretch(&mut stream, packet(10));
    stream.skipped(12);
    stream.skipped(14);
    assert_eq!(stretch(&mut stream, packet(16)), (segment + 1, fresh));
    assert_eq!(stream.ring.get(16, segment + 1).unwrap().info.gap, 3, "11, 13 and 15");
    assert_eq!(stretch(&mut stream, packet(11)), (segment, fresh), "it was lost from there");
    stream.skipped(13);
    assert_eq!(stretch(&mut stream, packet(17)), (segment + 1, fresh), "what is late leaves no hole");
    assert_eq!(stream.admit(packet(18), &[], &[0; 3_000]), None);
    assert_eq!(stretch(&mut stream, packet(19)), (segment + 1, fresh), "it is lost as others are");
}

#[test]
fn what_is_refused_leaves_a_hole_where_nothing_newer_went_on() {
    let mut stream = stream(Kind::Audio);
    let (segment, fresh) = stretch(&mut stream, packet(10));
    stream.refused(9);
    assert_eq!(stretch(&mut stream, packet(11)), (segment, fresh));
    stream.refused(12);
    assert_eq!(stretch(&mut stream, packet(13)), (segment + 1, fresh + 1));
}

#[test]
fn what_nobody_heard_stays_a_hole_behind_an_older_packet() {
    let mut stream = stream(Kind::Audio);
    stream.unheard(&packet(11));
    let (segment, fresh) = stretch(&mut stream, packet(10));
    assert_eq!(stretch(&mut stream, packet(12)), (segment + 1, fresh + 1));
    assert_eq!(stretch(&mut stream, packet(13)), (segment + 1, fresh + 1));
}

#[test]
fn no_source_leaves_out_more_numbers_than_packets_get_lost() {
    let [mut stream, mut sound] = [Kind::Share, Kind::Audio].map(stream);
    let at = |step: u64, skips: u64| PacketInfo { index: step * skips, ..packet(step) };
    let (segment, _) = stretch(&mut stream, at(1, 1_000));
    let (one_second, _) = stretch(&mut stream, at(2, 1_000));
    assert_eq!(one_second, segment, "a second's loss");
    let (first, next) = (stretch(&mut sound, at(1, 1_000)).0, stretch(&mut sound, at(2, 1_000)).0);
    assert_ne!(first, next, "more than sound's");
    let mut kept = 0;
    for step in 3..503 {
        let before = stream.segment;
        kept += u64::from(stretch(&mut stream, at(step, 1_000)).0 == before);
    }
    assert!((9..=10).contains(&kept), "{kept} of the leaps of ten seconds stay");
    let mut lossy = self::stream(Kind::Audio);
    let (segment, _) = stretch(&mut lossy, at(1, 10));
    assert!((2..500).all(|step| stretch(&mut lossy, at(step, 10)).0 == segment), "nine of ten are lost");
}

#[test]
fn a_clock_that_stood_still_is_a_new_entry() {
    let mut stream = stream(Kind::Audio);
    let (_, fresh) = stretch(&mut stream, packet(10));
    let mut woken = packet(11);
    woken.arrived = woken.arrived + Duration::from_secs(60);
    assert_eq!(stretch(&mut stream, woken).1, fresh + 1);
}

#[test]
fn who_may_not_publish_or_where_nobody_may_is_told_apart() {
    let mut stream = stream(Kind::Share);
    let due = |at| Some(Time(at));
    assert_eq!(stream.refusal(due(0), 1), Some(DropReason::Unbound));
    stream.regulate(KindSet::of(&[Kind::Audio]), Some(KindSet::NONE));
    assert_eq!(stream.refusal(due(0), 1), Some(DropReason::NotAllowed));
    stream.regulate(KindSet::ALL, Some(KindSet::of(&[Kind::Share])));
    assert_eq!(stream.refusal(due(0), 1), Some(DropReason::Blocked));
    stream.regulate(KindSet::ALL, Some(KindSet::NONE));
    stream.in_flight_until = Some(Time(10));
    assert_eq!(stream.refusal(due(9), 7), Some(DropReason::InFlight));
    assert_eq!(stream.refusal(None, 8), Some(DropReason::InFlight), "a repair is not the first");
    assert_eq!(stream.refusal(due(10), 10), Some(DropReason::Unbound));
    assert_eq!(stream.refusal(due(11), 9), Some(DropReason::InFlight), "one that was overtaken");
    assert_eq!(stream.refusal(None, 11), Some(DropReason::Unbound), "a repair of a later one");
    stream.source_changed();
    assert_eq!(stream.refusal(due(9), 500), Some(DropReason::InFlight), "old ones of another source");
    assert_eq!(stream.refusal(due(12), 501), Some(DropReason::Unbound));
}
