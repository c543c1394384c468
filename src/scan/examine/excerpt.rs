//! Making excerpts: the lines of a finding, masked and cut.

use crate::detect::observe::credential_report::DELIMITERS;
use crate::detect::{Candidate, Detection};
use crate::finding::Excerpt;
use crate::finding::location::Locations;
use crate::text::mask::{MASK, hide_key_material};
use crate::text::sanitize::sanitize;
use crate::text::wide::{self, Wide};
use std::ops::Range;
use std::sync::Arc;

/// How much of a line is kept before and after a value, in bytes of UTF-8 text.
const KEPT_BEFORE: usize = 60;
const KEPT_AFTER: usize = 40;

/// Maximum length shown of one value, in bytes.
const KEPT_OF_VALUE: usize = 120;

/// Maximum distance between an id and its secret, in lines, at which the lines between are shown.
const MAX_LINES_BETWEEN: u32 = 6;

/// A value to mark: its raw bytes, and whether it is a secret.
type Marked = (Range<usize>, bool);

/// Makes the excerpts of one blob.
#[derive(Debug)]
pub struct Excerpts<'a> {
    blob: &'a [u8],
    locations: &'a Locations,
    /// Raw byte ranges that are never shown, sorted and non-overlapping.
    hidden: Vec<Range<usize>>,
    /// Where the first line of a table with a password column ends, such as the console's: nothing of its rows is shown but
    /// the id.
    head_of_passwords: Option<usize>,
    show_secrets: bool,
}

impl<'a> Excerpts<'a> {
    /// Prepares excerpts for the findings of `detection`.
    pub fn new(blob: &'a [u8], detection: &Detection, locations: &'a Locations, show_secrets: bool) -> Self {
        let secrets = detection.candidates.iter().filter_map(|candidate| Some(candidate.secret.as_ref()?.span.clone()));
        let mut spans: Vec<_> = detection.sensitive.iter().cloned().chain(secrets).collect();
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        let mut hidden: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        for span in spans {
            match hidden.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => hidden.push(span),
            }
        }
        let head_of_passwords =
            has_passwords(blob, locations.wide()).then(|| memchr::memchr2(b'\n', b'\r', blob).unwrap_or(blob.len()));
        Self { blob, locations, hidden, head_of_passwords, show_secrets }
    }

    /// True if nothing is masked.
    pub fn shows_secrets(&self) -> bool {
        self.show_secrets
    }

    /// The lines of a candidate's values, and those between them if they are few.
    pub fn of(&self, candidate: &Candidate) -> Arc<[Excerpt]> {
        let id = candidate.id.as_ref().map(|part| (part.span.clone(), false));
        let secret = candidate.secret.as_ref().map(|part| (part.span.clone(), true));
        self.of_values(id.into_iter().chain(secret).collect())
    }

    /// The line of something that is not a value: a comment.
    pub fn of_span(&self, span: &Range<usize>) -> Arc<[Excerpt]> {
        self.of_values(vec![(span.clone(), false)])
    }

    fn of_values(&self, mut values: Vec<Marked>) -> Arc<[Excerpt]> {
        values.sort_by_key(|(span, _)| span.start);
        let line = |span: &Range<usize>| self.locations.of(span).start_line;
        let together = |a: &Marked, b: &Marked| {
            line(&a.0) == line(&b.0) && b.0.start.saturating_sub(a.0.end) <= KEPT_BEFORE + KEPT_AFTER
        };
        // There may be a million findings: allocate no more than is filled.
        let mut excerpts = Vec::with_capacity(values.len());
        excerpts.extend(values.chunk_by(together).map(|values| match self.locations.wide() {
            Some(wide) => self.wide_excerpt(values, wide),
            None => self.excerpt(values),
        }));
        if let ([first, second], None) = (&values[..], self.locations.wide()) {
            excerpts.extend(self.between(&first.0, &second.0));
        }
        excerpts.sort_by_key(|excerpt| excerpt.line);
        excerpts.into()
    }

    /// The lines between two values.
    fn between(&self, first: &Range<usize>, second: &Range<usize>) -> Vec<Excerpt> {
        let (from, to) = (self.locations.of(first).start_line, self.locations.of(second).start_line);
        if to.saturating_sub(from) > MAX_LINES_BETWEEN {
            return Vec::new();
        }
        let mut start = first.end;
        let mut excerpts = Vec::new();
        for line in from + 1..to {
            let Some(newline) = memchr::memchr(b'\n', &self.blob[start..]) else { break };
            start += newline + 1;
            let end = start + self.line_length(start, KEPT_BEFORE + KEPT_AFTER);
            excerpts.push(assemble(line, &self.masked(start..end, &[]), std::iter::empty(), false));
        }
        excerpts
    }

    fn line_length(&self, start: usize, most: usize) -> usize {
        let rest = &self.blob[start..self.blob.len().min(start + most)];
        memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
    }

    fn excerpt(&self, values: &[Marked]) -> Excerpt {
        let first = &values[0].0;
        let line_start = self.locations.line_start(first);
        let last = values.last().map_or(first.end, |(span, _)| span.end.min(span.start + KEPT_OF_VALUE));
        let end = last + self.line_length(last, KEPT_AFTER);
        let start = line_start.max(first.start.saturating_sub(KEPT_BEFORE));
        let bytes = self.masked(start..end, values);
        let spans = values.iter().map(|(span, is_secret)| (span.start - start..span.end.min(end) - start, *is_secret));
        assemble(self.locations.of(first).start_line, &bytes, spans, start > line_start)
    }

    /// The same for a wide text file: its bytes are decoded first, so that the rest can be done as above.
    fn wide_excerpt(&self, values: &[Marked], wide: Wide) -> Excerpt {
        let unit = wide.unit_length();
        let first = &values[0].0;
        let line_start = self.locations.line_start(first);
        let start = line_start.max(first.start.saturating_sub(unit * KEPT_BEFORE));
        let last = values.last().map_or(first.end, |(span, _)| span.end.min(span.start + unit * KEPT_OF_VALUE));
        let end = self.blob.len().min(last + unit * KEPT_AFTER);
        let mut bytes = Vec::new();
        let mut offsets = vec![(start, 0)];
        let mut raw = start;
        for (character, width) in wide::characters(&self.blob[start..end], wide) {
            if raw >= last && matches!(character, '\n' | '\r') {
                break;
            }
            let hide = !self.show_secrets && self.hidden_in(&(raw..raw + 1)).next().is_some();
            bytes.extend_from_slice(if hide { MASK } else { character }.encode_utf8(&mut [0; 4]).as_bytes());
            raw += width;
            offsets.push((raw, bytes.len()));
        }
        let place = |offset: usize| offsets[offsets.partition_point(|(raw, _)| *raw < offset).min(offsets.len() - 1)].1;
        let spans: Vec<_> =
            values.iter().map(|(span, is_secret)| (place(span.start)..place(span.end), *is_secret)).collect();
        if !self.show_secrets {
            hide_key_material(&mut bytes, |at| is_in_id(&spans, at));
            if self.head_of_passwords.is_some_and(|head| start > head) {
                hide_cells(&mut bytes, |at| is_in_id(&spans, at));
            }
        }
        assemble(self.locations.of(first).start_line, &bytes, spans.into_iter(), start > line_start)
    }

    /// The hidden spans that overlap `range`.
    fn hidden_in(&self, range: &Range<usize>) -> impl Iterator<Item = &Range<usize>> {
        let first = self.hidden.partition_point(|span| span.end <= range.start);
        let end = range.end;
        self.hidden[first..].iter().take_while(move |span| span.start < end)
    }

    fn masked(&self, range: Range<usize>, values: &[Marked]) -> Vec<u8> {
        let mut bytes = self.blob[range.clone()].to_vec();
        if self.show_secrets {
            return bytes;
        }
        for span in self.hidden_in(&range) {
            let (from, to) = (span.start.max(range.start), span.end.min(range.end));
            bytes[from - range.start..to - range.start].fill(MASK as u8);
        }
        hide_key_material(&mut bytes, |at| is_in_id(values, range.start + at));
        if let Some(head) = self.head_of_passwords {
            hide_cells(&mut bytes, |at| is_in_id(values, range.start + at) || range.start + at <= head);
        }
        bytes
    }
}

