//! Groups that two workers share.

use std::collections::VecDeque;

use super::world::{Client, Heard, LOUD, SILENT, World};
use crate::base::{BatchId, Epoch, GroupId, Kind, KindSet, ParticipantId, Random, WorkerId};
use crate::media::{DropReason, Handover};
use crate::message::{MediaCommand, MediaReport, Placement};

const GROUPS: u64 = 3;
const PEOPLE: u64 = 12;

/// Two workers; who has an even number lives on the first. Commands and handovers reach a worker when
/// the test says so.
struct Pair {
    worlds: [World; 2],
    /// What each is still to be handed.
    handovers: [VecDeque<Handover>; 2],
    epoch: u64,
    batches: u64,
}

fn home(id: u64) -> usize {
    usize::from(id % 2 == 1)
}

fn worker(at: usize) -> WorkerId {
    WorkerId(u16::try_from(at).unwrap())
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut pair = Self {
            worlds: [World::from_seed(seed), World::from_seed(seed + 1_000)],
            handovers: Default::default(),
            epoch: 1_000,
            batches: 0,
        };
        for (world, group) in (1..=GROUPS).flat_map(|group| [(0, group), (1, group)]) {
            pair.worlds[world].group(group, 3, KindSet::NONE);
        }
        pair
    }

    fn next_epoch(&mut self) -> Epoch {
        self.epoch += 1;
        Epoch(self.epoch)
    }

    fn join(&mut self, id: u64, group: u64) {
        self.join_as(id, group, Client::default());
    }

    fn join_as(&mut self, id: u64, group: u64, client: Client) {
        // One of them may share.
        let publish = if id == 2 { KindSet::ALL } else { KindSet::of(&[Kind::Audio, Kind::Video]) };
        self.epoch += 1;
        let world = &mut self.worlds[home(id)];
        world.set_epoch(self.epoch);
        world.join_as(id, group, publish, client);
        let (participant, group, epoch) = (ParticipantId(id), GroupId(group), world.people[&id].epoch);
        self.epoch = epoch.0;
        let placement = Placement { participant, group, epoch, publish };
        let mirror = MediaCommand::Mirror { placement, home: worker(home(id)) };
        self.worlds[1 - home(id)].command(mirror);
    }

    fn placements(&mut self, moves: &[(u64, u64)]) -> Vec<Placement> {
        let place = |(id, group): &(u64, u64)| Placement {
            participant: ParticipantId(*id),
            group: GroupId(*group),
            epoch: self.next_epoch(),
            publish: KindSet::ALL,
        };
        moves.iter().map(place).collect()
    }

    /// Takes everything from people, on one worker.
    fn revoke(&mut self, at: usize, placements: &[Placement]) {
        self.batches += 1;
        let participants = placements.iter().map(|one| (one.participant, one.epoch)).collect();
        self.worlds[at].command(MediaCommand::Revoke { batch: BatchId(self.batches), participants });
    }

    /// Places people anew, on one worker.
    fn grant(&mut self, at: usize, placements: &[Placement]) {
        self.batches += 1;
        for placement in placements {
            let id = placement.participant.0;
            if let Some(person) = self.worlds[home(id)].people.get_mut(&id) {
                (person.group, person.epoch) = (placement.group, placement.epoch);
            }
        }
        let placements = placements.to_vec();
        self.worlds[at].command(MediaCommand::Move { batch: BatchId(self.batches), placements });
    }

    /// Ends the batches, and puts what crosses on its way.
    fn end_batches(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        for at in 0..2 {
            heard.extend(self.worlds[at].flush());
            while let Some((to, handover)) = self.worlds[at].worker.poll_handover() {
                assert_eq!(to, worker(1 - at));
                self.handovers[1 - at].push_back(handover);
            }
        }
        heard
    }

    fn hand_over(&mut self, at: usize) {
        while let Some(handover) = self.handovers[at].pop_front() {
            let now = self.worlds[at].now;
            self.worlds[at].worker.handle_handover(now, worker(1 - at), &handover);
        }
    }

    /// Everything that is on its way arrives, and leaves for its listeners.
    fn flush(&mut self) -> Vec<Heard> {
        let mut heard = self.end_batches();
        (0..2).for_each(|at| self.hand_over(at));
        heard.extend(self.end_batches());
        heard
    }

    fn pass(&mut self, ms: u64) {
        self.worlds.iter_mut().for_each(|world| world.pass(ms));
    }

    fn say(&mut self, id: u64, level: u8) {
        self.worlds[home(id)].say(id, level);
    }

    fn show(&mut self, id: u64, kind: Kind, keyframe: bool) {
        self.worlds[home(id)].show(id, kind, keyframe);
    }

    fn talk(&mut self, ms: u64, levels: &[(u64, u8)]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for _ in 0..ms / 20 {
            levels.iter().for_each(|(id, level)| self.say(*id, *level));
            heard.extend(self.flush());
            self.pass(20);
        }
        heard
    }

    fn bound(&self, id: u64, kind: Kind) -> Vec<u64> {
        self.worlds[home(id)].bound(id, kind)
    }

    fn group_of(&self, id: u64) -> GroupId {
        self.worlds[home(id)].people[&id].group
    }

    fn check_conservation(&self) {
        self.worlds.iter().for_each(World::check_conservation);
    }
}

