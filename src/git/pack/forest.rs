//! The deltas of a pack, by base: which objects are derived from which.

use super::Pack;
use super::entry::{Content, Header};
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use rayon::prelude::*;

/// No entry.
const NONE: u32 = u32::MAX;

/// A family is heavy, and handed out on its own, if it is heavier than the total weight divided by this.
const HEAVY_PART: u64 = 256;

/// Number of other families handed out at a time.
const PORTION: usize = 32;

/// The entries of a pack, numbered in the order of their offsets, and for each the entries that are deltas against it.
#[derive(Debug)]
pub struct Forest {
    offsets: Vec<u64>,
    /// Positions in the index.
    positions: Vec<u32>,
    /// Where the children of each entry start in `children`; they end where those of the next entry start.
    starts: Vec<u32>,
    /// Deltas against each entry, the heaviest last.
    children: Vec<u32>,
    /// Whole objects, the heavy ones first.
    roots: Vec<Root>,
    /// Number of heavy roots.
    heavy: usize,
    /// Entries whose chain of deltas does not reach a whole object in this pack.
    orphans: Vec<u32>,
}

/// A whole object with everything derived from it: a family.
#[derive(Debug, Clone, Copy)]
pub struct Root {
    /// The entry.
    pub entry: u32,
    /// Kinds of all of them.
    pub kind: ObjectKind,
}

/// The base of an entry, according to its header.
#[derive(Clone, Copy)]
enum Parent {
    Whole(ObjectKind),
    Of(u32),
    Unknown,
}

impl Forest {
    /// Reads the header of every entry; nothing is inflated.
    pub fn new(pack: &Pack) -> Self {
        let count = pack.index.len();
        let mut order: Vec<(u64, u32)> = (0..count as u32)
            .into_par_iter()
            .map(|position| (pack.index.offset(position as usize), position))
            .collect();
        order.par_sort_unstable();
        let offsets: Vec<u64> = order.iter().map(|(offset, _)| *offset).collect();
        let positions: Vec<u32> = order.into_iter().map(|(_, position)| position).collect();
        let finder = OffsetFinder::new(&offsets, pack.end());
        let headers: Vec<(Parent, u32)> =
            offsets.par_iter().with_min_len(4096).map(|&offset| header(pack, &finder, offset)).collect();
        let (starts, mut children) = children(&headers);
        // If every base precedes its deltas, as with offset deltas, every chain ends at a whole object.
        let is_ordered = |(entry, (parent, _)): (usize, &(Parent, u32))| match parent {
            Parent::Whole(_) => true,
            Parent::Of(base) => (*base as usize) < entry,
            Parent::Unknown => false,
        };
        let all_reached = headers.iter().enumerate().all(is_ordered);
        let entries = || (0u32..).zip(&headers);
        let mut roots: Vec<Root> = entries()
            .filter_map(|(entry, (parent, _))| match parent {
                Parent::Whole(kind) => Some(Root { entry, kind: *kind }),
                Parent::Of(_) | Parent::Unknown => None,
            })
            .collect();
        let orphans = entries().filter(|(_, (parent, _))| matches!(parent, Parent::Unknown)).map(|(entry, _)| entry);
        let orphans = orphans.collect();
        let weights =
            if all_reached { ordered_weights(&headers) } else { weights(&headers, &starts, &children, &roots) };
        for entry in 0..count {
            let siblings = &mut children[starts[entry] as usize..starts[entry + 1] as usize];
            let heaviest = siblings.iter().enumerate().max_by_key(|(_, child)| weights[**child as usize]);
            if let Some((heaviest, _)) = heaviest {
                siblings[heaviest..].rotate_left(1);
            }
        }
        let total: u64 = headers.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let heavy = |root: &Root| Some(weights[root.entry as usize]).filter(|w| u64::from(*w) > total / HEAVY_PART);
        // Stable: the light ones stay in the order of the file.
        roots.sort_by_key(|root| std::cmp::Reverse(heavy(root)));
        let heavy = roots.partition_point(|root| heavy(root).is_some());
        let mut forest = Self { offsets, positions, starts, children, roots, heavy, orphans };
        if !all_reached {
            forest.find_orphans();
        }
        forest
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// A portion of the families for a thread to work on; all portions take about equal work. Heavy families come first
    /// and alone, so that no thread is left with one at the end; the others come several at a time, in file order.
    pub fn portion(&self, number: usize) -> Option<&[Root]> {
        if number < self.heavy {
            return self.roots.get(number..=number);
        }
        let start = self.heavy + (number - self.heavy) * PORTION;
        let end = self.roots.len().min(start + PORTION);
        self.roots.get(start..end).filter(|portion| !portion.is_empty())
    }

    /// Entries that no family reaches: a base is not in the pack, or the deltas are circular.
    pub fn orphans(&self) -> &[u32] {
        &self.orphans
    }

    /// The entries that are deltas against `entry`.
    pub fn children(&self, entry: u32) -> &[u32] {
        &self.children[self.starts[entry as usize] as usize..self.starts[entry as usize + 1] as usize]
    }

    /// The entry's position in the index.
    pub fn position(&self, entry: u32) -> u32 {
        self.positions[entry as usize]
    }

    /// Offsets at which the entry and the next one start, in bytes.
    pub fn extent(&self, entry: u32) -> (u64, u64) {
        let next = self.offsets.get(entry as usize + 1);
        (self.offsets[entry as usize], next.copied().unwrap_or(u64::MAX))
    }

    /// `entry` and everything derived from it, directly or indirectly.
    pub fn descendants(&self, entry: u32) -> impl Iterator<Item = u32> {
        let mut open = vec![entry];
        std::iter::from_fn(move || {
            let next = open.pop()?;
            open.extend_from_slice(self.children(next));
            Some(next)
        })
    }

    /// Adds everything derived from orphans, and circular deltas, to the orphans.
    fn find_orphans(&mut self) {
        let mut is_reached = vec![false; self.len()];
        for root in &self.roots {
            self.descendants(root.entry).for_each(|entry| is_reached[entry as usize] = true);
        }
        self.orphans = (0..self.len() as u32).filter(|entry| !is_reached[*entry as usize]).collect();
    }
}

/// The deltas made from each entry, one list after another, and where each list starts.
fn children(headers: &[(Parent, u32)]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; headers.len() + 1];
    for (parent, _) in headers {
        if let Parent::Of(base) = parent {
            starts[*base as usize + 1] += 1;
        }
    }
    for entry in 0..headers.len() {
        starts[entry + 1] += starts[entry];
    }
    let mut ends = starts.clone();
    let mut children = vec![NONE; starts[headers.len()] as usize];
    for (entry, (parent, _)) in (0u32..).zip(headers) {
        if let Parent::Of(base) = parent {
            let end = &mut ends[*base as usize];
            children[*end as usize] = entry;
            *end += 1;
        }
    }
    (starts, children)
}

