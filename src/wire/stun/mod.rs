//! STUN messages (RFC 8489) with the attributes of ICE (RFC 8445 section 7.1).

mod attribute;
mod fingerprint;
mod view;
mod writer;

pub use view::{StunView, local_ufrag};
pub use writer::StunWriter;

/// The binding method, the only one that ICE uses.
pub const METHOD_BINDING: u16 = 1;

/// A STUN header.
const HEADER: usize = 20;
/// RFC 8489 section 5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// What kind of message it is (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// Answers a request that was fulfilled.
    Success,
    /// Answers a request that was not.
    Error,
}

/// The id that pairs a response with its request.
pub type TransactionId = [u8; 12];

/// The two bits of the class are spread between those of the method (RFC 8489 figure 3).
fn message_type(class: Class, method: u16) -> u16 {
    let class = match class {
        Class::Request => 0,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | method & 0x000f | (method & 0x0070) << 1 | (method & 0x0f80) << 2
}

fn class_and_method(message_type: u16) -> (Class, u16) {
    let class = match message_type & 0x0110 {
        0 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    (class, message_type & 0x000f | (message_type & 0x00e0) >> 1 | (message_type & 0x3e00) >> 2)
}

#[cfg(test)]
mod rfc5769;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_type_reads_back() {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            for method in 0..=0x0fff {
                assert_eq!(class_and_method(message_type(class, method)), (class, method));
            }
        }
        assert_eq!(message_type(Class::Error, METHOD_BINDING), 0x0111);
    }
}
