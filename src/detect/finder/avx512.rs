//! The searches, 64 bytes at a time, with AVX-512 (`unsafe` code).
//!
//! The same as in `avx2.rs`, but with tables of 128 entries: a byte is looked up as it is, and not by its halves. So few
//! positions are false alarms, and these cost most of the time. Runs of both kinds are found in one pass.
//!
//! Measured gain over AVX2 on source text: `benches/README.md`.

#![allow(unsafe_code)]

use super::literals::{Bytes, Literals, Occurrence, Placed, SPAN, STEP, last_steps, padded};
use super::placement::WINDOW;
use super::runs::Runs;
use crate::rule::MIN_RUN;
use crate::text::alphabet::{SECRET_LEN, is_base64, is_word};
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutex2var_epi8,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_storeu_si512, _mm512_test_epi8_mask,
};
use std::ops::Range;

/// Proof that the processor has what is needed: only [`Finder::detect`] can create one.
#[derive(Clone, Copy)]
pub(super) struct Finder(());

#[allow(clippy::unused_self, reason = "`self` is the proof")]
impl Finder {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("lzcnt");
        has_all.then_some(Self(()))
    }

    /// Like [`super::runs`].
    pub(super) fn runs(self, haystack: &[u8], base64: &mut Vec<Range<usize>>, word: impl FnMut(Range<usize>)) {
        // SAFETY: a `Finder` exists only where these instructions were detected.
        unsafe { runs(haystack, base64, word) }
    }

    /// Like [`Literals::find`], but unordered.
    pub(super) fn literals(self, literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
        // SAFETY: a `Finder` exists only where these instructions were detected.
        unsafe { find_literals(literals, haystack, found) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
fn load(bytes: &[u8; STEP]) -> __m512i {
    // SAFETY: the reference guarantees 64 readable bytes, and the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
fn store(vector: __m512i) -> [u8; STEP] {
    let mut bytes = [0; STEP];
    // SAFETY: the array has 64 writable bytes, and the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
    bytes
}

/// The step at `offset` of a longer slice; offsets are constants within it, so this costs nothing.
#[inline]
fn step_at(bytes: &[u8], offset: usize) -> &[u8; STEP] {
    bytes[offset..].first_chunk().expect("the slice is longer than offset + 64")
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
fn runs(haystack: &[u8], base64: &mut Vec<Range<usize>>, mut word: impl FnMut(Range<usize>)) {
    let classes = Classes::new();
    let mut base64 = |run| base64.push(run);
    let (mut base64_runs, mut word_runs) = (Runs::<SECRET_LEN>::default(), Runs::<MIN_RUN>::default());
    let (steps, rest) = haystack.as_chunks();
    for (number, bytes) in steps.iter().chain(&[padded(rest)]).enumerate() {
        let (in_base64, in_word) = classes.of(bytes);
        base64_runs.step(number * STEP, in_base64, &mut base64);
        word_runs.step(number * STEP, in_word, &mut word);
    }
}

/// The classes of each ASCII character, a bit each, in two halves.
struct Classes([__m512i; 2]);

impl Classes {
    const BASE64: u8 = 1;
    const WORD: u8 = 2;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
    fn new() -> Self {
        let class = |byte| (u8::from(is_base64(byte)) * Self::BASE64) | (u8::from(is_word(byte)) * Self::WORD);
        let half = |first: u8| load(&std::array::from_fn(|n| class(first + n as u8)));
        Self([half(0), half(64)])
    }

    /// The bytes that are base64, and those of words, a bit each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
    fn of(&self, bytes: &[u8; STEP]) -> (u64, u64) {
        let Self([low, high]) = *self;
        let bytes = load(bytes);
        let classes = _mm512_permutex2var_epi8(low, bytes, high);
        let ascii = !_mm512_movepi8_mask(bytes);
        let is = |class: u8| ascii & _mm512_test_epi8_mask(classes, _mm512_set1_epi8(class.cast_signed()));
        (is(Self::BASE64), is(Self::WORD))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
fn find_literals(literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
    let placed = literals.by_bytes();
    match placed.tables.as_slice() {
        [table] => find_in_buckets::<1>(literals, placed, [table], haystack, found),
        [first, second] => find_in_buckets::<2>(literals, placed, [first, second], haystack, found),
        _ => unreachable!("there are eight or sixteen buckets"),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
fn find_in_buckets<const TABLES: usize>(
    literals: &Literals,
    placed: &Placed<Bytes>,
    tables: [&Bytes; TABLES],
    haystack: &[u8],
    found: &mut Vec<Occurrence>,
) {
    let buckets = Buckets::new(tables);
    let mut verify = |window, buckets| literals.verify(placed, haystack, window, buckets, found);
    let mut at = 0;
    loop {
        match buckets.next(haystack, at) {
            Ok((place, hits)) => {
                hits.each(place, &mut verify);
                at = place + STEP;
            }
            Err(place) => {
                at = place;
                break;
            }
        }
    }
    for (at, span) in last_steps(haystack, at) {
        if let Some(hits) = hits(buckets.look_up(&span)) {
            hits.each(at, &mut verify);
        }
    }
}

/// The places in a step where literals may start, a bit each, and the buckets of each place.
struct Hits<const TABLES: usize> {
    places: u64,
    buckets: [[u8; STEP]; TABLES],
}

impl<const TABLES: usize> Hits<TABLES> {
    /// Calls `verify` with each place in a step at `at`, and its buckets.
    #[inline]
    fn each(&self, at: usize, verify: &mut impl FnMut(usize, u16)) {
        let mut places = self.places;
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            let tables = self.buckets.iter().rev().map(|buckets| u16::from(buckets[place]));
            verify(at + place, tables.fold(0, |above, buckets| above << 8 | buckets));
        }
    }
}

/// The buckets of each place in a step, unless there are none at all.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
fn hits<const TABLES: usize>(buckets: [__m512i; TABLES]) -> Option<Hits<TABLES>> {
    let any = buckets.into_iter().fold(_mm512_setzero_si512(), |all, buckets| _mm512_or_si512(all, buckets));
    let places = _mm512_test_epi8_mask(any, any);
    (places != 0).then(|| Hits { places, buckets: std::array::from_fn(|table| store(buckets[table])) })
}

/// The tables of [`Placed`] in registers, in two halves.
struct Buckets<const TABLES: usize>([[[__m512i; 2]; WINDOW]; TABLES]);

impl<const TABLES: usize> Buckets<TABLES> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
    fn new(bytes: [&Bytes; TABLES]) -> Self {
        let mut tables = [[[_mm512_setzero_si512(); 2]; WINDOW]; TABLES];
        for (table, place) in (0..TABLES).flat_map(|table| (0..WINDOW).map(move |place| (table, place))) {
            let bytes = &bytes[table].0[place];
            tables[table][place] = [load(step_at(bytes, 0)), load(step_at(bytes, STEP))];
        }
        Self(tables)
    }

    /// The next step with hits, at or after `at`, and these; otherwise where less than a span is left. A function of its own,
    /// without calls, so that the tables stay in registers.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
    fn next(&self, haystack: &[u8], mut at: usize) -> Result<(usize, Hits<TABLES>), usize> {
        while let Some(span) = haystack.get(at..).and_then(<[u8]>::first_chunk) {
            if let Some(hits) = hits(self.look_up(span)) {
                return Ok((at, hits));
            }
            at += STEP;
        }
        Err(at)
    }

    /// The buckets of each place at which a step's windows start.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,lzcnt")]
    fn look_up(&self, span: &[u8; SPAN]) -> [__m512i; TABLES] {
        let mut buckets = [_mm512_set1_epi8(-1); TABLES];
        for place in 0..WINDOW {
            let bytes = load(step_at(span, place));
            for (table, buckets) in buckets.iter_mut().enumerate() {
                let [low, high] = self.0[table][place];
                // The index is the lower seven bits of a byte: others than ASCII are taken for one of it, and verified.
                *buckets = _mm512_and_si512(*buckets, _mm512_permutex2var_epi8(low, bytes, high));
            }
        }
        buckets
    }
}