fn listeners_of(heard: &[Heard], publisher: u64) -> Vec<u64> {
    let mut listeners: Vec<u64> =
        heard.iter().filter(|heard| heard.mark().0 == publisher).map(|heard| heard.listener).collect();
    listeners.sort_unstable();
    listeners.dedup();
    listeners
}

#[test]
fn a_packet_crosses_once_and_everybody_of_the_group_hears_it() {
    let mut pair = Pair::new(1);
    (1..=PEOPLE).for_each(|id| pair.join(id, 1));
    pair.join(13, 2);
    pair.talk(200, &[(2, LOUD)]);
    let before = pair.worlds[0].worker.statistics().handed_over;
    let heard = pair.talk(1_000, &[(2, LOUD)]);
    let others: Vec<u64> = (1..=PEOPLE).filter(|id| *id != 2).collect();
    assert_eq!(listeners_of(&heard, 2), others);
    assert_eq!(heard.len(), 50 * 11);
    assert_eq!(pair.worlds[0].worker.statistics().handed_over - before, 50);
    assert_eq!(pair.worlds[1].worker.statistics().handed_over, 0);
    pair.check_conservation();
}

#[test]
fn nothing_crosses_to_where_nobody_of_the_group_is() {
    let mut pair = Pair::new(2);
    for id in [2, 4, 6] {
        pair.join(id, 1);
    }
    for id in [1, 3] {
        pair.join(id, 2);
    }
    pair.talk(400, &[(2, LOUD), (1, LOUD)]);
    assert!(pair.worlds.iter().all(|world| world.worker.statistics().handed_over == 0));
}

#[test]
fn who_is_silent_does_not_cross_and_who_speaks_up_does_at_once() {
    let mut pair = Pair::new(3);
    (1..=PEOPLE).for_each(|id| pair.join(id, 1));
    let quiet: Vec<(u64, u8)> = (1..=PEOPLE).map(|id| (id, SILENT)).collect();
    pair.talk(3_000, &quiet);
    let before = pair.worlds[0].worker.statistics().handed_over;
    pair.talk(1_000, &quiet);
    let crossed = pair.worlds[0].worker.statistics().handed_over - before;
    assert!(crossed <= 4 * 50, "only those in a seat: {crossed}");
    let mut levels = quiet;
    levels[9] = (10, LOUD);
    let heard = pair.talk(200, &levels);
    let others: Vec<u64> = (1..=PEOPLE).filter(|id| *id != 10).collect();
    assert_eq!(listeners_of(&heard, 10), others, "on both workers, within a word");
}

#[test]
fn a_share_is_watched_on_both_workers_from_a_keyframe_on() {
    let mut pair = Pair::new(4);
    (1..=6).for_each(|id| pair.join(id, 1));
    pair.show(2, Kind::Share, true);
    pair.flush();
    for frame in 0..100 {
        pair.pass(20);
        let asked = pair.worlds[0].asked_for_keyframes(2);
        pair.show(2, Kind::Share, frame > 0 && asked > 0 && frame % 25 == 0);
        pair.flush();
    }
    assert!(pair.worlds[0].asked_for_keyframes(2) > 0, "the publisher is asked by its own worker");
    assert_eq!(pair.bound(1, Kind::Share), [2]);
    pair.show(2, Kind::Share, true);
    let heard = pair.flush();
    assert_eq!(listeners_of(&heard, 2), [1, 3, 4, 5, 6]);
    pair.check_conservation();
}

