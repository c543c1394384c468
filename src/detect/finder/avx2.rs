//! The searches, 32 bytes at a time, with AVX2 intrinsics (`unsafe` code).
//!
//! Measured gain over the scalar twin on source text: `benches/README.md`.

#![allow(unsafe_code)]

use super::literals::{Literals, Nibbles, Occurrence, Placed, SPAN, STEP, in_steps, padded};
use super::placement::WINDOW;
use super::runs::Runs;
use super::{MIN_RUN, SECRET_LEN, scalar};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_testz_si256,
};
use std::ops::Range;

/// Proof that the processor has AVX2: only [`Finder::detect`] can create one.
#[derive(Clone, Copy)]
pub(super) struct Finder(());

#[allow(clippy::unused_self, reason = "`self` is the proof")]
impl Finder {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Like [`super::base64_runs`].
    pub(super) fn base64_runs(self, haystack: &[u8], found: &mut Vec<Range<usize>>) {
        // SAFETY: a `Finder` exists only where AVX2 was detected.
        unsafe { base64_runs(haystack, found) }
    }

    /// Like [`super::word_runs`].
    pub(super) fn word_runs(self, haystack: &[u8], found: impl FnMut(Range<usize>)) {
        // SAFETY: a `Finder` exists only where AVX2 was detected.
        unsafe { word_runs(haystack, found) }
    }

