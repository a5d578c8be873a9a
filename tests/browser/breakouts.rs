//! Breakout rooms: who hears whom before and after each operation.

use serde_json::json;

use super::hearing::{expect_groups, expect_hearing};
use super::person::{Person, meeting};
use super::world::story;

async fn invites(moderator: &Person, people: &[&Person], room: &str) {
    let clients: Vec<&str> = people.iter().map(|person| &*person.id).collect();
    let answer = moderator.does("inviteToBreakOutRoom", json!({"clients": clients, "room_id": room})).await;
    assert_eq!(answer["invited"], json!(clients));
    for person in people {
        assert_eq!(person.told("didInvitationForBreakoutRoom").await["room_id"], room);
    }
}

#[test]
fn invited_people_come_and_go() {
    story("invited people come and go", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        expect_groups("after createBreakOutRoom", &everybody, &[&everybody]).await;
        invites(&ada, &[&bob, &cy, &dee], &table).await;
        expect_groups("after inviteToBreakOutRoom", &everybody, &[&everybody]).await;

        bob.enters(&table).await;
        assert_eq!(cy.told("didUserPaused").await["clientId"], bob.id);
        assert_eq!(ada.told("didUserJoinedBreakoutRoom").await["room_id"], table);
        expect_groups("after Bob joined", &everybody, &[&[&ada, &cy, &dee], &[&bob]]).await;
        cy.enters(&table).await;
        expect_groups("after Cy joined", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;

        dee.does("rejectBreakOutRoom", json!({"room_id": table})).await;
        let rejected = ada.told("didBreakoutRoomInviteRejected").await;
        assert_eq!((&rejected["clientId"], &rejected["reason"]), (&json!(dee.id), &json!("rejected")));
        expect_groups("after Dee rejected", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
        let refused = dee.ask("joinBreakOutRoom", json!({"room_id": table})).await.unwrap_err();
        assert_eq!(refused.error, "not_invited");

        let back = bob.does("disconnect", json!({"room_id": table})).await;
        assert_eq!(back["reason"], "self");
        assert_eq!(dee.told("didUserResumed").await["clientId"], bob.id);
        expect_groups("after Bob disconnected", &everybody, &[&[&ada, &bob, &dee], &[&cy]]).await;
    });
}

#[test]
fn forced_people_are_cleared_and_destroyed() {
    story("forced people are brought, cleared, brought and destroyed", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let first = ada.creates_room().await;
        let second = ada.creates_room().await;
        ada.brings(&[&bob], &first).await;
        ada.brings(&[&cy, &dee], &second).await;
        expect_groups("after two forced moves", &everybody, &[&[&ada], &[&bob], &[&cy, &dee]]).await;
        ada.enters(&first).await;
        expect_groups("after Ada went to Bob", &everybody, &[&[&ada, &bob], &[&cy, &dee]]).await;

        ada.does("clearAllBreakOutSession", json!({})).await;
        for person in [&bob, &cy, &dee] {
            assert_eq!(person.told("didDisconnectedBreakoutRoom").await["reason"], "cleared");
        }
        expect_groups("after clearAllBreakOutSession", &everybody, &[&everybody]).await;

        ada.brings(&[&dee, &bob], &first).await;
        expect_groups("after a forced move into a cleared room", &everybody, &[&[&ada, &cy], &[&bob, &dee]])
            .await;
        ada.does("destroyAllBreakOutSession", json!({})).await;
        for person in [&bob, &dee] {
            assert_eq!(person.told("didDisconnectedBreakoutRoom").await["reason"], "destroyed");
        }
        expect_groups("after destroyAllBreakOutSession", &everybody, &[&everybody]).await;
        let refused = bob.ask("joinBreakOutRoom", json!({"room_id": first})).await.unwrap_err();
        assert_eq!(refused.error, "room_destroyed");
    });
}

#[test]
fn people_are_dealt_round() {
    story("people are dealt round", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let params = json!({"participants": 2, "audio": true, "video": false, "canvas": false, "share": false, "max_rooms": 2, "force_join": true});
        let dealt = ada.does("createAndInviteBreakoutRoom", params).await;
        let rooms = dealt["assignments"].as_object().unwrap();
        assert_eq!(
            (rooms.len(), &dealt["unassigned"], &dealt["failed"]),
            (2, &json!([]), &json!([])),
            "{dealt}"
        );
        let mut groups: Vec<Vec<&Person>> = vec![vec![&ada]];
        for clients in rooms.values() {
            let members = [&bob, &cy, &dee]
                .into_iter()
                .filter(|person| clients.as_array().unwrap().contains(&json!(person.id)));
            groups.push(members.collect());
        }
        let groups: Vec<&[&Person]> = groups.iter().map(Vec::as_slice).collect();
        expect_groups("after createAndInviteBreakoutRoom", &everybody, &groups).await;
        ada.does("destroyAllBreakOutSession", json!({})).await;
        expect_groups("after the end of it", &everybody, &[&everybody]).await;
    });
}

#[test]
fn a_guest_who_only_listens() {
    story("a guest who only listens", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        invites(&ada, &[&dee], &table).await;
        let quietly =
            json!({"room_id": table, "role": "participant", "streamInfo": {"audio": false, "video": false}});
        dee.does("joinBreakOutRoom", quietly).await;
        let expected = [(&ada, vec![]), (&bob, vec![&cy]), (&cy, vec![&bob]), (&dee, vec![&bob, &cy])];
        expect_hearing("while Dee listens", &everybody, &expected).await;
        dee.does("disconnect", json!({})).await;
        expect_groups("after Dee is back", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
    });
}