#[test]
fn a_video_that_nobody_watches_there_only_shows_itself() {
    let mut pair = Pair::new(5);
    let blind = Client { video_slots: 0, ..Client::default() };
    pair.join(2, 1);
    pair.join(4, 1);
    pair.join_as(1, 1, blind);
    for frame in 0..500 {
        pair.show(2, Kind::Share, frame % 50 == 0);
        pair.flush();
        pair.pass(20);
    }
    let crossed = pair.worlds[0].worker.statistics().handed_over;
    assert!((9..=12).contains(&crossed), "{crossed} in 10 s");
    pair.join(3, 1);
    for frame in 0..100 {
        pair.show(2, Kind::Share, frame % 50 == 49);
        pair.flush();
        pair.pass(20);
    }
    assert!(pair.worlds[0].worker.statistics().handed_over > crossed + 50);
    assert_eq!(pair.bound(3, Kind::Share), [2]);
}

#[test]
fn what_crosses_while_its_speaker_leaves_reaches_nobody() {
    let mut pair = Pair::new(6);
    (1..=6).for_each(|id| pair.join(id, 1));
    pair.talk(200, &[(2, LOUD), (1, LOUD)]);
    pair.say(2, LOUD);
    pair.end_batches();
    let placements = pair.placements(&[(2, 2)]);
    (0..2).for_each(|at| pair.revoke(at, &placements));
    pair.hand_over(1);
    let heard = pair.end_batches();
    assert!(heard.iter().all(|heard| heard.mark().0 != 2));
    assert_eq!(pair.worlds[1].drops(DropReason::Outdated), 1);
    (0..2).for_each(|at| pair.grant(at, &placements));
    pair.say(1, LOUD);
    assert!(!listeners_of(&pair.flush(), 1).contains(&2), "nor does it hear whom it left");
}

#[test]
fn a_muted_group_is_mute_on_both_workers() {
    let mut pair = Pair::new(7);
    (1..=4).for_each(|id| pair.join(id, 1));
    pair.talk(200, &[(2, LOUD)]);
    for world in &mut pair.worlds {
        world.group(1, 3, KindSet::of(&[Kind::Audio]));
    }
    assert!(pair.talk(200, &[(2, LOUD)]).is_empty());
    for world in &mut pair.worlds {
        world.group(1, 3, KindSet::NONE);
    }
    assert_eq!(listeners_of(&pair.talk(100, &[(2, LOUD)]), 2), [1, 3, 4]);
}

#[test]
fn one_worker_tells_who_talks() {
    let mut pair = Pair::new(8);
    (1..=6).for_each(|id| pair.join(id, 1));
    pair.talk(1_000, &[(2, LOUD), (5, LOUD)]);
    let told = |world: &World| -> Vec<Vec<u64>> {
        let talkers = world.reports.iter().filter_map(|report| match report {
            MediaReport::Talkers { talkers, .. } => Some(talkers),
            _ => None,
        });
        talkers.map(|talkers| talkers.iter().map(|talker| talker.participant.0).collect()).collect()
    };
    assert!(told(&pair.worlds[0]).is_empty());
    let mut last = told(&pair.worlds[1]).pop().unwrap();
    last.sort_unstable();
    assert_eq!(last, [2, 5], "the worker of the one who is here longest tells of both");
}

#[test]
fn who_comes_anew_is_heard_again_and_who_is_gone_leaves_nothing() {
    let mut pair = Pair::new(9);
    (1..=4).for_each(|id| pair.join(id, 1));
    pair.talk(200, &[(2, LOUD)]);
    pair.join(2, 1);
    assert_eq!(listeners_of(&pair.talk(100, &[(2, LOUD)]), 2), [1, 3, 4]);
    for id in 1..=4 {
        for world in &mut pair.worlds {
            world.command(MediaCommand::Disconnect(ParticipantId(id)));
        }
    }
    for world in &mut pair.worlds {
        world.command(MediaCommand::EndGroup(GroupId(1)));
        let statistics = world.worker.statistics();
        assert_eq!((statistics.participants, statistics.streams), (0, 0));
        assert_eq!((world.worker.mirrors, world.worker.by_id.len()), (0, 0));
    }
}

