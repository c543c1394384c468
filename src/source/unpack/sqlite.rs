//! `SQLite` databases and their write-ahead logs. In the file, the columns of a row are adjacent, without separators,
//! so an id and its secret look like one long word; here each row becomes a line. Deleted rows that are not yet
//! overwritten are searched for, too.
//!
//! Source: <https://www.sqlite.org/fileformat2.html>.

use super::{Place, Unpacker};
use crate::source::SkipCause;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The first bytes of a database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// True for the start of a database, even if its first bytes are damaged: other bytes of the header never change.
pub(super) fn is_database(head: &[u8]) -> bool {
    let has_fractions = || head.get(21..24) == Some(&[64, 32, 32]);
    let has_versions = || head.get(18..20).is_some_and(|versions| versions.iter().all(|v| matches!(v, 1 | 2)));
    head.starts_with(MAGIC) || has_fractions() && has_versions() && page_size(head).is_some()
}

/// The page size, if the header has a valid one.
fn page_size(header: &[u8]) -> Option<usize> {
    let size = usize::from(u16::from_be_bytes([*header.get(16)?, *header.get(17)?]));
    let size = if size == 1 { 1 << 16 } else { size };
    (size >= 512 && size.is_power_of_two()).then_some(size)
}

/// The first bytes of a write-ahead log, except the last, whose lowest bit is the byte order of its checksums.
pub(super) const LOG_MAGIC: [u8; 3] = [0x37, 0x7f, 0x06];

/// Lengths of the headers of a database, of a log, and of each page in a log.
const HEADER: usize = 100;
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Deleted rows with more columns are not searched for.
const MAX_COLUMNS: usize = 100;

/// The minimum length of text in deleted rows: an id has 20 characters.
const MIN_TEXT: usize = 16;

/// The maximum number of steps per byte of a page in the search for deleted rows; only hostile input needs more.
const MAX_STEPS: usize = 256;

/// Types of pages: interior and leaf pages of indexes and tables.
const INNER_INDEX: u8 = 2;
const INNER_TABLE: u8 = 5;
const LEAF_INDEX: u8 = 10;
const LEAF_TABLE: u8 = 13;

/// Emits the rows of each page.
///
/// # Errors
/// If it is damaged; the readable parts were emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) -> Result<(), SkipCause> {
    unpacker.whole(place, bytes);
    let budget = unpacker.budget();
    let database = if is_database(bytes) { Database::from_file(bytes) } else { Database::from_log(bytes) };
    let Some(database) = database else { return Err(budget.damaged("its header is not a valid database header")) };
    let mut lost = 0;
    for (number, page) in &database.pages {
        let mut rows = Rows::default();
        database.read_page(*number, page.clone(), &mut rows, &mut |length| budget.unfold(length));
        lost += rows.lost;
        for (index, file) in rows.files.iter().enumerate() {
            budget.enter()?;
            unpacker.entry_bytes(&place.within(format!("page {number} value {}", index + 1).as_bytes()), file);
        }
        if !rows.text.is_empty() {
            budget.enter()?;
            unpacker.leaf(&place.within(format!("page {number}").as_bytes()), &rows.text);
        }
        if let Some(cause) = budget.spent() {
            return Err(cause.clone());
        }
    }
    match lost {
        _ if database.is_cut => Err(budget.damaged("it ends early")),
        _ if is_database(bytes) && !bytes.starts_with(MAGIC) => {
            Err(budget.damaged("its first bytes are not those of a database"))
        }
        0 => Ok(()),
        lost => Err(SkipCause::PartsLost(lost, "rows")),
    }
}

/// A file split into pages.
struct Database<'a> {
    bytes: &'a [u8],
    /// The number and range of each page; in a log, of all versions.
    pages: Vec<(u32, Range<usize>)>,
    by_number: HashMap<u32, Range<usize>>,
    /// The number of usable bytes per page, from its start.
    usable: usize,
    encoding: Encoding,
    /// True if it is shorter than its header says.
    is_cut: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// What a page holds.
