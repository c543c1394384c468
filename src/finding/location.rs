//! Lines and columns.

use crate::text::wide::{self, Wide};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ops::Range;

/// A location in a file. Lines and columns are 1-based, a column counts UTF-16 code units (SARIF's `utf16CodeUnits`),
/// and the end is the column after the last character. A byte order mark is not counted; a byte that is not UTF-8
/// counts as 1.
///
/// Numbers beyond 32 bits, such as a column in a line of 5 GB, are capped: a report may hold millions of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Line of the first character.
    pub start_line: u32,
    /// Column of the first character.
    pub start_column: u32,
    /// Line of the last character.
    pub end_line: u32,
    /// Column after the last character.
    pub end_column: u32,
    /// Offset of the first byte in the file, 0-based.
    pub byte_offset: usize,
    /// Length in bytes, in the file.
    pub byte_length: u32,
}

impl Location {
    /// The place in a whole of whose lines, columns and bytes so many come before the part in which it was found.
    #[must_use]
    pub fn shifted(self, lines: u32, columns: u32, offset: usize) -> Self {
        let column = |line: u32, column: u32| if line == 1 { column.saturating_add(columns) } else { column };
        Self {
            start_line: self.start_line.saturating_add(lines),
            start_column: column(self.start_line, self.start_column),
            end_line: self.end_line.saturating_add(lines),
            end_column: column(self.end_line, self.end_column),
            byte_offset: self.byte_offset + offset,
            byte_length: self.byte_length,
        }
    }
}

/// One end of a span.
#[derive(Debug, Clone, Copy)]
struct Point {
    line: usize,
    column: usize,
    line_start: usize,
}

/// The locations of a few spans of one blob, found in one pass up to the last of them.
#[derive(Debug)]
pub struct Locations {
    points: HashMap<usize, Point, RandomState>,
    wide: Option<Wide>,
}

impl Locations {
    /// Locates `spans` of `blob`; only these can be looked up afterwards.
    pub fn new(blob: &[u8], spans: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut offsets: Vec<usize> = spans.into_iter().flat_map(|span| [span.start, span.end]).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let wide = Wide::detect(blob);
        let mut at = match (wide, blob) {
            (Some(wide), _) => wide.mark_length(blob),
            (None, [0xef, 0xbb, 0xbf, ..]) => 3,
            (None, _) => 0,
        };
        let mut point = Point { line: 1, column: 1, line_start: at };
        let points = offsets.into_iter().map(|offset| {
            let between = blob.get(at..offset).unwrap_or_default();
            match wide {
                Some(wide) => point.pass_wide(between, at, wide),
                None => point.pass(between, at),
            }
            at = at.max(offset);
            (offset, point)
        });
        Self { points: points.collect(), wide }
    }

    /// The location of a span that was given to [`Self::new`].
    pub fn of(&self, span: &Range<usize>) -> Location {
        let at =
            |offset: usize| self.points.get(&offset).copied().unwrap_or(Point { line: 1, column: 1, line_start: 0 });
        let (start, end) = (at(span.start), at(span.end));
        Location {
            start_line: small(start.line),
            start_column: small(start.column),
            end_line: small(end.line),
            end_column: small(end.column),
            byte_offset: span.start,
            byte_length: small(span.len()),
        }
    }

    /// Offset of the first byte of the line on which a known span starts.
    pub fn line_start(&self, span: &Range<usize>) -> usize {
        self.points.get(&span.start).map_or(0, |point| point.line_start)
    }

    /// The encoding, if the whole blob is wide text.
    pub fn wide(&self) -> Option<Wide> {
        self.wide
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Point {
    fn pass(&mut self, text: &[u8], at: usize) {
        let rest = match memchr::memrchr(b'\n', text) {
            Some(newline) => {
                self.line += memchr::memchr_iter(b'\n', text).count();
                self.column = 1;
                self.line_start = at + newline + 1;
                &text[newline + 1..]
            }
            None => text,
        };
        self.column += code_units(rest);
    }

    fn pass_wide(&mut self, text: &[u8], mut at: usize, wide: Wide) {
        for (character, width) in wide::characters(text, wide) {
            at += width;
            if character == '\n' {
                self.line += 1;
                self.column = 1;
                self.line_start = at;
            } else {
                self.column += character.len_utf16();
            }
        }
    }
}

/// UTF-16 code units of UTF-8 text; an invalid sequence counts as one.
fn code_units(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let units =
        |chunk: std::str::Utf8Chunk| chunk.valid().encode_utf16().count() + usize::from(!chunk.invalid().is_empty());
    text.utf8_chunks().map(units).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(blob: &[u8], span: Range<usize>) -> (u32, u32, u32, u32) {
        let place = Locations::new(blob, [span.clone()]).of(&span);
        (place.start_line, place.start_column, place.end_line, place.end_column)
    }

    #[test]
    fn columns_count_utf16_code_units_from_1() {
        assert_eq!(locate(b"abc", 0..3), (1, 1, 1, 4));
        assert_eq!(locate("ñ😀x".as_bytes(), 6..7), (1, 4, 1, 5));
        assert_eq!(locate(b"\xff\xfe\x80x", 0..0), (1, 1, 1, 1));
        assert_eq!(locate(b"a\xffb", 2..3), (1, 3, 1, 4));
        assert_eq!(locate(b"a\r\nb\nc", 5..6), (3, 1, 3, 2));
        assert_eq!(locate(b"\xef\xbb\xbfab", 4..5), (1, 2, 1, 3));
        assert_eq!(locate(b"ab\ncd", 1..4), (1, 2, 2, 2));
    }

    #[test]
    fn wide_files_count_their_units() {
        let text = "a😀\nbc";
        let raw: Vec<u8> = [0xfeffu16].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(locate(&raw, 12..14), (2, 2, 2, 3));
        assert_eq!(locate(&raw, 2..8), (1, 1, 1, 4));
    }

    #[test]
    fn many_spans_are_the_same_as_each_alone() {
        let text = "x = ñ\n".repeat(30);
        let is_whole = |span: &Range<usize>| text.is_char_boundary(span.start) && text.is_char_boundary(span.end);
        let spans: Vec<_> = (0..text.len() - 1).map(|n| n..n + 1).filter(is_whole).collect();
        let all = Locations::new(text.as_bytes(), spans.clone());
        for span in spans {
            assert_eq!(all.of(&span), Locations::new(text.as_bytes(), [span.clone()]).of(&span));
        }
    }
}
