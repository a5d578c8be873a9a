//! One synthetic participant, from its offer to its verdict.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::first_packet::FirstPacket;
use super::ice::ClientIce;
use super::judge::{Judge, Sent, SlotClaim};
use super::mark::Mark;
use super::reception::Reception;
use super::repair::Repair;
use super::report::{Heard, ParticipantError, ParticipantReport};
use super::resend::Resend;
use super::settings::{ParticipantSettings, SENT_KINDS, ServerKind};
use super::source::{Labels, Place, Source, StreamStart, is_as_published};
use super::tally::Tally;
use super::transport::{ClientTransport, Opened};
use crate::base::{Kind, Mid, Random, Ssrc, Time};
use crate::message::Tracks;
use crate::transport::dtls::{DtlsIdentity, RtcDtls};
use crate::transport::ice::IceCredentials;
use crate::transport::sdp::{
    ClientCandidate, ListenerDescription, Numbering, OfferBuilder, OfferedSend, ServerAnswer, ServerOffer,
};
use crate::transport::{Codec, ExtensionIds, Fingerprint, TimeAnchor};
use crate::wire::demux::{DatagramKind, classify};
use crate::wire::extension::read_transport_cc;
use crate::wire::rtcp::{Arrivals, RtcpPacket, packets};
use crate::wire::rtp::RtpView;

/// Other servers are told an address that is nobody's (RFC 5737): they answer to where checks come from.
const NOBODYS_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const CODECS: [Codec; 2] = [Codec::Opus, Codec::Vp8];

/// A participant. [`Self::offer`], [`Self::answer`], then datagrams, timers and `slots`.
pub struct Participant {
    settings: ParticipantSettings,
    random: Random,
    local: IceCredentials,
    offer: OfferBuilder,
    identity: DtlsIdentity,
    anchor: TimeAnchor,
    pub(super) transport: Option<ClientTransport>,
    sources: Vec<Source>,
    place: Option<Place>,
    audio_slots: BTreeSet<Ssrc>,
    transport_sequence: u16,
    /// The media packet that was fetched last, if what was fetched last is one.
    last_sent: Option<Sent>,
    /// The sender of reports where there is no source.
    own_ssrc: Ssrc,
    judge: Judge,
    tally: Tally,
    first_packet: FirstPacket,
    reception: Reception,
    arrivals: Arrivals,
    repair: Repair,
    resend: Resend,
    report: ParticipantReport,
}

/// Clients number codecs and extensions as they like; half of the synthetic ones do it otherwise
/// than browsers, so that every meeting has both.
fn numbering(random: &mut Random) -> Numbering {
    if random.below(2) == 0 {
        return Numbering::default();
    }
    let extensions = ExtensionIds {
        mid: Some(9),
        audio_level: Some(6),
        transport_cc: Some(12),
        abs_send_time: Some(7),
        dependency_descriptor: Some(13),
    };
    Numbering { audio: 100, first_video: 101, extensions }
}

impl Participant {
    /// A participant that has not joined yet.
    #[must_use]
    pub fn new(
        settings: ParticipantSettings,
        anchor: TimeAnchor,
        identity: DtlsIdentity,
        mut random: Random,
    ) -> Self {
        let local = IceCredentials::random(&mut random);
        let mut send = |(kind, mid): (Kind, &str)| OfferedSend {
            mid: Mid::from(mid),
            kind,
            ssrc: Ssrc(random.next_u32()),
            rtx: kind.is_video().then(|| Ssrc(random.next_u32())),
        };
        let sends = SENT_KINDS.into_iter().filter(|(kind, _)| settings.sends.contains(kind));
        let offer = OfferBuilder {
            sends: sends.map(&mut send).collect(),
            session_id: random.next_u64() >> 1,
            version: 1,
            ufrag: local.ufrag.clone(),
            pwd: local.pwd.clone(),
            fingerprint: identity.fingerprint().clone(),
            audio_slots: settings.audio_slots,
            video_slots: settings.video_slots,
            codecs: CODECS.to_vec(),
            numbering: numbering(&mut random),
            cname: "synthetic".to_owned(),
            explicit: (settings.server == ServerKind::Other).then_some(ClientCandidate(NOBODYS_ADDRESS)),
        };
        let own_ssrc = Ssrc(random.next_u32());
        Self {
            settings,
            random,
            local,
            offer,
            identity,
            anchor,
            transport: None,
            sources: Vec::new(),
            place: None,
            audio_slots: BTreeSet::new(),
            transport_sequence: 0,
            last_sent: None,
            own_ssrc,
            judge: Judge::default(),
            tally: Tally::default(),
            first_packet: FirstPacket::default(),
            reception: Reception::default(),
            arrivals: Arrivals::default(),
            repair: Repair::default(),
            resend: Resend::default(),
            report: ParticipantReport::default(),
        }
    }

