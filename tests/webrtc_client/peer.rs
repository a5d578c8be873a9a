//! A peer connection of the crate `webrtc`: a microphone, a screen, and slots to receive on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anteroom::base::{Kind, Mid};
use anteroom::message::Tracks;
use anteroom::transport::sdp::ServerAnswer;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability,
    RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::watch;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngine, SettingEngineBuilder, Slot,
    SrtpProtectionProfile, configure_nack, configure_rtcp_reports, configure_simulcast_extension_headers,
    configure_twcc,
};

use crate::memory::{Memory, Packet};
use crate::patience::within;
use crate::sending::{self, Labels};
use crate::tap::{NEAREST_TO_THE_WIRE, Tap};

const AUDIO_SLOTS: usize = 4;
const VIDEO_SLOTS: usize = 2;
const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// How often a client shows that it is still there, and how soon an ICE check is repeated.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// What a peer connection can be made to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerSettings {
    /// The SRTP profiles that it offers; empty for those of the crate.
    pub(crate) profiles: Vec<SrtpProtectionProfile>,
    /// Whether an ICE restart takes new sockets.
    pub(crate) new_sockets_at_restart: bool,
}

pub(crate) struct Peer {
    connection: Box<dyn PeerConnection>,
    gathered: watch::Receiver<u32>,
    microphone: Arc<TrackLocalStaticRTP>,
    screen: Arc<TrackLocalStaticRTP>,
    answer: Option<ServerAnswer>,
}

struct Handler {
    memory: watch::Sender<Memory>,
    gathered: watch::Sender<u32>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_modify(|times| *times += 1);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.memory.send_modify(|memory| memory.state = state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        tokio::spawn(listen(track, self.memory.clone()));
    }
}

async fn listen(track: Arc<dyn TrackRemote>, memory: watch::Sender<Memory>) {
    let is_video = track.kind().await == RtpCodecKind::Video;
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let found = sending::read(&packet.payload, is_video);
        let packet = Packet {
            ssrc: packet.header.ssrc,
            seq: u64::from(packet.header.sequence_number),
            marker: packet.header.marker,
            timestamp: packet.header.timestamp,
            came_at: sending::now(),
            mark: found.mark,
            keyframe: found.keyframe,
            intact: found.intact,
        };
        memory.send_modify(|memory| memory.note_packet(packet));
    }
}

impl Peer {
    pub(crate) async fn new(settings: PeerSettings, memory: &watch::Sender<Memory>) -> Self {
        let (gathered_sender, gathered) = watch::channel(0);
        let handler = Handler { memory: memory.clone(), gathered: gathered_sender };
        let mut media = media_engine();
        let registry =
            interceptors(&mut media).with(Slot::from(NEAREST_TO_THE_WIRE), Tap::new(memory.clone()));
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .with_setting_engine(setting_engine(settings))
            .with_handler(Arc::new(handler))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .unwrap();
        let first: u32 = rand::random();
        let microphone = Arc::new(TrackLocalStaticRTP::new(track(RtpCodecKind::Audio, first)));
        let screen = Arc::new(TrackLocalStaticRTP::new(track(RtpCodecKind::Video, first.wrapping_add(1))));
        let peer = Self { connection: Box::new(connection), gathered, microphone, screen, answer: None };
        peer.add_lines().await;
        peer
    }

    async fn add_lines(&self) {
        for track in [&self.microphone, &self.screen] {
            let track = Arc::clone(track) as Arc<dyn TrackLocal>;
            let init = one_way(RTCRtpTransceiverDirection::Sendonly);
            self.connection.add_transceiver_from_track(track, init).await.unwrap();
        }
        for (kind, count) in [(RtpCodecKind::Audio, AUDIO_SLOTS), (RtpCodecKind::Video, VIDEO_SLOTS)] {
            for _ in 0..count {
                let init = one_way(RTCRtpTransceiverDirection::Recvonly);
                self.connection.add_transceiver_from_kind(kind, init).await.unwrap();
            }
        }
    }

    /// An offer with all candidates, and what is sent on which line.
    pub(crate) async fn offer(&mut self) -> (String, Tracks) {
        let before = *self.gathered.borrow_and_update();
        let offer = self.connection.create_offer(None).await.unwrap();
        self.connection.set_local_description(offer).await.unwrap();
        within("gathering candidates", self.gathered.wait_for(|times| *times > before)).await.unwrap();
        let sdp = self.connection.local_description().await.unwrap().sdp;
        (sdp, Tracks::from([(Mid::from("0"), Kind::Audio), (Mid::from("1"), Kind::Share)]))
    }

