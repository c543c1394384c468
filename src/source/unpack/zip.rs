//! Zip archives, and formats based on them.

use super::office;
use super::{Content, Place, Unpacker};
use crate::source::chat::export::{self, Exports};
use crate::source::{Context, SkipCause};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

/// The maximum number of archives that are concatenated in one file.
const MAX_ARCHIVES: usize = 100;

/// The first bytes of an entry's local header (APPNOTE.TXT, 4.3.7).
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";

/// The maximum number of bytes between entries that belong to none: the data descriptor with the sizes of the previous
/// entry, if they were not known at its start (APPNOTE.TXT, 4.3.9).
const MAX_DESCRIPTOR: u64 = 24;

/// The last bytes of Android's signing block, between the entries and the central directory. Source:
/// <https://source.android.com/docs/security/features/apksigning/v2>.
const APK_SIGNATURES: &[u8] = b"APK Sig Block 42";

/// Length of the end of central directory record, without a comment (APPNOTE.TXT, 4.3.16).
pub(super) const END: usize = 22;

/// The first bytes of the end of central directory record.
const END_MAGIC: &[u8] = b"PK\x05\x06";

/// The first bytes of the central directory (APPNOTE.TXT, 4.3.12).
const LIST_MAGIC: &[u8] = b"PK\x01\x02";

/// True if `end` is exactly the end record of an archive that is not empty.
pub(super) fn is_end(end: &[u8]) -> bool {
    end.len() >= END && end.starts_with(END_MAGIC) && end[10..12] != [0, 0] && end.len() == END + comment_length(end)
}

fn comment_length(end: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([end[20], end[21]]))
}

/// The offset after the last archive in `blob` whose central directory is where its end record says.
pub(super) fn end_of_last(blob: &[u8]) -> Option<usize> {
    let end = |at: usize| {
        let end = blob.get(at..at + END).filter(|end| end[10..12] != [0, 0])?;
        let length = u32::from_le_bytes([end[12], end[13], end[14], end[15]]) as usize;
        let list = blob.get(at.checked_sub(length)?..at)?;
        list.starts_with(LIST_MAGIC).then(|| blob.len().min(at + END + comment_length(end)))
    };
    memchr::memmem::find_iter(blob, END_MAGIC).filter_map(end).last()
}

/// Emits the files in a zip archive, and in archives that precede it in the same file.
///
/// # Errors
/// If it is damaged or over a limit; the readable parts were emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let padded_end = match &content {
        Content::Bytes(bytes) if !is_end(&bytes[bytes.len().saturating_sub(END)..]) => end_of_last(bytes),
        _ => None,
    };
    let mut source = content.seekable(unpacker)?;
    let mut end = source.seek(SeekFrom::End(0)).map_err(|error| budget.cause(&error))?;
    end = padded_end.map_or(end, |padded_end| padded_end as u64);
    let mut problem = None;
    for number in 0..MAX_ARCHIVES {
        let start = match ZipArchive::new(Part { source: &mut source, at: 0, end }) {
            Ok(archive) => {
                let start = archive.offset();
                problem = entries(unpacker, place, archive).err().or(problem);
                start
            }
            Err(error) => {
                let mut part = Part { source: &mut source, at: 0, end };
                // Data before an archive need not be another archive.
                if number > 0 && !starts_entry(&mut part, 0) {
                    break;
                }
                // A truncated archive has no central directory, but still a local header before each entry.
                _ = from_stream(unpacker, place, &mut part, 0);
                return Err(cause(unpacker, &error));
            }
        };
        if let Some(spent) = budget.spent() {
            return Err(spent.clone());
        }
        match start {
            0 => break,
            _ if number + 1 == MAX_ARCHIVES => return Err(budget.damaged("there are too many archives in one file")),
            start => end = start.min(end - 1),
        }
    }
    problem.map_or(Ok(()), Err)
}

