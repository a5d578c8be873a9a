//! Bends inputs, as its seed says.

/// A small fast generator (xorshift64*): the bending takes less time than what is done with the result.
pub(crate) struct Mutator(u64);

/// Numbers at the edges of fields.
const EDGES: [u32; 20] = [
    0,
    1,
    2,
    3,
    4,
    0x0f,
    0x10,
    0x1f,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xfffe,
    0xffff,
    0x0001_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// Changes to one input.
const MOST_CHANGES: usize = 6;

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        // Spread by one step of SplitMix64, so that seeds that are neighbours are none afterwards.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((state ^ (state >> 31)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    /// Puts an input together from a corpus into `out`, of at most `longest` bytes.
    pub(crate) fn bend(&mut self, corpus: &[Vec<u8>], longest: usize, out: &mut Vec<u8>) {
        out.clear();
        if self.below(50) == 0 {
            let len = self.below(longest.min(64) + 1);
            out.extend((0..len).map(|_| self.byte()));
            return;
        }
        let start = self.below(corpus.len());
        out.extend_from_slice(&corpus[start]);
        for _ in 0..=self.below(MOST_CHANGES) {
            self.change(corpus, out);
        }
        out.truncate(longest);
    }

    fn change(&mut self, corpus: &[Vec<u8>], out: &mut Vec<u8>) {
        if out.is_empty() {
            out.push(self.byte());
        }
        let at = self.below(out.len());
        match self.below(12) {
            0 | 1 => out[at] ^= 1 << self.below(8),
            2 => out[at] = self.byte(),
            3 => out[at] = out[at].wrapping_add(if self.below(2) == 0 { 1 } else { 255 }),
            4 | 5 => self.write_edge(at, out),
            6 => out.truncate(at),
            7 => {
                let end = (at + 1 + self.below(16)).min(out.len());
                out.drain(at..end);
            }
            8 => {
                let (byte, count) = (self.byte(), 1 + self.below(8));
                out.splice(at..at, std::iter::repeat_n(byte, count));
            }
            9 => {
                let end = (at + 1 + self.below(64)).min(out.len());
                let (copy, to) = (out[at..end].to_vec(), self.below(out.len()));
                out.splice(to..to, copy);
            }
            10 => {
                // The rest is another input's.
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
            _ => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let end = (from + self.below(32)).min(other.len());
                out.splice(at..at, other[from..end].iter().copied());
            }
        }
    }

    fn write_edge(&mut self, at: usize, out: &mut [u8]) {
        let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
        let width = 1 << self.below(3);
        for (place, byte) in out[at..].iter_mut().zip(&edge[4 - width..]) {
            *place = *byte;
        }
    }
}
