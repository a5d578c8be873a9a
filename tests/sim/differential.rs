//! One worker or four: the same people hear the same people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anteroom::base::{Kind, Random};
use anteroom::message::Method;
use anteroom::sim::{Simulation, SimulationOptions};
use serde_json::json;

use crate::stories::{MIA, ask, end, entry, guests, make_rooms, meeting};

const PEOPLE: usize = 12;
const STEPS: usize = 25;

/// Who hears whom, of those who talk or present: others are heard as far as there is room.
type Hearing = BTreeMap<usize, BTreeSet<(usize, Kind)>>;

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap())).unwrap()
}

/// Everything has come to rest: who hears whom?
fn quiet_point(world: &mut Simulation, talkers: &BTreeSet<usize>) -> Hearing {
    world.advance(Duration::from_secs(1));
    world.take_hearing();
    world.advance(Duration::from_secs(1));
    let mut hearing = world.take_hearing();
    for heard in hearing.values_mut() {
        heard.retain(|(who, kind)| kind.is_video() || talkers.contains(who));
    }
    hearing.retain(|_, heard| !heard.is_empty());
    hearing
}

/// Does what the seed says, one thing after the other.
fn play(seed: u64, workers: u16) -> Vec<Hearing> {
    let mut world =
        meeting(SimulationOptions { seed, workers, participants: PEOPLE, loss: 0.0, ..Default::default() });
    let mut random = Random::from_number(seed);
    let mut talkers = BTreeSet::from([MIA]);
    let mut rooms = make_rooms(&mut world, 3, true);
    let mut points = Vec::new();
    for _ in 0..STEPS {
        let who = below(&mut random, PEOPLE);
        let room = rooms[below(&mut random, rooms.len())].clone();
        match random.below(10) {
            0..4 => _ = ask(&mut world, who, Method::JoinBreakOutRoom, entry(&room)),
            4 => _ = ask(&mut world, who, Method::Disconnect, json!({})),
            5 => {
                let mut params = guests(&world, &[who, (who + 1) % PEOPLE], &room);
                params["force_join"] = json!(true);
                ask(&mut world, MIA, Method::InviteToBreakOutRoom, params);
            }
            6 => _ = ask(&mut world, who, Method::StartScreenShare, json!({})),
            7 => _ = ask(&mut world, MIA, Method::ClearAllBreakOutSession, json!({})),
            8 if random.below(3) == 0 => {
                ask(&mut world, MIA, Method::DestroyAllBreakOutSession, json!({}));
                rooms = make_rooms(&mut world, 3, true);
            }
            _ => {
                let talks = talkers.insert(who) || !talkers.remove(&who);
                world.talk(who, talks);
            }
        }
        points.push(quiet_point(&mut world, &talkers));
    }
    end(world);
    points
}

#[test]
fn one_worker_and_four_let_the_same_people_hear_the_same() {
    for seed in [1, 2] {
        let (one, four) = (play(seed, 1), play(seed, 4));
        for (step, (one, four)) in one.iter().zip(&four).enumerate() {
            assert_eq!(one, four, "seed {seed}, after step {step}");
        }
        assert!(one.iter().any(|hearing| hearing.len() > PEOPLE / 2), "hardly anybody hears anything");
    }
}
