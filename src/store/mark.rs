//! The mark beside the database: which format it has, and how many times it was written to.
//!
//! SQLite takes a journal that ends early or has a torn record for one whose end was never written, and
//! goes on without it. After a power cut that is right. After a crash of the process it is not: what was
//! written is there. So each step is counted here as well, together with the boot in which it was made.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::message::saved::VERSION;

/// What every mark begins with, in every version.
const MAGIC: &[u8; 16] = b"anteroom store\r\n";

/// The length of a mark, in every version: it is written in one piece, within one sector.
const BYTES: usize = 64;

/// One boot of the machine; all zero where the system does not tell.
pub(super) type Boot = [u8; 16];

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The format of the store.
    pub(super) version: u32,
    /// In which boot it was written.
    pub(super) boot: Boot,
    /// How many steps have been written.
    pub(super) steps: u64,
}

/// What is there of a mark.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: the store is new.
    Nothing,
    /// A mark.
    Mark(Mark),
    /// Something that is none.
    Damaged,
}

impl Mark {
    /// A mark of this version.
    pub(super) const fn new(boot: Boot, steps: u64) -> Self {
        Self { version: VERSION, boot, steps }
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let fields =
            [&MAGIC[..], &self.version.to_be_bytes(), &self.boot, &self.steps.to_be_bytes()].concat();
        let sum = checksum(&[&fields]);
        for (to, from) in bytes.iter_mut().zip(fields.iter().chain(&sum.to_be_bytes())) {
            *to = *from;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Option<Self> {
        let (_, rest) = bytes.split_first_chunk::<16>()?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (boot, rest) = rest.split_first_chunk::<16>()?;
        let (steps, _) = rest.split_first_chunk::<8>()?;
        let mark =
            Self { version: u32::from_be_bytes(*version), boot: *boot, steps: u64::from_be_bytes(*steps) };
        (mark.to_bytes() == *bytes).then_some(mark)
    }

    /// Reads the mark in a file.
    pub(super) fn read(file: &File) -> io::Result<Found> {
        if file.metadata()?.len() == 0 {
            return Ok(Found::Nothing);
        }
        let mut bytes = [0; BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Self::from_bytes(&bytes).map_or(Found::Damaged, Found::Mark)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Found::Damaged),
            Err(error) => Err(error),
        }
    }

    /// Writes the mark over the one before it.
    pub(super) fn write(self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.to_bytes(), 0)
    }
}

/// The first eight bytes of SHA-256: what the store tells damage by.
pub(super) fn checksum(parts: &[&[u8]]) -> u64 {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    digest.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The boot in which this process runs.
pub(super) fn this_boot() -> Boot {
    let Ok(text) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return Boot::default() };
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_no_other_bytes_are_one() {
        let mark = Mark::new([7; 16], 12_345);
        let bytes = mark.to_bytes();
        assert_eq!(Mark::from_bytes(&bytes), Some(mark));
        for at in 0..BYTES {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert_eq!(Mark::from_bytes(&flipped), None, "byte {at}");
        }
    }

    #[test]
    fn this_machine_tells_its_boot() {
        assert_ne!(this_boot(), Boot::default());
        assert_eq!(this_boot(), this_boot());
    }
}
