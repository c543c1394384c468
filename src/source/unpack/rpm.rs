//! RPM packages: a lead, two headers (of signatures, and of the package), and a compressed cpio archive. What stands in the
//! package's header, such as its scripts, is scanned as it is. The format is read here: the library for it reads all into
//! memory, and as much as a header says. (RPM's documentation, "Package format v4")

use super::{Content, Place, Unpacker};
use crate::source::SkipCause;
use std::io::{self, Read};

pub(super) const MAGIC: &[u8] = b"\xed\xab\xee\xdb";
const LEAD: usize = 96;

/// How each header starts, followed by four unused bytes and the numbers of its index entries and of the bytes of its data.
const HEADER: &[u8] = b"\x8e\xad\xe8\x01";

/// The length of an index entry in bytes.
const INDEX_ENTRY: u64 = 16;

/// To a multiple of how many bytes the header of signatures is padded.
const PADDING: u64 = 8;

/// Emits the package's header and what is packed.
///
/// # Errors
/// If it is damaged; everything before that was emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let failed = |error: io::Error| budget.cause(&error);
    let mut source = budget.meter(content.reader());
    let mut lead = [0; LEAD];
    source.read_exact(&mut lead).map_err(failed)?;
    let signatures = header(&mut source).map_err(failed)?;
    io::copy(&mut (&mut source).take(signatures.next_multiple_of(PADDING)), &mut io::sink()).map_err(failed)?;
    let length = header(&mut source).map_err(failed)?;
    budget.enter()?;
    let inner = place.within(b"header");
    let mut data = (&mut source).take(length);
    if let Err(cause) = unpacker.entry(&inner, &mut data) {
        unpacker.skip(&inner.path, cause);
    }
    io::copy(&mut data, &mut io::sink()).map_err(failed)?;
    unpacker.unpacked(place, b"payload", &mut source)
}

/// Reads the start and the index of a header; the length of its data in bytes.
fn header(source: &mut impl Read) -> io::Result<u64> {
    let mut start = [0; 16];
    source.read_exact(&mut start)?;
    let number = |at: usize| u64::from(u32::from_be_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]));
    if !start.starts_with(HEADER) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let index = number(8) * INDEX_ENTRY;
    if io::copy(&mut source.take(index), &mut io::sink())? < index {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(number(12))
}
