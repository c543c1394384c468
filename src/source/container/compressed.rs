//! Files that are compressed on their own.

use super::{Content, Format, Place, Unpacker};
use crate::source::SkipCause;
use std::io::Read;

/// The most memory that a file may ask for to be unpacked, in bytes: what the largest preset of xz asks for, with room.
pub(super) const MOST_MEMORY: u64 = 128 << 20;

/// Hands over what is in a compressed file.
///
/// # Errors
/// If it is damaged; what comes before was handed over.
pub(super) fn open(unpacker: &Unpacker, format: Format, place: &Place, content: Content) -> Result<(), SkipCause> {
    unpacker.budget().enter()?;
    let source = content.reader();
    let damaged = |error: std::io::Error| SkipCause::Damaged(error.to_string());
    let decoder: Box<dyn Read> = match format {
        Format::Gzip => {
            Box::new(WithoutTrailer { decoder: flate2::read::MultiGzDecoder::new(source), has_yielded: false })
        }
        Format::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(source)),
        Format::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            source,
            true,
            u32::try_from(MOST_MEMORY >> 10).unwrap_or(u32::MAX),
        )),
        _ => {
            let mut decoder = zstd::Decoder::new(source).map_err(damaged)?;
            decoder.window_log_max(MOST_MEMORY.ilog2()).map_err(damaged)?;
            Box::new(decoder)
        }
    };
    let mut unfolded = unpacker.budget().meter(decoder);
    unpacker.unpacked(place, unpacked_name(place.path.innermost()), &mut unfolded)
}

/// The name of what is in a compressed file: as `gunzip` would call it.
fn unpacked_name(path: &[u8]) -> &[u8] {
    // Of something attached to a message.
    let path = path.strip_prefix(b"attachment ").unwrap_or(path);
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    let stem = name.iter().rposition(|&b| b == b'.').map_or(name, |dot| &name[..dot]);
    if stem.is_empty() { b"content" } else { stem }
}

/// Takes what follows the last member of a gzip file for its end, as `gzip -d` does: tapes pad with zeros.
struct WithoutTrailer<R> {
    decoder: R,
    has_yielded: bool,
}

impl<R: Read> Read for WithoutTrailer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.decoder.read(buffer) {
            Err(error) if self.has_yielded && error.to_string() == "invalid gzip header" => Ok(0),
            read => {
                self.has_yielded |= read.as_ref().is_ok_and(|&length| length > 0);
                read
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_last_extension() {
        assert_eq!(unpacked_name(b"a/b.tar.gz"), b"b.tar");
        assert_eq!(unpacked_name(b"a.d/b"), b"b");
        assert_eq!(unpacked_name(b"a.d/.gz"), b"content");
    }
}
