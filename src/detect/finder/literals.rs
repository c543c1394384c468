//! Searches for several dozen short literals at once.
//!
//! On AVX2 and NEON this is the algorithm called Teddy (from Hyperscan): each literal is represented by four of its
//! bytes, the literals are put into eight buckets (sixteen, if there are many), and for each position two table look-ups
//! per byte, or one with AVX-512, show in which buckets a literal may occur there. Unlike the one in `aho-corasick`, which is used elsewhere and
//! is the specification, it takes the four rarest bytes of a literal rather than its first, and any number of literals.
//! For benchmarks with the same literals, see `benches/README.md`.

use super::fragments::is_fragment;
use aho_corasick::{AhoCorasick, MatchKind};
use std::cmp::Reverse;
use std::sync::OnceLock;

/// Number of bytes of a literal that are checked before the rest.
pub(super) const WINDOW: usize = 4;

/// Positions searched in one step, and the bytes needed for that.
#[cfg(target_arch = "x86_64")]
pub(super) const STEP: usize = 64;
#[cfg(target_arch = "x86_64")]
pub(super) const SPAN: usize = STEP + WINDOW - 1;

/// Calls `search` with the place of each step and the bytes that it needs; zeros follow the last.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn in_steps(haystack: &[u8], mut search: impl FnMut(usize, &[u8; SPAN])) {
    let mut at = 0;
    while let Some(span) = haystack[at..].first_chunk() {
        search(at, span);
        at += STEP;
    }
    last_steps(haystack, at).for_each(|(at, span)| search(at, &span));
}

/// The steps from `at` on, where less than a span is left; zeros follow the last byte.
#[cfg(target_arch = "x86_64")]
pub(super) fn last_steps(haystack: &[u8], at: usize) -> impl Iterator<Item = (usize, [u8; SPAN])> {
    [at, at + STEP].into_iter().map(|at| {
        let rest = haystack.get(at..).unwrap_or_default();
        let rest = &rest[..rest.len().min(SPAN)];
        let mut padded = [0; SPAN];
        padded[..rest.len()].copy_from_slice(rest);
        (at, padded)
    })
}

/// Length of the shortest literal, in bytes. Its window ends with any byte.
pub const MIN_LITERAL: usize = 3;

/// With more literals than this there are sixteen buckets: in eight, they would hide one another.
const MAX_FOR_EIGHT: usize = 128;

/// Literals to search for.
#[derive(Debug)]
pub struct Literals {
    /// In small letters, if they are found in any case.
    texts: Vec<Vec<u8>>,
    folds: bool,
    /// Built on demand; never, where a search is vectorised.
    automaton: OnceLock<AhoCorasick>,
    fingerprints: Fingerprints,
}

/// An occurrence: the offset of its first byte, and the index of the literal.
pub type Occurrence = (usize, usize);

impl Literals {
    /// Prepares a search; the literals are of at least [`MIN_LITERAL`] bytes.
    pub fn new(texts: Vec<Vec<u8>>) -> Self {
        let fingerprints = Fingerprints::new(&texts, false);
        Self { texts, folds: false, automaton: OnceLock::new(), fingerprints }
    }

