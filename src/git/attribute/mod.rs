//! Which commits introduced something and which removed it, for all of history at once.
//!
//! ```text
//! trees ─► reduce ─► compare each commit with its parents ─► Presence
//!          graph ──────────▲
//! ```
//!
//! A tree diff for each commit would cost more than reading the repository. Instead, [`trees`] reads every tree once,
//! in pack order, and `reduce` keeps only what leads to a wanted blob; most commits then do not differ from their
//! parents at all.

pub mod graph;
mod reduce;
pub mod trees;

use super::history::History;
use super::odb::Node;
use super::repository::Ref;
use crate::finding::history::Reach;
use crate::finding::object::Oid;
use graph::{CommitId, Graph};
use rayon::prelude::*;
use reduce::{BlobId, EMPTY, Entry, ReducedTrees, Target, TreeId};
use std::collections::{BTreeMap, HashMap, HashSet};
use trees::{Name, Trees};

/// Maximum number of places in history. Only a malicious repository has more: one in which a few trees contain each
/// other so often that they describe billions of files.
const MAX_PLACES: usize = 100_000;

/// Maximum number of ref names kept for each place; all refs are counted.
pub const MAX_REFS: usize = 10;

/// Number of something that blobs may contain: a leaked key.
pub type ItemId = u32;

/// A wanted blob.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The blob.
    pub node: Node,
    /// The items it contains, sorted, without duplicates.
    pub items: Vec<ItemId>,
}

/// Where and when an item was in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The item.
    pub item: ItemId,
    /// The path; `None` if no commit contains it, so that the path is unknown.
    pub path: Option<Vec<u8>>,
    /// The blob to show: HEAD's, or else the first one.
    pub node: Node,
    /// The best way in which it can be reached.
    pub reach: Reach,
    /// True if HEAD contains it.
    pub is_at_head: bool,
    /// Commits that contain it while none of their parents does, in the order of [`Graph::rank`].
    pub introduced: Vec<CommitId>,
    /// Commits that do not contain it while all their parents do, latest first, strays last; if it was only ever lost
    /// in merges, the first such merge.
    pub removed: Vec<CommitId>,
    /// True if a shallow clone ends at one of `introduced`, so that it may be older.
    pub is_cut: bool,
    /// Refs that contain it, by position in the given list; at most [`MAX_REFS`].
    pub refs: Vec<u32>,
    /// Number of refs that contain it.
    pub ref_count: usize,
}

/// The result of [`attribute`].
#[derive(Debug, Default)]
pub struct Attribution {
    /// Sorted by item and path.
    pub presences: Vec<Presence>,
    /// True if a limit was reached, so that something may be missing.
    pub is_cut: bool,
}

/// Finds where and when the items of the `wanted` blobs were in the repository. `refs` are in order of interest.
pub fn attribute(history: &History, trees: &Trees, graph: &Graph, refs: &[RefTip], wanted: &[Wanted]) -> Attribution {
    let nodes: Vec<Node> = wanted.iter().map(|blob| blob.node).collect();
    let reduced = ReducedTrees::new(trees, history.odb.len(), &nodes);
    let root = |id: CommitId| history.odb.find(&graph.commit(id).tree).map_or(EMPTY, |node| reduced.of(node));
    let roots: Vec<TreeId> = (0..graph.len() as CommitId).into_par_iter().map(root).collect();
    let mut ledger = Ledger {
        reduced: &reduced,
        wanted,
        graph,
        paths: Paths::default(),
        places: HashMap::new(),
        is_met: vec![false; wanted.len()],
        is_cut: reduced.is_cut,
    };
    for id in 0..graph.len() as CommitId {
        ledger.enter_commit(id, &roots);
    }
    ledger.enter_refs(refs, &roots);
    let mut presences: Vec<Presence> = ledger.presences(&trees.names);
    presences.sort_by(|a, b| (a.item, &a.path, a.node).cmp(&(b.item, &b.path, b.node)));
    Attribution { presences, is_cut: ledger.is_cut }
}

