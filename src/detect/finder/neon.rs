//! The search for literals on ARM, 64 bytes at a time: every 64-bit ARM processor has NEON.
//!
//! The same as in `avx2.rs`, with 16-byte registers.

#![allow(unsafe_code)]

use super::literals::{Literals, Nibbles, Occurrence, Placed};
use super::placement::WINDOW;
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
    let placed = literals.by_nibbles();
    match placed.tables.as_slice() {
        [tables] => find_in_buckets::<1>(literals, placed, &[*tables], haystack, found),
        [first, second] => find_in_buckets::<2>(literals, placed, &[*first, *second], haystack, found),
        _ => unreachable!("there are eight or sixteen buckets"),
    }
}

fn find_in_buckets<const TABLES: usize>(
    literals: &Literals,
    placed: &Placed<Nibbles>,
    tables: &[Nibbles; TABLES],
    haystack: &[u8],
    found: &mut Vec<Occurrence>,
) {
    let buckets = tables.each_ref().map(Buckets::new);
    let mut verify = |window, buckets| literals.verify(placed, haystack, window, buckets, found);
    let mut at = 0;
    while let Some(span) = haystack[at..].first_chunk() {
        search(&buckets, at, span, &mut verify);
        at += STEP;
    }
    // What is left is shorter than a span.
    for at in [at, at + STEP] {
        let rest = haystack.get(at..).unwrap_or_default();
        let rest = &rest[..rest.len().min(SPAN)];
        let mut padded = [0; SPAN];
        padded[..rest.len()].copy_from_slice(rest);
        search(&buckets, at, &padded, &mut verify);
    }
}

/// Calls `verify` with each place within a step of `at`, where `span` begins, and the buckets of which a window may start
/// there.
#[inline]
fn search<const TABLES: usize>(
    buckets: &[Buckets; TABLES],
    at: usize,
    span: &[u8; SPAN],
    verify: &mut impl FnMut(usize, u16),
) {
    let parts: [[uint8x16_t; 4]; TABLES] =
        buckets.each_ref().map(|buckets| std::array::from_fn(|part| buckets.of(span, part * LANES)));
    // SAFETY: these only compute on registers, and every aarch64 processor has NEON.
    let is_any =
        unsafe { vmaxvq_u8(parts.as_flattened().iter().fold(vdupq_n_u8(0), |all, part| vorrq_u8(all, *part))) };
    if is_any == 0 {
        return;
    }
    let bytes = parts.map(|parts| parts.map(store));
    for place in 0..STEP {
        let tables = bytes.iter().rev().map(|bytes| u16::from(bytes.as_flattened()[place]));
        let buckets = tables.fold(0, |above, buckets| above << 8 | buckets);
        if buckets != 0 {
            verify(at + place, buckets);
        }
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

/// [`Nibbles`] in registers.
struct Buckets {
    low: [uint8x16_t; WINDOW],
    high: [uint8x16_t; WINDOW],
}

impl Buckets {
    fn new(nibbles: &Nibbles) -> Self {
        Self { low: nibbles.low.each_ref().map(load), high: nibbles.high.each_ref().map(load) }
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
}