    /// Like [`Literals::find`], but unordered.
    pub(super) fn literals(self, literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
        // SAFETY: a `Finder` exists only where AVX2 was detected.
        unsafe { find_literals(literals, haystack, found) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference guarantees 32 readable bytes, and the instruction needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference guarantees 16 readable bytes, and the instruction needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The `N` bytes at `offset` of `window`; offsets are constants within the window, so this costs nothing.
#[inline]
fn chunk<const N: usize>(window: &[u8], offset: usize) -> &[u8; N] {
    window[offset..].first_chunk().expect("the window is longer than offset + N")
}

/// Any run of 40 covers one of the 16-byte probes that start 25 bytes apart (16 + 25 - 1 = 40), so only 16 bytes in 25
/// are examined, and the edges of a run only where a probe lies wholly inside one.
#[target_feature(enable = "avx2")]
fn base64_runs(haystack: &[u8], found: &mut Vec<Range<usize>>) {
    const PROBE: usize = 16;
    const STRIDE: usize = SECRET_LEN - PROBE + 1;
    const STEP: usize = 4 * STRIDE;
    // The last window may overlap the one before.
    let Some(last) = haystack.len().checked_sub(STEP) else { return scalar::base64_runs(haystack, found) };
    let class = Base64Class::new();
    let mut at = 0;
    // Every run that starts before `judged` has been examined, and no run crosses it.
    let mut judged = 0;
    loop {
        let window: &[u8; STEP] = chunk(haystack, at);
        let probes = |first| {
            let pair = _mm256_set_m128i(load_half(chunk(window, first + STRIDE)), load_half(chunk(window, first)));
            class.outside(pair)
        };
        let (low, high) = (probes(0), probes(2 * STRIDE));
        let is_inside = |probe: u32| u32::from(probe == 0);
        let mut hits = is_inside(low & 0xffff)
            | is_inside(low >> 16) << 1
            | is_inside(high & 0xffff) << 2
            | is_inside(high >> 16) << 3;
        while hits != 0 {
            let probe = at + hits.trailing_zeros() as usize * STRIDE;
            hits &= hits - 1;
            if probe >= judged {
                let start = class.run_start(haystack, probe, judged);
                judged = class.run_end(haystack, probe + PROBE);
                if judged - start >= SECRET_LEN {
                    found.push(start..judged);
                }
            }
        }
        if at == last {
            return;
        }
        at = last.min(at + STEP);
    }
}

#[target_feature(enable = "avx2")]
fn word_runs(haystack: &[u8], mut found: impl FnMut(Range<usize>)) {
    let class = WordClass::new();
    let mut runs = Runs::<MIN_RUN>::default();
    let (steps, rest) = haystack.as_chunks::<STEP>();
    for (number, bytes) in steps.iter().chain(&[padded(rest)]).enumerate() {
        runs.step(number * STEP, class.inside(bytes), &mut found);
    }
}

/// See [`super::literals`].
#[target_feature(enable = "avx2")]
fn find_literals(literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
    let placed = literals.by_nibbles();
    match placed.tables.as_slice() {
        [tables] => find_in_buckets::<1>(literals, placed, &[*tables], haystack, found),
        [first, second] => find_in_buckets::<2>(literals, placed, &[*first, *second], haystack, found),
        _ => unreachable!("there are eight or sixteen buckets"),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn find_in_buckets<const TABLES: usize>(
    literals: &Literals,
    placed: &Placed<Nibbles>,
    tables: &[Nibbles; TABLES],
    haystack: &[u8],
    found: &mut Vec<Occurrence>,
) {
    let buckets = Buckets::new(tables);
    let mut verify = |window, buckets| literals.verify(placed, haystack, window, buckets, found);
    in_steps(haystack, |at, span| buckets.search(at, span, &mut verify));
}

/// The tables of [`Placed`] in registers.
struct Buckets<const TABLES: usize> {
    low: [[__m256i; WINDOW]; TABLES],
    high: [[__m256i; WINDOW]; TABLES],
}

impl<const TABLES: usize> Buckets<TABLES> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(nibbles: &[Nibbles; TABLES]) -> Self {
        let zero = _mm256_setzero_si256();
        let mut tables = Self { low: [[zero; WINDOW]; TABLES], high: [[zero; WINDOW]; TABLES] };
        for (table, place) in (0..TABLES).flat_map(|table| (0..WINDOW).map(move |place| (table, place))) {
            tables.low[table][place] = _mm256_broadcastsi128_si256(load_half(&nibbles[table].low[place]));
            tables.high[table][place] = _mm256_broadcastsi128_si256(load_half(&nibbles[table].high[place]));
        }
        tables
    }

    /// The buckets of which a window may start at each of the 32 positions from `offset` on, by tables.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(&self, span: &[u8; SPAN], offset: usize) -> [__m256i; TABLES] {
        let mut buckets = [_mm256_set1_epi8(-1); TABLES];
        for place in 0..WINDOW {
            let bytes = load(chunk(span, offset + place));
            let high_nibbles = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
            // A shuffle index with its top bit set gives 0, and some literals are not ASCII.
            let low_nibbles = _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f));
            for (table, buckets) in buckets.iter_mut().enumerate() {
                let low = _mm256_shuffle_epi8(self.low[table][place], low_nibbles);
                let high = _mm256_shuffle_epi8(self.high[table][place], high_nibbles);
                *buckets = _mm256_and_si256(*buckets, _mm256_and_si256(low, high));
            }
        }
        buckets
    }

    /// Calls `verify` with each place within a step of `at`, where `span` begins, and the buckets of which a window may
    /// start there.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn search(&self, at: usize, span: &[u8; SPAN], verify: &mut impl FnMut(usize, u16)) {
        let (first, second) = (self.of(span, 0), self.of(span, 32));
        let any_of = |tables: [__m256i; TABLES]| {
            tables.into_iter().fold(_mm256_setzero_si256(), |all, buckets| _mm256_or_si256(all, buckets))
        };
        let (any_first, any_second) = (any_of(first), any_of(second));
        let any = _mm256_or_si256(any_first, any_second);
        if _mm256_testz_si256(any, any) == 1 {
            return;
        }
        let mut hits = u64::from(non_zero(any_first)) | u64::from(non_zero(any_second)) << 32;
        let bytes: [[[u8; 32]; 2]; TABLES] = std::array::from_fn(|table| [store(first[table]), store(second[table])]);
        while hits != 0 {
            let place = hits.trailing_zeros() as usize;
            hits &= hits - 1;
            let tables = bytes.iter().rev().map(|bytes| u16::from(bytes.as_flattened()[place]));
            verify(at + place, tables.fold(0, |above, buckets| above << 8 | buckets));
        }
    }
}

