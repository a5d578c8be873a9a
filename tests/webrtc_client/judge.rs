//! Judges every packet that the clients of one story received.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::ClientId;
use anteroom::client::room_tag;

use crate::memory::{Memory, Packet, Placement};

/// What came of judging.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Packets that were judged.
    pub(crate) packets: usize,
    /// What is wrong, for people.
    pub(crate) wrong: Vec<String>,
    /// Packets that a publisher sent into the room that it was moved to before it could know of the
    /// move: its own words in its own new room, under the mark of the old one.
    pub(crate) unknowing: usize,
}

/// Judges what `memories` (by name) hold.
pub(crate) fn judge(memories: &BTreeMap<String, Memory>) -> Verdict {
    let histories: BTreeMap<ClientId, &[Placement]> =
        memories.values().filter_map(|memory| Some((memory.client?, memory.placements.as_slice()))).collect();
    let mut verdict = Verdict::default();
    for (name, memory) in memories {
        for packet in &memory.packets {
            verdict.packets += 1;
            match fault(memory, packet, &histories) {
                Ok(()) => {}
                Err(Fault::Unknowing) => verdict.unknowing += 1,
                Err(Fault::Wrong(why)) => verdict.wrong.push(format!("{name}: {why}: {packet:?}")),
            }
        }
        verdict.wrong.extend(duplicates(memory).map(|twice| format!("{name}: came twice: {twice:?}")));
        verdict.wrong.extend(timeline(memory).map(|jump| format!("{name}: time jumps: {jump}")));
        verdict.wrong.extend(unmarked(memory).map(|seq| format!("{name}: talk without marker: {seq:?}")));
    }
    verdict
}

enum Fault {
    Unknowing,
    Wrong(String),
}

fn fault(
    memory: &Memory,
    packet: &Packet,
    histories: &BTreeMap<ClientId, &[Placement]>,
) -> Result<(), Fault> {
    let wrong = |why: String| Err(Fault::Wrong(why));
    let Some(claim) = memory.claim_of(packet) else { return wrong("before any claim".to_owned()) };
    let Some((publisher, kind)) = claim.publisher else { return wrong("on an empty slot".to_owned()) };
    let Some(mark) = packet.mark else { return wrong("bears no mark".to_owned()) };
    if mark.publisher != publisher || mark.kind != kind {
        return wrong(format!("the slot is {publisher}'s {kind}"));
    }
    if !packet.intact {
        return wrong("its bytes were changed".to_owned());
    }
    let room = room_tag(&claim.room);
    if mark.room == room {
        return Ok(());
    }
    let history = histories.get(&publisher).copied().unwrap_or_default();
    let moved = history.windows(2).any(|pair| match pair {
        [from, to] => from.room == mark.room && to.room == room && mark.sent_at <= to.learned_at,
        _ => false,
    });
    if moved { Err(Fault::Unknowing) } else { wrong(format!("the listener is in {}", claim.room)) }
}

/// Packets that were handed out more often than the wire brought them: the peer connection drops no
/// duplicates, and goes on asking for what a retransmission has brought already.
fn duplicates(memory: &Memory) -> impl Iterator<Item = (u32, u64)> {
    let mut times: BTreeMap<(u32, u64), usize> = BTreeMap::new();
    for packet in &memory.packets {
        *times.entry((packet.ssrc, packet.seq)).or_default() += 1;
    }
    let brought = |(ssrc, seq): (u32, u64)| memory.wire.arrivals((ssrc, (seq & 0xffff) as u16));
    times.into_iter().filter(move |(packet, times)| *times > brought(*packet)).map(|(packet, _)| packet)
}

/// How far the timestamps of a slot may be from what passed by the wall clock between two packets,
/// in microseconds.
const MAX_JUMP: i64 = 1_000_000;

/// Neighbours of a slot whose timestamps go back, or elsewhere than time itself.
fn timeline(memory: &Memory) -> impl Iterator<Item = String> {
    let mut in_order: Vec<&Packet> = memory.packets.iter().collect();
    in_order.sort_by_key(|packet| (packet.ssrc, packet.seq));
    let pairs: Vec<(&Packet, &Packet)> = in_order.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.into_iter().filter(|(a, b)| a.ssrc == b.ssrc).filter_map(|(a, b)| {
        let rate = if b.mark?.kind.is_video() { 90_000 } else { 48_000 };
        let ticks = i64::from(b.timestamp.wrapping_sub(a.timestamp).cast_signed());
        let passed = b.came_at.0.cast_signed() - a.came_at.0.cast_signed();
        let is_off = ticks < 0 || (ticks * 1_000_000 / rate - passed).abs() > MAX_JUMP;
        is_off.then(|| format!("{ticks} ticks in {passed} us, from {a:?} to {b:?}"))
    })
}

/// First packets of a voice in a slot that lack the marker bit (RFC 3551 section 4.1).
fn unmarked(memory: &Memory) -> impl Iterator<Item = (u32, u64)> {
    let starts = memory.claims.iter().flat_map(|(ssrc, claims)| {
        claims.iter().filter(|claim| claim.publisher.is_some()).map(|claim| (*ssrc, claim.from_seq))
    });
    let starts: BTreeSet<(u32, u64)> = starts.collect();
    let voices = memory.packets.iter().filter(|packet| packet.mark.is_some_and(|m| !m.kind.is_video()));
    voices
        .filter(move |packet| !packet.marker && starts.contains(&(packet.ssrc, packet.seq)))
        .map(|packet| (packet.ssrc, packet.seq))
}