#[derive(Default)]
struct Rows {
    /// A line for each row, with tabs between columns.
    text: Vec<u8>,
    /// Values that are files of their own.
    files: Vec<Vec<u8>>,
    /// How many rows could not be read.
    lost: usize,
}

impl<'a> Database<'a> {
    fn from_file(bytes: &'a [u8]) -> Option<Self> {
        let size = page_size(bytes)?;
        let header = bytes.get(..HEADER)?;
        let encoding = match header[59] {
            2 => Encoding::Utf16Le,
            3 => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        };
        let count = u32_at(header, 28)? as usize;
        // Old versions did not store the number of pages; then these two differ.
        let is_counted = header[24..28] == header[92..96];
        let pages: Vec<_> =
            (0..bytes.len() / size).map(|index| (index as u32 + 1, index * size..(index + 1) * size)).collect();
        let is_cut = !bytes.len().is_multiple_of(size) || is_counted && count > pages.len();
        let by_number = HashMap::new();
        Some(Self { bytes, pages, by_number, usable: size.checked_sub(usize::from(header[20]))?, encoding, is_cut })
    }

    /// A log does not state its text encoding; anything but UTF-8 is recognised from the texts.
    fn from_log(bytes: &'a [u8]) -> Option<Self> {
        let size = u32_at(bytes, 8)? as usize;
        if !(512..=1 << 16).contains(&size) || !size.is_power_of_two() || bytes.len() < LOG_HEADER {
            return None;
        }
        let frames = (LOG_HEADER..bytes.len()).step_by(FRAME_HEADER + size);
        let page = |start: usize| {
            let range = start + FRAME_HEADER..start + FRAME_HEADER + size;
            (range.end <= bytes.len()).then(|| Some((u32_at(bytes, start)?, range))).flatten()
        };
        let pages: Vec<_> = frames.filter_map(page).collect();
        let by_number = pages.iter().cloned().collect();
        let is_cut = !(bytes.len() - LOG_HEADER).is_multiple_of(FRAME_HEADER + size);
        Some(Self { bytes, pages, by_number, usable: size, encoding: Encoding::Utf8, is_cut })
    }

    /// The range of the page with this number.
    fn page(&self, number: u32) -> Option<Range<usize>> {
        if let Some(page) = self.by_number.get(&number) {
            return Some(page.clone());
        }
        let index = (number as usize).checked_sub(1)?;
        self.pages.get(index).filter(|_| self.by_number.is_empty()).map(|(_, page)| page.clone())
    }

    fn read_page(&self, number: u32, range: Range<usize>, rows: &mut Rows, spend: &mut dyn FnMut(u64) -> bool) {
        let page = &self.bytes[range.start..range.start + self.usable.min(range.len())];
        let start = if number == 1 { HEADER } else { 0 };
        // The ranges taken by the header and by linked rows.
        let mut taken = vec![];
        let kind = page.get(start).copied().unwrap_or_default();
        let has_rows = matches!(kind, INNER_INDEX | LEAF_INDEX | LEAF_TABLE);
        if has_rows || kind == INNER_TABLE {
            let header = if matches!(kind, INNER_INDEX | INNER_TABLE) { 12 } else { 8 };
            let count = u16_at(page, start + 3).unwrap_or_default();
            taken.push(0..start + header + 2 * count);
            let mut seen = HashSet::new();
            for cell in (0..count).map(|cell| u16_at(page, start + header + 2 * cell)) {
                let cell = cell.filter(|at| *at >= start + header && seen.insert(*at));
                match cell.filter(|_| has_rows).and_then(|at| self.read_cell(page, at, kind, rows, spend)) {
                    Some(range) => taken.push(range),
                    None => rows.lost += usize::from(has_rows),
                }
            }
        }
        taken.sort_unstable_by_key(|range| range.start);
        let mut at = 0;
        for range in taken.into_iter().chain([page.len()..page.len()]) {
            if range.start > at + MIN_TEXT {
                self.read_deleted(&page[at..range.start], rows);
            }
            at = at.max(range.end);
        }
    }

