//! Searches for several dozen short literals at once.
//!
//! On AVX2 and NEON this is the algorithm called Teddy (from Hyperscan): each literal is represented by four of its
//! bytes, the literals are put into eight buckets (sixteen, if there are many), and for each position two table look-ups
//! per byte, or one with AVX-512, show in which buckets a literal may occur there. Unlike the one in `aho-corasick`, which is used elsewhere and
//! is the specification, it takes the four rarest bytes of a literal rather than its first, and any number of literals.
//! For benchmarks with the same literals, see `benches/README.md`.

use super::placement::{self, Effort, HASHES, LookUp, MIN_LITERAL, Placement, WINDOW, buckets_for, hash};
use aho_corasick::{AhoCorasick, MatchKind};
use std::sync::OnceLock;

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
        (at, padded(&rest[..rest.len().min(SPAN)]))
    })
}

/// `bytes`, of which there are at most `N`, and zeros.
#[cfg(target_arch = "x86_64")]
pub(super) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded
}

include!(concat!(env!("OUT_DIR"), "/placements.rs"));

/// Literals to search for.
#[derive(Debug)]
pub struct Literals {
    /// In small letters, if they are found in any case.
    texts: Vec<Vec<u8>>,
    folds: bool,
    /// All that follows is built on demand, and most of it never: it depends on the processor.
    automaton: OnceLock<AhoCorasick>,
    by_nibbles: OnceLock<Placed<Nibbles>>,
    #[cfg(target_arch = "x86_64")]
    by_bytes: OnceLock<Placed<Bytes>>,
}

/// An occurrence: the offset of its first byte, and the index of the literal.
pub type Occurrence = (usize, usize);

impl Literals {
    /// Prepares a search; the literals are of at least [`MIN_LITERAL`] bytes.
    pub fn new(texts: Vec<Vec<u8>>) -> Self {
        Self {
            texts,
            folds: false,
            automaton: OnceLock::new(),
            by_nibbles: OnceLock::new(),
            #[cfg(target_arch = "x86_64")]
            by_bytes: OnceLock::new(),
        }
    }

    /// The same for literals in any case of their ASCII letters.
    pub fn in_any_case(texts: Vec<Vec<u8>>) -> Self {
        Self { folds: true, ..Self::new(texts.into_iter().map(|text| text.to_ascii_lowercase()).collect()) }
    }