    /// The same for literals in any case of their ASCII letters.
    pub fn in_any_case(texts: Vec<Vec<u8>>) -> Self {
        let texts: Vec<Vec<u8>> = texts.into_iter().map(|text| text.to_ascii_lowercase()).collect();
        let fingerprints = Fingerprints::new(&texts, true);
        Self { texts, folds: true, automaton: OnceLock::new(), fingerprints }
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
        {
            let before = found.len();
            let is_done = self.find_with_avx512(haystack, found) || self.find_with_avx2(haystack, found);
            found[before..].sort_unstable();
            if is_done {
                return;
            }
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

    /// Like [`Self::find`], but unordered. False if the processor has no AVX-512, and nothing was done.
    #[cfg(target_arch = "x86_64")]
    fn find_with_avx512(&self, haystack: &[u8], found: &mut Vec<Occurrence>) -> bool {
        let finder = super::avx512::Finder::detect();
        finder.map(|finder| finder.literals(self, haystack, found)).is_some()
    }

    /// The same with AVX2.
    #[cfg(target_arch = "x86_64")]
    fn find_with_avx2(&self, haystack: &[u8], found: &mut Vec<Occurrence>) -> bool {
        let finder = super::avx2::Finder::detect();
        finder.map(|finder| finder.literals(self, haystack, found)).is_some()
    }

    /// Like [`Self::find`], with the automaton.
    pub fn find_scalar(&self, haystack: &[u8], found: &mut Vec<Occurrence>) {
        let before = found.len();
        let automaton = self.automaton.get_or_init(|| {
            let mut builder = AhoCorasick::builder();
            let builder = builder.match_kind(MatchKind::Standard).ascii_case_insensitive(self.folds).build(&self.texts);
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
    #[inline]
    pub(super) fn verify(&self, haystack: &[u8], window: usize, buckets: u16, found: &mut Vec<Occurrence>) {
        let rest = haystack.get(window..).unwrap_or_default();
        let here = match *rest {
            [first, second, third, fourth, ..] => [first, second, third, fourth],
            [first, second, third] => [first, second, third, 0],
            _ => return,
        };
        let here = if self.folds { here.map(|byte| byte.to_ascii_lowercase()) } else { here };
        // The nibbles of several windows combine into others, so most that get here are false alarms.
        if self.fingerprints.has_window(here) {
            self.confirm(haystack, window, here, buckets, found);
        }
    }

    #[inline(never)]
    fn confirm(&self, haystack: &[u8], window: usize, here: [u8; WINDOW], buckets: u16, found: &mut Vec<Occurrence>) {
        let set = (0..16).filter(|bucket| buckets >> bucket & 1 == 1);
        let known =
            set.flat_map(|bucket: usize| &self.fingerprints.buckets[bucket]).filter(|known| known.window.is(here));
        for &KnownLiteral { literal, offset, .. } in known {
            let text = &self.texts[literal];
            let is = |part: &[u8]| if self.folds { part.eq_ignore_ascii_case(text) } else { part == text };
            if let Some(start) = window.checked_sub(offset)
                && haystack.get(start..start + text.len()).is_some_and(is)
            {
                found.push((start, literal));
            }
        }
    }
}

/// The tables of the vectorised search.
#[derive(Debug)]
pub(super) struct Fingerprints {
    /// For each eight buckets.
    pub(super) tables: Vec<Nibbles>,
    /// The same for whole bytes.
    #[cfg(target_arch = "x86_64")]
    pub(super) places: Vec<Places>,
    /// The literals of each bucket.
    buckets: Vec<Vec<KnownLiteral>>,
    /// A bit for the hash of each window.
    windows: Box<[u64; HASHES / 64]>,
}

/// For each byte of a window and each value of its low (high) nibble: the buckets that have it there, a bit each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nibbles {
    pub(super) low: [[u8; 16]; WINDOW],
    pub(super) high: [[u8; 16]; WINDOW],
}

/// For each byte of a window and each value of its lower seven bits: the buckets that have it there, a bit each.
#[cfg(target_arch = "x86_64")]
pub(super) type Places = [[u8; 128]; WINDOW];

/// The number of hashes of windows.
pub(super) const HASHES: usize = 1 << 16;

pub(super) const fn hash(window: [u8; WINDOW]) -> usize {
    u32::from_le_bytes(window).wrapping_mul(2_654_435_761) as usize >> 16
}

/// The bytes that represent a literal.
#[derive(Debug, Clone, Copy)]
enum Window {
    Whole([u8; WINDOW]),
    /// Followed by any byte.
    Short([u8; MIN_LITERAL]),
}

impl Window {
    /// The rarest of a literal, and where it starts.
    fn rarest_of(text: &[u8]) -> (usize, Self) {
        let windows = text.array_windows::<WINDOW>().enumerate();
        match windows.min_by_key(|(_, window)| commonness_of(&window[..])) {
            Some((offset, window)) => (offset, Self::Whole(*window)),
            None => (0, Self::Short(*text.first_chunk().expect("a literal has three bytes"))),
        }
    }

    fn is(self, here: [u8; WINDOW]) -> bool {
        match self {
            Self::Whole(window) => window == here,
            Self::Short(window) => here.starts_with(&window),
        }
    }

    /// The bytes at each place; none for any.
    fn bytes(self) -> [Option<u8>; WINDOW] {
        match self {
            Self::Whole(window) => window.map(Some),
            Self::Short([first, second, third]) => [Some(first), Some(second), Some(third), None],
        }
    }

    fn commonness(self) -> u64 {
        match self {
            Self::Whole(window) => commonness_of(&window),
            Self::Short(window) => commonness_of(&window) * u64::from(ALL),
        }
    }

    /// All that it may be in a text.
    fn variants(self) -> impl Iterator<Item = [u8; WINDOW]> {
        let [first, second, third, fourth] = self.bytes();
        let last = fourth.map_or(0..=u8::MAX, |fourth| fourth..=fourth);
        let start = [first, second, third].map(Option::unwrap_or_default);
        last.map(move |last| [start[0], start[1], start[2], last])
    }
}

/// A literal in a bucket.
#[derive(Debug)]
struct KnownLiteral {
    window: Window,
    literal: usize,
    /// Where in the literal the window starts.
    offset: usize,
}

impl Fingerprints {
    fn new(texts: &[Vec<u8>], folds: bool) -> Self {
        let known = texts.iter().enumerate().map(|(literal, text)| {
            let (offset, window) = Window::rarest_of(text);
            (KnownLiteral { window, literal, offset }, Bucket::from_window(window, folds))
        });
        let mut known: Vec<(KnownLiteral, Bucket)> = known.collect();
        // The common ones first, so that each starts a bucket, and the rare ones join where they cost least.
        known.sort_by_key(|(known, _)| Reverse(known.window.commonness()));
        let count = if texts.len() > MAX_FOR_EIGHT { 16 } else { 8 };
        let mut buckets: Vec<Vec<(KnownLiteral, Bucket)>> = (0..count).map(|_| Vec::new()).collect();
        let (mut sets, mut chances) = (vec![Bucket::default(); count], vec![0.0; count]);
        let add = |sets: &mut [Bucket], chances: &mut [f64], own: Bucket| {
            let best = cheapest(sets, chances, own);
            sets[best] = sets[best].with(own);
            chances[best] = sets[best].chance();
            best
        };
        for (known, own) in known {
            let best = add(&mut sets, &mut chances, own);
            buckets[best].push((known, own));
        }
        // The early ones were placed before it was known what would join them.
        for _ in 0..IMPROVEMENTS {
            for from in 0..count {
                for index in (0..buckets[from].len()).rev() {
                    let (known, own) = buckets[from].swap_remove(index);
                    sets[from] = buckets[from].iter().fold(Bucket::default(), |set, (_, own)| set.with(*own));
                    chances[from] = sets[from].chance();
                    let best = add(&mut sets, &mut chances, own);
                    buckets[best].push((known, own));
                }
            }
        }
        let strip = |bucket: Vec<(KnownLiteral, Bucket)>| bucket.into_iter().map(|(known, _)| known).collect();
        let buckets: Vec<Vec<KnownLiteral>> = buckets.into_iter().map(strip).collect();
        let mut bits = Box::new([0; HASHES / 64]);
        for window in buckets.iter().flatten().flat_map(|known| known.window.variants()) {
            bits[hash(window) / 64] |= 1 << (hash(window) % 64);
        }
        let mut tables = vec![Nibbles::default(); count / 8];
        for (bucket, set) in sets.iter().enumerate() {
            let table = &mut tables[bucket / 8];
            for (place, nibble) in (0..WINDOW).flat_map(|place| (0..16).map(move |nibble| (place, nibble))) {
                table.low[place][nibble] |= u8::from(set.low[place] >> nibble & 1 == 1) << (bucket % 8);
                table.high[place][nibble] |= u8::from(set.high[place] >> nibble & 1 == 1) << (bucket % 8);
            }
        }
        Self {
            tables,
            #[cfg(target_arch = "x86_64")]
            places: places_of(&buckets, folds),
            buckets,
            windows: bits,
        }
    }

    #[inline]
    fn has_window(&self, window: [u8; WINDOW]) -> bool {
        self.windows[hash(window) / 64] >> (hash(window) % 64) & 1 == 1
    }
}

/// The tables of whole bytes for each eight buckets.
#[cfg(target_arch = "x86_64")]
fn places_of(buckets: &[Vec<KnownLiteral>], folds: bool) -> Vec<Places> {
    let mut places = vec![[[0; 128]; WINDOW]; buckets.len() / 8];
    for (bucket, known) in buckets.iter().enumerate().flat_map(|(n, all)| all.iter().map(move |known| (n, known))) {
        for (place, byte) in known.window.bytes().into_iter().enumerate() {
            let set = &mut places[bucket / 8][place];
            let mut add = |byte: u8| set[usize::from(byte & 127)] |= 1 << (bucket % 8);
            match byte {
                None => (0..128).for_each(add),
                Some(byte) if folds => [byte, byte.to_ascii_uppercase()].into_iter().for_each(add),
                Some(byte) => add(byte),
            }
        }
    }
    places
}

/// How many times all literals may move to a cheaper bucket.
const IMPROVEMENTS: usize = 2;

/// The bucket in which a window with these nibbles costs least.
fn cheapest(sets: &[Bucket], chances: &[f64], own: Bucket) -> usize {
    let costs = sets.iter().zip(chances).map(|(set, chance)| set.with(own).chance() - chance);
    costs.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(bucket, _)| bucket)
}

/// The nibbles that occur in a bucket at each place of a window, one bit each.
#[derive(Clone, Copy, Default)]
struct Bucket {
    low: [u16; WINDOW],
    high: [u16; WINDOW],
}

impl Bucket {
    /// The nibbles of a window; if it `folds`, it is in small letters, and those of capitals count, too.
    fn from_window(window: Window, folds: bool) -> Self {
        let mut own = Self::default();
        for (place, byte) in window.bytes().into_iter().enumerate() {
            let Some(byte) = byte else {
                (own.low[place], own.high[place]) = (!0, !0);
                continue;
            };
            let cases = if folds { [byte, byte.to_ascii_uppercase()] } else { [byte; 2] };
            for byte in cases {
                own.low[place] |= 1 << (byte & 15);
                own.high[place] |= 1 << (byte >> 4);
            }
        }
        own
    }

    #[inline]
    fn with(mut self, other: Self) -> Self {
        for place in 0..WINDOW {
            self.low[place] |= other.low[place];
            self.high[place] |= other.high[place];
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

/// How often a window of these bytes occurs, as a relative figure.
pub fn commonness_of(window: &[u8]) -> u64 {
    /// How much more often fragments of words occur than their bytes let expect, at least.
    const OF_FRAGMENTS: u64 = 100;
    let product: u64 = window.iter().map(|&byte| u64::from(commonness(byte))).product();
    if is_fragment(window) { product.saturating_mul(OF_FRAGMENTS) } else { product }
}

/// How many of [`ALL`] bytes of text and code are this one.
const fn commonness(byte: u8) -> u32 {
    if byte.is_ascii() { ASCII[byte as usize] as u32 } else { 1 }
}

const ALL: u32 = 10_000;

/// Measured over twelve public source trees, and never 0. A row holds 16 bytes.
#[rustfmt::skip]
const ASCII: [u16; 128] = [
    1, 1, 1, 1, 1, 1, 1, 1, 1, 51, 222, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    2225, 4, 169, 15, 6, 4, 7, 21, 48, 48, 24, 4, 66, 88, 173, 85,
    43, 39, 34, 21, 18, 18, 16, 13, 15, 13, 98, 18, 28, 38, 31, 3,
    9, 39, 14, 40, 22, 35, 16, 10, 10, 36, 5, 6, 25, 21, 27, 24,
    32, 4, 34, 50, 43, 13, 16, 9, 4, 6, 3, 9, 11, 9, 1, 26,
    23, 402, 75, 227, 185, 707, 108, 121, 135, 389, 14, 39, 239, 142, 367, 404,
    195, 17, 393, 364, 509, 176, 66, 52, 37, 77, 8, 49, 16, 49, 1, 1,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn both_searches_agree(
            folds: bool,
            texts in prop::collection::btree_set("[abA\\x00\u{ad}\u{200b}]{3,7}", 1..250),
            haystack in "[abA\\x00\u{ad}\u{200b}]{0,400}",
            pieces in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let texts: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            let mut haystack = haystack.into_bytes();
            pieces.iter().for_each(|piece| haystack.extend_from_slice(&texts[piece.index(texts.len())]));
            let literals = if folds { Literals::in_any_case(texts) } else { Literals::new(texts) };
            let (mut fast, mut slow) = (vec![], vec![]);
            literals.find(&haystack, &mut fast);
            literals.find_scalar(&haystack, &mut slow);
            prop_assert_eq!(&fast, &slow);
            #[cfg(target_arch = "x86_64")]
            for search in [Literals::find_with_avx512, Literals::find_with_avx2] {
                let mut found = vec![];
                if search(&literals, &haystack, &mut found) {
                    found.sort_unstable();
                    prop_assert_eq!(&found, &slow);
                }
            }
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
