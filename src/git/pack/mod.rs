//! Packs: files of many objects, most of them stored as deltas against others.
//!
//! ```text
//! index ─► forest ─► walk ─► every object, rebuilt once
//! entry     (deltas of     delta, inflate
//!            each base)
//! ```
//!
//! Reading objects one by one, as git does, rebuilds the same bases again and again. Here, the deltas of a pack are
//! followed the other way, from each whole object to everything derived from it, so that every entry is inflated
//! exactly once.
//!
//! Source: [gitformat-pack](https://git-scm.com/docs/gitformat-pack).

pub mod delta;
pub mod entry;
pub mod forest;
pub mod index;
pub mod inflate;
pub mod walk;

use super::map::Map;
use crate::file::Reason;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use delta::Delta;
use entry::{Content, Header};
use index::PackIndex;
use inflate::Inflater;
use std::io;
use std::path::Path;

/// Why an entry cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is truncated, or lies outside the pack.
    #[error("it is truncated, or the index gives a wrong offset")]
    Truncated,
    /// Its kind is unknown.
    #[error("its kind is unknown")]
    Kind,
    /// Its size differs from the declared one, or is impossible.
    #[error("its declared size is wrong")]
    Size,
    /// It declares more bytes than the limit for one object.
    #[error("it declares {0} bytes, more than the limit for one object")]
    TooLarge(u64),
    /// Its delta base is missing.
    #[error("its delta base is missing")]
    Base,
    /// Its delta base cannot be read.
    #[error("its delta base cannot be read")]
    LostBase,
    /// Its chain of deltas is circular or too long.
    #[error("its chain of deltas never reaches a whole object")]
    Endless,
    /// Its compressed data is damaged.
    #[error("its compressed data is damaged")]
    Deflate,
    /// Its delta is damaged.
    #[error("its delta is damaged")]
    Delta,
    /// It is a loose object that cannot be read; the message says why.
    #[error("{0}")]
    Loose(String),
    /// The pack expands far more than any real one.
    #[error("the pack expands far more than any real one; it looks like a decompression bomb")]
    Bomb,
}

/// A pack and its index.
#[derive(Debug)]
pub struct Pack {
    /// Where each object is.
    pub index: PackIndex,
    data: Map,
}

/// Length of the header, in bytes.
const HEADER_LENGTH: usize = 12;

/// Maximum length of a chain of deltas. git's have up to 50, 250 when asked for the smallest pack, and at most 4095.
const MAX_DELTAS: usize = 5000;

impl Pack {
    /// Opens the pack that belongs to an index.
    ///
    /// # Errors
    /// If either file cannot be read, or they do not belong together.
    pub fn open(index: &Path) -> io::Result<Self> {
        let damaged = |what| io::Error::from(Reason(what));
        let data = Map::open(&index.with_extension("pack")).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("its pack is missing"),
            io::ErrorKind::PermissionDenied => damaged("permission to read its pack was denied"),
            _ => damaged("its pack cannot be read"),
        })?;
        let index = PackIndex::open(index)?;
        let header = data.first_chunk::<HEADER_LENGTH>().filter(|_| data.len() >= HEADER_LENGTH + Oid::LENGTH);
        let header = header.ok_or_else(|| damaged("the pack is too short"))?;
        let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if !header.starts_with(b"PACK") || !matches!(number(4), 2 | 3) {
            return Err(damaged("the pack has an unknown version"));
        }
        if number(8) as usize != index.len() {
            return Err(damaged("the pack and its index have different numbers of objects"));
        }
        Ok(Self { index, data })
    }

    /// Offset of the end of the entries, in bytes; a checksum follows.
    pub fn end(&self) -> u64 {
        (self.data.len() - Oid::LENGTH) as u64
    }

    /// The header of the entry at `offset`, and the bytes from there to `end`.
    fn entry(&self, offset: u64, end: u64) -> Result<(Header, &[u8]), Damage> {
        let range = usize::try_from(offset).ok().zip(usize::try_from(end.min(self.end())).ok());
        let (start, end) = range.filter(|(start, _)| *start >= HEADER_LENGTH).ok_or(Damage::Truncated)?;
        let bytes = self.data.get(start..end).ok_or(Damage::Truncated)?;
        let header = Header::read(bytes)?;
        Ok((header, &bytes[header.length..]))
    }

    /// Reads one object of at most `limit` bytes, by its position in the index; for callers that need only a few
    /// objects.
    ///
    /// # Errors
    /// If it or an object in its chain of deltas is damaged or larger.
    pub fn read(&self, position: usize, limit: u64) -> Result<(ObjectKind, Vec<u8>), Damage> {
        let mut inflater = Inflater::new();
        let mut inflate = |header: &Header, bytes: &[u8]| {
            check_size(header.size, bytes.len(), limit)?;
            let mut out = vec![0; header.size as usize];
            inflater.inflate(bytes, &mut out).map(|()| out)
        };
        let mut deltas = Vec::new();
        let mut offset = self.index.offset(position);
        let (kind, mut object) = loop {
            let (header, bytes) = self.entry(offset, u64::MAX)?;
            let base = match header.content {
                Content::Whole(kind) => break (kind, inflate(&header, bytes)?),
                Content::OffsetDelta(distance) => offset.checked_sub(distance).ok_or(Damage::Base)?,
                Content::RefDelta(base) => self.index.offset(self.index.find(&base).ok_or(Damage::Base)?),
            };
            if deltas.len() == MAX_DELTAS {
                return Err(Damage::Endless);
            }
            deltas.push((header, bytes));
            offset = base;
        };
        for (header, bytes) in deltas.iter().rev() {
            let delta = inflate(header, bytes)?;
            let delta = Delta::read(&delta)?;
            check_limit(delta.size, limit)?;
            let mut made = vec![0; delta.size as usize];
            delta.apply(&object, &mut made, |_| {})?;
            object = made;
        }
        Ok((kind, object))
    }
}

fn check_limit(size: u64, limit: u64) -> Result<(), Damage> {
    if size > limit { Err(Damage::TooLarge(size)) } else { Ok(()) }
}

/// Rejects a declared size that is too large or that `compressed` bytes cannot hold.
fn check_size(size: u64, compressed: usize, limit: u64) -> Result<(), Damage> {
    check_limit(size, limit)?;
    if inflate::is_possible(size, compressed) { Ok(()) } else { Err(Damage::Size) }
}
