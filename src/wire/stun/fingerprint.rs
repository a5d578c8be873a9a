//! The FINGERPRINT checksum (RFC 8489 section 14.7): CRC-32 of ITU V.42, XORed.

const XOR: u32 = 0x5354_554e;
const POLYNOMIAL: u32 = 0xedb8_8320;

/// A table of half bytes: 64 bytes stay in cache, and a STUN message is about a hundred.
const TABLE: [u32; 16] = table();

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut rest: &mut [u32] = &mut table;
    let mut index = 0;
    while let [entry, tail @ ..] = rest {
        let mut crc = index;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
            bit += 1;
        }
        *entry = crc;
        rest = tail;
        index += 1;
    }
    table
}

/// The value of the attribute for a message whose parts, up to the attribute, are these.
pub(super) fn fingerprint(parts: [&[u8]; 3]) -> u32 {
    let step = |crc: u32, bits: u32| {
        let entry = usize::try_from((crc ^ bits) & 0xf).ok().and_then(|index| TABLE.get(index));
        entry.copied().unwrap_or(0) ^ crc >> 4
    };
    let bytes = parts.into_iter().flatten();
    let crc = bytes.fold(u32::MAX, |crc, byte| step(step(crc, u32::from(*byte)), u32::from(*byte) >> 4));
    !crc ^ XOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(fingerprint([b"1234", b"", b"56789"]) ^ XOR, 0xcbf4_3926);
        assert_eq!(fingerprint([b"", b"", b""]) ^ XOR, 0);
    }
}
