//! Trees reduced to what leads to wanted blobs. Most versions of a directory do not differ in that, so that there are few
//! different ones, and to compare two versions of a whole repository is to compare two numbers.

use super::trees::{Link, Name, Trees};
use crate::source::git::odb::Node;
use std::collections::HashMap;
use std::rc::Rc;

/// Directories nested deeper than this are not followed; git's own limit is 2048.
pub const MOST_DEPTH: usize = 2048;

/// Number of a reduced tree.
pub type TreeId = u32;

/// The reduced tree in which there is nothing.
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

/// All reduced trees that are different.
#[derive(Debug)]
pub struct ReducedTrees {
    /// Entries in order of names' numbers.
    trees: Vec<Rc<[Entry]>>,
    /// By node.
    of_node: HashMap<Node, TreeId>,
    /// True if there are directories nested too deep.
    pub is_cut: bool,
}

impl ReducedTrees {
    /// Reduces all trees to what leads to the nodes in `wanted`, the blobs' nodes by their numbers.
    pub fn new(trees: &Trees, nodes: usize, wanted: &[Node]) -> Self {
        let mut blobs = HashMap::with_capacity(wanted.len());
        blobs.extend(wanted.iter().enumerate().map(|(id, node)| (*node, id as BlobId)));
        let (marked, is_cut) = mark(trees, nodes, wanted);
        let links = marked_links(trees, &marked);
        let mut interner = Interner::default();
        interner.number(Vec::new());
        let mut of_node = HashMap::with_capacity(links.of_node.len());
        for &node in links.of_node.keys() {
            reduce(node, &links, &blobs, &mut of_node, &mut interner);
        }
        Self { trees: interner.trees, of_node, is_cut }
    }

    /// The reduced form of a tree.
    pub fn of(&self, node: Node) -> TreeId {
        self.of_node.get(&node).copied().unwrap_or(EMPTY)
    }

    /// The entries of a reduced tree, in order of names' numbers.
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

/// The wanted blobs and all trees that lead to them, level by level; true if the levels do not end.
fn mark(trees: &Trees, nodes: usize, wanted: &[Node]) -> (NodeSet, bool) {
    let mut marked = NodeSet::new(nodes);
    wanted.iter().for_each(|node| marked.insert(*node));
    let mut counts = vec![0u32; trees.records.len()];
    for _ in 0..MOST_DEPTH {
        let mut next = marked.clone();
        for (index, record) in trees.records.iter().enumerate() {
            let count = |links: &[Link]| links.iter().filter(|link| marked.contains(link.to)).count() as u32;
            let inherited = record.base.map_or(0, |base| counts[base as usize]);
            // What is removed was there.
            counts[index] = inherited + count(trees.added(index)) - count(trees.removed(index));
            if counts[index] > 0 {
                next.insert(record.node);
            }
        }
        if next == marked {
            return (marked, false);
        }
        marked = next;
    }
    (marked, true)
}

/// The marked links of each marked tree.
struct MarkedLinks {
    all: Vec<Link>,
    of_node: HashMap<Node, (u32, u32)>,
}

impl MarkedLinks {
    fn of(&self, node: Node) -> &[Link] {
        let (start, end) = self.of_node.get(&node).copied().unwrap_or_default();
        &self.all[start as usize..end as usize]
    }
}

fn marked_links(trees: &Trees, marked: &NodeSet) -> MarkedLinks {
    let mut all: Vec<Link> = Vec::new();
    let mut of_record: Vec<(u32, u32)> = Vec::with_capacity(trees.records.len());
    let mut of_node = HashMap::new();
    for (index, record) in trees.records.iter().enumerate() {
        let only_marked = |links: &[Link]| {
            let mut links: Vec<_> = links.iter().copied().filter(|link| marked.contains(link.to)).collect();
            links.sort_unstable();
            links
        };
        let (added, removed) = (only_marked(trees.added(index)), only_marked(trees.removed(index)));
        let inherited = record.base.map_or((0, 0), |base| of_record[base as usize]);
        let range = if added == removed {
            inherited
        } else {
            let start = all.len();
            let kept: Vec<Link> = all[inherited.0 as usize..inherited.1 as usize].to_vec();
            let mut removed = removed.as_slice();
            for link in kept {
                // Both are in order, and what is removed was there.
                match removed.split_first() {
                    Some((first, rest)) if *first == link => removed = rest,
                    _ => all.push(link),
                }
            }
            all.extend(added);
            all[start..].sort_unstable();
            (start as u32, all.len() as u32)
        };
        of_record.push(range);
        if marked.contains(record.node) && range.0 < range.1 {
            of_node.insert(record.node, range);
        }
    }
    MarkedLinks { all, of_node }
}

/// Gives the same number to the same entries.
#[derive(Default)]
struct Interner {
    trees: Vec<Rc<[Entry]>>,
    numbers: HashMap<Rc<[Entry]>, TreeId>,
}

impl Interner {
    fn number(&mut self, entries: Vec<Entry>) -> TreeId {
        let entries: Rc<[Entry]> = entries.into();
        *self.numbers.entry(entries).or_insert_with_key(|entries| {
            self.trees.push(entries.clone());
            self.trees.len() as TreeId - 1
        })
    }
}

/// Reduces a tree after all that it leads to.
fn reduce(
    node: Node,
    links: &MarkedLinks,
    blobs: &HashMap<Node, BlobId>,
    done: &mut HashMap<Node, TreeId>,
    interner: &mut Interner,
) {
    // Deep trees would exhaust the stack. A tree that leads to itself, which only a lying index can pretend, is empty
    // there: it has a number as soon as it is begun.
    let mut open = vec![(node, false)];
    while let Some((node, is_expanded)) = open.pop() {
        if !is_expanded {
            if done.contains_key(&node) {
                continue;
            }
            done.insert(node, EMPTY);
            open.push((node, true));
            let trees = links.of(node).iter().filter(|link| !blobs.contains_key(&link.to));
            open.extend(trees.map(|link| (link.to, false)));
            continue;
        }
        let mut entries: Vec<Entry> = Vec::new();
        for link in links.of(node) {
            let to = match (blobs.get(&link.to), done.get(&link.to)) {
                (Some(blob), _) => Target::Blob(*blob),
                (None, Some(&tree)) if tree != EMPTY => Target::Tree(tree),
                _ => continue,
            };
            entries.push(Entry { name: link.name, to });
        }
        entries.sort_unstable();
        done.insert(node, interner.number(entries));
    }
}
