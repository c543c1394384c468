//! Searches for several dozen short literals at once.
//!
//! On AVX2 and NEON this is the algorithm called Teddy (from Hyperscan): each literal is represented by four of its
//! bytes, the literals are put into eight buckets, and for each position two table look-ups per byte show in which
//! buckets a literal may occur there. Unlike the one in `aho-corasick`, which is used elsewhere and is the
//! specification, it takes the four rarest bytes of a literal rather than its first, and any number of literals. For
//! benchmarks with the same literals, see `benches/README.md`.

use aho_corasick::{AhoCorasick, MatchKind};
use std::cmp::Reverse;
use std::sync::OnceLock;

/// Number of bytes of a literal that are checked before the rest.
pub(super) const WINDOW: usize = 4;

/// Literals to search for.
#[derive(Debug)]
pub struct Literals {
    texts: Vec<Vec<u8>>,
    /// Built on demand; never, where a search is vectorised.
    automaton: OnceLock<AhoCorasick>,
    fingerprints: Fingerprints,
}

/// An occurrence: the offset of its first byte, and the index of the literal.
pub type Occurrence = (usize, usize);

impl Literals {
    /// Prepares a search; the literals are of at least [`crate::rule::MIN_KEYWORD`] bytes.
    pub fn new(texts: Vec<Vec<u8>>) -> Self {
        let fingerprints = Fingerprints::new(&texts);
        Self { texts, automaton: OnceLock::new(), fingerprints }
    }

    /// How many literals there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Length of the longest one, in bytes.
    pub fn longest(&self) -> usize {
        self.texts.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Appends all occurrences, overlapping ones too, in ascending order.
    pub fn find(&self, haystack: &[u8], found: &mut Vec<Occurrence>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = super::avx2::Finder::detect() {
            let before = found.len();
            avx2.literals(self, haystack, found);
            found[before..].sort_unstable();
            return;
        }
        #[cfg(target_arch = "aarch64")]
        {
            let before = found.len();
            super::neon::literals(self, haystack, found);
            found[before..].sort_unstable();
        }
        #[cfg(not(target_arch = "aarch64"))]
        self.find_scalar(haystack, found);
    }

    /// Like [`Self::find`], with the automaton.
    pub fn find_scalar(&self, haystack: &[u8], found: &mut Vec<Occurrence>) {
        let before = found.len();
        let automaton = self.automaton.get_or_init(|| {
            let builder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&self.texts);
            builder.expect("a few hundred short literals stay far below the automaton's limits")
        });
        let all = automaton.find_overlapping_iter(haystack);
        found.extend(all.map(|occurrence| (occurrence.start(), occurrence.pattern().as_usize())));
        found[before..].sort_unstable();
    }

    pub(super) fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// Checks a position at which the windows of some `buckets` (one bit each) may start.
    pub(super) fn verify(&self, haystack: &[u8], window: usize, buckets: u8, found: &mut Vec<Occurrence>) {
        let Some(here) = haystack.get(window..).and_then(|rest| rest.first_chunk::<WINDOW>()) else { return };
        // The nibbles of several windows combine into others, so most that get here are false alarms.
        if !self.fingerprints.has_window(*here) {
            return;
        }
        let set = (0..8).filter(|bucket| buckets >> bucket & 1 == 1);
        let known =
            set.flat_map(|bucket: usize| &self.fingerprints.buckets[bucket]).filter(|known| known.window == *here);
        for &KnownLiteral { literal, offset, .. } in known {
            if let Some(start) = window.checked_sub(offset)
                && haystack.get(start..).is_some_and(|rest| rest.starts_with(&self.texts[literal]))
            {
                found.push((start, literal));
            }
        }
    }
}

/// The tables of the vectorised search.
#[derive(Debug)]
pub(super) struct Fingerprints {
    /// For each byte of a window and each value of its low (high) nibble: the buckets that have it there.
    pub(super) low: [[u8; 16]; WINDOW],
    pub(super) high: [[u8; 16]; WINDOW],
    /// The literals of each bucket.
    buckets: [Vec<KnownLiteral>; 8],
    /// A bit for the hash of each window.
    windows: Box<[u64; HASHES / 64]>,
}

/// The number of hashes of windows.
const HASHES: usize = 1 << 14;

fn hash(window: [u8; WINDOW]) -> usize {
    u32::from_le_bytes(window).wrapping_mul(2_654_435_761) as usize >> 18
}

/// A literal in a bucket.
#[derive(Debug)]
struct KnownLiteral {
    window: [u8; WINDOW],
    literal: usize,
    /// Where in the literal the window starts.
    offset: usize,
}

