//! Trees reduced to what leads to wanted blobs. Most versions of a directory have the same reduced form, so that there
//! are few distinct ones, and comparing two versions of a whole repository means comparing two numbers.

use super::trees::{Chunk, Link, Name, Trees};
use crate::git::object::MAX_DEPTH;
use crate::git::odb::Node;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// Maximum number of links leading to wanted blobs, over all versions of all directories. Large real repositories have
/// a few hundred thousand; each takes 8 bytes.
const MAX_LINKS: usize = 16 << 20;

/// Number of a reduced tree.
pub type TreeId = u32;

/// The empty reduced tree.
pub const EMPTY: TreeId = 0;

/// Number of a wanted blob.
pub type BlobId = u32;

/// An entry of a reduced tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Name of the entry.
    pub name: Name,
    /// What it leads to.
    pub to: Target,
}

/// What an entry of a reduced tree leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A directory, reduced and not empty.
    Tree(TreeId),
    /// A wanted blob.
    Blob(BlobId),
}

/// All distinct reduced trees.
#[derive(Debug)]
pub struct ReducedTrees {
    /// Entries, sorted by the numbers of their names.
    trees: Vec<Arc<[Entry]>>,
    /// By node.
    of_node: Vec<Reduced>,
    /// True if directories are nested too deeply or there are too many links.
    pub is_cut: bool,
}

impl ReducedTrees {
    /// Reduces all trees to what leads to the blobs in `wanted`, given as nodes in the order of their numbers.
    pub fn new(trees: &Trees, nodes: usize, wanted: &[Node]) -> Self {
        let (marked, is_cut) = mark(trees, nodes, wanted);
        let links = MarkedLinks::new(trees, &marked, nodes);
        let mut reducer = Reducer {
            links: &links,
            of_node: vec![Reduced::Unknown; nodes],
            trees: vec![],
            numbers: HashMap::default(),
        };
        reducer.number(&[]);
        for (id, node) in wanted.iter().enumerate() {
            reducer.of_node[*node as usize] = Reduced::To(Target::Blob(id as BlobId));
        }
        for tree in trees.chunks.iter().flat_map(Chunk::trees).filter(|tree| marked.contains(tree.node)) {
            reducer.reduce(tree.node);
        }
        Self { trees: reducer.trees, of_node: reducer.of_node, is_cut: is_cut || links.is_cut }
    }

    /// The reduced form of a tree.
    pub fn of(&self, node: Node) -> TreeId {
        match self.of_node[node as usize] {
            Reduced::To(Target::Tree(tree)) => tree,
            _ => EMPTY,
        }
    }

    /// The entries of a reduced tree, sorted by the numbers of their names.
    pub fn entries(&self, tree: TreeId) -> &[Entry] {
        &self.trees[tree as usize]
    }
}

/// A set of nodes.
#[derive(Debug, Clone, PartialEq)]
struct NodeSet(Vec<u64>);

impl NodeSet {
    fn new(nodes: usize) -> Self {
        Self(vec![0; nodes.div_ceil(64)])
    }

    fn contains(&self, node: Node) -> bool {
        self.0[node as usize / 64] >> (node % 64) & 1 != 0
    }

    fn insert(&mut self, node: Node) {
        self.0[node as usize / 64] |= 1 << (node % 64);
    }
}

/// The wanted blobs and all trees that lead to them, level by level; true if the trees are nested too deeply.
fn mark(trees: &Trees, nodes: usize, wanted: &[Node]) -> (NodeSet, bool) {
    let mut marked = NodeSet::new(nodes);
    wanted.iter().for_each(|node| marked.insert(*node));
    for _ in 0..MAX_DEPTH {
        let level: Vec<Vec<Node>> = trees.chunks.par_iter().map(|chunk| leading_to(chunk, &marked)).collect();
        if level.iter().all(Vec::is_empty) {
            return (marked, false);
        }
        level.into_iter().flatten().for_each(|node| marked.insert(node));
    }
    (marked, true)
}

/// The trees of a chunk that link to something marked and are not marked themselves.
fn leading_to(chunk: &Chunk, marked: &NodeSet) -> Vec<Node> {
    let mut counts: Vec<u32> = Vec::with_capacity(chunk.len());
    let mut new = Vec::new();
    let count = |links: &[Link]| links.iter().filter(|link| marked.contains(link.to)).count() as u32;
    for tree in chunk.trees() {
        // Removed links were inherited, so this cannot underflow.
        let inherited = tree.base.map_or(0, |base| counts[base]);
        let here = inherited + count(tree.added) - count(tree.removed);
        counts.push(here);
        if here > 0 && !marked.contains(tree.node) {
            new.push(tree.node);
        }
    }
    new
}

/// The marked links of each marked tree.
struct MarkedLinks {
    all: Vec<Link>,
    /// Where the links of each node start and end in `all`.
    of_node: Vec<(u32, u32)>,
    is_cut: bool,
}

