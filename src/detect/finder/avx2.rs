//! The finders 32 bytes at a time. The only module of the crate with `unsafe` code.
//!
//! Measured gain over the scalar twin on source text: `benches/README.md`.

#![allow(unsafe_code)]

use super::{SECRET_LEN, scalar, starts_with_id};
use std::arch::x86_64::*;
use std::ops::Range;

/// Proof that the processor has AVX2: there is no other way to make one than [`Finder::detect`].
#[derive(Clone, Copy)]
pub(super) struct Finder(());

impl Finder {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn key_ids(self, haystack: &[u8], found: &mut Vec<usize>) {
        // SAFETY: a `Finder` exists only where AVX2 was detected.
        unsafe { key_ids(haystack, found) }
    }

    pub(super) fn base64_runs(self, haystack: &[u8], found: &mut Vec<Range<usize>>) {
        // SAFETY: a `Finder` exists only where AVX2 was detected.
        unsafe { base64_runs(haystack, found) }
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

/// Every prefix starts with `A` and has another three bytes on, a pair that is rare in text.
#[target_feature(enable = "avx2")]
fn key_ids(haystack: &[u8], found: &mut Vec<usize>) {
    const STEP: usize = 64;
    let a = _mm256_set1_epi8(b'A' as i8);
    let mut at = 0;
    while let Some(window) = haystack.get(at..at + STEP + 3) {
        let window: &[u8; STEP + 3] = chunk(window, 0);
        let pair = |offset| {
            _mm256_and_si256(
                _mm256_cmpeq_epi8(load(chunk(window, offset)), a),
                _mm256_cmpeq_epi8(load(chunk(window, offset + 3)), a),
            )
        };
        let (low, high) = (pair(0), pair(32));
        let any = _mm256_or_si256(low, high);
        if _mm256_testz_si256(any, any) == 0 {
            let low = u64::from(_mm256_movemask_epi8(low).cast_unsigned());
            let high = u64::from(_mm256_movemask_epi8(high).cast_unsigned());
            let mut mask = low | high << 32;
            while mask != 0 {
                let i = at + mask.trailing_zeros() as usize;
                if starts_with_id(&haystack[i..]) {
                    found.push(i);
                }
                mask &= mask - 1;
            }
        }
        at += STEP;
    }
    scalar::key_ids_from(haystack, at, found);
}

/// Any run of 40 covers one of the 16-byte probes that start 25 bytes apart (16 + 25 - 1 = 40), so only 16 bytes in
/// 25 are looked at, and the edges of a run only where a probe lies wholly inside one.
#[target_feature(enable = "avx2")]
fn base64_runs(haystack: &[u8], found: &mut Vec<Range<usize>>) {
    const PROBE: usize = 16;
    const STRIDE: usize = SECRET_LEN - PROBE + 1;
    const STEP: usize = 4 * STRIDE;
    let class = Base64Class::new();
    let mut at = 0;
    // Every run that starts before `judged` has been looked at, and no run crosses it.
    let mut judged = 0;
    while let Some(window) = haystack.get(at..at + STEP) {
        let window: &[u8; STEP] = chunk(window, 0);
        let probes = |offset| {
            class.outside(_mm256_set_m128i(load_half(chunk(window, offset + STRIDE)), load_half(chunk(window, offset))))
        };
        let masks = [probes(0), probes(2 * STRIDE)];
        let hits = masks.map(|mask| [mask & 0xffff == 0, mask >> 16 == 0]);
        if hits != [[false; 2]; 2] {
            for (n, _) in hits.as_flattened().iter().enumerate().filter(|(_, hit)| **hit) {
                let probe = at + n * STRIDE;
                if probe < judged {
                    continue;
                }
                let start = scalar::run_start(haystack, probe, judged);
                let end = class.run_end(haystack, probe + PROBE);
                if end - start >= SECRET_LEN {
                    found.push(start..end);
                }
                judged = end;
            }
        }
        at += STEP;
    }
    // A run that started in the last window and missed its probes still lies after `judged`.
    let tail = scalar::run_start(haystack, at.max(judged), judged);
    scalar::base64_runs_from(haystack, tail, found);
}

/// Nibble tables that tell the 64 base64 characters from all others with two shuffles.
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
        // Rows: bit 0 for 0x2_, which holds + and /; bit 1 for 0x3_ (digits); bit 2 for 0x4_ and 0x6_; bit 3 for 0x5_ and 0x7_.
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

    /// As [`scalar::run_end`].
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
