//! The cases whose instructions benches/instructions.sh counts under callgrind, one at a time. Each
//! is made ready and done once before, so that nothing is counted which happens only the first time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench may fail loudly, reads the clock and prints"
)]

#[path = "support/hall.rs"]
mod hall;
#[path = "support/meeting.rs"]
mod meeting;
#[path = "support/packet.rs"]
mod packet;

use std::hint::black_box;

use anteroom::base::Kind;
use anteroom::message::SrtpProfile;
use anteroom::transport::srtp::{Inbound, OVERHEAD_RTP, Outbound};
use anteroom::wire::rtp::RtpView;

use hall::{BREAKOUT, FRAME_PACKETS, Hall, PARENT};
use meeting::Meeting;
use packet::{AUDIO_LEVEL, dressed, plain};

const LISTENERS: usize = 100;
const MOVERS: usize = 100;

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
const KEY: [u8; 16] = [7; 16];
const SALT: [u8; 12] = [9; 12];

/// The name of each case, and the case.
const CASES: [(&str, fn()); 10] = [
    ("seal_120", || seal(120)),
    ("seal_1150", || seal(1_150)),
    ("open_120", || open(120)),
    ("open_1150", || open(1_150)),
    ("parse_100", parse),
    ("audio_to_100", || fan_out(Kind::Audio, 1)),
    ("frame_of_11_to_100", || fan_out(Kind::Video, FRAME_PACKETS)),
    ("move_100", move_out),
    ("destroy_100", move_home),
    ("deal_100", deal),
];

/// Where callgrind starts and stops to count; it knows the place by this name.
#[inline(never)]
fn counted_from_here(step: &mut dyn FnMut()) {
    step();
}

fn main() {
    let wanted = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    match wanted {
        // Without a case it says what there is, also to `cargo bench`.
        None => CASES.iter().for_each(|(name, _)| println!("{name}")),
        Some(wanted) => {
            let case = CASES.iter().find(|(name, _)| *name == wanted);
            case.unwrap_or_else(|| panic!("there is no case `{wanted}`")).1();
        }
    }
}

/// Prepares and does a step, then prepares and counts it.
fn count<S, T>(state: &mut S, prepare: impl Fn(&mut S) -> T, step: impl Fn(&mut S, &mut T)) {
    let mut first = prepare(state);
    step(state, &mut first);
    let mut second = prepare(state);
    counted_from_here(&mut || step(state, &mut second));
}

fn outbound() -> Outbound {
    Outbound::new(PROFILE, &KEY, &SALT).unwrap()
}

/// Seals a packet.
fn seal(len: usize) {
    count(
        &mut outbound(),
        |_| plain(len, OVERHEAD_RTP, 7),
        |outbound, packet| {
            black_box(outbound.seal_rtp(packet, len, 7).unwrap());
        },
    );
}

/// Opens a packet.
fn open(len: usize) {
    let inbound = Inbound::new(PROFILE, &KEY, &SALT).unwrap();
    count(
        &mut (outbound(), inbound, 0),
        |(outbound, _, index)| {
            *index += 1;
            let mut packet = plain(len, OVERHEAD_RTP, *index);
            let sealed = outbound.seal_rtp(&mut packet, len, *index).unwrap();
            packet.truncate(sealed);
            packet
        },
        |(_, inbound, _), packet| {
            black_box(inbound.open_rtp(packet).unwrap());
        },
    );
}

/// Reads a hundred headers and audio levels.
fn parse() {
    count(
        &mut (),
        |()| vec![dressed(120); 100],
        |(), packets| {
            for packet in packets {
                black_box(RtpView::parse(black_box(packet)).unwrap().extension(AUDIO_LEVEL).unwrap());
            }
        },
    );
}

/// Brings what one publisher sent at once to everybody.
fn fan_out(kind: Kind, packets: usize) {
    let mut hall = Hall::new(1 + LISTENERS);
    hall.publish(1, kind);
    count(&mut hall, Hall::next_batch, |hall, batch| {
        assert_eq!(hall.deliver(batch), packets * LISTENERS);
    });
}

/// Moves everybody into another room.
fn move_out() {
    let there: Vec<_> = (0..MOVERS).map(|at| (at, BREAKOUT)).collect();
    let back: Vec<_> = (0..MOVERS).map(|at| (at, PARENT)).collect();
    let mut hall = Hall::new(MOVERS);
    hall.make_group(BREAKOUT);
    count(
        &mut hall,
        |hall| {
            hall.move_to(&back);
            Some(hall.move_command(&there))
        },
        |hall, command| hall.command(command.take().unwrap()),
    );
    assert_eq!(hall.land(), MOVERS);
}

/// Brings everybody home from rooms of ten, and ends the rooms.
fn move_home() {
    let back: Vec<_> = (0..MOVERS).map(|at| (at, PARENT)).collect();
    let mut hall = Hall::new(MOVERS);
    count(
        &mut hall,
        |hall| {
            hall.split(MOVERS);
            Some(hall.move_command(&back))
        },
        |hall, command| {
            hall.command(command.take().unwrap());
            hall.end_rooms(MOVERS);
        },
    );
    assert_eq!(hall.land(), MOVERS);
}

/// `createAndInviteBreakoutRoom` in a meeting of a hundred, with all that everybody is told.
fn deal() {
    count(&mut Meeting::new(MOVERS), Meeting::destroy, |meeting, ()| meeting.deal());
}