/// True if a blob is a table with a column of passwords.
fn has_passwords(blob: &[u8], wide: Option<Wide>) -> bool {
    /// How much of a blob may be its first line, in characters.
    const HEAD: usize = 300;
    let line: String = match wide {
        Some(wide) => {
            let head = &blob[..blob.len().min(HEAD * wide.unit_length())];
            wide::characters(head, wide).map(|(character, _)| character).take_while(|c| *c != '\n').collect()
        }
        None => {
            let line = blob[..blob.len().min(HEAD)].split(|&b| b == b'\n').next().unwrap_or_default();
            String::from_utf8_lossy(line).into_owned()
        }
    };
    let line = line.to_ascii_lowercase();
    line.contains("password") && line.bytes().any(|byte| DELIMITERS.contains(&byte))
}

/// Hides everything but the delimiters of a table and the `spared` bytes.
fn hide_cells(bytes: &mut [u8], spared: impl Fn(usize) -> bool) {
    for (at, byte) in bytes.iter_mut().enumerate().filter(|(_, byte)| !DELIMITERS.contains(byte)) {
        if !spared(at) {
            *byte = MASK as u8;
        }
    }
}

/// True if offset `at` is within a value that may be shown.
fn is_in_id(values: &[Marked], at: usize) -> bool {
    values.iter().any(|(span, is_secret)| !is_secret && span.contains(&at))
}

fn assemble(line: u32, bytes: &[u8], spans: impl Iterator<Item = Marked>, is_cut: bool) -> Excerpt {
    let mut text = String::with_capacity(bytes.len() + if is_cut { '…'.len_utf8() } else { 0 });
    if is_cut {
        text.push('…');
    }
    let [mut id, mut secret] = [None, None];
    let mut at = 0;
    for (span, is_secret) in spans {
        let start = span.start.max(at);
        text.push_str(&sanitize(&String::from_utf8_lossy(&bytes[at..start])));
        let mark = text.len();
        let value = String::from_utf8_lossy(&bytes[start..span.end.max(start)]);
        text.extend(sanitize(&value).chars().map(|c| if c == char::REPLACEMENT_CHARACTER { ' ' } else { c }));
        *(if is_secret { &mut secret } else { &mut id }) = Some(mark as u32..text.len() as u32);
        at = span.end.max(start);
    }
    text.push_str(&sanitize(&String::from_utf8_lossy(&bytes[at..])));
    Excerpt { line, text: text.into(), id, secret }
}
