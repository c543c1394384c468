//! Comments in scanned text that allow a finding: found here, parsed and applied by [`crate::policy::inline`].

use super::{Candidate, Detection};
use crate::text::markers::MARKERS;
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

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
    /// True if the marker is spelled exactly; a comment that has no effect is reported only then.
    pub is_exact: bool,
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
        Self { span, before: kept(start..at), text: kept(at..end), is_exact: true }
    }
}

/// Comments that are nearly right, as `keyspill: allow`, `KEYSPILL:ALLOW`, `keyspill:ignore` or `# keyspill-allow`, on the
/// lines of what was detected and the lines before: they are read as what they are meant to be. Looking for them everywhere
/// would cost the prefilter.
pub fn near_misses(blob: &[u8], detection: &Detection) -> Vec<Comment> {
    static NEARLY: LazyLock<Regex> = LazyLock::new(|| Regex::new(NEARLY_RIGHT).expect("a valid regex"));
    let real = detection.candidates.iter().filter(|candidate| candidate.dummy.is_none());
    let mut spans: Vec<Range<usize>> = real.flat_map(Candidate::spans).collect();
    spans.sort_unstable_by_key(|span| span.start);
    let mut found: Vec<Comment> = Vec::new();
    // Many of them may be on one line.
    let mut done = 0;
    for span in spans {
        let line = memchr::memrchr(b'\n', &blob[done..span.start.max(done)]).map_or(done, |newline| done + newline);
        let before = memchr::memrchr(b'\n', &blob[done..line]).map_or(done, |newline| done + newline + 1);
        let start = before.max(span.start.saturating_sub(KEPT_AFTER));
        let rest = &blob[span.end..blob.len().min(span.end + KEPT_AFTER)];
        let end = span.end + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        if end <= start {
            continue;
        }
        let nearly =
            NEARLY.captures_iter(&blob[start..end]).filter_map(|nearly| nearly.name("alone").or(nearly.name("called")));
        let inexact = nearly.filter(|nearly| nearly.as_bytes() != MARKERS[0].as_bytes());
        found.extend(inexact.map(|nearly| as_meant(blob, start + nearly.start()..start + nearly.end())));
        done = end;
        if found.len() > MAX_NEAR_MISSES {
            break;
        }
    }
    found
}

/// A comment whose marker is spelled nearly right, as it would be if it were.
fn as_meant(blob: &[u8], marker: Range<usize>) -> Comment {
    let mut comment = Comment::read(blob, marker.start, |range| range);
    let rest = comment.text.get(marker.len()..).unwrap_or_default();
    static ABOUT_NEXT: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new("(?i)^[-_]?next[-_]?line").expect("a valid regex"));
    let (next, rest) = match ABOUT_NEXT.find(rest) {
        Some(found) => (NEXT_LINE, &rest[found.end()..]),
        None => ("", rest),
    };
    comment.text = format!("{}{next}{rest}", MARKERS[0]);
    comment.span = marker;
    comment.is_exact = false;
    comment
}

/// What is taken for a marker. Without a colon it must begin a comment: prose may speak of what keyspill allows.
/// Neither must it be the start of another word, as in `keyspill:ignore-list`.
const NEARLY_RIGHT: &str = r"(?ixm-u)
    (?: (?:^|[\t\ ]) (?: \#+ | // | /\* | --[\t\ ] | ; | % | <!-- ) [\t\ ]*
        (?<alone> keyspill (?: [-_\t\ ] (?:allow|ignore) | [\t\ ]*:[\t\ ]*ignore ) )
      | \b (?<called> keyspill[\t\ ]*:[\t\ ]*allow ) )
    (?: [-_]?next[-_]?line )? (?: $ | [\t\r\n\ :*] | -- )";

/// The rest of the marker of a comment that allows the line after it.
const NEXT_LINE: &str = "-next-line";

/// The maximum number of comments that are nearly right, in one blob.
const MAX_NEAR_MISSES: usize = 1000;