/// A ref that leads to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefTip {
    /// The ref.
    pub name: String,
    /// The commit it points to, directly or through annotated tags.
    pub commit: CommitId,
}

/// The commits that refs point to, in order of interest: HEAD, branches, tags, others; and the refs that point to a
/// missing object.
pub fn tips(refs: &[Ref], history: &History, tags: &BTreeMap<Oid, Oid>, graph: &Graph) -> (Vec<RefTip>, Vec<Ref>) {
    let mut tips = Vec::new();
    let mut broken = Vec::new();
    for reference in refs {
        let target = peel(reference.target, tags);
        match graph.find(&target) {
            Some(commit) => tips.push(RefTip { name: reference.name.clone(), commit }),
            // A tag of a tree or of a blob.
            None if history.odb.find(&target).is_some() => {}
            None => broken.push(reference.clone()),
        }
    }
    tips.sort_by(|a, b| (interest(&a.name), &a.name).cmp(&(interest(&b.name), &b.name)));
    (tips, broken)
}

/// The object that a tag points to, through tags of tags.
pub fn peel(oid: Oid, tags: &BTreeMap<Oid, Oid>) -> Oid {
    tag_chain(oid, tags).last().unwrap_or(oid)
}

/// An object and, if it is a tag, its target, and so on.
pub fn tag_chain(oid: Oid, tags: &BTreeMap<Oid, Oid>) -> impl Iterator<Item = Oid> {
    // A circular chain of tags takes a forged index.
    const MAX_TAGS: usize = 64;
    std::iter::successors(Some(oid), |oid| tags.get(oid).copied()).take(MAX_TAGS)
}

fn interest(name: &str) -> u8 {
    let kinds = ["HEAD", "refs/heads/", "refs/tags/", "refs/remotes/"];
    kinds.iter().position(|kind| name.starts_with(kind)).unwrap_or(kinds.len()) as u8
}

/// Number of a path.
type PathId = u32;

/// The path of the repository's root.
const ROOT: PathId = 0;

/// Paths, each stored as its parent and a name.
#[derive(Debug)]
struct Paths {
    numbers: HashMap<(PathId, Name), PathId>,
    parts: Vec<(PathId, Name)>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { numbers: HashMap::new(), parts: vec![(ROOT, 0)] }
    }
}

impl Paths {
    fn number(&mut self, parent: PathId, name: Name) -> PathId {
        *self.numbers.entry((parent, name)).or_insert_with(|| {
            self.parts.push((parent, name));
            self.parts.len() as PathId - 1
        })
    }

    fn bytes(&self, mut path: PathId, names: &[Box<[u8]>]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        while path != ROOT {
            let (parent, name) = self.parts[path as usize];
            parts.push(&names[name as usize]);
            path = parent;
        }
        parts.reverse();
        parts.join(&b'/')
    }
}

/// An item at a path.
type ItemAt = (ItemId, PathId);

/// What is known of a place.
#[derive(Debug, Default)]
struct Entries {
    introduced: Vec<(CommitId, BlobId)>,
    removed: Vec<CommitId>,
    /// The first merge in which it was lost though one side had it.
    dropped: Option<CommitId>,
    at_head: Option<BlobId>,
    /// A blob that some ref contains.
    at_ref: Option<BlobId>,
    refs: Vec<u32>,
    ref_count: usize,
}

/// Collects the results, commit by commit.
struct Ledger<'a> {
    reduced: &'a ReducedTrees,
    wanted: &'a [Wanted],
    graph: &'a Graph<'a>,
    paths: Paths,
    places: HashMap<ItemAt, Entries>,
    /// For each wanted blob, whether some commit contains it.
    is_met: Vec<bool>,
    is_cut: bool,
}

/// How two versions differ at one path.
#[derive(Debug, Clone, Copy)]
struct Change {
    path: PathId,
    old: Option<BlobId>,
    new: Option<BlobId>,
}