fn entries<R: Read + Seek>(
    unpacker: &Unpacker,
    place: &Place,
    mut archive: ZipArchive<Part<R>>,
) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    // What comes with a message belongs to that.
    let is_in_message = matches!(place.context, Some(Context::Message(_)));
    let place = match (!is_in_message).then(|| exports(unpacker, &mut archive)).flatten() {
        Some(exports) => &place.clone().with(Context::Exports(Arc::new(exports))),
        None => place,
    };
    let strings = credential_report(unpacker, &mut archive);
    let mut known = vec![];
    for index in 0..archive.len() {
        if let Err(cause) = budget.enter() {
            let left = archive.len() - index;
            unpacker.skip(&place.path, SkipCause::MoreEntries { count: left, is_failure: cause.is_failure() });
            return Err(cause);
        }
        let name = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
        if let Ok(file) = archive.by_index_raw(index) {
            let data = file.data_start().unwrap_or(file.header_start());
            known.push(file.header_start()..data.saturating_add(file.compressed_size()));
        }
        match archive.by_index(index) {
            Ok(mut file) => entry(unpacker, place, &mut file, strings.as_deref()),
            Err(error) => unpacker.skip(&place.within(name.as_bytes()).path, cause(unpacker, &error)),
        }
    }
    let has_duplicates = archive.has_duplicate_names();
    let directory = archive.central_directory_start();
    let start = archive.offset();
    // Entries that are not listed, such as those shadowed by another one of the same name.
    let mut part = archive.into_inner();
    for gap in gaps(known, start..directory) {
        hidden_entries(unpacker, place, &mut part, gap)?;
    }
    if has_duplicates {
        return Err(budget.damaged("several entries have the same name"));
    }
    budget.spent().cloned().map_or(Ok(()), Err)
}

/// The gaps between entries that have room for something else.
fn gaps(mut known: Vec<Range<u64>>, all: Range<u64>) -> Vec<Range<u64>> {
    known.sort_unstable_by_key(|range| (range.start, range.end));
    let mut gaps = vec![];
    let mut at = all.start;
    for range in known.into_iter().chain([all.end..all.end]) {
        if range.start > at.saturating_add(MAX_DESCRIPTOR) {
            gaps.push(at..range.start);
        }
        at = at.max(range.end);
    }
    gaps
}

/// Emits the entries in a gap. Any other content is reported, unless it is padding or a known signature.
fn hidden_entries<R: Read + Seek>(
    unpacker: &Unpacker,
    place: &Place,
    archive: &mut Part<R>,
    gap: Range<u64>,
) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let mut part = Part { source: &mut archive.source, at: 0, end: gap.end };
    let mut content = Vec::new();
    let read = part.seek(SeekFrom::Start(gap.start)).and_then(|_| (&mut part).take(1 << 20).read_to_end(&mut content));
    read.map_err(|error| budget.cause(&error))?;
    let entry = memchr::memmem::find(&content, LOCAL_HEADER);
    let is_empty = content.iter().all(|&b| b == 0) || content.ends_with(APK_SIGNATURES);
    match entry {
        // It may be preceded by the data descriptor of the previous entry.
        Some(at) if at as u64 <= MAX_DESCRIPTOR => from_stream(unpacker, place, &mut part, gap.start + at as u64),
        _ if is_empty => Ok(()),
        _ => Err(budget.damaged("there is unknown data between its entries")),
    }
}

/// Emits consecutive entries from an offset on.
fn from_stream<R: Read + Seek>(
    unpacker: &Unpacker,
    place: &Place,
    part: &mut Part<R>,
    start: u64,
) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    part.seek(SeekFrom::Start(start)).map_err(|error| budget.cause(&error))?;
    loop {
        let problem = match zip::read::read_zipfile_from_stream(part) {
            Ok(Some(mut file)) => {
                budget.enter()?;
                entry(unpacker, place, &mut file, None);
                continue;
            }
            Ok(None) => return Ok(()),
            Err(error) => cause(unpacker, &error),
        };
        // The last few bytes may be the data descriptor of the previous entry.
        return if part.at >= part.end { Ok(()) } else { Err(problem) };
    }
}

