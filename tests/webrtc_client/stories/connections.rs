//! Connections: what protects them, how they are lost, found again, and move.

use std::collections::BTreeMap;

use anteroom::base::Kind;
use anteroom::client::ParticipantSettings;
use anteroom::message::SrtpProfile;
use serde_json::json;
use webrtc::peer_connection::SrtpProtectionProfile;

use crate::client::{Client, Joining};
use crate::meeting::{create_room, force_into, hear_each_other, part, settle};
use crate::peer::PeerSettings;
use crate::server::{Server, token};
use crate::synthetic::Synthetic;

const ROOM: &str = "planning";

async fn join(server: &Server, name: &str, role: &str, joining: Joining) -> Client {
    let mut client = Client::join(server, &token(ROOM, name, role), name, joining).await;
    client.speak().await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_only_the_old_profile_hears_the_others() {
    use SrtpProtectionProfile::{Srtp_Aead_Aes_128_Gcm, Srtp_Aes128_Cm_Hmac_Sha1_80};
    let offering = |profiles| Joining {
        peer: PeerSettings { profiles, ..PeerSettings::default() },
        ..Joining::default()
    };
    let server = Server::start().await;
    // As browsers do: the old profile first.
    let both = offering(vec![Srtp_Aes128_Cm_Hmac_Sha1_80, Srtp_Aead_Aes_128_Gcm]);
    let browser = join(&server, "browser", "participant", both).await;
    let old = join(&server, "old", "participant", offering(vec![Srtp_Aes128_Cm_Hmac_Sha1_80])).await;
    let usual = join(&server, "usual", "participant", Joining::default()).await;
    assert_eq!(browser.srtp_cipher().await, "SRTP_AEAD_AES_128_GCM");
    assert_eq!(usual.srtp_cipher().await, "SRTP_AEAD_AES_128_GCM");
    assert_eq!(old.srtp_cipher().await, "SRTP_AES128_CM_HMAC_SHA1_80");

    let settings = ParticipantSettings {
        profiles: vec![SrtpProfile::AesCm128HmacSha1_80],
        ..ParticipantSettings::default()
    };
    let recorder = Synthetic::join(&server, &token(ROOM, "recorder", "participant"), settings).await;
    hear_each_other(ROOM, &[&browser, &old, &usual], &[recorder.id]).await;
    recorder.hears(50).await;
    let report = recorder.leave().await;
    assert_eq!(report.srtp, Some(SrtpProfile::AesCm128HmacSha1_80));
    assert_eq!((report.decrypt_failures, report.verdict.wrong_group), (0, 0));
    part(vec![browser, old, usual]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_with_the_secret_sits_in_the_same_breakout_room() {
    let server = Server::start().await;
    let mut moderator = join(&server, "moderator", "moderator", Joining::default()).await;
    let partner = join(&server, "partner", "participant", Joining::default()).await;
    let traveller = join(&server, "traveller", "participant", Joining::default()).await;
    let room = create_room(&mut moderator).await;
    force_into(&room, &mut moderator, &[&partner, &traveller]).await;
    hear_each_other(&room, &[&partner, &traveller], &[]).await;

    let (id, secret) = (traveller.id, traveller.resume.clone());
    let before = traveller.vanish().await;
    let joining = Joining { resume: Some(secret.clone()), ..Joining::default() };
    let again = join(&server, "traveller", "participant", joining).await;
    assert_eq!(again.id, id, "the same seat");
    assert_ne!(again.resume, secret, "the secret is renewed at each use");
    hear_each_other(&room, &[&partner, &again], &[]).await;
    moderator.has_voices(ROOM, &[]).await;

    let late = json!({"resume": secret, "sdp": ""});
    let mut thief = join(&server, "thief", "participant", Joining::default()).await;
    assert_ne!(thief.request("joinRoom", late).await["data"]["result"], 0, "a used secret opens nothing");

    // The judge sees the first life of the traveller through the second, which knew both rooms.
    settle(&BTreeMap::from([("traveller before".to_owned(), before)]));
    part(vec![moderator, partner, again, thief]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ice_restart_goes_on_where_it_was() {
    let server = Server::start().await;
    let stayer = join(&server, "stayer", "participant", Joining::default()).await;
    let mut mover = join(&server, "mover", "participant", Joining::default()).await;
    hear_each_other(ROOM, &[&stayer, &mover], &[]).await;
    for _ in 0..2 {
        mover.restart_ice().await;
        hear_each_other(ROOM, &[&stayer, &mover], &[]).await;
    }
    part(vec![stayer, mover]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ice_restart_can_take_new_sockets() {
    let server = Server::start().await;
    let stayer = join(&server, "stayer", "participant", Joining::default()).await;
    let peer = PeerSettings { new_sockets_at_restart: true, ..PeerSettings::default() };
    let joining = Joining { peer, ..Joining::default() };
    let mut mover = join(&server, "mover", "participant", joining).await;
    hear_each_other(ROOM, &[&stayer, &mover], &[]).await;
    mover.restart_ice().await;
    hear_each_other(ROOM, &[&stayer, &mover], &[]).await;
    part(vec![stayer, mover]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nat_that_forgets_its_port_loses_nobody() {
    let server = Server::start().await;
    let stayer = join(&server, "stayer", "participant", Joining::default()).await;
    let behind = Joining { behind_relay: true, ..Joining::default() };
    let mover = join(&server, "mover", "participant", behind).await;
    hear_each_other(ROOM, &[&stayer, &mover], &[]).await;
    mover.relay.as_ref().unwrap().rebind().await;
    hear_each_other(ROOM, &[&stayer, &mover], &[]).await;
    assert_eq!(mover.with(|memory| memory.events_named("transportLost").count()), 0);
    stayer.hears(mover.id, Kind::Audio, ROOM, 1).await;
    part(vec![stayer, mover]).await;
    server.stop().await;
}
