//! Comments in scanned text that allow a finding: found here, parsed and applied by [`crate::policy::inline`].

use crate::text::markers::MARKERS;
use std::ops::Range;

/// How much of the line before and after the marker is kept, in bytes.
const KEPT_BEFORE: usize = 40;
const KEPT_AFTER: usize = 300;

/// A line with one of the [`MARKERS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Raw bytes of the marker, as offsets in the blob.
    pub span: Range<usize>,
    /// The decoded text of its line before the marker.
    pub before: String,
    /// The decoded text of its line from the marker on.
    pub text: String,
}

impl Comment {
    /// The comment whose marker starts at `at` of `text`; `raw` maps a range of the text to the blob.
    pub(super) fn read(text: &[u8], at: usize, raw: impl Fn(Range<usize>) -> Range<usize>) -> Self {
        let marker = MARKERS.iter().find(|marker| text[at..].starts_with(marker.as_bytes()));
        let span = raw(at..at + marker.map_or(1, |marker| marker.len()));
        let from = at.saturating_sub(KEPT_BEFORE);
        let start = memchr::memrchr(b'\n', &text[from..at]).map_or(from, |newline| from + newline + 1);
        let to = text.len().min(at + KEPT_AFTER);
        let end = memchr::memchr2(b'\n', b'\r', &text[at..to]).map_or(to, |newline| at + newline);
        let kept = |range: Range<usize>| String::from_utf8_lossy(&text[range]).into_owned();
        Self { span, before: kept(start..at), text: kept(at..end) }
    }
}