impl Fingerprints {
    fn new(texts: &[Vec<u8>]) -> Self {
        let rarest_window = |(literal, text): (usize, &Vec<u8>)| {
            let windows = text.array_windows::<WINDOW>().enumerate();
            let rarest = windows.min_by_key(|(_, window)| commonness_of(&window[..]));
            let (offset, window) = rarest.expect("a literal is no shorter than a window");
            (literal, offset, *window)
        };
        let mut windows: Vec<_> = texts.iter().enumerate().map(rarest_window).collect();
        // The common ones first, so that each starts a bucket, and the rare ones join where they cost least.
        windows.sort_by_key(|(_, _, window)| Reverse(commonness_of(window)));
        let mut buckets: [Vec<KnownLiteral>; 8] = Default::default();
        let (mut sets, mut chances) = ([Bucket::default(); 8], [0.0; 8]);
        let add = |sets: &mut [Bucket; 8], chances: &mut [f64; 8], window| {
            let best = cheapest(sets, chances, window);
            sets[best] = sets[best].with(window);
            chances[best] = sets[best].chance();
            best
        };
        for (literal, offset, window) in windows {
            let best = add(&mut sets, &mut chances, window);
            buckets[best].push(KnownLiteral { window, literal, offset });
        }
        // The early ones were placed before it was known what would join them.
        for _ in 0..IMPROVEMENTS {
            for from in 0..buckets.len() {
                for index in (0..buckets[from].len()).rev() {
                    let known = buckets[from].swap_remove(index);
                    sets[from] = buckets[from].iter().fold(Bucket::default(), |set, known| set.with(known.window));
                    chances[from] = sets[from].chance();
                    let best = add(&mut sets, &mut chances, known.window);
                    buckets[best].push(known);
                }
            }
        }
        let mut bits = Box::new([0; HASHES / 64]);
        for known in buckets.iter().flatten() {
            bits[hash(known.window) / 64] |= 1 << (hash(known.window) % 64);
        }
        let mut fingerprints = Self { low: [[0; 16]; WINDOW], high: [[0; 16]; WINDOW], buckets, windows: bits };
        for (bucket, known) in fingerprints.buckets.iter().enumerate() {
            for (place, &byte) in known.iter().flat_map(|known| known.window.iter().enumerate()) {
                fingerprints.low[place][usize::from(byte & 15)] |= 1 << bucket;
                fingerprints.high[place][usize::from(byte >> 4)] |= 1 << bucket;
            }
        }
        fingerprints
    }

    #[inline]
    fn has_window(&self, window: [u8; WINDOW]) -> bool {
        self.windows[hash(window) / 64] >> (hash(window) % 64) & 1 == 1
    }
}

/// How many times all literals may move to a cheaper bucket.
const IMPROVEMENTS: usize = 4;

/// The bucket in which a window costs least.
fn cheapest(sets: &[Bucket; 8], chances: &[f64; 8], window: [u8; WINDOW]) -> usize {
    let cost: [f64; 8] = std::array::from_fn(|bucket| sets[bucket].with(window).chance() - chances[bucket]);
    (0..sets.len()).min_by(|&a, &b| cost[a].total_cmp(&cost[b])).unwrap_or(0)
}

/// The nibbles that occur in a bucket at each place of a window, one bit each.
#[derive(Clone, Copy, Default)]
struct Bucket {
    low: [u16; WINDOW],
    high: [u16; WINDOW],
}

impl Bucket {
    fn with(mut self, window: [u8; WINDOW]) -> Self {
        for (place, byte) in window.into_iter().enumerate() {
            self.low[place] |= 1 << (byte & 15);
            self.high[place] |= 1 << (byte >> 4);
        }
        self
    }

    /// How often text matches the bucket, as a relative figure.
    fn chance(&self) -> f64 {
        let place = |(&low, &high): (&u16, &u16)| {
            let rows = COMMONNESS.iter().enumerate().filter(|(nibble, _)| high >> nibble & 1 == 1);
            let sums = rows.map(|(_, [first, second])| first[usize::from(low & 0xff)] + second[usize::from(low >> 8)]);
            f64::from(sums.sum::<u32>())
        };
        self.low.iter().zip(&self.high).map(place).product()
    }
}

/// Sums of [`commonness`] over the bytes with one high nibble and a set of low ones: for the first eight and the last
/// eight, one bit each. They are looked up thousands of times at each start.
static COMMONNESS: [[[u32; 256]; 2]; 16] = {
    let mut sums = [[[0; 256]; 2]; 16];
    let mut index = 0;
    while index < 16 * 2 * 256 * 8 {
        let (high, half, set, bit) = (index >> 12, index >> 11 & 1, index >> 3 & 255, index & 7);
        if set >> bit & 1 == 1 {
            sums[high][half][set] += commonness((high << 4 | half << 3 | bit) as u8);
        }
        index += 1;
    }
    sums
};

/// How common bytes are in text and code, roughly.
pub fn commonness_of(bytes: &[u8]) -> u32 {
    bytes.iter().map(|&byte| commonness(byte)).sum()
}

/// How common a byte is in text and code, roughly.
const fn commonness(byte: u8) -> u32 {
    match byte {
        b' ' => 60,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 40,
        b'a'..=b'z' => 15,
        b'\n' | b'\t' | b'_' | b'.' | b',' | b'(' | b')' | b'"' | b'=' | b':' | b'/' | b'-' | b'0' | b'1' => 10,
        b'A'..=b'Z' | b'0'..=b'9' => 5,
        0x80.. => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn both_searches_agree(
            texts in prop::collection::btree_set("[abA\\x00\u{ad}\u{200b}]{4,7}", 1..60),
            haystack in "[abA\\x00\u{ad}\u{200b}]{0,400}",
            pieces in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let texts: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            let mut haystack = haystack.into_bytes();
            pieces.iter().for_each(|piece| haystack.extend_from_slice(&texts[piece.index(texts.len())]));
            let literals = Literals::new(texts);
            let (mut fast, mut slow) = (vec![], vec![]);
            literals.find(&haystack, &mut fast);
            literals.find_scalar(&haystack, &mut slow);
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn a_literal_is_found_at_every_offset() {
        let literals = Literals::new(vec![b"needle".to_vec(), b"eedl".to_vec()]);
        for before in 0..140 {
            for after in [0, 1, 2, 3, 60, 70] {
                let text = [vec![b'x'; before], b"needle".to_vec(), vec![b'x'; after]].concat();
                let mut found = vec![];
                literals.find(&text, &mut found);
                assert_eq!(found, [(before, 0), (before + 1, 1)], "{before} {after}");
            }
        }
    }
}
