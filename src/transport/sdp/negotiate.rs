//! What both ends do from now on, by an offer and by what the client says it sends.

use std::collections::{BTreeMap, BTreeSet};

use super::extensions::Extension;
use super::line::OfferLine;
use super::offer::Offer;
use super::refusal;
use crate::base::{Kind, KindSet, Mid, Random, Ssrc};
use crate::message::{SdpRefusal, Tracks};
use crate::transport::{CodecLine, Negotiated, SendLine, Slot};

/// Decides what the client sends and which slots it has.
///
/// With `tracks` the client sends exactly the kinds named there. Without, the first audio m-line on
/// which it can send is the microphone and the first such video m-line the camera. It sends nothing
/// on its other m-lines. Each m-line on which it can receive becomes a slot with SSRCs drawn from
/// `random`.
///
/// # Errors
///
/// Refuses an offer without BUNDLE (RFC 9143), `a=rtcp-mux` (RFC 5761) or a transport that we can
/// secure; one whose m-lines number their header extensions so that packets cannot be told apart;
/// one that neither sends nor receives; and `tracks` that the offer does not fit. The reason names
/// the m-line.
pub fn negotiate(
    offer: &Offer,
    tracks: Option<&Tracks>,
    random: &mut Random,
) -> Result<Negotiated, SdpRefusal> {
    let peer = offer.peer()?;
    check_bundle(offer)?;
    check_extension_ids(offer)?;
    let kinds = match tracks {
        Some(tracks) => checked_tracks(offer, tracks)?,
        None => default_tracks(offer),
    };
    let sends: Vec<SendLine> = offer
        .accepted()
        .filter(|line| line.direction.sends)
        .filter_map(|line| kinds.get(&line.tag()).map(|kind| send_line(line, *kind)))
        .collect();
    let slots = slots(offer, random);
    if sends.is_empty() && slots.is_empty() {
        return Err(refusal(
            "The offer neither sends nor receives anything. Offer an m-line to send on (and name it in \
             `tracks`), or one to receive on.",
        ));
    }
    check_sources(&sends)?;
    Ok(Negotiated {
        remote_ufrag: peer.ufrag,
        remote_pwd: peer.pwd,
        fingerprints: peer.fingerprints,
        sends,
        slots,
    })
}

/// One group holds every m-line in use; a single m-line needs none.
pub(super) fn check_bundle(offer: &Offer) -> Result<(), SdpRefusal> {
    let lines: Vec<&OfferLine> = offer.accepted().collect();
    if let Some(first) = lines.first()
        && !first.rtcp_mux
    {
        return Err(refusal(format!(
            "mid `{}` has no a=rtcp-mux. RTP and RTCP share one port here.",
            first.tag()
        )));
    }
    if offer.groups.is_empty() && lines.len() > 1 {
        return Err(refusal(
            "The offer has several m-lines and no a=group:BUNDLE. All media goes over one transport: offer \
             BUNDLE (`bundlePolicy: \"max-bundle\"` in a browser).",
        ));
    }
    let Some(group) = bundle_of(offer) else { return Ok(()) };
    match lines.iter().find(|line| line.mid.as_ref().is_none_or(|mid| !group.contains(mid))) {
        Some(line) => Err(refusal(format!(
            "mid `{}` is not in the a=group:BUNDLE of the other m-lines. All media goes over one transport.",
            line.tag()
        ))),
        None => Ok(()),
    }
}

/// The group of the first m-line in use, or the first group at all.
pub(super) fn bundle_of(offer: &Offer) -> Option<&Vec<Mid>> {
    let first = offer.accepted().next().and_then(|line| line.mid.as_ref());
    let with_first = offer.groups.iter().find(|group| first.is_some_and(|mid| group.contains(mid)));
    with_first.or_else(|| offer.groups.first())
}

/// Within a bundle an id stands for one extension, and MID has one id: a packet's m-line is not
/// known before its MID is read (RFC 9143 section 9.2, RFC 8285 section 5).
pub(super) fn check_extension_ids(offer: &Offer) -> Result<(), SdpRefusal> {
    let mut meaning: BTreeMap<u8, Extension> = BTreeMap::new();
    let mut mid_id = None;
    for line in offer.accepted() {
        let usable = line.usable();
        for offered in &line.extensions {
            let Some(extension) = usable.answers(offered) else { continue };
            if *meaning.entry(offered.id).or_insert(extension) != extension {
                return Err(refusal(format!(
                    "mid `{}` uses header extension id {} for something else than another m-line. Use one \
                     id for one extension throughout the bundle.",
                    line.tag(),
                    offered.id
                )));
            }
            if extension == Extension::Mid && *mid_id.get_or_insert(offered.id) != offered.id {
                return Err(refusal(format!(
                    "mid `{}` has another id for the MID header extension than the m-lines before it. Use \
                     one id throughout the bundle.",
                    line.tag()
                )));
            }
        }
    }
    Ok(())
}