    /// Reads the row at an offset of a page; returns its range.
    fn read_cell(
        &self,
        page: &[u8],
        start: usize,
        kind: u8,
        rows: &mut Rows,
        spend: &mut dyn FnMut(u64) -> bool,
    ) -> Option<Range<usize>> {
        let mut at = start + if kind == INNER_INDEX { 4 } else { 0 };
        let length = usize::try_from(varint(page, &mut at)?).ok().filter(|length| *length <= self.bytes.len())?;
        if kind == LEAF_TABLE {
            varint(page, &mut at)?;
        }
        let local = self.local_length(length, kind);
        let own = page.get(at..at + local)?;
        if local == length {
            self.read_record(own, rows).then_some(start..at + local)
        } else {
            let next = u32_at(page, at + local)?;
            let record = self.with_overflow(own, length, next, spend)?;
            self.read_record(&record, rows).then_some(start..at + local + 4)
        }
    }

    /// How many bytes of a row of this length are in its own page ("Cell Payload Overflow Pages").
    fn local_length(&self, length: usize, kind: u8) -> usize {
        let usable = self.usable;
        let of_index = |part: usize| (usable.saturating_sub(12) * part / 255).saturating_sub(23);
        let max = if kind == LEAF_TABLE { usable.saturating_sub(35) } else { of_index(64) };
        if length <= max {
            return length;
        }
        let min = of_index(32);
        let rest = min + (length - min) % usable.saturating_sub(4).max(1);
        if rest <= max { rest } else { min }
    }

    /// A row that continues in overflow pages, each of which names the next.
    fn with_overflow(
        &self,
        own: &[u8],
        length: usize,
        mut next: u32,
        spend: &mut dyn FnMut(u64) -> bool,
    ) -> Option<Vec<u8>> {
        if !spend(length as u64) {
            return None;
        }
        let mut record = own.to_vec();
        while record.len() < length {
            let page = self.page(next)?;
            let page = &self.bytes[page.start..page.start + self.usable];
            next = u32_at(page, 0)?;
            record.extend(page[4..].iter().take(length - record.len()));
        }
        Some(record)
    }

    /// Appends a row; false if it is not a valid record.
    fn read_record(&self, record: &[u8], rows: &mut Rows) -> bool {
        let mut at = 0;
        let Some(end) = varint(record, &mut at).and_then(|end| usize::try_from(end).ok()) else { return false };
        let Some(header) = record.get(..end) else { return false };
        let mut types = vec![];
        while at < end {
            let Some(kind) = varint(header, &mut at) else { return false };
            types.push(kind);
        }
        // The columns must fill the row exactly.
        let length: u64 = types.iter().map(|kind| value_length(*kind)).fold(end as u64, u64::saturating_add);
        if length != record.len() as u64 {
            return false;
        }
        self.write_row(&types, &record[end..], rows);
        true
    }

    fn write_row(&self, types: &[u64], mut values: &[u8], rows: &mut Rows) {
        for kind in types {
            let length = usize::try_from(value_length(*kind)).unwrap_or(usize::MAX);
            let (value, rest) = values.split_at(length.min(values.len()));
            values = rest;
            match kind {
                13.. if kind % 2 == 1 => rows.text.extend_from_slice(&self.text(value)),
                12.. if super::Format::from_head(&value[..value.len().min(super::HEAD)]).is_some() => {
                    rows.files.push(value.to_vec());
                }
                // Binary values are left out: next to a text, they would look like its name.
                12.. if std::str::from_utf8(value).is_ok_and(|text| !text.contains(|c: char| c.is_control())) => {
                    rows.text.extend_from_slice(value);
                }
                _ => {}
            }
            rows.text.push(b'\t');
        }
        if let Some(last) = rows.text.last_mut() {
            *last = b'\n';
        }
    }

