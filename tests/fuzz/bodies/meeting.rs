//! A media worker and three people with real keys, all at the mercy of the bytes: they choose packets, what
//! stands in them, commands and the time.
//!
//! A byte chooses the step, those behind it say what it is about. Each packet that is sent carries where its
//! publisher is; whoever gets it has to be there as well.

mod hall;
mod people;

use std::time::Duration;

use anteroom::base::{BatchId, Epoch, GroupId, Kind, KindSet, ParticipantId, WorkerId};
use anteroom::message::{GroupSettings, MediaCommand, Placement};
use anteroom::transport::Path;

use super::input::Input;
use hall::{GROUPS, Hall};
use people::Packet;

/// Steps that one run takes.
const MAX_STEPS: usize = 2_000;

/// Runs a worker as the bytes say.
pub fn meeting(data: &[u8]) {
    heard(data);
}

/// The same; answers how many marked packets reached somebody.
pub fn heard(data: &[u8]) -> u64 {
    let mut hall = Hall::new();
    let mut input = Input::new(data);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        step(&mut hall, &mut input);
    }
    hall.finish()
}

fn step(hall: &mut Hall, input: &mut Input<'_>) {
    match input.u8() % 16 {
        0..=5 => media(hall, input),
        6 => {
            let who = input.u8();
            hall.control_packet(who, input.piece());
        }
        7 => {
            let (who, port) = (input.u8(), u16::from(input.u8() % 4));
            // Number 3 is nobody.
            let path = Path::new(([10, 0, 0, who % 4], 5_000 + port).into(), None);
            hall.raw(path, input.piece().to_vec());
        }
        8 => {
            let (who, port, nominates) =
                (input.u8(), u16::from(input.u8() % 4), input.u8().is_multiple_of(2));
            hall.check(who, port, nominates);
        }
        9 => {
            let (who, group, old) = (input.u8(), input.u8(), input.u8().is_multiple_of(8));
            hall.place(who, group, KindSet::ALL, old);
        }
        10 => hall.landed(input.u8(), input.u8().is_multiple_of(4)),
        11 => {
            let (who, kinds) = (input.u8(), kinds(input.u8()));
            let (participant, epoch) = hall.placement(who);
            hall.command(MediaCommand::SetPublish { participant, epoch, publish: kinds });
        }
        12 => {
            let group = GroupId(1 + u64::from(input.u8()) % GROUPS);
            let max_active_talkers = 1 + input.u8() % 16;
            let blocked = kinds(input.u8() & input.u8());
            hall.command(MediaCommand::SetGroup(GroupSettings { group, max_active_talkers, blocked }));
        }
        13 => {
            let ms = u64::from(input.u8()) * u64::from(input.u8() % 16);
            hall.pass(Duration::from_millis(ms));
        }
        14 => hall.flush(),
        _ => seldom(hall, input),
    }
}

fn kinds(bits: u8) -> KindSet {
    let wanted: Vec<Kind> = Kind::ALL
        .into_iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1)
        .map(|(_, kind)| kind)
        .collect();
    KindSet::of(&wanted)
}

fn media(hall: &mut Hall, input: &mut Input<'_>) {
    let (who, kind, flags) = (input.u8(), input.u8(), input.u8());
    let packet = Packet {
        kind: usize::from(kind % 3),
        codec: input.u8(),
        ahead: if flags & 1 == 0 { 1 } else { i64::from(input.u16().cast_signed()) },
        ticks: u32::from(input.u16()),
        marker: flags & 2 != 0,
        repeats: flags & 4 != 0,
        unmarked: flags & 0x10 != 0,
        claim: (flags & 0x18 == 0x18).then(|| input.u8()),
        foreign: (flags & 0xe0 == 0xe0).then(|| input.u8()),
        padding: if flags & 0x20 == 0 { 0 } else { input.u8() },
        extension: (input.u8(), input.piece().to_vec()),
        front: input.piece().to_vec(),
    };
    hall.send(who, packet);
}

fn seldom(hall: &mut Hall, input: &mut Input<'_>) {
    let which = input.u8() % 8;
    let who = input.u8();
    match which {
        0 => hall.end_group(1 + u64::from(who) % GROUPS),
        1 if input.u8().is_multiple_of(8) => hall.disconnect(who),
        2 => hall.revoke(who),
        3 => {
            // Somebody on another worker.
            let placement = Placement {
                participant: ParticipantId(100 + u64::from(who % 4)),
                group: GroupId(1 + u64::from(input.u8()) % GROUPS),
                epoch: Epoch(hall.next_epoch()),
                publish: KindSet::ALL,
            };
            hall.command(MediaCommand::Mirror { placement, home: WorkerId(1) });
        }
        4 => hall.command(MediaCommand::Disconnect(ParticipantId(100 + u64::from(who % 4)))),
        5 => {
            let (participant, _) = hall.placement(who);
            let offer = String::from_utf8_lossy(input.piece()).into_owned();
            hall.command(MediaCommand::RestartIce { participant, number: 0, offer });
        }
        6 => hall.hand_back(),
        _ => {
            let batch = BatchId(u64::from(who));
            hall.command(MediaCommand::Move { batch, placements: Vec::new() });
        }
    }
}