    pub(crate) async fn take(&mut self, answer: &str) {
        let description = RTCSessionDescription::answer(answer.to_owned()).unwrap();
        let taken = self.connection.set_remote_description(description).await;
        taken.unwrap_or_else(|error| panic!("{error}\n{answer}"));
        self.answer = Some(ServerAnswer::parse(answer).unwrap());
    }

    /// Makes the next offer renew ICE.
    pub(crate) async fn restart_ice(&self) {
        self.connection.restart_ice().await.unwrap();
    }

    /// The track of a kind, and how its packets are labelled.
    pub(crate) async fn sending(&self, kind: Kind) -> (Arc<dyn TrackLocal>, Labels) {
        let (track, mid) = match kind {
            Kind::Audio => (&self.microphone, "0"),
            Kind::Share => (&self.screen, "1"),
            Kind::Video | Kind::Canvas => panic!("this client has no {kind}"),
        };
        let line = self.answer.as_ref().and_then(|answer| answer.send(&Mid::from(mid))).unwrap();
        let labels = Labels {
            ssrc: webrtc::media_stream::Track::ssrcs(&**track).await[0],
            payload_type: line.codecs[0].payload_type,
            audio_level: line.extensions.audio_level,
        };
        (Arc::clone(track) as Arc<dyn TrackLocal>, labels)
    }

    /// What protects the media, as the connection's statistics name it.
    #[expect(clippy::disallowed_methods, reason = "statistics want an Instant")]
    pub(crate) async fn srtp_cipher(&self) -> String {
        let report = self
            .connection
            .get_stats(std::time::Instant::now(), webrtc::peer_connection::StatsSelector::None)
            .await;
        report.transport().unwrap().srtp_cipher.clone()
    }

    pub(crate) async fn close(&self) {
        let _ = self.connection.close().await;
    }
}

/// The address that an answer names first, and the answer with `address` in its place and no other.
pub(crate) fn reroute(answer: &str, address: SocketAddr) -> String {
    let mut is_first = true;
    let lines = answer.lines().filter_map(|line| {
        let Some(candidate) = line.strip_prefix("a=candidate:") else { return Some(line.to_owned()) };
        if !std::mem::take(&mut is_first) {
            return None;
        }
        let mut words: Vec<String> = candidate.split(' ').map(str::to_owned).collect();
        words[4] = address.ip().to_string();
        words[5] = address.port().to_string();
        Some(format!("a=candidate:{}", words.join(" ")))
    });
    lines.map(|line| line + "\r\n").collect()
}

/// Those that the crate has by default, and transport-wide numbers on what is sent.
fn interceptors(media: &mut MediaEngine) -> Registry {
    let registry = configure_nack(Registry::new(), media);
    configure_simulcast_extension_headers(media).unwrap();
    let registry = configure_twcc(registry, media).unwrap();
    configure_rtcp_reports(registry)
}

fn media_engine() -> MediaEngine {
    let mut media = MediaEngine::default();
    media.register_default_codecs().unwrap();
    let level = RTCRtpHeaderExtensionCapability { uri: AUDIO_LEVEL.to_owned() };
    media.register_header_extension(level, RtpCodecKind::Audio, None).unwrap();
    media
}

fn setting_engine(settings: PeerSettings) -> SettingEngine {
    let mut builder = SettingEngineBuilder::new()
        .with_include_loopback_candidate(true)
        .with_ice_timeouts(None, None, Some(CHECK_EVERY))
        .with_discard_local_candidates_during_ice_restart(settings.new_sockets_at_restart);
    if !settings.profiles.is_empty() {
        builder = builder.with_srtp_protection_profiles(settings.profiles);
    }
    builder.build()
}

fn track(kind: RtpCodecKind, ssrc: u32) -> MediaStreamTrack {
    let (mime_type, clock_rate, channels) =
        if kind == RtpCodecKind::Audio { ("audio/opus", 48_000, 2) } else { ("video/VP8", 90_000, 0) };
    let codec = RTCRtpCodec { mime_type: mime_type.to_owned(), clock_rate, channels, ..Default::default() };
    let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec, ..Default::default() };
    MediaStreamTrack::new(
        format!("stream{ssrc}"),
        format!("track{ssrc}"),
        format!("label{ssrc}"),
        kind,
        vec![encoding],
    )
}

fn one_way(direction: RTCRtpTransceiverDirection) -> Option<RTCRtpTransceiverInit> {
    Some(RTCRtpTransceiverInit { direction, streams: vec![], send_encodings: vec![] })
}
