//! Cursors over big-endian bytes: one that reads, one that writes. Neither can leave its slice.

use super::WireError;

/// Reads from the front of a slice; every error names the part that is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(WireError::Truncated(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated(self.what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Result<u32, WireError> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Writes to the front of a buffer; every error names the part that is being written.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(out: &'a mut [u8], what: &'static str) -> Self {
        Self { out, at: 0, what }
    }

    /// How many bytes are written.
    pub(crate) const fn len(&self) -> usize {
        self.at
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// `count` zero bytes, handed out to be filled.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<&mut [u8], WireError> {
        let no_space = WireError::NoSpace(self.what);
        let end = self.at.checked_add(count).ok_or(no_space)?;
        let gap = self.out.get_mut(self.at..end).ok_or(no_space)?;
        gap.fill(0);
        self.at = end;
        Ok(gap)
    }

    pub(crate) fn u8(&mut self, value: u8) -> Result<(), WireError> {
        self.put(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> Result<(), WireError> {
        self.put(&value.to_be_bytes())
    }

    /// The lower 24 bits of `value`.
    pub(crate) fn u24(&mut self, value: u32) -> Result<(), WireError> {
        let [_, a, b, c] = value.to_be_bytes();
        self.put(&[a, b, c])
    }

    pub(crate) fn u32(&mut self, value: u32) -> Result<(), WireError> {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Result<(), WireError> {
        self.put(&value.to_be_bytes())
    }

    /// Zero bytes up to the next multiple of four.
    pub(crate) fn align(&mut self) -> Result<(), WireError> {
        self.reserve(self.at.next_multiple_of(4) - self.at).map(drop)
    }

    /// Overwrites two bytes that are written already.
    pub(crate) fn set_u16(&mut self, at: usize, value: u16) -> Result<(), WireError> {
        let no_space = WireError::NoSpace(self.what);
        let end = at.checked_add(2).filter(|end| *end <= self.at).ok_or(no_space)?;
        self.out.get_mut(at..end).ok_or(no_space)?.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }

    /// What is written so far.
    pub(crate) fn written(&self) -> &[u8] {
        self.out.get(..self.at).unwrap_or_default()
    }
}
