//! Reading what is too large for memory: in pieces that overlap, so that nothing is cut in two.
//!
//! Each piece is looked at as a file of its own, and knows which part of it is its own: a finding belongs to the piece
//! in whose own part it starts, and has at least half an overlap of text on both sides.

use super::{Blob, Context, Item, Sink};
use crate::finding::BlobPath;
use crate::finding::location::Locations;
use std::io::{self, Read};
use std::ops::Range;

/// Sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of a piece.
    pub piece: usize,
    /// Of what two pieces share.
    pub overlap: usize,
}

impl Default for Sizes {
    /// Large enough that cutting costs nothing, and that no pair of id and secret is further apart than an overlap.
    fn default() -> Self {
        Self { piece: 64 << 20, overlap: 1 << 20 }
    }
}

/// Where a piece starts in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Bytes before it.
    pub offset: usize,
    /// Line breaks before it.
    pub lines: u32,
    /// Columns before it in its first line, in UTF-16 code units.
    pub columns: u32,
}

/// A part of a blob.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The part, under the name of the whole.
    pub blob: Blob<'a>,
    /// Where it starts.
    pub start: Start,
    /// The part of it whose findings are reported; the rest belongs to its neighbours.
    pub own: Range<usize>,
}

/// Reads a stream to its end and hands it over piece by piece. Returns the number of bytes.
///
/// # Errors
/// Those of the stream; what came before was handed over.
pub fn read(
    stream: &mut dyn Read,
    path: &BlobPath,
    context: Option<&Context>,
    sizes: Sizes,
    sink: Sink,
) -> io::Result<u64> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut start = Start { offset: 0, lines: 0, columns: 0 };
    let mut own_start = 0;
    loop {
        let room = sizes.piece - buffer.len();
        let read = stream.take(room as u64).read_to_end(&mut buffer);
        let is_last = buffer.len() < sizes.piece;
        let own_end = if is_last { buffer.len() } else { buffer.len() - sizes.overlap / 2 };
        let blob = Blob { path: path.clone(), bytes: &buffer, context: context.cloned() };
        sink(Item::Piece(Piece { blob, start, own: own_start..own_end }));
        read?;
        if is_last {
            return Ok((start.offset + buffer.len()) as u64);
        }
        let next = next_start(&buffer, sizes.overlap);
        start = after(&buffer, start, next);
        own_start = own_end - next;
        buffer.drain(..next);
    }
}

/// Where the next piece starts: at a line, if one starts in the first half of the overlap. The offset is divisible by four,
/// or after a line break, so that UTF-16 and UTF-32 stay in step unless they have lines.
fn next_start(piece: &[u8], overlap: usize) -> usize {
    let from = (piece.len() - overlap).next_multiple_of(4);
    let is_wide = piece[from..].iter().take(64).any(|b| *b == 0);
    let newline = memchr::memchr(b'\n', &piece[from..from + overlap / 2]).filter(|_| !is_wide);
    newline.map_or(from, |newline| from + newline + 1)
}

/// The start of what follows `length` bytes of a piece.
fn after(piece: &[u8], start: Start, length: usize) -> Start {
    // Only the start of the place is asked for.
    let span = length..length;
    let place = Locations::new(piece, [span.clone()]).of(&span);
    let columns = place.start_column - 1;
    Start {
        offset: start.offset + length,
        lines: start.lines.saturating_add(place.start_line - 1),
        columns: if place.start_line == 1 { start.columns.saturating_add(columns) } else { columns },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Mutex;

    proptest! {
        /// Every byte is in the own part of exactly one piece, and starts are where they are in the whole.
        #[test]
        fn pieces_make_up_the_whole(text in "[a-c\u{e9}\n]{0,400}", overlap in 4usize..12) {
            let overlap = overlap * 2;
            let sizes = Sizes { piece: 3 * overlap, overlap };
            let bytes = text.as_bytes();
            let (end, problems) = (Mutex::new(0), Mutex::new(Vec::new()));
            let sink = |item: Item| {
                let Item::Piece(piece) = item else { unreachable!("only pieces are handed over") };
                let mut end = end.lock().unwrap();
                let (start, own) = (piece.start, piece.own);
                let before = &bytes[..start.offset];
                let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
                let columns = String::from_utf8_lossy(&before[line_start..]).encode_utf16().count();
                let is_right = start.offset + own.start == *end
                    && bytes[start.offset..].starts_with(piece.blob.bytes)
                    && start.lines as usize == memchr::memchr_iter(b'\n', before).count()
                    // A character that is cut counts differently.
                    && (start.columns as usize).abs_diff(columns) <= 1;
                if !is_right {
                    problems.lock().unwrap().push(format!("{start:?} {own:?} after {end}"));
                }
                *end = start.offset + own.end;
            };
            let length = read(&mut &bytes[..], &BlobPath::new(Path::new("x")), None, sizes, &sink).unwrap();
            prop_assert_eq!(problems.into_inner().unwrap(), Vec::<String>::new());
            prop_assert_eq!((length as usize, end.into_inner().unwrap()), (bytes.len(), bytes.len()));
        }
    }
}
