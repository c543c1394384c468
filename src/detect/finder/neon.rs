//! The search for literals on ARM, 64 bytes at a time: every 64-bit ARM processor has NEON.
//!
//! The same as in `avx2.rs`, with 16-byte registers.

#![allow(unsafe_code)]

use super::literals::{Fingerprints, Literals, Occurrence, WINDOW};
use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vdupq_n_u8, vld1q_u8, vmaxvq_u8, vorrq_u8, vqtbl1q_u8, vshrq_n_u8, vst1q_u8,
};

/// Bytes of a register.
const LANES: usize = 16;

/// Positions searched in one step, and the bytes needed for that.
const STEP: usize = 4 * LANES;
const SPAN: usize = STEP + WINDOW - 1;

/// Like [`Literals::find`], but unordered.
pub(super) fn literals(literals: &Literals, haystack: &[u8], found: &mut Vec<Occurrence>) {
    let buckets = Buckets::new(literals.fingerprints());
    let Some(last) = haystack.len().checked_sub(SPAN) else {
        let mut padded = [0; SPAN];
        padded[..haystack.len()].copy_from_slice(haystack);
        return buckets.search(literals, haystack, 0, 0, &padded, found);
    };
    let (mut at, mut from) = (0, 0);
    loop {
        let span = haystack[at..].first_chunk().expect("the last span ends with the haystack");
        buckets.search(literals, haystack, at, from, span, found);
        if at == last {
            return;
        }
        // The last span may overlap the one before.
        from = at + STEP;
        at = last.min(from);
    }
}

fn load(bytes: &[u8; LANES]) -> uint8x16_t {
    // SAFETY: the reference guarantees 16 readable bytes, and the instruction needs no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

fn store(vector: uint8x16_t) -> [u8; LANES] {
    let mut bytes = [0; LANES];
    // SAFETY: the array has 16 writable bytes, and the instruction needs no alignment.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), vector) }
    bytes
}

/// The tables of [`Fingerprints`] in registers.
struct Buckets {
    low: [uint8x16_t; WINDOW],
    high: [uint8x16_t; WINDOW],
}

impl Buckets {
    fn new(fingerprints: &Fingerprints) -> Self {
        Self { low: fingerprints.low.each_ref().map(load), high: fingerprints.high.each_ref().map(load) }
    }

    /// The buckets of which a window may start at each of the 16 positions from `offset` on.
    #[inline]
    fn of(&self, span: &[u8; SPAN], offset: usize) -> uint8x16_t {
        // SAFETY: these only compute on registers, and every aarch64 processor has NEON.
        unsafe {
            let mut buckets = vdupq_n_u8(0xff);
            for place in 0..WINDOW {
                let bytes =
                    load(span[offset + place..].first_chunk().expect("a span is longer than the last register"));
                let low = vqtbl1q_u8(self.low[place], vandq_u8(bytes, vdupq_n_u8(0x0f)));
                let high = vqtbl1q_u8(self.high[place], vshrq_n_u8::<4>(bytes));
                buckets = vandq_u8(buckets, vandq_u8(low, high));
            }
            buckets
        }
    }

    /// Searches windows that start within a step of `at`, where `span` begins, but not before `from`.
    #[inline]
    fn search(
        &self,
        literals: &Literals,
        haystack: &[u8],
        at: usize,
        from: usize,
        span: &[u8; SPAN],
        found: &mut Vec<Occurrence>,
    ) {
        let parts: [uint8x16_t; 4] = std::array::from_fn(|part| self.of(span, part * LANES));
        // SAFETY: as in `of`.
        let is_any = unsafe { vmaxvq_u8(vorrq_u8(vorrq_u8(parts[0], parts[1]), vorrq_u8(parts[2], parts[3]))) != 0 };
        if !is_any {
            return;
        }
        let bytes = parts.map(store);
        for (place, buckets) in bytes.as_flattened().iter().enumerate().filter(|(_, buckets)| **buckets != 0) {
            if at + place >= from {
                literals.verify(haystack, at + place, *buckets, found);
            }
        }
    }
}
