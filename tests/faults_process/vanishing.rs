//! F18: the other ends of media are gone, and their machines say so (ICMP: port unreachable).

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::json;

use crate::listener::Listener;
use crate::live_call::LiveCall;
use crate::machine::{Server, eventually, within};
use crate::tally::Tally;
use crate::ws::Client;

const PEOPLE: usize = 12;

#[tokio::test]
async fn f18_clients_vanish_and_their_ports_are_taken_by_others() {
    let mut tally = Tally::of("faults", "F18");
    let server = Server::start("[node]\nworkers = 1\n").await;
    // An address is its owner's for 5 s after the last sign of life; others wait for so long.
    let mut call = LiveCall::start(server.http, Duration::from_secs(25));
    let forwarded = async || server.metric("anteroom_packets_forwarded_total").await;
    eventually("a call that is on", async || forwarded().await > 3_000.0).await;
    let mut gone = Vec::new();
    for number in 0..PEOPLE {
        gone.push(Listener::join(server.http, "vanishing", &format!("P{number}")).await);
    }
    for person in &gone {
        person.hears(20).await;
    }
    let usual = server.cpu_over(Duration::from_secs(1)).await;
    let stays = gone.pop().unwrap();
    for person in &gone {
        person.vanish();
    }
    // One who is still there talks to all of them; what leaves is refused by their ports.
    let refused = server.cpu_over(Duration::from_secs(1)).await;
    assert!(refused < usual * 2 + Duration::from_millis(200), "it spins: {refused:?}, {usual:?} before");

    // Others on the same ports, in another room: what is sent to the old ones is nothing to them.
    let mut others = Vec::new();
    for (number, person) in gone.iter().enumerate() {
        let socket = within("the port", || UdpSocket::bind(person.address).ok()).await;
        let client = Client::enter(server.http, "others", &format!("Q{number}"), "moderator").await;
        others.push(Listener::join_from(socket, client, "others", json!({})).await);
    }
    for person in &others {
        person.hears(100).await;
    }
    let heard = |list: &[Listener]| list.iter().map(Listener::packets).sum::<u64>();
    for person in others.iter().chain([&stays]) {
        assert_eq!(person.heard.foreign.load(std::sync::atomic::Ordering::Relaxed), 0, "of another room");
    }
    tally.count(heard(&others), "packets");
    assert!(call.is_on());
    call.end().await.assert_undisturbed();
    assert_eq!(server.metric("anteroom_worker_restarts_total").await, 0.0);
    assert!(server.log().len() < 60, "{:?}", server.log());
}