#[test]
fn a_first_packet_that_the_second_overtakes_leaves_no_number_out_elsewhere() {
    let mut pair = Pair::new(10);
    (1..=4).for_each(|id| pair.join(id, 1));
    let packets: Vec<_> =
        (0..4).map(|_| pair.worlds[home(2)].packet(2, Kind::Audio, SILENT, &[0x78])).collect();
    let mut heard = Vec::new();
    // Only by the second does the other worker learn of the voice.
    for at in [1, 0, 2, 3] {
        pair.worlds[home(2)].hand_in(2, packets[at].clone());
        heard.extend(pair.flush().into_iter().filter(|heard| home(heard.listener) != home(2)));
        pair.pass(5);
    }
    for listener in [1, 3] {
        let of = || heard.iter().filter(|heard| heard.listener == listener);
        assert!(of().map(|heard| heard.mark().2).eq([1, 3, 4]), "nobody was bound when the second came");
        let sequences: Vec<u16> = of().map(|heard| heard.view().sequence()).collect();
        let steps: Vec<u16> = sequences.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert_eq!(steps, [1, 1]);
    }
    pair.check_conservation();
}

/// What control does with a move: first everybody revokes, then everybody grants.
struct Moving {
    placements: Vec<Placement>,
    /// What each worker has done of it: nothing, revoked, granted.
    done: [u8; 2],
}

#[test]
fn random_moves_over_two_workers_never_carry_a_packet_out_of_its_group() {
    for seed in 0..20 {
        let (mut pair, mut random) = (Pair::new(seed), Random::from_number(seed));
        (1..=PEOPLE).for_each(|id| pair.join(id, 1 + id % GROUPS));
        let mut moving: Vec<Moving> = Vec::new();
        let (mut reached, mut crossed) = (0, 0);
        for _ in 0..800 {
            let id = 1 + random.below(PEOPLE);
            match random.below(12) {
                0 | 1 => {
                    let busy = |id: u64| {
                        moving.iter().any(|one| one.placements.iter().any(|two| two.participant.0 == id))
                    };
                    if !busy(id) {
                        let placements = pair.placements(&[(id, 1 + random.below(GROUPS))]);
                        moving.push(Moving { placements, done: [0; 2] });
                    }
                }
                2..=5 if !moving.is_empty() => {
                    let one = usize::try_from(random.below(moving.len() as u64)).unwrap();
                    let at = usize::try_from(random.below(2)).unwrap();
                    let Moving { placements, done } = &mut moving[one];
                    match (done[at], done[1 - at]) {
                        (0, _) => pair.revoke(at, placements),
                        (1, 1 | 2) => pair.grant(at, placements),
                        _ => continue,
                    }
                    done[at] += 1;
                    if *done == [2; 2] {
                        moving.remove(one);
                    }
                }
                6 => pair.hand_over(usize::try_from(random.below(2)).unwrap()),
                7 => pair.show(id, Kind::Share, random.below(4) == 0),
                _ => pair.say(id, LOUD),
            }
            for heard in pair.end_batches() {
                let (publisher, group, _) = heard.mark();
                assert_ne!(publisher, heard.listener);
                assert_eq!(pair.group_of(heard.listener), GroupId(group), "seed {seed}");
                assert_eq!(pair.group_of(publisher), GroupId(group), "seed {seed}");
                reached += 1;
                crossed += u64::from(home(publisher) != home(heard.listener));
            }
            if random.below(3) == 0 {
                (0..2).for_each(|at| pair.hand_over(at));
            }
            pair.pass(random.below(8));
        }
        pair.flush();
        pair.check_conservation();
        assert!(reached > 150 && crossed > 50, "{reached} packets reached somebody, {crossed} crossed");
    }
}

#[test]
fn a_clock_set_anew_is_one_entry_on_each_worker() {
    let mut pair = Pair::new(11);
    pair.join(1, 1);
    pair.join(2, 1);
    let mut show = |keyframe| {
        pair.pass(20);
        let sending = pair.worlds[home(2)].people.get_mut(&2).unwrap().sending.get_mut(&Kind::Share);
        if let Some(sending) = sending.filter(|_| keyframe) {
            sending.timestamp = sending.timestamp.wrapping_add(60 * 90_000);
        }
        pair.show(2, Kind::Share, keyframe);
        pair.flush().len()
    };
    // Until the other worker has learned of the share and asked for it.
    show(true);
    for _ in 0..20 {
        show(false);
    }
    for _ in 0..3 {
        assert_eq!(show(true), 1, "behind a leap of its clock");
        assert_eq!((0..20).map(|_| show(false)).sum::<usize>(), 20);
    }
}