    /// A text as UTF-8. Its encoding is recognised from ASCII in it, as the header that states it may be damaged.
    fn text<'v>(&self, value: &'v [u8]) -> Cow<'v, [u8]> {
        let zeros = |first: usize| value.iter().skip(first).step_by(2).all(|b| *b == 0);
        let encoding = match value.first() {
            Some(0) if zeros(0) => Encoding::Utf16Be,
            Some(_) if value.len() > 1 && zeros(1) => Encoding::Utf16Le,
            _ if is_narrow(value) => Encoding::Utf8,
            _ => self.encoding,
        };
        if encoding == Encoding::Utf8 {
            return value.into();
        }
        let unit = |pair: &[u8; 2]| match encoding {
            Encoding::Utf16Be => u16::from_be_bytes(*pair),
            _ => u16::from_le_bytes(*pair),
        };
        let units = value.as_chunks::<2>().0.iter().map(unit);
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
        text.into_bytes().into()
    }

    /// Appends rows found outside of linked rows: deleted ones, and those in free pages.
    fn read_deleted(&self, part: &[u8], rows: &mut Rows) {
        let mut search = Search { is_wide: self.encoding != Encoding::Utf8, steps: part.len() * MAX_STEPS };
        // Complete rows come first: the middle of one may look like the remains of another.
        for gap in self.find_rows(part, rows, &mut search, Search::whole_record) {
            self.find_rows(&part[gap], rows, &mut search, Search::headless_record);
        }
        rows.lost += usize::from(search.steps == 0);
    }

    /// Appends all rows that `find` finds in `part`; returns the gaps between them.
    fn find_rows<'p>(
        &self,
        part: &'p [u8],
        rows: &mut Rows,
        search: &mut Search,
        find: fn(&mut Search, &'p [u8]) -> Option<Found<'p>>,
    ) -> Vec<Range<usize>> {
        let mut gaps = vec![];
        let (mut start, mut at) = (0, 0);
        while at + MIN_TEXT < part.len() && search.steps > 0 {
            if let Some(Found { types, values, length }) = find(search, &part[at..]) {
                self.write_row(&types, values, rows);
                gaps.push(start..at);
                at += length;
                start = at;
            } else {
                at += 1;
            }
        }
        gaps.push(start..part.len());
        gaps
    }
}

/// A row found outside of linked rows.
struct Found<'a> {
    types: Vec<u64>,
    values: &'a [u8],
    /// The offset of its end.
    length: usize,
}

/// Length of the header of a free block: the offset of the next one, and the length of this one.
const FREE_HEADER: usize = 4;

/// The length of the free block at the start of `part`, if there plausibly is one.
fn freed_length(part: &[u8]) -> Option<usize> {
    u16_at(part, 2).filter(|length| *length > FREE_HEADER + MIN_TEXT && *length <= part.len())
}

/// A search for rows that are not linked.
struct Search {
    /// True if texts are in UTF-16.
    is_wide: bool,
    /// Number of steps left.
    steps: usize,
}

