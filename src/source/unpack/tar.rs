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
        let holds_nothing = holds_nothing || kind.is_character_special() || kind.is_block_special();
        if holds_nothing && entry.size() == 0 || kind.is_pax_global_extensions() {
            continue;
        }
        let inner = place.within(&entry.path_bytes());
        // A sparse file is mostly made of nothing.
        let read = if kind.is_gnu_sparse() {
            unpacker.entry(&inner, &mut budget.meter(&mut entry))
        } else {
            let mut watched = Watched::new(&mut entry);
            let read = unpacker.entry(&inner, &mut watched);
            if watched.holds_headers() {
                unpacker.skip(&inner.path, SkipCause::NoText("it holds what looks like entries of an archive"));
            }
            read
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

/// Where in a header its magic bytes are ([pax(1)](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html)).
const MAGIC: &[u8] = b"ustar";
const MAGIC_AT: usize = 257;

/// Passes an entry through, and sees whether headers are in it: where the size of an entry is damaged, those that follow are
/// taken for a part of it.
struct Watched<R> {
    source: R,
    /// How many bytes have passed.
    at: usize,
    /// How many bytes of the magic have passed in this block.
    matched: usize,
    /// True if it is an archive itself, where there must be headers.
    is_archive: bool,
    has_headers: bool,
}

impl<R: Read> Watched<R> {
    fn new(source: R) -> Self {
        Self { source, at: 0, matched: 0, is_archive: false, has_headers: false }
    }

    fn holds_headers(&self) -> bool {
        self.has_headers && !self.is_archive
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let length = self.source.read(buffer)?;
        let mut rest = 0;
        while rest < length {
            let place = (self.at + rest) % BLOCK;
            if place < MAGIC_AT || place >= MAGIC_AT + MAGIC.len() {
                self.matched = 0;
                rest += (MAGIC_AT + BLOCK - place) % BLOCK;
                continue;
            }
            self.matched += usize::from(buffer[rest] == MAGIC[place - MAGIC_AT]);
            if self.matched == MAGIC.len() {
                self.is_archive |= self.at + rest < BLOCK;
                self.has_headers = true;
            }
            rest += 1;
        }
        self.at += length;
        Ok(length)
    }
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