impl Ledger<'_> {
    fn enter_commit(&mut self, id: CommitId, roots: &[TreeId]) {
        let root = roots[id as usize];
        let parents = self.graph.parents(id);
        let before = |parent: &CommitId| roots[*parent as usize];
        match parents {
            [] => self.enter_plain(id, EMPTY, root),
            [parent] => self.enter_plain(id, before(parent), root),
            parents if parents.iter().all(|parent| before(parent) == root) => {}
            parents => {
                let befores: Vec<TreeId> = parents.iter().map(before).collect();
                self.enter_merge(id, &befores, root);
            }
        }
    }

    fn enter_plain(&mut self, id: CommitId, before: TreeId, root: TreeId) {
        for change in self.changes(before, root) {
            let (gained, lost) = self.items(change);
            for item in gained {
                self.introduce((item, change.path), id, change.new);
            }
            for item in lost {
                self.place((item, change.path)).removed.push(id);
            }
        }
    }

    /// A merge introduces what it has and none of its parents has; it removes what it lacks and all of them have.
    fn enter_merge(&mut self, id: CommitId, befores: &[TreeId], root: TreeId) {
        let mut gains: BTreeMap<ItemAt, (usize, Option<BlobId>)> = BTreeMap::new();
        let mut losses: BTreeMap<ItemAt, usize> = BTreeMap::new();
        for before in befores {
            for change in self.changes(*before, root) {
                let (gained, lost) = self.items(change);
                for item in gained {
                    let gain = gains.entry((item, change.path)).or_default();
                    *gain = (gain.0 + 1, change.new);
                }
                lost.into_iter().for_each(|item| *losses.entry((item, change.path)).or_default() += 1);
            }
        }
        for (place, (count, blob)) in gains {
            if count == befores.len() {
                self.introduce(place, id, blob);
            }
        }
        for (place, count) in losses {
            let graph = self.graph;
            let entries = self.place(place);
            if count == befores.len() {
                entries.removed.push(id);
            } else if entries.dropped.is_none_or(|known| graph.rank(id) < graph.rank(known)) {
                entries.dropped = Some(id);
            }
        }
    }

    fn introduce(&mut self, place: ItemAt, id: CommitId, blob: Option<BlobId>) {
        if let Some(blob) = blob {
            self.place(place).introduced.push((id, blob));
        }
    }

    fn place(&mut self, place: ItemAt) -> &mut Entries {
        self.places.entry(place).or_default()
    }

    /// The items that a change adds and removes.
    fn items(&mut self, change: Change) -> (Vec<ItemId>, Vec<ItemId>) {
        let items = |blob: Option<BlobId>| blob.map_or(&[][..], |blob| self.wanted[blob as usize].items.as_slice());
        let (old, new) = (items(change.old), items(change.new));
        let only = |some: &[ItemId], others: &[ItemId]| {
            some.iter().filter(|item| others.binary_search(item).is_err()).copied().collect()
        };
        (only(new, old), only(old, new))
    }

    /// All paths at which two reduced trees differ.
    fn changes(&mut self, old: TreeId, new: TreeId) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut open = vec![(ROOT, old, new)];
        while let Some((path, old, new)) = open.pop() {
            if old == new {
                continue;
            }
            if self.places.len() + changes.len() + open.len() > MAX_PLACES {
                self.is_cut = true;
                break;
            }
            for (name, old, new) in pairs(self.reduced.entries(old), self.reduced.entries(new)) {
                if old == new {
                    continue;
                }
                let path = self.paths.number(path, name);
                let tree = |target| if let Some(Target::Tree(tree)) = target { tree } else { EMPTY };
                let blob = |target| if let Some(Target::Blob(blob)) = target { Some(blob) } else { None };
                open.push((path, tree(old), tree(new)));
                let (old, new) = (blob(old), blob(new));
                if old != new {
                    new.into_iter().for_each(|blob| self.is_met[blob as usize] = true);
                    changes.push(Change { path, old, new });
                }
            }
        }
        changes
    }

    fn enter_refs(&mut self, refs: &[RefTip], roots: &[TreeId]) {
        let mut by_root: BTreeMap<TreeId, Vec<u32>> = BTreeMap::new();
        for (number, tip) in refs.iter().enumerate() {
            let root = roots[tip.commit as usize];
            if root != EMPTY {
                by_root.entry(root).or_default().push(number as u32);
            }
        }
        for (root, numbers) in by_root {
            // HEAD is first in the list of refs, if there is one.
            let is_head = numbers.first().is_some_and(|first| refs[*first as usize].name == "HEAD");
            for change in self.changes(EMPTY, root) {
                for item in self.items(change).0 {
                    let entries = self.place((item, change.path));
                    entries.ref_count += numbers.len();
                    entries.at_ref = entries.at_ref.max(change.new);
                    entries.refs.extend(numbers.iter().take(MAX_REFS));
                    entries.refs.sort_unstable();
                    entries.refs.truncate(MAX_REFS);
                    if is_head {
                        entries.at_head = change.new;
                    }
                }
            }
        }
    }

    fn presences(&mut self, names: &[Box<[u8]>]) -> Vec<Presence> {
        let places = std::mem::take(&mut self.places);
        let mut presences: Vec<_> = places
            .into_iter()
            .filter_map(|((item, path), entries)| self.presence(item, self.paths.bytes(path, names), entries))
            .collect();
        // Items that only circular commits contain, which takes a forged index, have no introducing commit.
        let told: HashSet<ItemId> = presences.iter().map(|presence| presence.item).collect();
        for (blob, is_met) in self.wanted.iter().zip(&self.is_met) {
            let strays = blob.items.iter().filter(|item| !is_met || !told.contains(item));
            presences.extend(strays.map(|item| stray(*item, blob.node)));
        }
        presences
    }

    fn presence(&self, item: ItemId, path: Vec<u8>, mut entries: Entries) -> Option<Presence> {
        entries.introduced.sort_unstable_by_key(|(id, _)| self.graph.rank(*id));
        let introduced: Vec<CommitId> = entries.introduced.iter().map(|(id, _)| *id).collect();
        if entries.removed.is_empty() {
            entries.removed.extend(entries.dropped);
        }
        // Latest first, but strays last.
        entries.removed.sort_unstable_by_key(|id| {
            let (is_stray, generation, time, oid) = self.graph.rank(*id);
            (is_stray, std::cmp::Reverse((generation, time, oid)))
        });
        let first = entries.introduced.first().map(|(_, blob)| *blob);
        let blob = entries.at_head.or(first).or(entries.at_ref)?;
        Some(Presence {
            item,
            path: Some(path),
            node: self.wanted[blob as usize].node,
            reach: introduced.iter().map(|id| self.graph.reach(*id)).min().unwrap_or(Reach::Unreachable),
            is_at_head: entries.at_head.is_some(),
            is_cut: introduced.iter().any(|id| self.graph.cut.contains_key(id)),
            introduced,
            removed: entries.removed,
            refs: entries.refs,
            ref_count: entries.ref_count,
        })
    }
}

/// The presence of an item in a blob that no commit contains.
fn stray(item: ItemId, node: Node) -> Presence {
    Presence {
        item,
        path: None,
        node,
        reach: Reach::Unreachable,
        is_at_head: false,
        introduced: vec![],
        removed: vec![],
        is_cut: false,
        refs: vec![],
        ref_count: 0,
    }
}

/// The entries of two trees side by side.
fn pairs(old: &[Entry], new: &[Entry]) -> Vec<(Name, Option<Target>, Option<Target>)> {
    let mut pairs = Vec::with_capacity(old.len().max(new.len()));
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let name = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(entry), None) | (None, Some(entry)) => entry.name,
            (Some(a), Some(b)) => a.name.min(b.name),
        };
        let is_named = |entry: &&Entry| entry.name == name;
        let target = |entry: &Entry| entry.to;
        pairs.push((name, old.next_if(is_named).map(target), new.next_if(is_named).map(target)));
    }
}
