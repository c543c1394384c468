//! Finds the trees that lead to given blobs, in one pass over all trees of a repository.
//!
//! Most trees are their delta base with one entry changed. Entries that lie entirely in shared parts need not be parsed
//! again; only the others are read. Each tree is stored as its difference from its base.

use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use crate::git::history::{Counter, History};
use crate::git::object::{MAX_TREE, Mode, TreeEntry};
use crate::git::odb::{Node, Odb};
use crate::git::pack::Damage;
use crate::git::pack::delta::Copied;
use crate::git::pack::walk::{Visit, Visitor};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Minimum length of a tree entry, in bytes: mode, space, name, NUL, object id.
const MIN_ENTRY: usize = 5 + 1 + 1 + 1 + Oid::LENGTH;

/// Target of an entry that is of no interest.
const NOWHERE: Node = Node::MAX;

/// Number of a name.
pub type Name = u32;

/// All trees, each stored as its difference from another one.
#[derive(Debug, Default)]
pub struct Trees {
    /// The trees, in chunks of some families each.
    pub chunks: Vec<Chunk>,
    /// The names that [`Name`]s stand for.
    pub names: Vec<Box<[u8]>>,
    /// Missing objects that trees refer to.
    pub missing: BTreeSet<Oid>,
    /// Trees that could not be read, and why.
    pub lost: BTreeMap<Oid, String>,
}

/// Some families of trees: everything derived from a tree is in the same chunk.
#[derive(Debug, Default)]
pub struct Chunk {
    records: Vec<Record>,
    links: Vec<Link>,
}

/// A tree: the links of its base, without the removed ones and with the added ones.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// The tree.
    pub node: Node,
    /// Position of the base in the chunk; it is before this tree's.
    pub base: Option<usize>,
    /// Links that its base has and it does not.
    pub removed: &'a [Link],
    /// Links that it has and its base does not.
    pub added: &'a [Link],
}

#[derive(Debug, Clone, Copy)]
struct Record {
    node: Node,
    base: Option<u32>,
    /// Where the removed and the added links start in the chunk's links; they end where the next record's start.
    removed: u32,
    added: u32,
}

/// An entry that leads to a tree or to a wanted blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Name of the entry.
    pub name: Name,
    /// What it leads to.
    pub to: Node,
}

impl Chunk {
    /// A chunk with more links than this gets no further family.
    const FULL: usize = 1 << 15;

    /// How many trees there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All trees.
    pub fn trees(&self) -> impl Iterator<Item = Tree<'_>> {
        let ends = self.records.iter().skip(1).map(|next| next.removed as usize).chain([self.links.len()]);
        self.records.iter().zip(ends).map(|(record, end)| Tree {
            node: record.node,
            base: record.base.map(|base| base as usize),
            removed: &self.links[record.removed as usize..record.added as usize],
            added: &self.links[record.added as usize..end],
        })
    }
}

impl Trees {
    /// Reads all trees; links to blobs are kept only if the blob `is_wanted`.
    pub fn read(history: &History, is_wanted: &(dyn Fn(Node) -> bool + Sync)) -> Self {
        let all = Mutex::new(Self::default());
        let names = Mutex::new(Names::default());
        let reader = |first| Reader {
            odb: history.odb,
            first,
            is_wanted,
            trees: Self::default(),
            chunk: Chunk::default(),
            all_names: &names,
            names: HashMap::new(),
            known: KnownTree::new(),
            fresh: Vec::new(),
            kept: Vec::new(),
            counter: Counter::new(history.progress()),
        };
        history.visit(&[ObjectKind::Tree], MAX_TREE, reader, |mut reader| {
            reader.close_chunk();
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.chunks.append(&mut reader.trees.chunks);
            all.missing.append(&mut reader.trees.missing);
            all.lost.append(&mut reader.trees.lost);
        });
        let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.names = names.into_inner().unwrap_or_else(PoisonError::into_inner).all;
        all.sort_names();
        all
    }

