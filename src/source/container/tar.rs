//! Tar archives, read in one go.

use super::{Content, Place, Unpacker};
use crate::file::Reason;
use crate::source::SkipCause;
use std::io::{Read, Result as IoResult};

/// Blocks of a tar archive, in bytes.
const BLOCK: usize = 512;

/// The longest name or list of attributes of an entry, in bytes: the library reads them into memory whatever their size.
const LONGEST_NAME: u64 = 1 << 20;

/// Hands over the files in a tar archive. Links and devices hold nothing.
///
/// # Errors
/// If it is damaged, or over a limit; what comes before was handed over.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let mut archive = ::tar::Archive::new(BoundedHeaders { source: content.reader(), block: Vec::new() });
    // What follows the end is another archive, as `cat` makes them.
    archive.set_ignore_zeros(true);
    for entry in archive.entries().map_err(|error| budget.cause(&error))? {
        let mut entry = entry.map_err(|error| budget.cause(&error))?;
        budget.enter()?;
        let kind = entry.header().entry_type();
        // What is of no known kind is a file, says POSIX.
        let holds_nothing = kind.is_hard_link() || kind.is_symlink() || kind.is_dir() || kind.is_fifo();
        if holds_nothing || kind.is_character_special() || kind.is_block_special() || kind.is_pax_global_extensions() {
            continue;
        }
        let inner = place.within(&entry.path_bytes());
        // A sparse file is mostly made of nothing.
        let read = if kind.is_gnu_sparse() {
            unpacker.entry(&inner, &mut budget.meter(&mut entry))
        } else {
            unpacker.entry(&inner, &mut entry)
        };
        if let Err(cause) = read {
            // One that is too large, or damaged inside, is no reason not to read the next.
            unpacker.skip(&inner.path, cause);
        }
        if let Some(cause) = budget.spent() {
            return Err(cause.clone());
        }
    }
    Ok(())
}

/// Passes an archive through, and fails where a header announces a name of a size that no name has.
struct BoundedHeaders<R> {
    source: R,
    /// The start of the block that is not yet whole.
    block: Vec<u8>,
}

impl<R: Read> Read for BoundedHeaders<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let length = self.source.read(buffer)?;
        let mut rest = &buffer[..length];
        if !self.block.is_empty() {
            let missing = (BLOCK - self.block.len()).min(rest.len());
            self.block.extend_from_slice(&rest[..missing]);
            rest = &rest[missing..];
            if self.block.len() < BLOCK {
                return Ok(length);
            }
            check_block(&self.block)?;
            self.block.clear();
        }
        let blocks = rest.chunks_exact(BLOCK);
        self.block.extend_from_slice(blocks.remainder());
        blocks.into_iter().try_for_each(check_block)?;
        Ok(length)
    }
}

fn check_block(block: &[u8]) -> IoResult<()> {
    // The types of entries that only describe the next one.
    if !matches!(block[156], b'L' | b'K' | b'x' | b'g') || !super::format::has_checksum(block) {
        return Ok(());
    }
    let mut header = ::tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    match header.entry_size() {
        Ok(size) if size > LONGEST_NAME => Err(Reason("a name or list of attributes is too long").into()),
        _ => Ok(()),
    }
}
