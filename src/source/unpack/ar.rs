//! `ar` archives: Debian packages and static libraries. The format is read here: the libraries for it reserve as much
//! memory as a header says.
//!
//! A file starts with [`MAGIC`]. Each member has a header of [`HEADER`] bytes, in text: name (16), time (12), owner (6),
//! group (6), mode (8), size (10), end (2); then its data, padded to an even length.

use super::{Content, Place, Unpacker};
use crate::source::SkipCause;
use std::io::{self, Read};

pub(super) const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;
const END: &[u8] = b"`\n";

/// Emits the members of an archive.
///
/// # Errors
/// If it is damaged; everything before that was emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let failed = |error: io::Error| budget.cause(&error);
    let damaged = || SkipCause::Damaged("a header in it is damaged, or it is incomplete");
    let mut source = budget.meter(content.reader());
    let mut magic = [0; MAGIC.len()];
    source.read_exact(&mut magic).map_err(failed)?;
    loop {
        let mut header = Vec::with_capacity(HEADER);
        (&mut source).take(HEADER as u64).read_to_end(&mut header).map_err(failed)?;
        if header.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let field = |range: std::ops::Range<usize>| header.get(range).unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(field(48..58)).ok().and_then(|size| size.parse::<u64>().ok());
        let Some(size) = size.filter(|_| field(58..60) == END.trim_ascii()) else { return Err(damaged()) };
        budget.enter()?;
        let name = field(0..16);
        let name = name.strip_suffix(b"/").filter(|name| !name.is_empty()).unwrap_or(name);
        let mut member = (&mut source).take(size);
        let inner = place.within(name);
        if let Err(cause) = unpacker.entry(&inner, &mut member) {
            unpacker.skip(&inner.path, cause);
        }
        io::copy(&mut member, &mut io::sink()).map_err(failed)?;
        if member.limit() > 0 {
            return Err(damaged());
        }
        if size % 2 == 1 {
            io::copy(&mut (&mut source).take(1), &mut io::sink()).map_err(failed)?;
        }
    }
}
