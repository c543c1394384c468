//! Tar archives, read in a single pass.

use super::{Content, Place, Unpacker};
use crate::file::Reason;
use crate::source::SkipCause;
use std::io::{Read, Result as IoResult};

/// Size of a block of a tar archive, in bytes.
const BLOCK: usize = 512;

/// The maximum size of an entry's name or attributes, in bytes: the library reads them into memory whatever their size.
const MAX_NAME: u64 = 1 << 20;

/// Emits the files in a tar archive. Links and devices have no content.
///
/// # Errors
/// If it is damaged or over a limit; everything before that was emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let mut archive = ::tar::Archive::new(BoundedHeaders { source: content.reader(), block: Vec::new() });
    // The end may be followed by another archive, as with `cat`.
    archive.set_ignore_zeros(true);
    for entry in archive.entries().map_err(|error| budget.cause(&error))? {
        let mut entry = entry.map_err(|error| budget.cause(&error))?;
        budget.enter()?;
        let kind = entry.header().entry_type();
        // According to POSIX, an entry of unknown type is a file.
        let holds_nothing = kind.is_hard_link() || kind.is_symlink() || kind.is_dir() || kind.is_fifo();
        let holds_nothing = holds_nothing || kind.is_character_special() || kind.is_block_special();
        if holds_nothing && entry.size() == 0 || kind.is_pax_global_extensions() {
            continue;
        }
        let inner = place.within(&entry.path_bytes());
        // A sparse file consists mostly of holes.
        let read = if kind.is_gnu_sparse() {
            unpacker.entry(&inner, &mut budget.meter(&mut entry))
        } else {
            let mut watched = Watched::new(&mut entry);
            let read = unpacker.entry(&inner, &mut watched);
            if watched.holds_headers() {
                unpacker.skip(&inner.path, SkipCause::NoText("it contains what looks like archive entries"));
            }
            read
        };
        if let Err(cause) = read {
            // If an entry is too large or damaged, the next one is still read.
            unpacker.skip(&inner.path, cause);
        }
        if let Some(cause) = budget.spent() {
            return Err(cause.clone());
        }
    }
    Ok(())
}

/// The magic bytes of a header ([pax(1)](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html)).
const MAGIC: &[u8] = b"ustar";
const MAGIC_AT: usize = 257;

/// Passes an entry through and detects headers in it: if the size of an entry is damaged, the entries that follow
/// appear to be part of it.
struct Watched<R> {
    source: R,
    /// How many bytes have passed.
    at: usize,
    /// How many bytes of the magic have passed in this block.
    matched: usize,
    /// True if it is an archive itself, which contains headers.
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

/// Passes an archive through, and fails if a header declares an impossibly long name.
struct BoundedHeaders<R> {
    source: R,
    /// The start of a block that is still incomplete.
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
        Ok(size) if size > MAX_NAME => Err(Reason("a name or list of attributes is too long").into()),
        _ => Ok(()),
    }
}
