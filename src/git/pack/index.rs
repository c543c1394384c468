//! The index of a pack: where each object is. Versions 1 and 2.
//!
//! Source: [gitformat-pack, "Pack index"](https://git-scm.com/docs/gitformat-pack).

use crate::file::Reason;
use crate::finding::object::{self, Oid};
use crate::git::map::Map;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

const MAGIC_V2: &[u8; 8] = b"\xfftOc\0\0\0\x02";
const FANOUT: usize = 256;

/// A memory-mapped index.
#[derive(Debug)]
pub struct PackIndex {
    data: Map,
    count: usize,
    names: Table,
    offsets: Table,
    /// Where the table of offsets that do not fit in 31 bits starts; 0 in version 1, which has none.
    long_offsets: usize,
    fanout: usize,
    /// Where the names with each prefix start, and finally the number of names: like the index's own fan-out, but
    /// finer, so that most searches read a single cache line.
    groups: OnceLock<Vec<u32>>,
}

/// Values at a fixed stride.
#[derive(Debug, Clone, Copy)]
struct Table {
    start: usize,
    stride: usize,
}

impl Table {
    fn at(self, position: usize) -> usize {
        self.start + self.stride * position
    }
}

impl PackIndex {
    /// Opens the file and checks its structure.
    ///
    /// # Errors
    /// If it cannot be read, is not an index of a supported version, or is too short for what it declares.
    pub fn open(path: &Path) -> io::Result<Self> {
        let data = Map::open(path)?;
        let damaged = |what| io::Error::from(Reason(what));
        let is_v2 = data.starts_with(MAGIC_V2);
        if data.starts_with(&MAGIC_V2[..4]) && !is_v2 {
            return Err(damaged("the version of the pack index is not supported"));
        }
        let fanout = if is_v2 { MAGIC_V2.len() } else { 0 };
        let tables = fanout + 4 * FANOUT;
        let short = || damaged("the pack index is too short");
        let counts = data.get(fanout..tables).ok_or_else(short)?;
        let counts: Vec<u32> = counts.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect();
        if !counts.is_sorted() {
            return Err(damaged("the fan-out table of the pack index is not sorted"));
        }
        let count = counts[FANOUT - 1] as usize;
        let (names, offsets, end) = if is_v2 {
            let offsets = tables + count * (Oid::LENGTH + 4);
            let names = Table { start: tables, stride: Oid::LENGTH };
            (names, Table { start: offsets, stride: 4 }, offsets + 4 * count)
        } else {
            let stride = Oid::LENGTH + 4;
            (Table { start: tables + 4, stride }, Table { start: tables, stride }, tables + stride * count)
        };
        // Two checksums follow.
        if data.len() < end + 2 * Oid::LENGTH {
            return Err(short());
        }
        let long_offsets = if is_v2 { end } else { 0 };
        Ok(Self { data, count, names, offsets, long_offsets, fanout, groups: OnceLock::new() })
    }

    /// Computes `groups`. Names that are out of order, which takes a forged index, are not found.
    fn group(&self) -> Vec<u32> {
        let mut groups = Vec::with_capacity(Oid::PREFIXES + 1);
        for position in 0..self.count {
            let prefix = self.oid(position).prefix();
            if groups.len() <= prefix {
                groups.resize(prefix + 1, position as u32);
            }
        }
        groups.resize(Oid::PREFIXES + 1, self.count as u32);
        groups
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The name at a position, in order of names.
    pub fn oid(&self, position: usize) -> Oid {
        Oid::read(&self.data[self.names.at(position)..]).expect("the length was checked")
    }

    /// Byte offset in the pack of the object at a position. Not checked against the pack.
    pub fn offset(&self, position: usize) -> u64 {
        let at = self.offsets.at(position);
        let offset = self.number(at);
        if self.long_offsets == 0 || offset & 0x8000_0000 == 0 {
            return u64::from(offset);
        }
        let at = self.long_offsets + 8 * (offset & 0x7fff_ffff) as usize;
        let bytes = self.data.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes))
    }

    /// The position of a name.
    pub fn find(&self, oid: &Oid) -> Option<usize> {
        if let Some(groups) = self.groups.get() {
            let (low, high) = (groups[oid.prefix()] as usize, groups[oid.prefix() + 1] as usize);
            return object::search(low..high, Oid::PREFIX_BITS, oid, |position| self.oid(position));
        }
        let first = usize::from(oid.as_bytes()[0]);
        let count = |byte: usize| self.number(self.fanout + 4 * byte) as usize;
        let low = if first == 0 { 0 } else { count(first - 1) };
        object::search(low..count(first), u8::BITS, oid, |position| self.oid(position))
    }

    /// Prepares for millions of searches.
    pub fn prepare(&self) {
        self.groups.get_or_init(|| self.group());
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(*self.data[at..].first_chunk().expect("the length was checked"))
    }
}
