//! Which trees lead to some blobs, by one pass over all trees of a repository.
//!
//! A tree is mostly its delta base with an entry changed. Entries that lie whole in what both share need not be looked at
//! again; only the others are read. What is kept of a tree is how it differs from its base.

use crate::source::git::history::{Counter, History};
use crate::source::git::object::{Kind, Mode, TreeEntry};
use crate::source::git::odb::{Node, Odb};
use crate::source::git::oid::Oid;
use crate::source::git::pack::Damage;
use crate::source::git::pack::delta::Copied;
use crate::source::git::pack::walk::{Visit, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Trees over this many bytes are not read: git's own limits end long before (a million files with names of 40 bytes).
const MOST_TREE: u64 = 64 << 20;

/// No entry of a tree is shorter, in bytes: a mode, a space, a name, a zero, an object's name.
const LEAST_ENTRY: usize = 5 + 1 + 1 + 1 + Oid::LENGTH;

/// An entry that leads nowhere of interest.
const NOWHERE: Node = Node::MAX;

/// Number of a name.
pub type Name = u32;

/// All trees, each as what distinguishes it from another one.
#[derive(Debug, Default)]
pub struct Trees {
    /// A base comes before what is made from it.
    pub records: Vec<Record>,
    /// What the records' ranges mean.
    pub changes: Vec<Link>,
    /// What [`Name`]s mean.
    pub names: Vec<Box<[u8]>>,
    /// Objects that trees name and that are not there.
    pub missing: BTreeMap<Oid, Kind>,
    /// Trees that could not be read, and why.
    pub lost: BTreeMap<Oid, String>,
}

/// A tree.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// The tree.
    pub node: Node,
    /// The record of its base, if it has one.
    pub base: Option<u32>,
    /// Where in the changes its removed links start, and its added ones, which end where the next record's start.
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

impl Trees {
    /// Reads all trees; of the blobs only those that `is_wanted` are kept.
    pub fn read(history: &History, is_wanted: &(dyn Fn(Node) -> bool + Sync)) -> Self {
        let parts = Mutex::new(Vec::new());
        let reader = |first| Reader {
            odb: history.odb,
            first,
            is_wanted,
            trees: Self::default(),
            numbers: HashMap::new(),
            fresh: Vec::new(),
            counter: Counter::new(history.progress()),
            kept: Vec::new(),
        };
        history.visit(&[Kind::Tree], MOST_TREE, reader, |reader| {
            parts.lock().unwrap_or_else(PoisonError::into_inner).push(reader.trees);
        });
        let mut all = Self::default();
        let mut numbers = HashMap::new();
        for part in parts.into_inner().unwrap_or_else(PoisonError::into_inner) {
            all.append(part, &mut numbers);
        }
        all
    }

    fn append(&mut self, mut part: Self, numbers: &mut HashMap<Box<[u8]>, Name>) {
        let renumbered: Vec<Name> =
            part.names.into_iter().map(|name| number_of(name, numbers, &mut self.names)).collect();
        let (records, changes) = (self.records.len() as u32, self.changes.len() as u32);
        self.records.extend(part.records.into_iter().map(|record| Record {
            node: record.node,
            base: record.base.map(|base| base + records),
            removed: record.removed + changes,
            added: record.added + changes,
        }));
        let renumber = |link: Link| Link { name: renumbered[link.name as usize], to: link.to };
        self.changes.extend(part.changes.into_iter().map(renumber));
        self.missing.append(&mut part.missing);
        self.lost.append(&mut part.lost);
    }

    /// What a record's base links to and it does not.
    pub fn removed(&self, record: usize) -> &[Link] {
        let Record { removed, added, .. } = self.records[record];
        &self.changes[removed as usize..added as usize]
    }

    /// What a record links to and its base does not.
    pub fn added(&self, record: usize) -> &[Link] {
        let end = self.records.get(record + 1).map_or(self.changes.len(), |next| next.removed as usize);
        &self.changes[self.records[record].added as usize..end]
    }
}

fn number_of(name: Box<[u8]>, numbers: &mut HashMap<Box<[u8]>, Name>, names: &mut Vec<Box<[u8]>>) -> Name {
    *numbers.entry(name).or_insert_with_key(|name| {
        names.push(name.clone());
        names.len() as Name - 1
    })
}

/// A tree as needed to read those made from it.
struct Read {
    record: u32,
    /// All entries in order.
    entries: Vec<Entry>,
    /// Bytes up to the end of the last one.
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
    /// Where an entry starts; after the last one, where the tree ends.
    fn start(&self, entry: usize) -> u32 {
        self.entries.get(entry).map_or(self.length, |entry| entry.start)
    }

    /// The entries that lie whole between two offsets; none if no entry starts at the first one.
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
    numbers: HashMap<Box<[u8]>, Name>,
    /// Of the tree at hand: links of entries that were read, not taken over from its base.
    fresh: Vec<Link>,
    counter: Counter<'a>,
    /// Of the tree at hand: which of its base's entries were taken over.
    kept: Vec<Range<usize>>,
}

impl Reader<'_> {
    /// Reads entries from `at` on until one starts at `until` or after it, and returns where that is; `None` if there is
    /// something that is no entry.
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
        let kind = match entry.mode {
            Mode::Submodule => return None,
            Mode::Tree => Kind::Tree,
            Mode::Blob => Kind::Blob,
        };
        let Some(to) = self.odb.find(&entry.oid) else {
            self.trees.missing.insert(entry.oid, kind);
            return None;
        };
        if kind == Kind::Blob && !(self.is_wanted)(to) {
            return None;
        }
        let name = match self.numbers.get(entry.name) {
            Some(number) => *number,
            None => number_of(entry.name.into(), &mut self.numbers, &mut self.trees.names),
        };
        Some(Link { name, to })
    }

    /// Reads a tree, but takes over what it shares with its base.
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

    /// Notes how the tree at hand differs from its base.
    fn record(&mut self, visit: Visit, base: Option<&Read>, entries: Vec<Entry>, is_whole: Option<()>) -> Read {
        let node = self.first + visit.position;
        if is_whole.is_none() {
            self.trees.lost.insert(self.odb.oid(node), "it is no valid tree".into());
        }
        let changes = &mut self.trees.changes;
        let removed = changes.len() as u32;
        // A delta may also take parts of its base in another order, or twice. Then all is said to have changed.
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
        let record = self.trees.records.len() as u32;
        self.trees.records.push(Record { node, base: base.map(|base| base.record), removed, added });
        Read { record, entries, length: visit.bytes.len() as u32 }
    }
}

impl Visitor for Reader<'_> {
    type State = Read;
    const LEAST_SHARED: usize = LEAST_ENTRY;

    fn whole(&mut self, visit: Visit) -> Read {
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
