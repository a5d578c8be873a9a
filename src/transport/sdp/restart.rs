//! ICE restart: a later offer that renews ICE and changes nothing else (RFC 8839 section 4.4.1.1).

use super::line::OfferLine;
use super::negotiate::{check_bundle, check_extension_ids};
use super::offer::Offer;
use super::refusal;
use crate::base::Mid;
use crate::message::SdpRefusal;
use crate::transport::{CodecLine, ExtensionIds, Negotiated};

/// Checks that `offer` differs from what was negotiated in its ICE credentials only. Afterwards
/// [`super::write_answer`] answers it with the old [`Negotiated`], and [`Offer::ice`] has the new
/// credentials. A client may list fewer codecs than before, as some do once they know the answer;
/// what flows goes on as it is.
///
/// # Errors
///
/// Refuses an offer with the old credentials, another certificate, or m-lines that were added,
/// lost, turned, or given other payload types or header extension ids. The reason names the m-line.
pub fn check_restart(offer: &Offer, negotiated: &Negotiated) -> Result<(), SdpRefusal> {
    let peer = offer.peer()?;
    check_bundle(offer)?;
    check_extension_ids(offer)?;
    if peer.ufrag == negotiated.remote_ufrag || peer.pwd == negotiated.remote_pwd {
        return Err(refusal(
            "The offer does not restart ICE: its ice-ufrag or ice-pwd is the old one. Call restartIce() \
             before createOffer().",
        ));
    }
    let known = |list: &[_], all: &[_]| list.iter().all(|fingerprint| all.contains(fingerprint));
    if !known(&peer.fingerprints, &negotiated.fingerprints)
        || !known(&negotiated.fingerprints, &peer.fingerprints)
    {
        return Err(refusal(
            "The offer has another certificate than the running connection. Join anew instead of restarting ICE.",
        ));
    }
    check_slots(offer, negotiated)?;
    for send in &negotiated.sends {
        let line =
            offer.accepted().find(|line| line.tag() == send.mid && line.is_video() == send.kind.is_video());
        let Some(line) = line.filter(|line| line.direction.sends) else {
            return Err(changed(&send.mid, "the offer does not send on it any more"));
        };
        check_line(line, true, &send.codecs, &send.extensions)?;
    }
    Ok(())
}

fn check_slots(offer: &Offer, negotiated: &Negotiated) -> Result<(), SdpRefusal> {
    let mut receiving = offer.accepted().filter(|line| line.direction.receives);
    for slot in &negotiated.slots {
        match receiving.next() {
            Some(line) if line.tag() == slot.mid && line.is_video() == slot.video => {
                check_line(line, false, &slot.codecs, &slot.extensions)?;
            }
            _ => return Err(changed(&slot.mid, "the offer does not receive on it any more")),
        }
    }
    match receiving.next() {
        Some(line) => Err(changed(&line.tag(), "the offer did not receive on it before")),
        None => Ok(()),
    }
}

fn check_line(
    line: &OfferLine,
    client_sends: bool,
    codecs: &[CodecLine],
    extensions: &ExtensionIds,
) -> Result<(), SdpRefusal> {
    let numbers = |codec: &CodecLine| [Some(codec.payload_type), codec.rtx_payload_type];
    for offered in line.codecs.iter().map(|codec| &codec.line).filter(|offered| !codecs.contains(offered)) {
        let taken: Vec<u8> = codecs.iter().flat_map(numbers).flatten().collect();
        if let Some(number) = numbers(offered).into_iter().flatten().find(|number| taken.contains(number)) {
            return Err(changed(&line.tag(), &format!("payload type {number} now means another codec")));
        }
    }
    if !line.codecs.iter().any(|offered| codecs.contains(&offered.line)) {
        return Err(changed(&line.tag(), "none of its codecs is offered any more"));
    }
    if line.usable().ids(&line.extensions, client_sends) != *extensions {
        return Err(changed(&line.tag(), "its header extensions have other ids"));
    }
    Ok(())
}

fn changed(mid: &Mid, what: &str) -> SdpRefusal {
    refusal(format!(
        "Only ICE may change on a running connection, but mid `{mid}` differs: {what}. Offer the same m-lines \
         again."
    ))
}
