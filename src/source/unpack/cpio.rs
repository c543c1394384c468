//! `cpio` archives: what is packed in RPM packages, and initial file systems of Linux. The format is read here: the libraries
//! for it reserve as much memory as a header says.
//!
//! Each entry has a header in text: six characters that name the variant, then numbers, hexadecimal in the variant of
//! SVR4 (`070701`, and `070702` with a checksum) and octal in POSIX's (`070707`); then its name, which ends in a zero byte,
//! and its data. In SVR4's, both are padded to a multiple of four bytes. The last entry is [`END`]. (cpio(5))

use super::{Content, Place, Unpacker, compressed};
use crate::source::SkipCause;
use std::io::{self, BufReader, Read};
use std::ops::Range;

/// The name of the entry that ends an archive.
const END: &[u8] = b"TRAILER!!!";

/// The maximum length of a name in bytes, with its zero byte: that of a path in Linux.
const MAX_NAME: u64 = 4096;

/// How a variant writes its headers.
struct Variant {
    header: usize,
    radix: u32,
    /// Where the lengths of the name and of the data stand.
    name: Range<usize>,
    data: Range<usize>,
    /// To a multiple of how many bytes the name and the data are padded.
    padding: u64,
}

const SVR4: Variant = Variant { header: 110, radix: 16, name: 94..102, data: 54..62, padding: 4 };
const POSIX: Variant = Variant { header: 76, radix: 8, name: 59..65, data: 65..76, padding: 1 };

/// The variant of the entry that starts with `head`.
fn variant(head: &[u8]) -> Option<&'static Variant> {
    let variant = match head.get(..6)? {
        b"070701" | b"070702" => &SVR4,
        b"070707" => &POSIX,
        _ => return None,
    };
    let is_digit = |b: &u8| char::from(*b).is_digit(variant.radix);
    head.get(..variant.header)?.iter().all(is_digit).then_some(variant)
}

/// True if an archive starts with `head`.
pub(super) fn is_archive(head: &[u8]) -> bool {
    variant(head).is_some()
}

/// Emits the entries of an archive, and any data after it.
///
/// # Errors
/// If it is damaged; everything before that was emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let failed = |error: io::Error| budget.cause(&error);
    let damaged = || SkipCause::Damaged("a header in it is damaged, or it is incomplete");
    let mut source = BufReader::new(budget.meter(content.reader()));
    loop {
        let mut header = vec![0; POSIX.header];
        source.read_exact(&mut header).map_err(failed)?;
        if !header.starts_with(b"070707") {
            (&mut source).take((SVR4.header - POSIX.header) as u64).read_to_end(&mut header).map_err(failed)?;
        }
        let variant = variant(&header).ok_or_else(damaged)?;
        let number = |range: &Range<usize>| {
            let digits = std::str::from_utf8(&header[range.clone()]).ok();
            digits.and_then(|digits| u64::from_str_radix(digits, variant.radix).ok()).ok_or_else(damaged)
        };
        let (length, size) = (number(&variant.name)?, number(&variant.data)?);
        if length > MAX_NAME {
            return Err(damaged());
        }
        let pad = |length: u64| length.next_multiple_of(variant.padding) - length;
        let mut name = vec![0; length as usize];
        source.read_exact(&mut name).map_err(failed)?;
        skip(&mut source, pad(variant.header as u64 + length)).map_err(failed)?;
        let name = name.strip_suffix(b"\0").unwrap_or(&name);
        if name == END {
            return compressed::after_the_end(unpacker, place, &mut source);
        }
        budget.enter()?;
        if size > 0 {
            let mut data = (&mut source).take(size);
            let inner = place.within(name.strip_prefix(b"./").unwrap_or(name));
            if let Err(cause) = unpacker.entry(&inner, &mut data) {
                unpacker.skip(&inner.path, cause);
            }
            io::copy(&mut data, &mut io::sink()).map_err(failed)?;
            if data.limit() > 0 {
                return Err(damaged());
            }
        }
        skip(&mut source, pad(size)).map_err(failed)?;
    }
}

/// Reads over `length` bytes, or to the end.
fn skip(source: &mut impl Read, length: u64) -> io::Result<()> {
    io::copy(&mut source.take(length), &mut io::sink()).map(|_| ())
}
