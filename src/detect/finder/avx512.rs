//! The search for literals, 64 bytes at a time, with AVX-512 (`unsafe` code).
//!
//! The same as in `avx2.rs`, but with tables of 128 entries: a byte is looked up as it is, and not by its halves. So few
//! positions are false alarms, and these cost most of the time. The searches for runs gain nothing: they wait for memory.
//!
//! Measured gain over AVX2 on source text: `benches/README.md`.

#![allow(unsafe_code)]

use super::literals::{Literals, Occurrence, Places, SPAN, STEP, WINDOW, last_steps};
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_storeu_si512, _mm512_test_epi8_mask,
};

/// Proof that the processor has what is needed: only [`Finder::detect`] can create one.
#[derive(Clone, Copy)]
pub(super) struct Finder(());

#[allow(clippy::unused_self, reason = "`self` is the proof")]
impl Finder {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        has_all.then_some(Self(()))
    }

    /// Like [`Literals::find`], but unordered.
    pub(super) fn literals(self, literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
        // SAFETY: a `Finder` exists only where these instructions were detected.
        unsafe { find_literals(literals, haystack, found) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn load(bytes: &[u8; STEP]) -> __m512i {
    // SAFETY: the reference guarantees 64 readable bytes, and the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
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

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn find_literals(literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
    match literals.fingerprints().places.as_slice() {
        [places] => find_in_buckets::<1>(literals, &[places], haystack, found),
        [first, second] => find_in_buckets::<2>(literals, &[first, second], haystack, found),
        _ => unreachable!("there are eight or sixteen buckets"),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn find_in_buckets<const TABLES: usize>(
    literals: &Literals,
    places: &[&Places; TABLES],
    haystack: &[u8],
    found: &mut Vec<Occurrence>,
) {
    let buckets = Buckets::new(places);
    let mut at = 0;
    loop {
        match buckets.next(haystack, at) {
            Ok((place, hits)) => {
                verify(literals, haystack, place, &hits, found);
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
            verify(literals, haystack, at, &hits, found);
        }
    }
}

/// The places in a step where literals may start, a bit each, and the buckets of each place.
struct Hits<const TABLES: usize> {
    places: u64,
    buckets: [[u8; STEP]; TABLES],
}

/// Verifies what may start within a step at `at`.
#[inline]
fn verify<const TABLES: usize>(
    literals: &Literals,
    haystack: &[u8],
    at: usize,
    hits: &Hits<TABLES>,
    found: &mut Vec<Occurrence>,
) {
    let mut places = hits.places;
    while places != 0 {
        let place = places.trailing_zeros() as usize;
        places &= places - 1;
        let tables = hits.buckets.iter().rev().map(|buckets| u16::from(buckets[place]));
        literals.verify(haystack, at + place, tables.fold(0, |above, buckets| above << 8 | buckets), found);
    }
}

/// The buckets of each place in a step, unless there are none at all.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn hits<const TABLES: usize>(buckets: [__m512i; TABLES]) -> Option<Hits<TABLES>> {
    let any = buckets.into_iter().fold(_mm512_setzero_si512(), |all, buckets| _mm512_or_si512(all, buckets));
    let places = _mm512_test_epi8_mask(any, any);
    (places != 0).then(|| Hits { places, buckets: std::array::from_fn(|table| store(buckets[table])) })
}

/// The tables of [`Fingerprints`](super::literals::Fingerprints) in registers, in two halves.
struct Buckets<const TABLES: usize>([[[__m512i; 2]; WINDOW]; TABLES]);

impl<const TABLES: usize> Buckets<TABLES> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn new(places: &[&Places; TABLES]) -> Self {
        let mut tables = [[[_mm512_setzero_si512(); 2]; WINDOW]; TABLES];
        for (table, place) in (0..TABLES).flat_map(|table| (0..WINDOW).map(move |place| (table, place))) {
            let bytes = &places[table][place];
            tables[table][place] = [load(step_at(bytes, 0)), load(step_at(bytes, STEP))];
        }
        Self(tables)
    }

    /// The next step with hits, at or after `at`, and these; otherwise where less than a span is left. A function of its own,
    /// without calls, so that the tables stay in registers.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
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