/// A source belongs to one m-line only.
fn check_sources(sends: &[SendLine]) -> Result<(), SdpRefusal> {
    let mut seen = BTreeSet::new();
    for line in sends {
        let all = line.declared_ssrcs.iter().flat_map(|(ssrc, rtx)| [Some(*ssrc), *rtx]);
        if let Some(twice) = all.flatten().find(|ssrc| !seen.insert(*ssrc)) {
            return Err(refusal(format!(
                "SSRC {twice} is declared twice, the second time on mid `{}`. Declare each SSRC once.",
                line.mid
            )));
        }
    }
    Ok(())
}

/// What the client says it sends, checked against its offer.
fn checked_tracks(offer: &Offer, tracks: &Tracks) -> Result<BTreeMap<Mid, Kind>, SdpRefusal> {
    let mut seen = KindSet::NONE;
    for (mid, kind) in tracks {
        let Some(line) = offer.line(mid) else {
            let mid = super::limits::quoted(mid.as_str());
            return Err(refusal(format!("`tracks` names mid `{mid}`, which the offer does not have.")));
        };
        if let Some(why) = line.rejected() {
            return Err(refusal(format!("`tracks` names mid `{mid}`, which cannot be used: {why}.")));
        }
        if kind.is_video() != line.is_video() {
            return Err(refusal(format!(
                "`tracks` says that mid `{mid}` carries {kind}, but it is an {} m-line.",
                line.medium
            )));
        }
        if !line.direction.sends {
            return Err(refusal(format!(
                "`tracks` says that mid `{mid}` carries {kind}, but the offer does not send on it ({}).",
                line.direction.name()
            )));
        }
        if seen.contains(*kind) {
            return Err(refusal(format!(
                "`tracks` names {kind} twice, the second time for mid `{mid}`. Send each kind on one m-line."
            )));
        }
        seen = seen.with(*kind);
    }
    Ok(tracks.clone())
}

/// The first audio m-line that sends is the microphone, the first video m-line the camera.
fn default_tracks(offer: &Offer) -> BTreeMap<Mid, Kind> {
    let first = |video: bool| {
        offer.accepted().find(|line| line.direction.sends && line.is_video() == video).map(OfferLine::tag)
    };
    let microphone = first(false).map(|mid| (mid, Kind::Audio));
    let camera = first(true).map(|mid| (mid, Kind::Video));
    microphone.into_iter().chain(camera).collect()
}

fn codec_lines(line: &OfferLine) -> Vec<CodecLine> {
    line.codecs.iter().map(|codec| codec.line).collect()
}

fn send_line(line: &OfferLine, kind: Kind) -> SendLine {
    SendLine {
        mid: line.tag(),
        kind,
        codecs: codec_lines(line),
        declared_ssrcs: line.sources.clone(),
        extensions: line.usable().ids(&line.extensions, true),
    }
}

/// A slot for each m-line on which the client can receive. No SSRC is used twice, nor one that the
/// offer declares.
fn slots(offer: &Offer, random: &mut Random) -> Vec<Slot> {
    let declared = offer.lines.iter().flat_map(|line| &line.sources);
    let mut taken: BTreeSet<Ssrc> = declared.flat_map(|(ssrc, rtx)| [Some(*ssrc), *rtx]).flatten().collect();
    // 0 is what senders avoid.
    taken.insert(Ssrc(0));
    let mut fresh = || loop {
        let ssrc = Ssrc(random.next_u32());
        if taken.insert(ssrc) {
            return ssrc;
        }
    };
    let receiving = offer.accepted().filter(|line| line.direction.receives);
    receiving
        .map(|line| {
            let rtx =
                line.is_video() && line.codecs.iter().any(|codec| codec.line.rtx_payload_type.is_some());
            Slot {
                mid: line.tag(),
                video: line.is_video(),
                ssrc: fresh(),
                rtx_ssrc: rtx.then(&mut fresh),
                codecs: codec_lines(line),
                extensions: line.usable().ids(&line.extensions, false),
            }
        })
        .collect()
}
