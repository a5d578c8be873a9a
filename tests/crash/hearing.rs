//! F6: after a kill and a restart the same people hear each other again, and only those of their room.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anteroom::base::ClientId;
use futures_util::future::join_all;
use serde_json::json;

use super::player::Player;
use super::server::Home;
use super::tally::Tally;

const SESSIONS: u64 = 6;

/// Two stay in the parent room and two go into a breakout room.
async fn meet(http: std::net::SocketAddr) -> Vec<Player> {
    let mut people: Vec<Player> = (0..SESSIONS * 4)
        .map(|n| {
            Player::new(n, &format!("call {}", n / 4), if n % 4 == 0 { "moderator" } else { "participant" })
        })
        .collect();
    join_all(people.iter_mut().map(|person| person.enter(http))).await;
    join_all(people.iter_mut().map(|person| person.until("media", Player::is_up))).await;
    for four in people.chunks_mut(4) {
        let wish = json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true,
                          "max_rooms": 1});
        let made = four[0].ask("createBreakOutRoom", wish).await.unwrap();
        let clients = [&four[2].id, &four[3].id];
        let force = json!({"clients": clients, "room_id": made["msg"]["rooms"][0], "force_join": true});
        assert_eq!(four[0].ask("inviteToBreakOutRoom", force).await.unwrap()["result"], 0);
        for away in &mut four[2..] {
            let session = away.session.clone();
            away.until("being away", |person| person.room_id != session).await;
        }
    }
    people
}

/// Each one's room, with those who are there.
fn others(people: &[Player]) -> Vec<BTreeSet<ClientId>> {
    let together = |a: &Player, b: &Player| a.session == b.session && a.room_id == b.room_id && a.id != b.id;
    people.iter().map(|a| people.iter().filter(|b| together(a, b)).map(Player::client).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_the_same_people_hear_each_other_again_within_five_seconds() {
    let mut tally = Tally::of("faults", "F6");
    let home = Home::new();
    let server = home.start();
    let mut people = meet(server.http).await;
    let rooms: Vec<String> = people.iter().map(|person| person.room_id.clone()).collect();
    let expected = others(&people);
    assert!(expected.iter().all(|others| others.len() == 1));
    let hears = |expected: &BTreeSet<ClientId>, person: &Player| person.heard().is_superset(expected);
    for (person, expected) in people.iter_mut().zip(&expected) {
        person.until("hearing the others", |person| hears(expected, person)).await;
    }

    let killed = Instant::now();
    server.kill();
    let server = home.start();
    assert!(server.is_ready(), "its door is open and it is not ready");
    join_all(people.iter_mut().map(|person| person.enter(server.http))).await;
    let waits = people.iter_mut().zip(&expected);
    join_all(waits.map(|(person, expected)| person.until("hearing again", |person| hears(expected, person))))
        .await;
    let mut took: Vec<Duration> =
        people.iter().map(|person| person.first_heard().unwrap().duration_since(killed)).collect();
    took.sort_unstable();
    let (half, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("ready after {:?}; heard again after {half:?} (half), {last:?} (all)", server.ready);
    assert!(last <= Duration::from_secs(5), "{took:?}");
    assert!(server.ready <= Duration::from_secs(1), "{:?}", server.ready);

    let now: Vec<String> = people.iter().map(|person| person.room_id.clone()).collect();
    assert_eq!(now, rooms, "everybody is where they were");
    join_all(people.iter_mut().map(Player::fall_silent)).await;
    for (person, expected) in people.iter_mut().zip(&expected) {
        assert_eq!(person.heard(), *expected, "{} hears these and nobody else", person.name);
        let verdict = person.silence().verdict;
        assert_eq!((verdict.wrong_group, verdict.wrong_publisher), (0, 0), "{verdict:?}");
        assert!(verdict.packets > 0);
    }
    tally.count(people.len() as u64, "people");
}