    /// True if `build.rs` placed all of them.
    #[cfg(test)]
    pub fn are_placed(&self) -> bool {
        let count = buckets_for(self.texts.len());
        self.texts.iter().all(|text| known(text, LookUp::Bytes, count).is_some())
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

    pub(super) fn by_nibbles(&self) -> &Placed<Nibbles> {
        self.by_nibbles.get_or_init(|| Placed::new(&self.texts, self.folds))
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn by_bytes(&self) -> &Placed<Bytes> {
        self.by_bytes.get_or_init(|| Placed::new(&self.texts, self.folds))
    }

    /// Checks a position at which the windows of some `buckets` (one bit each) may start.
    #[inline]
    pub(super) fn verify<T>(
        &self,
        placed: &Placed<T>,
        haystack: &[u8],
        window: usize,
        buckets: u16,
        found: &mut Vec<Occurrence>,
    ) {
        let rest = haystack.get(window..).unwrap_or_default();
        let here = match *rest {
            [first, second, third, fourth, ..] => [first, second, third, fourth],
            [first, second, third] => [first, second, third, 0],
            _ => return,
        };
        let here = if self.folds { here.map(|byte| byte.to_ascii_lowercase()) } else { here };
        // The bytes of several windows combine into others, so most that get here are false alarms.
        if placed.has_window(here) {
            self.confirm(placed, haystack, window, here, buckets, found);
        }
    }

    #[inline(never)]
    fn confirm<T>(
        &self,
        placed: &Placed<T>,
        haystack: &[u8],
        window: usize,
        here: [u8; WINDOW],
        buckets: u16,
        found: &mut Vec<Occurrence>,
    ) {
        let set = (0..16).filter(|bucket| buckets >> bucket & 1 == 1);
        let known = set.flat_map(|bucket: usize| &placed.buckets[bucket]).filter(|known| known.window.is(here));
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

/// Literals in buckets, and the tables in which a vectorised search looks these up.
#[derive(Debug)]
pub(super) struct Placed<T> {
    /// For each eight buckets.
    pub(super) tables: Vec<T>,
    /// The literals of each bucket.
    buckets: Vec<Vec<KnownLiteral>>,
    /// A bit for the hash of each window.
    windows: Box<[u64; HASHES / 64]>,
}

/// A table of eight buckets, a bit each.
trait Table: Clone {
    /// A table without literals.
    const EMPTY: Self;
    const LOOK_UP: LookUp;

    /// A bucket has this byte at this place of a window.
    fn add(&mut self, place: usize, byte: u8, bucket: u8);
}

/// For each byte of a window, the buckets by the values of its low and its high nibble.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nibbles {
    pub(super) low: [[u8; 16]; WINDOW],
    pub(super) high: [[u8; 16]; WINDOW],
}

impl Table for Nibbles {
    const EMPTY: Self = Self { low: [[0; 16]; WINDOW], high: [[0; 16]; WINDOW] };
    const LOOK_UP: LookUp = LookUp::Nibbles;

    fn add(&mut self, place: usize, byte: u8, bucket: u8) {
        self.low[place][usize::from(byte & 15)] |= bucket;
        self.high[place][usize::from(byte >> 4)] |= bucket;
    }
}

/// For each byte of a window, the buckets by the value of its lower seven bits.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub(super) [[u8; 128]; WINDOW]);

#[cfg(target_arch = "x86_64")]
impl Table for Bytes {
    const EMPTY: Self = Self([[0; 128]; WINDOW]);
    const LOOK_UP: LookUp = LookUp::Bytes;

    fn add(&mut self, place: usize, byte: u8, bucket: u8) {
        self.0[place][usize::from(byte & 127)] |= bucket;
    }
}

/// The bytes that represent a literal.
#[derive(Debug, Clone, Copy)]
enum Window {
    Whole([u8; WINDOW]),
    /// Followed by any byte.
    Short([u8; MIN_LITERAL]),
}

impl Window {
    fn of(text: &[u8], offset: usize) -> Self {
        match text[offset..].first_chunk() {
            Some(window) => Self::Whole(*window),
            None => Self::Short(*text.first_chunk().expect("a literal has three bytes")),
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

#[expect(private_bounds, reason = "there are two tables")]
impl<T: Table> Placed<T> {
    fn new(texts: &[Vec<u8>], folds: bool) -> Self {
        let count = buckets_for(texts.len());
        let known = |text: &[u8]| if folds { None } else { known(text, T::LOOK_UP, count) };
        let placements = placement::place(texts, folds, T::LOOK_UP, Effort::LITTLE, known);
        let mut tables = vec![T::EMPTY; count / 8];
        let mut buckets: Vec<Vec<KnownLiteral>> = (0..count).map(|_| Vec::new()).collect();
        let mut windows = Box::new([0; HASHES / 64]);
        for (literal, (text, Placement { offset, bucket })) in texts.iter().zip(placements).enumerate() {
            let window = Window::of(text, offset);
            for (place, byte) in window.bytes().into_iter().enumerate() {
                let mut add = |byte| tables[bucket / 8].add(place, byte, 1 << (bucket % 8));
                match byte {
                    None => (0..=u8::MAX).for_each(add),
                    Some(byte) if folds => [byte, byte.to_ascii_uppercase()].into_iter().for_each(add),
                    Some(byte) => add(byte),
                }
            }
            for window in window.variants() {
                windows[hash(window) / 64] |= 1 << (hash(window) % 64);
            }
            buckets[bucket].push(KnownLiteral { window, literal, offset });
        }
        Self { tables, buckets, windows }
    }
}

impl<T> Placed<T> {
    #[inline]
    fn has_window(&self, window: [u8; WINDOW]) -> bool {
        self.windows[hash(window) / 64] >> (hash(window) % 64) & 1 == 1
    }
}

/// Where `build.rs` placed a literal, if it is of the built-in rules.
fn known(text: &[u8], look_up: LookUp, buckets: usize) -> Option<Placement> {
    let all = if buckets == 8 { PLACEMENTS_OF_AWS } else { PLACEMENTS };
    let (_, by_bytes, by_nibbles) = all[all.binary_search_by_key(&text, |(known, ..)| known).ok()?];
    Some(match look_up {
        LookUp::Bytes => by_bytes,
        LookUp::Nibbles => by_nibbles,
    })
}

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
