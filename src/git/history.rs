//! Everything a repository holds, object by object.

use super::error::GitError;
use super::object::{CommitLinks, tag_target};
use super::odb::{Node, Odb, PackFile};
use super::pack::Damage;
use super::pack::delta::Copied;
use super::pack::forest::Forest;
use super::pack::walk::{Visit, Visitor, Walk};
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Minimum length in bytes of the shared parts of an object and its base that are passed on.
pub const MIN_SHARED: usize = 64;

/// An object to scan.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its number in the database; each copy has its own.
    pub node: Node,
    /// A blob, commit or tag.
    pub kind: ObjectKind,
    /// Its content; that of a commit or tag is as in `git cat-file -p`.
    pub bytes: &'a [u8],
}

/// Receives objects, from several threads at once and in any order, but each before those derived from it.
pub trait Inspector: Sync {
    /// State that is kept for an object while others are derived from it.
    type State;

    /// Receives a whole object.
    fn whole(&self, object: Object) -> Self::State;

    /// Receives an object that is derived from another one, and the parts of at least [`MIN_SHARED`] bytes that they
    /// share, in order.
    fn derived(&self, object: Object, base: &Self::State, shared: &[Copied]) -> Self::State;
}

/// An object database and, for each pack, which objects are derived from which.
#[derive(Debug)]
pub struct History<'a> {
    /// The objects.
    pub odb: &'a Odb,
    forests: Vec<Forest>,
    limit: u64,
    progress: &'a Progress,
}

/// What a walk collects besides the objects that it hands over.
#[derive(Debug, Default)]
pub struct Outline {
    /// All commits, sorted by object id, without duplicates.
    pub commits: Vec<CommitNode>,
    /// Targets of annotated tags, by tag.
    pub tags: BTreeMap<Oid, Oid>,
    /// Objects that could not be read, and why.
    pub lost: BTreeMap<Oid, String>,
}

/// A commit's place in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitNode {
    /// Its object id.
    pub oid: Oid,
    /// Its root directory.
    pub tree: Oid,
    /// Its parents.
    pub parents: Parents,
    /// Its committer date, in seconds since 1970.
    pub time: i64,
}

/// The parents of a commit. Nearly all commits have exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parents {
    /// One.
    One([Oid; 1]),
    /// None, or several.
    Several(Box<[Oid]>),
}

impl std::ops::Deref for Parents {
    type Target = [Oid];

    fn deref(&self) -> &[Oid] {
        match self {
            Self::One(parent) => parent,
            Self::Several(parents) => parents,
        }
    }
}

impl FromIterator<Oid> for Parents {
    fn from_iter<I: IntoIterator<Item = Oid>>(parents: I) -> Self {
        let mut parents = parents.into_iter();
        match (parents.next(), parents.next()) {
            (Some(parent), None) => Self::One([parent]),
            (first, second) => Self::Several(first.into_iter().chain(second).chain(parents).collect()),
        }
    }
}

/// Progress of a walk, for display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Number of all objects.
    pub total: AtomicU64,
    /// Objects processed so far.
    pub objects: AtomicU64,
    /// Bytes of these objects.
    pub bytes: AtomicU64,
    /// Number of these objects in which something was found.
    pub hits: AtomicU64,
    /// Number of all commits whose changes are scanned, if they are scanned one by one.
    pub total_commits: AtomicU64,
    /// Those processed so far.
    pub commits: AtomicU64,
}

impl Progress {
    /// Begins again.
    pub fn reset(&self) {
        for count in [&self.total, &self.objects, &self.bytes, &self.hits, &self.total_commits, &self.commits] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

/// One thread's part of [`Progress`].
pub(super) struct Counter<'a> {
    progress: &'a Progress,
    objects: u64,
    bytes: u64,
}

impl<'a> Counter<'a> {
    pub(super) fn new(progress: &'a Progress) -> Self {
        Self { progress, objects: 0, bytes: 0 }
    }