/// True if there is a local header at an offset.
fn starts_entry<R: Read + Seek>(part: &mut Part<R>, at: u64) -> bool {
    let mut head = [0; LOCAL_HEADER.len()];
    part.seek(SeekFrom::Start(at)).and_then(|_| part.read_exact(&mut head)).is_ok() && head == LOCAL_HEADER
}

fn cause(unpacker: &Unpacker, error: &ZipError) -> SkipCause {
    match error {
        ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => SkipCause::Encrypted,
        ZipError::CompressionMethodNotSupported(_) => SkipCause::Unsupported("unsupported compression method"),
        ZipError::UnsupportedArchive(_) => SkipCause::Unsupported("unsupported kind of zip archive"),
        ZipError::Io(error) => unpacker.budget().cause(error),
        _ => unpacker.budget().damaged("it is not a valid zip archive"),
    }
}

/// Emits what is in `file`. `strings` are those that the sheets of a workbook refer to, if they are to be read as tables.
fn entry<R: Read>(unpacker: &Unpacker, place: &Place, file: &mut ZipFile<R>, strings: Option<&[String]>) {
    // An entry marked as a directory or a link may still have content.
    if !file.is_file() && file.size() == 0 && file.compressed_size() == 0 {
        return;
    }
    let inner = place.within(file.name_raw());
    let name = file.name_raw().to_vec();
    let mut unfolded = unpacker.budget().meter(file);
    // XML is also recognised by its start, as its name may be different or damaged.
    const XML: &[u8] = b"<?xml";
    let mut head = Vec::with_capacity(XML.len());
    // An error occurs again in whatever reads on.
    _ = (&mut unfolded).take(XML.len() as u64).read_to_end(&mut head);
    let is_xml = name.ends_with(b".xml") || head == XML;
    let mut unfolded = io::Cursor::new(head).chain(unfolded);
    let read = if is_xml {
        unpacker.read_all(&mut unfolded).map(|xml| {
            let is_sheet = name.starts_with(office::SHEETS);
            let text = match strings.or_else(|| office::is_credential_report(&xml).then_some(&[])) {
                Some(strings) if is_sheet => office::sheet(&xml, strings),
                _ if office::is_text(&name, &xml) => office::text(&xml),
                _ => xml,
            };
            unpacker.leaf(&inner, &text);
        })
    } else {
        unpacker.entry(&inner, &mut unfolded)
    };
    if let Err(cause) = read {
        unpacker.skip(&inner.path, cause);
    }
}

/// The strings of a workbook that holds a credential report. Its sheets are read with them, as what a row says counts. In
/// other workbooks the strings are searched where they are, once, however many cells show them.
fn credential_report<R: Read + Seek>(unpacker: &Unpacker, archive: &mut ZipArchive<R>) -> Option<Vec<String>> {
    let file = archive.by_name(office::STRINGS).ok()?;
    let mut xml = Vec::new();
    unpacker.budget().meter(file).take(office::MAX_STRINGS).read_to_end(&mut xml).ok()?;
    office::is_credential_report(&xml).then(|| office::strings(&xml))
}

/// The tables of exports of chats or tickets, if there are any.
fn exports<R: Read + Seek>(unpacker: &Unpacker, archive: &mut ZipArchive<R>) -> Option<Exports> {
    let names: Vec<Vec<u8>> =
        archive.file_names_raw().filter(|name| export::is_of_messages(name)).map(<[u8]>::to_owned).collect();
    Exports::read(names.iter().map(Vec::as_slice), |name| {
        let file = archive.by_name(name).ok()?;
        let mut bytes = Vec::new();
        unpacker.budget().meter(file).take(export::MAX_TABLE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    })
}

/// A file up to an offset.
struct Part<R> {
    source: R,
    at: u64,
    end: u64,
}

impl<R: Read> Read for Part<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.source.read(&mut buffer[..length])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Seek> Seek for Part<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        let at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.at = self.source.seek(SeekFrom::Start(at))?;
        Ok(self.at)
    }
}
