//! Compound RTCP packets.

use std::collections::BTreeSet;

use anteroom::base::Ssrc;
use anteroom::wire::rtcp::{
    MAX_PACKETS, MAX_STATUSES, ReportBlock, RtcpPacket, TransportFeedback, TransportFeedbackView, packets,
    write_bye, write_fir, write_nack, write_pli, write_receiver_report, write_sdes_cname,
    write_sender_report, write_transport_feedback,
};

/// A compound is read up to its bounds, and every packet that is understood reads back as it was written.
pub fn compound(data: &[u8]) {
    let mut count = 0;
    for packet in packets(data) {
        count += 1;
        if let Ok(packet) = packet {
            understood(&packet, data.len());
        }
    }
    assert!(count <= (MAX_PACKETS + 1).min(data.len() / 4 + 1));
}

fn understood(packet: &RtcpPacket<'_>, len: usize) {
    let mut out = vec![0; 4 * len + 64];
    match packet {
        RtcpPacket::SenderReport(report) => {
            let blocks: Vec<ReportBlock> = report.blocks().collect();
            let len = write_sender_report(report.sender_ssrc, &report.info, &blocks, &mut out).unwrap();
            let again = only(&out[..len]);
            let RtcpPacket::SenderReport(again) = again else { panic!("{again:?}") };
            assert_eq!((again.sender_ssrc, again.info), (report.sender_ssrc, report.info));
            assert!(again.blocks().eq(blocks));
        }
        RtcpPacket::ReceiverReport(report) => {
            let blocks: Vec<ReportBlock> = report.blocks().collect();
            let len = write_receiver_report(report.sender_ssrc, &blocks, &mut out).unwrap();
            let again = only(&out[..len]);
            let RtcpPacket::ReceiverReport(again) = again else { panic!("{again:?}") };
            assert_eq!(again.sender_ssrc, report.sender_ssrc);
            assert!(again.blocks().eq(blocks));
        }
        RtcpPacket::Sdes(sdes) => {
            let Some((ssrc, name)) = sdes.cname() else { return };
            let Ok(text) = std::str::from_utf8(name) else { return };
            let len = write_sdes_cname(ssrc, text, &mut out).unwrap();
            let again = only(&out[..len]);
            assert!(matches!(again, RtcpPacket::Sdes(again) if again.cname() == Some((ssrc, name))));
        }
        RtcpPacket::Bye(bye) => {
            let gone: Vec<Ssrc> = bye.ssrcs().collect();
            let len = write_bye(&gone, &mut out).unwrap();
            let again = only(&out[..len]);
            assert!(matches!(again, RtcpPacket::Bye(again) if again.ssrcs().eq(gone)));
        }
        RtcpPacket::Nack(nack) => {
            let missing: Vec<u16> = nack.sequences().collect();
            assert!(missing.len() <= 17 * len / 4);
            let written = write_nack(nack.sender_ssrc, nack.media_ssrc, &missing, &mut out).unwrap();
            let again = only(&out[..written]);
            let RtcpPacket::Nack(again) = again else { panic!("{again:?}") };
            let set = |list: Vec<u16>| list.into_iter().collect::<BTreeSet<u16>>();
            assert_eq!(set(again.sequences().collect()), set(missing));
        }
        RtcpPacket::Pli(pli) => {
            let len = write_pli(pli.sender_ssrc, pli.media_ssrc, &mut out).unwrap();
            let again = only(&out[..len]);
            assert!(matches!(again, RtcpPacket::Pli(again) if again == *pli));
        }
        RtcpPacket::Fir(fir) => {
            let asked: Vec<(Ssrc, u8)> = fir.entries().collect();
            let len = write_fir(fir.sender_ssrc, &asked, &mut out).unwrap();
            let again = only(&out[..len]);
            assert!(matches!(again, RtcpPacket::Fir(again) if again.entries().eq(asked)));
        }
        RtcpPacket::TransportFeedback(feedback) => transport_feedback(feedback),
        RtcpPacket::Remb(remb) => assert!(remb.ssrcs().count() <= 255),
        RtcpPacket::Other { count, .. } => assert!(*count < 32),
    }
}

fn transport_feedback(feedback: &TransportFeedbackView<'_>) {
    let mut next = feedback.base;
    let mut statuses = Vec::new();
    for (sequence, status) in feedback.statuses() {
        assert_eq!(sequence, next);
        next = next.wrapping_add(1);
        statuses.push(status);
    }
    assert!(statuses.len() <= MAX_STATUSES);
    let written = TransportFeedback {
        sender_ssrc: feedback.sender_ssrc,
        media_ssrc: feedback.media_ssrc,
        base: feedback.base,
        reference_time: feedback.reference_time,
        count: feedback.count,
        statuses: &statuses,
    };
    let mut out = vec![0; 64 + 4 * statuses.len()];
    let Ok(len) = write_transport_feedback(&written, &mut out) else {
        assert!(statuses.is_empty(), "only an empty one cannot be written");
        return;
    };
    let again = only(&out[..len]);
    let RtcpPacket::TransportFeedback(again) = again else { panic!("{again:?}") };
    assert_eq!((again.base, again.reference_time), (feedback.base, feedback.reference_time));
    assert!(again.statuses().map(|(_, status)| status).eq(statuses));
}

/// The one packet of what was written.
fn only(compound: &[u8]) -> RtcpPacket<'_> {
    let mut read = packets(compound);
    let packet = read.next().unwrap().unwrap();
    assert!(read.next().is_none() && compound.len().is_multiple_of(4));
    packet
}