impl MarkedLinks {
    fn new(trees: &Trees, marked: &NodeSet, nodes: usize) -> Self {
        let mut links = Self { all: vec![], of_node: vec![(0, 0); nodes], is_cut: false };
        let parts: Vec<_> = trees.chunks.par_iter().map(|chunk| ChunkLinks::new(chunk, marked)).collect();
        for (chunk, part) in trees.chunks.iter().zip(parts) {
            links.is_cut |= part.is_cut;
            if links.all.len() + part.all.len() > MAX_LINKS {
                links.is_cut = true;
                break;
            }
            let first = links.all.len() as u32;
            for (tree, (start, end)) in chunk.trees().zip(part.of_tree) {
                links.of_node[tree.node as usize] = (first + start, first + end);
            }
            links.all.extend(part.all);
        }
        links
    }

    fn of(&self, node: Node) -> &[Link] {
        let (start, end) = self.of_node[node as usize];
        &self.all[start as usize..end as usize]
    }
}

/// The marked links of a chunk's trees.
struct ChunkLinks {
    all: Vec<Link>,
    of_tree: Vec<(u32, u32)>,
    is_cut: bool,
}

impl ChunkLinks {
    fn new(chunk: &Chunk, marked: &NodeSet) -> Self {
        let mut part = Self { all: vec![], of_tree: Vec::with_capacity(chunk.len()), is_cut: false };
        let only_marked = |links: &[Link]| {
            let mut links: Vec<_> = links.iter().copied().filter(|link| marked.contains(link.to)).collect();
            links.sort_unstable();
            links
        };
        for tree in chunk.trees() {
            let (added, removed) = (only_marked(tree.added), only_marked(tree.removed));
            let inherited = tree.base.map_or((0, 0), |base| part.of_tree[base]);
            let range = if added == removed { inherited } else { part.changed(inherited, added, &removed) };
            part.of_tree.push(range);
        }
        part
    }

    /// Adds a changed copy of a list. All lists are sorted, and the removed links are in the original.
    fn changed(&mut self, (from, to): (u32, u32), added: Vec<Link>, mut removed: &[Link]) -> (u32, u32) {
        let start = self.all.len();
        if start + (to - from) as usize + added.len() > MAX_LINKS {
            self.is_cut = true;
            return (0, 0);
        }
        for index in from..to {
            let link = self.all[index as usize];
            match removed.split_first() {
                Some((first, rest)) if *first == link => removed = rest,
                _ => self.all.push(link),
            }
        }
        self.all.extend(added);
        self.all[start..].sort_unstable();
        (start as u32, self.all.len() as u32)
    }
}

/// What a node is reduced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reduced {
    /// Not known yet.
    Unknown,
    /// Nothing, or being reduced.
    Empty,
    /// A blob, or a tree that is not empty.
    To(Target),
}

/// Assigns the same number to trees with the same reduced form.
struct Reducer<'a> {
    links: &'a MarkedLinks,
    of_node: Vec<Reduced>,
    trees: Vec<Arc<[Entry]>>,
    numbers: HashMap<Arc<[Entry]>, TreeId, foldhash::fast::RandomState>,
}

impl Reducer<'_> {
    fn number(&mut self, entries: &[Entry]) -> TreeId {
        if let Some(number) = self.numbers.get(entries) {
            return *number;
        }
        let entries: Arc<[Entry]> = entries.into();
        self.trees.push(entries.clone());
        let number = self.trees.len() as TreeId - 1;
        self.numbers.insert(entries, number);
        number
    }

    /// Reduces a tree, after everything that it leads to.
    fn reduce(&mut self, node: Node) {
        // Not recursive, since deep trees would exhaust the stack. A tree that contains itself, which takes a forged
        // index, is empty there: it is marked as soon as it is begun.
        let mut open = vec![(node, false)];
        let mut entries = Vec::new();
        while let Some((node, is_expanded)) = open.pop() {
            if !is_expanded {
                if self.of_node[node as usize] == Reduced::Unknown {
                    self.of_node[node as usize] = Reduced::Empty;
                    open.push((node, true));
                    let unknown = |link: &&Link| self.of_node[link.to as usize] == Reduced::Unknown;
                    open.extend(self.links.of(node).iter().filter(unknown).map(|link| (link.to, false)));
                }
                continue;
            }
            entries.clear();
            for link in self.links.of(node) {
                if let Reduced::To(to) = self.of_node[link.to as usize] {
                    entries.push(Entry { name: link.name, to });
                }
            }
            entries.sort_unstable();
            let tree = self.number(&entries);
            self.of_node[node as usize] = if tree == EMPTY { Reduced::Empty } else { Reduced::To(Target::Tree(tree)) };
        }
    }
}
