//! Sending what no participant sends of its own accord, under its keys.

use std::net::SocketAddr;

use super::Participant;

impl Participant {
    /// Seals the packet of `len` bytes in `buffer`, whatever is in it: RTP under its `index`, or compound
    /// RTCP, which has none. Answers where it goes and its new length, or nothing before media can flow
    /// and for what SRTP cannot carry. For tests of what a server bears.
    pub fn seal(&mut self, buffer: &mut [u8], len: usize, index: Option<u64>) -> Option<(SocketAddr, usize)> {
        let transport = self.transport.as_mut()?;
        let to = transport.media_address()?;
        let sealed = match index {
            Some(index) => transport.seal_rtp(buffer, len, index),
            None => transport.seal_rtcp(buffer, len),
        };
        sealed.ok().flatten().map(|len| (to, len))
    }
}