    /// Renumbers the names in byte order, so that what is looked at before a limit does not depend on which thread met a name
    /// first.
    fn sort_names(&mut self) {
        let mut order: Vec<Name> = (0..self.names.len() as Name).collect();
        order.par_sort_unstable_by_key(|name| &self.names[*name as usize]);
        let mut numbers = vec![0; order.len()];
        for (number, name) in order.iter().enumerate() {
            numbers[*name as usize] = number as Name;
        }
        self.chunks.par_iter_mut().flat_map_iter(|chunk| &mut chunk.links).for_each(|link| {
            link.name = numbers[link.name as usize];
        });
        self.names = order.into_iter().map(|name| std::mem::take(&mut self.names[name as usize])).collect();
    }
}

/// Assigns numbers to names.
#[derive(Default)]
struct Names {
    all: Vec<Box<[u8]>>,
    numbers: HashMap<Box<[u8]>, Name>,
}

impl Names {
    fn number(&mut self, name: &[u8]) -> Name {
        *self.numbers.entry(name.into()).or_insert_with_key(|name| {
            self.all.push(name.clone());
            self.all.len() as Name - 1
        })
    }
}

/// A tree, with what is needed to read those derived from it.
struct Read {
    record: u32,
    /// All entries in order.
    entries: Vec<Entry>,
    /// Offset of the end of the last one.
    length: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Offset of its first byte.
    start: u32,
    name: Name,
    /// [`NOWHERE`] if it is of no interest.
    to: Node,
}

impl Read {
    /// Offset of an entry; for the position after the last one, the end of the tree.
    fn start(&self, entry: usize) -> u32 {
        self.entries.get(entry).map_or(self.length, |entry| entry.start)
    }

    /// The entries that lie entirely between two offsets; none if no entry starts at the first offset.
    fn entries_within(&self, from: usize, end: usize) -> Range<usize> {
        let first = self.entries.partition_point(|entry| (entry.start as usize) < from);
        if self.entries.get(first).is_none_or(|entry| entry.start as usize != from) {
            return 0..0;
        }
        let last = first + self.entries[first..].partition_point(|entry| (entry.start as usize) <= end);
        let last = if self.length as usize <= end { last } else { last - 1 };
        first..last
    }
}

impl Entry {
    fn link(self) -> Option<Link> {
        (self.to != NOWHERE).then_some(Link { name: self.name, to: self.to })
    }
}

/// Reads trees in one thread.
struct Reader<'a> {
    odb: &'a Odb,
    first: Node,
    is_wanted: &'a (dyn Fn(Node) -> bool + Sync),
    trees: Trees,
    chunk: Chunk,
    all_names: &'a Mutex<Names>,
    /// Names that this thread has seen; there are few.
    names: HashMap<Box<[u8]>, Name>,
    known: KnownTree,
    /// For the current tree: links of entries that were read, not inherited from its base.
    fresh: Vec<Link>,
    /// For the current tree: the entries that were inherited from its base.
    kept: Vec<Range<usize>>,
    counter: Counter<'a>,
}

/// Cache of object numbers: versions of a directory refer to the same objects again and again.
struct KnownTree(Vec<(Oid, Node)>);

impl KnownTree {
    /// Fits in a processor's L2 cache.
    const SIZE: usize = 1 << 14;

    fn new() -> Self {
        Self(vec![(Oid::new([0; Oid::LENGTH]), NOWHERE); Self::SIZE])
    }

    fn find(&mut self, odb: &Odb, oid: &Oid) -> Option<Node> {
        let [.., a, b] = oid.as_bytes();
        let place = &mut self.0[usize::from(u16::from_be_bytes([*a, *b])) % Self::SIZE];
        if place.0 != *oid || place.1 == NOWHERE {
            *place = (*oid, odb.find(oid)?);
        }
        Some(place.1)
    }
}

