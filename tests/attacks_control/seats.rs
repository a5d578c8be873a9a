//! Seats and their secrets.

use serde_json::{Value, json};

use super::http::{free_ports, start};
use super::person::Person;
use super::tally::Tally;
use super::ws::Client;

#[tokio::test]
async fn a35_a_seat_is_its_secrets_and_a_secret_is_used_once() {
    let mut tally = Tally::of("attacks", "A35");
    let (server, address) = start(&free_ports()).await;
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let secret = mia.joined["resume"].as_str().unwrap().to_owned();
    let mut count = 0;

    // A token alone, of the same name and role, is somebody else.
    let twin = Person::join(address, "daily", "Mia", "moderator").await;
    assert_ne!(twin.id, mia.id);
    assert_ne!(twin.joined["resume"], secret.as_str());

    // Nothing but the secret is the secret.
    let mut eve = Client::enter(address, "daily", "Eve", "moderator").await;
    let wrong = [
        json!(mia.id),
        json!(""),
        json!("0".repeat(32)),
        json!(secret.to_uppercase()),
        json!(&secret[1..]),
        json!(format!("{secret}0")),
        json!(format!(" {secret}")),
        json!([secret]),
        json!({"$ne": ""}),
        json!(0),
        json!(true),
    ];
    for guess in &wrong {
        let ack = eve.request("joinRoom", json!({"resume": guess})).await;
        let result = ack["data"]["result"].as_u64().unwrap();
        assert!([1729, 1734].contains(&result), "{guess}: {ack}");
        assert_eq!(ack["data"].get("clientId"), None, "{ack}");
        count += 1;
    }
    // The secret of another meeting opens nothing, and neither side hears of it.
    let mut stranger = Client::enter(address, "weekly", "Eve", "moderator").await;
    assert_eq!(stranger.refused("joinRoom", json!({"resume": secret})).await, 1729);

    // The right one does, until its link has answered the ping behind it; whoever had the seat is told.
    let mut second = Client::enter(address, "daily", "Mia", "moderator").await;
    let back = second.succeed("joinRoom", json!({"resume": secret})).await;
    assert_eq!(back["clientId"], mia.id.as_str());
    assert_eq!(mia.client.closed().await, (4003, "replaced".to_owned()));
    let renewed = back["resume"].as_str().unwrap().to_owned();
    assert_ne!(renewed, secret);
    // The pong leaves with the second at the latest.
    for on in [false, true] {
        assert_eq!(second.succeed("setMicrophone", json!({"on": on})).await["result"], 0);
    }
    let mut third = Client::enter(address, "daily", "Mia", "moderator").await;
    assert_eq!(third.refused("joinRoom", json!({"resume": secret})).await, 1729);

    // Of two that have it one has the seat in the end, and the other is told.
    let mut fourth = Client::enter(address, "daily", "Mia", "moderator").await;
    let wish = json!({"resume": renewed});
    let (one, other) =
        tokio::join!(third.request("joinRoom", wish.clone()), fourth.request("joinRoom", wish.clone()));
    let results = [&one, &other].map(|ack| ack["data"]["result"].as_u64().unwrap());
    let replaced = (4003, "replaced".to_owned());
    let is_third = match results {
        [0, 1729] => true,
        [1729, 0] => false,
        [0, 0] => tokio::select! {
            end = third.closed() => { assert_eq!(end, replaced); false }
            end = fourth.closed() => { assert_eq!(end, replaced); true }
        },
        _ => panic!("{one} {other}"),
    };

    // Who has left has no seat to come back to.
    let (mut seated, ack) = if is_third { (third, one) } else { (fourth, other) };
    seated.succeed("leaveRoom", json!({})).await;
    let mut late = Client::enter(address, "daily", "Mia", "moderator").await;
    for used in [&renewed, ack["data"]["resume"].as_str().unwrap()] {
        assert_eq!(late.refused("joinRoom", json!({"resume": used})).await, 1729);
    }
    assert_eq!(late.request("replay", json!({"from_seq": 0})).await["data"]["events"], Value::Null);
    tally.count(count + 5, "attempts");
    drop((mia, twin));
    server.stop().await;
}