/// What each entry weighs with all that is made from it, if every base precedes its deltas.
fn ordered_weights(headers: &[(Parent, u32)]) -> Vec<u32> {
    let mut weights: Vec<u32> = headers.iter().map(|(_, weight)| *weight).collect();
    for (entry, (parent, _)) in headers.iter().enumerate().rev() {
        if let Parent::Of(base) = parent {
            weights[*base as usize] = weights[*base as usize].saturating_add(weights[entry]);
        }
    }
    weights
}

/// The same if some bases follow their deltas: added up from the leaves of the trees below `roots`.
fn weights(headers: &[(Parent, u32)], starts: &[u32], children: &[u32], roots: &[Root]) -> Vec<u32> {
    let mut weights: Vec<u32> = headers.iter().map(|(_, weight)| *weight).collect();
    let below = |entry: u32| &children[starts[entry as usize] as usize..starts[entry as usize + 1] as usize];
    let mut order: Vec<u32> = roots.iter().map(|root| root.entry).collect();
    let mut next = 0;
    while let Some(&entry) = order.get(next) {
        order.extend_from_slice(below(entry));
        next += 1;
    }
    for &entry in order.iter().rev() {
        let sum = below(entry).iter().map(|child| u64::from(weights[*child as usize])).sum::<u64>();
        let weight = &mut weights[entry as usize];
        *weight = u32::try_from(u64::from(*weight) + sum).unwrap_or(u32::MAX);
    }
    weights
}

/// The parent and the weight of the entry at `offset`; the weight is about its size in units of 64 bytes.
fn header(pack: &Pack, finder: &OffsetFinder, offset: u64) -> (Parent, u32) {
    let Ok((Header { content, size, .. }, _)) = pack.entry(offset, u64::MAX) else { return (Parent::Unknown, 0) };
    let base = match content {
        Content::Whole(kind) => return (Parent::Whole(kind), weight(size)),
        Content::OffsetDelta(distance) => offset.checked_sub(distance),
        Content::RefDelta(oid) => base_offset(pack, &oid),
    };
    let base = base.and_then(|base| finder.find(base));
    (base.map_or(Parent::Unknown, Parent::Of), weight(size))
}

fn base_offset(pack: &Pack, oid: &Oid) -> Option<u64> {
    pack.index.find(oid).map(|position| pack.index.offset(position))
}

fn weight(size: u64) -> u32 {
    u32::try_from(size / 64 + 1).unwrap_or(u32::MAX)
}

/// Finds the entry that starts at an offset. Entries are spread fairly evenly over a pack, so that dividing it into as
/// many parts as there are entries leaves about one in each.
struct OffsetFinder<'a> {
    offsets: &'a [u64],
    /// The first entry of each part.
    firsts: Vec<u32>,
    shift: u32,
}

impl<'a> OffsetFinder<'a> {
    fn new(offsets: &'a [u64], end: u64) -> Self {
        let shift = (end / (offsets.len() as u64).max(1)).max(1).ilog2();
        let parts = (end >> shift) as usize + 2;
        let mut firsts = Vec::with_capacity(parts);
        for (entry, offset) in offsets.iter().enumerate() {
            let part = (offset >> shift) as usize;
            while firsts.len() <= part.min(parts - 1) {
                firsts.push(entry as u32);
            }
        }
        firsts.resize(parts, offsets.len() as u32);
        Self { offsets, firsts, shift }
    }

    fn find(&self, offset: u64) -> Option<u32> {
        let part = usize::try_from(offset >> self.shift).ok()?;
        let first = *self.firsts.get(part)? as usize;
        let last = self.firsts.get(part + 1).map_or(self.offsets.len(), |last| *last as usize);
        let found = self.offsets.get(first..last)?.binary_search(&offset).ok()?;
        Some((first + found) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn offsets_are_found(mut offsets in prop::collection::btree_set(12u64..5000, 0..200), end in 5000u64..6000, wild in any::<bool>()) {
            if wild {
                offsets.insert(u64::MAX);
            }
            let offsets: Vec<u64> = offsets.into_iter().collect();
            let finder = OffsetFinder::new(&offsets, end);
            for offset in (0..6000).chain([u64::MAX - 1, u64::MAX]) {
                let expected = offsets.binary_search(&offset).ok();
                let found = finder.find(offset).map(|entry| entry as usize);
                prop_assert!(found == expected || offset > end && found.is_none(), "{} {:?} {:?}", offset, found, expected);
            }
        }
    }
}
