//! Why a packet was not sealed or not opened.

/// What is wrong, and whose fault it is: the caller's (keys, room, index) or the packet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// The caller's: the master key or salt has not the length of its profile.
    #[error("the master key or salt has the wrong length for its profile")]
    KeyLength,
    /// The caller's: the buffer does not hold the packet and what sealing adds to it.
    #[error("the buffer has no room for the authentication tag")]
    NoRoom,
    /// The caller's: the index is not one of the packet's sequence number.
    #[error("the index does not belong to the packet's sequence number")]
    WrongIndex,
    /// The caller's: all indices of this key are used (2^48 packets, 2^31 of SRTCP).
    #[error("the key has no unused index left")]
    Exhausted,
    /// The packet's: no RTP or RTCP header, or too short to hold one and a tag.
    #[error("the packet is too short or its header is malformed")]
    Malformed,
    /// The packet's: seen before, or too old to tell (RFC 3711 section 3.3.2).
    #[error("the packet was seen before or is too old")]
    Replayed,
    /// The packet's: it was not sealed with our key, or was changed on the way.
    #[error("the authentication tag is wrong")]
    Unauthentic,
    /// The peer's: it has sent from as many sources as it may.
    #[error("the peer uses too many synchronization sources")]
    TooManySources,
}