/// Bit `n` is set where byte `n` is not zero.
#[inline]
#[target_feature(enable = "avx2")]
fn non_zero(vector: __m256i) -> u32 {
    !_mm256_movemask_epi8(_mm256_cmpeq_epi8(vector, _mm256_setzero_si256())).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(vector: __m256i) -> [u8; 32] {
    let mut bytes = [0; 32];
    // SAFETY: the array has 32 writable bytes, and the instruction needs no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
    bytes
}

/// Nibble tables that distinguish the 64 base64 characters from all others with two shuffles.
///
/// A byte is in the class if its high nibble's row (a bit) is set in its low nibble's entry.
struct Base64Class {
    low: __m256i,
    high: __m256i,
}

impl Base64Class {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        // Rows: bit 0 for 0x2_, which has + and /; bit 1 for 0x3_ (digits); bit 2 for 0x4_ and 0x6_; bit 3 for 0x5_ and
        // 0x7_.
        const HIGH: [u8; 16] = [0, 0, 1, 2, 4, 8, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        const LOW: [u8; 16] = {
            let mut table = [0; 16];
            let mut i = 0;
            while i < 16 {
                let in_2x = (i == 0xb || i == 0xf) as u8;
                let in_3x = (i <= 9) as u8;
                let in_4x_6x = (i >= 1) as u8;
                let in_5x_7x = (i <= 0xa) as u8;
                table[i] = in_2x | in_3x << 1 | in_4x_6x << 2 | in_5x_7x << 3;
                i += 1;
            }
            table
        };
        Self { low: _mm256_broadcastsi128_si256(load_half(&LOW)), high: _mm256_broadcastsi128_si256(load_half(&HIGH)) }
    }

    /// Bit `n` is set where byte `n` is not base64.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn outside(&self, bytes: __m256i) -> u32 {
        let high_nibbles = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
        // A shuffle index with its top bit set gives 0: bytes of 0x80 and above fall out of the class here.
        let common =
            _mm256_and_si256(_mm256_shuffle_epi8(self.low, bytes), _mm256_shuffle_epi8(self.high, high_nibbles));
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(common, _mm256_setzero_si256())).cast_unsigned()
    }

    /// As [`scalar::run_start`].
    #[inline]
    #[target_feature(enable = "avx2")]
    fn run_start(&self, haystack: &[u8], from: usize, floor: usize) -> usize {
        // No probe is missed, so a run starts less than a stride before the first probe that lies in it.
        let Some(bytes) = from.checked_sub(32).and_then(|start| haystack[start..].first_chunk::<32>()) else {
            return scalar::run_start(haystack, from, floor);
        };
        match self.outside(load(bytes)) {
            0 => scalar::run_start(haystack, from, floor),
            mask => floor.max(from - mask.leading_zeros() as usize),
        }
    }

    /// As [`scalar::run_end`].
    #[inline]
    #[target_feature(enable = "avx2")]
    fn run_end(&self, haystack: &[u8], mut from: usize) -> usize {
        while let Some(bytes) = haystack[from..].first_chunk::<32>() {
            match self.outside(load(bytes)) {
                0 => from += 32,
                mask => return from + mask.trailing_zeros() as usize,
            }
        }
        scalar::run_end(haystack, from)
    }
}

/// As [`Base64Class`], for letters, digits, `_` and `-`.
struct WordClass {
    low: __m256i,
    high: __m256i,
}

impl WordClass {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        // Rows: bit 0 for 0x2_, which has -; bit 1 for 0x3_ (digits); bit 2 for 0x4_ and 0x6_; bit 3 for 0x5_, which has _;
        // bit 4 for 0x7_.
        const HIGH: [u8; 16] = [0, 0, 1, 2, 4, 8, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0];
        const LOW: [u8; 16] = {
            let mut table = [0; 16];
            let mut i = 0;
            while i < 16 {
                let in_2x = (i == 0xd) as u8;
                let in_3x = (i <= 9) as u8;
                let in_4x_6x = (i >= 1) as u8;
                let in_5x = (i <= 0xa || i == 0xf) as u8;
                let in_7x = (i <= 0xa) as u8;
                table[i] = in_2x | in_3x << 1 | in_4x_6x << 2 | in_5x << 3 | in_7x << 4;
                i += 1;
            }
            table
        };
        Self { low: _mm256_broadcastsi128_si256(load_half(&LOW)), high: _mm256_broadcastsi128_si256(load_half(&HIGH)) }
    }

    /// Bit `n` is set where byte `n` is of a word.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn inside(&self, bytes: &[u8; 64]) -> u64 {
        let half = |bytes: &[u8; 32]| {
            let bytes = load(bytes);
            let high_nibbles = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
            // A shuffle index with its top bit set gives 0.
            non_zero(_mm256_and_si256(
                _mm256_shuffle_epi8(self.low, bytes),
                _mm256_shuffle_epi8(self.high, high_nibbles),
            ))
        };
        u64::from(half(chunk(bytes, 0))) | u64::from(half(chunk(bytes, 32))) << 32
    }
}