    /// The SDP offer and what is sent on which m-line.
    #[must_use]
    pub fn offer(&self) -> (String, Tracks) {
        (self.offer.write(), self.offer.tracks())
    }

    /// Takes the server's answer and starts to connect; answers the server's addresses.
    ///
    /// # Errors
    /// Where the answer is not one, or DTLS cannot be set up.
    pub fn answer(&mut self, now: Time, sdp: &str) -> Result<Vec<SocketAddr>, ParticipantError> {
        let failed = |what: &dyn std::fmt::Display| ParticipantError(what.to_string());
        let answer = ServerAnswer::parse(sdp).map_err(|e| failed(&e))?;
        let candidates = answer.candidates.clone();
        let remote = IceCredentials { ufrag: answer.ufrag.clone(), pwd: answer.pwd.clone() };
        self.connect(now, remote, candidates.clone(), &answer.fingerprint)?;
        self.audio_slots = answer.slots.iter().filter(|slot| !slot.video).map(|slot| slot.ssrc).collect();
        if self.settings.repairs {
            self.repair.begin(&answer.slots);
        }
        self.sources = self.make_sources(&answer);
        Ok(candidates)
    }

    /// Takes the offer of a server that makes it, as Janus does to listeners, and starts to connect;
    /// answers the answer.
    ///
    /// # Errors
    /// Where the offer is not one, or DTLS cannot be set up.
    pub fn accept(&mut self, now: Time, sdp: &str) -> Result<String, ParticipantError> {
        let offer = ServerOffer::parse(sdp).map_err(|e| ParticipantError(e.to_string()))?;
        let listener = ListenerDescription {
            session_id: self.offer.session_id,
            ufrag: self.local.ufrag.clone(),
            pwd: self.local.pwd.clone(),
            fingerprint: self.identity.fingerprint().clone(),
            candidate: ClientCandidate(NOBODYS_ADDRESS),
            codecs: CODECS.to_vec(),
        };
        let (ufrag, pwd) = offer.ice();
        let remote = IceCredentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() };
        self.connect(now, remote, offer.candidates().to_vec(), offer.fingerprint())?;
        Ok(offer.answer(&listener))
    }

    fn connect(
        &mut self,
        now: Time,
        remote: IceCredentials,
        candidates: Vec<SocketAddr>,
        fingerprint: &Fingerprint,
    ) -> Result<(), ParticipantError> {
        let ice = ClientIce::new(now, self.local.clone(), remote, candidates, &mut self.random);
        let (peer, profiles) = (std::slice::from_ref(fingerprint), &self.settings.profiles);
        let dtls = RtcDtls::client(now, &self.identity, peer, profiles, self.anchor);
        let dtls = dtls.map_err(|e| ParticipantError(e.to_string()))?;
        self.transport = Some(ClientTransport::new(ice, dtls));
        Ok(())
    }

    fn make_sources(&mut self, answer: &ServerAnswer) -> Vec<Source> {
        let mut sources = Vec::new();
        self.resend.clear();
        for OfferedSend { mid, kind, ssrc, rtx } in &self.offer.sends {
            let Some(line) = answer.send(mid) else { continue };
            let Some(codec) = line.codecs.first() else { continue };
            let labels = Labels {
                ssrc: *ssrc,
                payload_type: codec.payload_type,
                audio_level: line.extensions.audio_level,
                transport_cc: line.extensions.transport_cc,
            };
            let pattern = if kind.is_video() { self.settings.video } else { self.settings.audio };
            if let (true, Some(rtx), Some(repeats)) = (self.settings.repairs, rtx, codec.rtx_payload_type) {
                self.resend.keep(*ssrc, *rtx, repeats, &mut self.random);
            }
            let drawn = StreamStart::draw(&mut self.random);
            sources.push(Source::new(*kind, pattern, labels, self.settings.start.unwrap_or(drawn)));
        }
        sources
    }

    /// Whether media can flow.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.media_address().is_some())
    }

    /// Whether the connection has failed for good.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.transport.as_ref().is_some_and(ClientTransport::failed)
    }

    /// Packets received and decrypted so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.report.received
    }

    /// Media packets sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.report.sent
    }

    /// Packets that have not come so far, though later ones have.
    #[must_use]
    pub fn missing(&self) -> u64 {
        match self.settings.server {
            ServerKind::Anteroom => self.judge.missing(),
            ServerKind::Other => self.tally.missing(),
        }
    }

    /// Starts or stops sending packets of a kind.
    pub fn publish(&mut self, now: Time, kind: Kind, on: bool) {
        // Real microphones do not tick together.
        let phase = Duration::from_micros(self.random.below(20_000));
        if let Some(source) = self.sources.iter_mut().find(|source| source.kind() == kind) {
            source.set_on(on.then_some(now + phase));
        }
    }

    /// Sends `factor` times as many frames a second as its patterns say.
    pub fn set_rate(&mut self, factor: f64) {
        self.sources.iter_mut().for_each(|source| source.set_rate(factor));
    }

    /// Sends `factor` times as many frames a second of one kind as its pattern says.
    pub fn set_rate_of(&mut self, kind: Kind, factor: f64) {
        let sources = self.sources.iter_mut().filter(|source| source.kind() == kind);
        sources.for_each(|source| source.set_rate(factor));
    }

    /// Speaks as loud as this, in -dBov.
    pub fn set_level(&mut self, level: u8) {
        self.sources.iter_mut().filter(|source| !source.kind().is_video()).for_each(|s| s.set_level(level));
    }

    /// Asks once more for the newest packets of every video slot, whosever they were.
    pub fn ask_again(&mut self) {
        self.repair.ask_again();
    }

    /// Whether something is to be asked for that did not come.
    #[must_use]
    pub fn misses(&self, now: Time) -> bool {
        self.repair.is_due(now)
    }

    /// Nothing is judged until the next word about the slots, and nothing that was sent before it: what
    /// was said meanwhile is not known.
    pub fn lose_track(&mut self) {
        self.judge = Judge::forgetful();
    }

    /// The message that ends a move has come.
    pub fn moved(&mut self, now: Time) {
        self.first_packet.moved(now);
    }

    /// A whole `slots` event has come: where the participant is and what its slots carry.
    pub fn slots(&mut self, place: Place, claims: &[SlotClaim]) {
        self.place = Some(place);
        self.judge.slots(place.room, claims);
        let talkers = claims.iter().filter(|claim| matches!(claim.publisher, Some((_, Kind::Audio))));
        self.first_packet.slots(place.room, talkers.map(|claim| (claim.ssrc, claim.from_seq)).collect());
    }

    /// Takes a datagram from the server; answers what was heard or seen by it.
    pub fn handle_datagram(&mut self, now: Time, from: SocketAddr, datagram: &mut [u8]) -> Option<Heard> {
        match self.transport.as_mut()?.handle(now, from, datagram) {
            Opened::Nothing | Opened::Early => None,
            Opened::Again => {
                self.report.replayed += 1;
                None
            }
            Opened::Failed => {
                self.report.decrypt_failures += 1;
                None
            }
            Opened::Rtp(len, index) => self.on_rtp(now, datagram.get(..len).unwrap_or_default(), index),
            Opened::Rtcp(len) => {
                self.on_rtcp(now, datagram.get(..len).unwrap_or_default());
                None
            }
        }
    }

    fn on_rtp(&mut self, now: Time, packet: &[u8], index: u64) -> Option<Heard> {
        let Ok(view) = RtpView::parse(packet) else {
            self.report.decrypt_failures += 1;
            return None;
        };
        self.report.received += 1;
        if let (true, Some(id)) = (self.settings.feedback, self.offer.numbering.extensions.transport_cc)
            && let Some(number) = view.extension(id).and_then(|data| read_transport_cc(data).ok())
        {
            self.arrivals.note(number, now);
        }
        if let Some(repeated) = self.repair.open(view.ssrc(), view.payload()) {
            let (found, index) = (Mark::find(repeated.payload), repeated.index?);
            self.repair.packet(now, repeated.slot, index);
            self.judge.packet(repeated.slot, index, found.map(|(_, mark)| mark));
            return found.map(|found| self.heard(repeated.payload, index, found));
        }
        self.repair.packet(now, view.ssrc(), index);
        let found = Mark::find(view.payload());
        let mark = found.map(|(_, mark)| mark);
        match self.settings.server {
            ServerKind::Anteroom => self.judge.packet(view.ssrc(), index, mark),
            ServerKind::Other => self.tally.packet(self.place.map(|place| place.room), mark),
        }
        let is_sound = self.audio_slots.contains(&view.ssrc());
        self.reception.packet(now, view.ssrc(), index, !is_sound);
        if is_sound {
            self.first_packet.packet(now, view.ssrc(), index, mark.map(|mark| mark.room));
        }
        found.map(|found| self.heard(view.payload(), index, found))
    }

    fn heard(&self, payload: &[u8], sequence: u64, (at, mark): (usize, Mark)) -> Heard {
        let pattern = if mark.kind.is_video() { self.settings.video } else { self.settings.audio };
        Heard { mark, sequence, intact: is_as_published(payload, at, &mark, pattern.payload_len) }
    }

    fn on_rtcp(&mut self, now: Time, compound: &[u8]) {
        for packet in packets(compound).map_while(Result::ok) {
            match packet {
                RtcpPacket::SenderReport(report) => {
                    self.reception.sender_report(now, report.sender_ssrc, report.info.ntp);
                }
                RtcpPacket::Pli(pli) => {
                    let source = self.sources.iter_mut().find(|source| source.ssrc() == pli.media_ssrc);
                    source.into_iter().for_each(Source::want_keyframe);
                }
                RtcpPacket::Nack(nack) => self.resend.want(nack.media_ssrc, nack.sequences()),
                _ => {}
            }
        }
    }

    /// Writes the next datagram into `out` (at least 1,500 bytes); answers where it goes and its
    /// length. Call until `None`.
    pub fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(SocketAddr, usize)> {
        self.last_sent = None;
        let transport = self.transport.as_mut()?;
        if let Some(datagram) = transport.poll_transmit(now, &mut self.random, out) {
            return Some(datagram);
        }
        let to = transport.media_address()?;
        let sender = self.sources.first().map_or(self.own_ssrc, Source::ssrc);
        if let Ok(Some(len)) = self.reception.poll(now, sender, out) {
            return transport.seal_rtcp(out, len).ok().flatten().map(|len| (to, len));
        }
        if self.arrivals.is_due(now)
            && let Ok(len) = self.arrivals.write(now, sender, Ssrc(0), out)
        {
            return transport.seal_rtcp(out, len).ok().flatten().map(|len| (to, len));
        }
        if let Ok(Some(len)) = self.repair.poll(now, sender, out) {
            return transport.seal_rtcp(out, len).ok().flatten().map(|len| (to, len));
        }
        if let Ok(Some((len, index))) = self.resend.poll(out) {
            return transport.seal_rtp(out, len, index).ok().flatten().map(|len| (to, len));
        }
        let place = self.place?;
        for source in &mut self.sources {
            let sent = (place.client, source.kind(), source.counter());
            let Ok(Some((len, index))) = source.poll(now, place, self.transport_sequence, out) else {
                continue;
            };
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
            self.report.sent += 1;
            self.last_sent = Some(sent);
            self.resend.sent(source.ssrc(), out.get(..len).unwrap_or_default());
            return transport.seal_rtp(out, len, index).ok().flatten().map(|len| (to, len));
        }
        None
    }

    /// The media packet that [`Self::poll_transmit`] has just written, if it was one.
    #[must_use]
    pub fn last_sent(&self) -> Option<Sent> {
        self.last_sent
    }

    /// The own address has changed, and the client knows: it checks the server at once, as a browser
    /// does that sees its interface change.
    pub fn address_changed(&mut self, now: Time) {
        if let Some(transport) = &mut self.transport {
            transport.address_changed(now);
        }
    }

    /// An impaired network has taken this datagram, which was on its way here.
    pub fn lose(&mut self, now: Time, from: SocketAddr, datagram: &mut [u8]) {
        let is_media = matches!(classify(datagram), Some(DatagramKind::Rtp));
        let Some(transport) = self.transport.as_mut().filter(|_| is_media) else { return };
        // Opened, so that it is known which one it was.
        if let Opened::Rtp(len, index) = transport.handle(now, from, datagram)
            && let Ok(view) = RtpView::parse(datagram.get(..len).unwrap_or_default())
            && self.repair.open(view.ssrc(), view.payload()).is_none()
        {
            self.judge.taken(view.ssrc(), index, Mark::find(view.payload()).map(|(_, mark)| mark));
        }
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_transmit`] have something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let transport = self.transport.as_ref()?;
        let media = self
            .sources
            .iter()
            .filter_map(Source::due)
            .min()
            .filter(|_| self.place.is_some() && self.is_up());
        let rtcp = [self.reception.poll_timeout(), self.repair.poll_timeout()];
        let rtcp = rtcp.into_iter().flatten().min().filter(|_| self.is_up());
        [Some(transport.poll_timeout()), media, rtcp].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(transport) = &mut self.transport {
            transport.handle_timeout(now);
        }
    }

    /// Says which packets of anybody an impaired network took before they reached the server.
    pub fn explain(&mut self, taken: &BTreeSet<Sent>) {
        self.judge.explain(taken);
    }

    /// Ends the participant and answers what it found.
    #[must_use]
    pub fn finish(mut self) -> ParticipantReport {
        self.judge.finish();
        self.report.verdict = match self.settings.server {
            ServerKind::Anteroom => self.judge.verdict(),
            ServerKind::Other => self.tally.verdict(),
        };
        self.report.publishers = self.tally.publishers();
        self.report.examples = self.judge.examples().to_vec();
        self.report.first_packets = self.first_packet.measured().to_vec();
        self.report.srtp = self.transport.as_ref().and_then(ClientTransport::profile);
        self.report
    }
}