impl Reader<'_> {
    /// Reads entries from `at` until one starts at or after `until`, and returns its offset; `None` if an entry is
    /// invalid.
    fn read(&mut self, tree: &[u8], mut at: usize, until: usize, out: &mut Vec<Entry>) -> Option<usize> {
        while at < until {
            let entry = TreeEntry::read(&tree[at..])?;
            let link = self.follow(&entry);
            self.fresh.extend(link);
            let Link { name, to } = link.unwrap_or(Link { name: 0, to: NOWHERE });
            out.push(Entry { start: at as u32, name, to });
            at += entry.length;
        }
        Some(at)
    }

    fn follow(&mut self, entry: &TreeEntry) -> Option<Link> {
        if entry.mode == Mode::Submodule {
            return None;
        }
        let Some(to) = self.known.find(self.odb, &entry.oid) else {
            self.trees.missing.insert(entry.oid);
            return None;
        };
        if entry.mode == Mode::Blob && !(self.is_wanted)(to) {
            return None;
        }
        let name = match self.names.get(entry.name) {
            Some(name) => *name,
            None => {
                let name = self.all_names.lock().unwrap_or_else(PoisonError::into_inner).number(entry.name);
                self.names.insert(entry.name.into(), name);
                name
            }
        };
        Some(Link { name, to })
    }

    /// Reads a tree, but inherits what it shares with its base.
    fn derive(&mut self, tree: &[u8], base: &Read, shared: &[Copied], out: &mut Vec<Entry>) -> Option<()> {
        let mut at = 0;
        for part in shared {
            at = self.read(tree, at, part.to, out)?;
            while at < part.to + part.length {
                let from = part.from + (at - part.to);
                let end = part.from + part.length;
                let kept = base.entries_within(from, end);
                if kept.is_empty() {
                    at = self.read(tree, at, at + 1, out)?;
                    continue;
                }
                let moved = |start: u32| start.wrapping_sub(from as u32).wrapping_add(at as u32);
                let entries = base.entries[kept.clone()].iter();
                out.extend(entries.map(|entry| Entry { start: moved(entry.start), ..*entry }));
                at = moved(base.start(kept.end)) as usize;
                self.kept.push(kept);
            }
        }
        self.read(tree, at, tree.len(), out).map(|_| ())
    }

    /// Records how the current tree differs from its base.
    fn record(&mut self, visit: Visit, base: Option<&Read>, entries: Vec<Entry>, is_whole: Option<()>) -> Read {
        let node = self.first + visit.position;
        if is_whole.is_none() {
            self.trees.lost.insert(self.odb.oid(node), "it is not a valid tree".into());
        }
        let changes = &mut self.chunk.links;
        let removed = changes.len() as u32;
        // A delta may copy parts of its base in another order, or twice. Then everything is recorded as changed.
        let in_order = self.kept.is_sorted_by(|a, b| a.end <= b.start);
        if let Some(base) = base {
            let links = |range: Range<usize>| base.entries[range].iter().filter_map(|entry| entry.link());
            let mut from = 0;
            for kept in self.kept.iter().filter(|_| in_order) {
                changes.extend(links(from..kept.start));
                from = kept.end;
            }
            changes.extend(links(from..base.entries.len()));
        }
        let added = changes.len() as u32;
        if in_order {
            changes.extend_from_slice(&self.fresh);
        } else {
            changes.extend(entries.iter().filter_map(|entry| entry.link()));
        }
        self.counter.count(visit.bytes.len() as u64);
        self.fresh.clear();
        self.kept.clear();
        let record = self.chunk.records.len() as u32;
        self.chunk.records.push(Record { node, base: base.map(|base| base.record), removed, added });
        Read { record, entries, length: visit.bytes.len() as u32 }
    }
}

impl Reader<'_> {
    fn close_chunk(&mut self) {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.records.shrink_to_fit();
        chunk.links.shrink_to_fit();
        self.trees.chunks.push(chunk);
    }
}

impl Visitor for Reader<'_> {
    type State = Read;
    const MIN_SHARED: usize = MIN_ENTRY;

    fn whole(&mut self, visit: Visit) -> Read {
        if self.chunk.links.len() > Chunk::FULL {
            self.close_chunk();
        }
        let mut entries = Vec::new();
        let is_whole = self.read(visit.bytes, 0, visit.bytes.len(), &mut entries).map(|_| ());
        self.record(visit, None, entries, is_whole)
    }

    fn derived(&mut self, visit: Visit, base: &Read, shared: &[Copied]) -> Read {
        let mut entries = Vec::with_capacity(base.entries.len() + 1);
        let is_whole = self.derive(visit.bytes, base, shared, &mut entries);
        self.record(visit, Some(base), entries, is_whole)
    }

    fn lost(&mut self, position: u32, damage: Damage) {
        let oid = self.odb.oid(self.first + position);
        self.trees.lost.insert(oid, damage.to_string());
    }
}
