//! The test vectors of RFC 5769: what is read, and that the writer makes the same bytes.

use super::*;
use crate::wire::WireError;

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const SOFTWARE: u16 = 0x8022;

const REQUEST: &str = "
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae
    80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff
    80290008 932ff9b1 51263b36
    00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    80280004 e57a3bcf";

const IPV4_RESPONSE: &str = "
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200008 0001a147 e112a643
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    80280004 c07d4c96";

const IPV6_RESPONSE: &str = "
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    80280004 c8fb0b4c";

const LONG_TERM_REQUEST: &str = "
    00010060 2112a442 78ad3433 c6ad72c0 29da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

/// MD5 of user name, realm and password of section 2.4, joined by colons.
const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_sample_request_is_read() {
    let message = bytes(REQUEST);
    let view = StunView::parse(&message).unwrap();
    assert_eq!((view.class(), view.method()), (Class::Request, METHOD_BINDING));
    assert_eq!((view.username(), local_ufrag(&message)), (Some("evtj:h6vY"), Some("evtj")));
    assert_eq!((view.priority(), view.ice_controlled()), (Some(0x6e00_01ff), Some(0x932f_f9b1_5126_3b36)));
    assert!(view.has_fingerprint() && view.check_integrity(PASSWORD));
    assert!(!view.check_integrity(b"VOkJxbRl1RmTxUk/WvJxBT"));
    assert!(!view.use_candidate() && view.ice_controlling().is_none());
    assert_eq!(view.unknown_comprehension_required().count(), 0);
}

#[test]
fn the_sample_responses_are_read() {
    for (hex, address) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let message = bytes(hex);
        let view = StunView::parse(&message).unwrap();
        assert_eq!(view.class(), Class::Success);
        assert_eq!(view.xor_mapped_address(), Some(address.parse().unwrap()));
        assert!(view.has_fingerprint() && view.check_integrity(PASSWORD));
    }
}

#[test]
fn the_long_term_request_is_read() {
    let message = bytes(LONG_TERM_REQUEST);
    let view = StunView::parse(&message).unwrap();
    assert!(view.check_integrity(&bytes(LONG_TERM_KEY)));
    assert!(!view.has_fingerprint());
    assert_eq!(view.username(), Some("\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}"));
}

/// The vectors pad with spaces, which HMAC and CRC cover; the writer pads with zeros. So the bytes
/// are compared where no padding is: up to SOFTWARE of the responses.
#[test]
fn the_writer_makes_the_same_address_and_request() -> Result<(), WireError> {
    let expected = bytes(REQUEST);
    let transaction: TransactionId = expected[8..20].try_into().unwrap();
    let mut out = [0; 128];
    let writer = StunWriter::new(Class::Request, METHOD_BINDING, transaction, &mut out)?
        .attribute(SOFTWARE, b"STUN test client")?
        .priority(0x6e00_01ff)?
        .ice_controlled(0x932f_f9b1_5126_3b36)?
        .username("evtj:h6vY")?
        .integrity(PASSWORD)?
        .fingerprint()?;
    assert_eq!(writer.finish(), expected.len());
    assert_eq!((&out[..73], &out[76..80]), (&expected[..73], &expected[76..80]));

    let expected = bytes(IPV6_RESPONSE);
    let writer = StunWriter::new(Class::Success, METHOD_BINDING, transaction, &mut out)?
        .attribute(SOFTWARE, b"test vector")?
        .xor_mapped_address("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap())?
        .integrity(PASSWORD)?
        .fingerprint()?;
    assert_eq!(writer.finish(), expected.len());
    assert_eq!((&out[..35], &out[36..64]), (&expected[..35], &expected[36..64]));
    Ok(())
}
