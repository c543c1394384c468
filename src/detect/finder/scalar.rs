//! The searches for runs, one byte at a time: the specification, and the fallback without AVX2.

use crate::rule::MIN_RUN;
use crate::text::alphabet::{SECRET_LEN, is_base64, is_word};
use std::ops::Range;

/// See [`super::base64_runs`].
pub fn base64_runs(haystack: &[u8], found: &mut Vec<Range<usize>>) {
    base64_runs_from(haystack, 0, found);
}

/// Like [`base64_runs`], for runs that start at or after `start`, which must not lie inside a run.
///
/// A run of 40 that starts at or after `i` covers the byte at `i + 39`; looking backwards from there,
/// the first byte of another class tells how far the search may jump (as in Boyer-Moore).
pub(super) fn base64_runs_from(haystack: &[u8], start: usize, found: &mut Vec<Range<usize>>) {
    let mut from = start;
    while let Some(window) = haystack.get(from..from + SECRET_LEN) {
        if let Some(last) = window.iter().rposition(|&b| !is_base64(b)) {
            from += last + 1;
        } else {
            let end = run_end(haystack, from + SECRET_LEN);
            found.push(from..end);
            from = end;
        }
    }
}

/// Offset of the first byte at or after `from` that is not base64.
pub(super) fn run_end(haystack: &[u8], from: usize) -> usize {
    haystack[from..].iter().position(|&b| !is_base64(b)).map_or(haystack.len(), |n| from + n)
}

/// Offset just after the last byte before `from` that is not base64, but not below `floor`.
pub(super) fn run_start(haystack: &[u8], from: usize, floor: usize) -> usize {
    haystack[floor..from].iter().rposition(|&b| !is_base64(b)).map_or(floor, |n| floor + n + 1)
}

/// See [`super::word_runs`].
pub fn word_runs(haystack: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut from = 0;
    while let Some(window) = haystack.get(from..from + MIN_RUN) {
        if let Some(last) = window.iter().rposition(|&b| !is_word(b)) {
            from += last + 1;
        } else {
            let rest = &haystack[from + MIN_RUN..];
            let end = rest.iter().position(|&b| !is_word(b)).map_or(haystack.len(), |n| from + MIN_RUN + n);
            found(from..end);
            from = end;
        }
    }
}