impl Search {
    /// The row with its header at the start of `part`, if there plausibly is one.
    fn whole_record<'p>(&mut self, part: &'p [u8]) -> Option<Found<'p>> {
        let end = usize::from(*part.first().filter(|length| (2..=MAX_COLUMNS as u8).contains(length))?);
        let header = part.get(..end)?;
        let (mut types, mut at) = (vec![], 1);
        while at < end {
            types.push(varint(header, &mut at)?);
        }
        let length = usize::try_from(types.iter().map(|kind| value_length(*kind)).fold(0, u64::saturating_add)).ok()?;
        let values = part.get(end..end.checked_add(length)?)?;
        self.is_likely(&types, values).then_some(Found { types, values, length: end + length })
    }

    /// A deleted row, which became the free block at the start of `part`. Only the types of its columns are left,
    /// perhaps without the first one, which is then a number or a text. Adjacent free blocks are merged, and what was
    /// the header of the second one remains.
    fn headless_record<'p>(&mut self, part: &'p [u8]) -> Option<Found<'p>> {
        const FIRST: [usize; 7] = [0, 1, 2, 3, 4, 6, 8];
        let block = freed_length(part)?;
        let (mut types, mut at) = (vec![], FREE_HEADER);
        let mut length = 0u64;
        let mut best: Option<Found> = None;
        while types.len() < MAX_COLUMNS {
            let Some(kind) = varint(&part[..block], &mut at) else { break };
            types.push(kind);
            length = length.saturating_add(value_length(kind));
            let Some(length) = usize::try_from(length).ok().filter(|length| at + length <= block) else { break };
            for first in FIRST {
                let (start, end) = (at + first, at + first + length);
                let is_end = end == block || end < block && freed_length(&part[end..block]).is_some();
                if is_end && self.is_likely(&types, &part[start..end]) {
                    let found = Found { types: types.clone(), values: &part[start..end], length: end };
                    if first == 0 && end == block {
                        return Some(found);
                    }
                    best = Some(found);
                }
            }
            let first = block - length - at;
            let with_first: Vec<u64> = [13 + 2 * first as u64].into_iter().chain(types.iter().copied()).collect();
            if best.is_none() && self.is_likely(&with_first, &part[at..block]) {
                best = Some(Found { types: with_first, values: &part[at..block], length: block });
            }
            if self.steps == 0 {
                break;
            }
        }
        best
    }

    /// True if one of the columns is a text long enough for a key, and no text has control characters.
    fn is_likely(&mut self, types: &[u64], mut values: &[u8]) -> bool {
        let is_control = |b: u8| b < b' ' && !b.is_ascii_whitespace() && !(self.is_wide && b == 0);
        let mut has_text = false;
        let mut steps = types.len();
        let mut are_texts = true;
        for kind in types {
            let length = usize::try_from(value_length(*kind)).unwrap_or(usize::MAX);
            let Some((value, rest)) = values.split_at_checked(length) else { return false };
            values = rest;
            let is_text = *kind >= 13 && kind % 2 == 1;
            let plain = if is_text { value.iter().take_while(|b| !is_control(**b)).count() } else { length };
            steps += if is_text { plain } else { 0 };
            are_texts = plain == length && !matches!(kind, 10 | 11);
            if !are_texts {
                break;
            }
            has_text |= is_text && length >= MIN_TEXT;
        }
        self.steps = self.steps.saturating_sub(steps);
        has_text && are_texts
    }
}

/// True for ASCII in single bytes, which would become other characters if read as UTF-16.
fn is_narrow(text: &[u8]) -> bool {
    text.iter().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t'))
}

/// How many bytes a value of that type takes ("Serial Type Codes Of The Record Format").
fn value_length(kind: u64) -> u64 {
    match kind {
        0 | 8..=11 => 0,
        1..=4 => kind,
        5 => 6,
        6 | 7 => 8,
        _ => (kind - 12) / 2,
    }
}

/// The number at an offset: big-endian, seven bits per byte, and eight in the ninth.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for index in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if index == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_types_are_read_as_documented() {
        let read = |bytes: &[u8]| varint(bytes, &mut 0);
        assert_eq!(read(&[0x7f]), Some(127));
        assert_eq!(read(&[0x81, 0]), Some(128));
        assert_eq!(read(&[0xff; 9]), Some(u64::MAX));
        assert_eq!(read(&[0x81]), None);
        assert_eq!([0, 1, 5, 6, 9, 12, 13, 14, 53].map(value_length), [0, 1, 6, 8, 0, 0, 0, 1, 20]);
    }

    #[test]
    fn rows_are_found_without_their_start() {
        let record = [&[4, 0, 53, 93][..], &[b'A'; 20], &[b's'; 40]].concat();
        let mut search = Search { is_wide: false, steps: 10_000 };
        let found = search.whole_record(&record).unwrap();
        assert_eq!((found.types, found.length), (vec![0, 53, 93], record.len()));
        // A free block: the next one, its length, and what is left of payload length, row id, header length and first type.
        let freed = [&[0, 0, 0, 66][..], &record[2..]].concat();
        assert_eq!(search.headless_record(&freed).unwrap().types, [53, 93]);
        let joined = [&[0, 0, 0, 132][..], &record[2..], &freed].concat();
        assert_eq!(search.headless_record(&joined).unwrap().types, [53, 93]);
        assert!(search.whole_record(b"some text that is none of the kind").is_none());
    }
}