    /// Counts an object. The sum is passed on only now and then, to avoid contention between threads.
    pub(super) fn count(&mut self, bytes: u64) {
        const MAX_OBJECTS: u64 = 256;
        const MAX_BYTES: u64 = 4 << 20;
        self.objects += 1;
        self.bytes += bytes;
        if self.objects >= MAX_OBJECTS || self.bytes >= MAX_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.progress.objects.fetch_add(std::mem::take(&mut self.objects), Ordering::Relaxed);
        self.progress.bytes.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<'a> History<'a> {
    /// Prepares to walk over all objects of at most `limit` bytes.
    pub fn new(odb: &'a Odb, limit: u64, progress: &'a Progress) -> Self {
        progress.total.fetch_add(odb.len() as u64, Ordering::Relaxed);
        odb.packs().par_iter().for_each(|file| file.pack.index.prepare());
        let forests = odb.packs().iter().map(|file| Forest::new(&file.pack)).collect();
        Self { odb, forests, limit, progress }
    }

    /// Number of objects, including copies.
    pub fn len(&self) -> usize {
        self.odb.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.odb.is_empty()
    }

    /// Progress of its walks.
    pub fn progress(&self) -> &'a Progress {
        self.progress
    }

    /// Hands over every blob, commit and tag.
    pub fn walk<I: Inspector>(&self, inspector: &I) -> Outline {
        let merged = Mutex::new(Outline::default());
        self.visit(
            &[ObjectKind::Blob, ObjectKind::Commit, ObjectKind::Tag],
            self.limit,
            |first| Scanner {
                history: self,
                first,
                inspector,
                outline: Outline::default(),
                counter: Counter::new(self.progress),
            },
            |mut scanner| {
                let mut all = merged.lock().unwrap_or_else(PoisonError::into_inner);
                append(&mut all.commits, &mut scanner.outline.commits);
                all.tags.append(&mut scanner.outline.tags);
                all.lost.append(&mut scanner.outline.lost);
            },
        );
        let mut outline = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
        outline.commits.par_sort_unstable_by_key(|commit| commit.oid);
        outline.commits.dedup_by_key(|commit| commit.oid);
        self.add_orphans(&mut outline.lost);
        self.forgive_copies(&mut outline);
        outline
    }

    /// Visits all objects of some kinds, with one visitor for each thread and pack; loose objects are treated as a pack
    /// of whole objects. `visitor` gets the number of the first object in the pack.
    pub fn visit<V: Visitor>(
        &self,
        kinds: &[ObjectKind],
        limit: u64,
        visitor: impl Fn(Node) -> V + Sync,
        done: impl Fn(V) + Sync,
    ) {
        for (PackFile { pack, first, .. }, forest) in self.odb.packs().iter().zip(&self.forests) {
            let walk = Walk::new(pack, forest, kinds, limit);
            rayon::broadcast(|_| {
                let mut visitor = visitor(*first);
                walk.work(&mut visitor);
                done(visitor);
            });
        }
        let loose = self.odb.loose();
        let next = AtomicU32::new(loose.start);
        rayon::broadcast(|_| {
            let mut visitor = visitor(loose.start);
            // Each thread passes the end by one; there are too few threads for an overflow.
            while let node = next.fetch_add(1, Ordering::Relaxed)
                && node < loose.end
            {
                let position = node - loose.start;
                match self.odb.read_node(node, limit) {
                    Ok((kind, bytes)) if kinds.contains(&kind) => {
                        _ = visitor.whole(Visit { position, kind, bytes: &bytes });
                    }
                    Ok(_) => {}
                    Err(GitError::Damaged(damage)) => visitor.lost(position, damage),
                    Err(error) => visitor.lost(position, Damage::Loose(error.to_words())),
                }
            }
            done(visitor);
        });
    }

    /// Adds the deltas that never reach a whole object, which a walk does not visit.
    fn add_orphans(&self, lost: &mut BTreeMap<Oid, String>) {
        /// Maximum number of chains that are followed to find out what is wrong, since they may be long.
        const MAX_FOLLOWED: usize = 1000;
        for (PackFile { pack, .. }, forest) in self.odb.packs().iter().zip(&self.forests) {
            for (number, &entry) in forest.orphans().iter().enumerate() {
                let position = forest.position(entry) as usize;
                let followed = (number < MAX_FOLLOWED).then(|| pack.read(position, self.limit).err()).flatten();
                lost.insert(pack.index.oid(position), followed.unwrap_or(Damage::Endless).to_string());
            }
        }
    }

    /// An object that is damaged in one place and intact in another is not lost.
    fn forgive_copies(&self, outline: &mut Outline) {
        outline.lost.retain(|oid, _| {
            let has_copies = self.odb.copies(oid).nth(1).is_some();
            !(has_copies && self.odb.read(oid, self.limit).is_ok())
        });
    }
}

/// Appends the shorter list to the longer one, to hold as few elements as possible twice.
fn append<T>(all: &mut Vec<T>, some: &mut Vec<T>) {
    if all.len() < some.len() {
        std::mem::swap(all, some);
    }
    all.append(some);
}

/// Hands over the objects of one thread and keeps their outline.
struct Scanner<'a, I> {
    history: &'a History<'a>,
    first: Node,
    inspector: &'a I,
    outline: Outline,
    counter: Counter<'a>,
}

impl<I> Scanner<'_, I> {
    fn note<'b>(&mut self, visit: Visit<'b>) -> Object<'b> {
        let node = self.first + visit.position;
        match visit.kind {
            ObjectKind::Commit => {
                let oid = self.history.odb.oid(node);
                match CommitLinks::read(visit.bytes) {
                    Some(links) => self.outline.commits.push(CommitNode {
                        oid,
                        tree: links.tree,
                        parents: links.parents().collect(),
                        time: links.time,
                    }),
                    None => self.lose(oid, "it is not a valid commit".into()),
                }
            }
            ObjectKind::Tag => {
                let target = tag_target(visit.bytes);
                self.outline.tags.extend(target.map(|target| (self.history.odb.oid(node), target)));
            }
            ObjectKind::Blob | ObjectKind::Tree => {}
        }
        self.counter.count(visit.bytes.len() as u64);
        Object { node, kind: visit.kind, bytes: visit.bytes }
    }

    fn lose(&mut self, oid: Oid, words: String) {
        self.outline.lost.insert(oid, words);
    }
}

impl<I: Inspector> Visitor for Scanner<'_, I> {
    type State = I::State;
    const MIN_SHARED: usize = MIN_SHARED;

    fn whole(&mut self, visit: Visit) -> I::State {
        let object = self.note(visit);
        self.inspector.whole(object)
    }

    fn derived(&mut self, visit: Visit, base: &I::State, shared: &[Copied]) -> I::State {
        let object = self.note(visit);
        self.inspector.derived(object, base, shared)
    }

    fn lost(&mut self, position: u32, damage: Damage) {
        let oid = self.history.odb.oid(self.first + position);
        self.lose(oid, damage.to_string());
    }
}
