//! Everything a repository holds, object by object.

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

/// Parts that an object shares with its base are told from this many bytes on.
pub const LEAST_SHARED: usize = 64;

/// An object to scan.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its number: the same for all copies of it.
    pub node: Node,
    /// A blob, commit or tag.
    pub kind: ObjectKind,
    /// Its content. Lines of a commit or tag are those of `git cat-file -p`.
    pub bytes: &'a [u8],
}

/// Takes objects, from several threads at once and in any order, but each before those that are made from it.
pub trait Inspector: Sync {
    /// What is remembered of an object while others are made from it.
    type State;

    /// Takes an object that stands for itself.
    fn whole(&self, object: Object) -> Self::State;

    /// Takes an object that was made from another one, and the parts both share, in order; those of at least
    /// [`LEAST_SHARED`] bytes.
    fn derived(&self, object: Object, base: &Self::State, shared: &[Copied]) -> Self::State;
}

/// An object database and, of each pack, who is made from whom.
#[derive(Debug)]
pub struct History<'a> {
    /// The objects.
    pub odb: &'a Odb,
    forests: Vec<Forest>,
    limit: u64,
    progress: &'a Progress,
}

/// What a walk has learned besides what it handed over.
#[derive(Debug, Default)]
pub struct Outline {
    /// Every commit, by name, each once.
    pub commits: Vec<Commit>,
    /// What annotated tags name, by tag.
    pub tags: BTreeMap<Oid, Oid>,
    /// Objects that could not be read, by name, and why.
    pub lost: BTreeMap<Oid, String>,
}

/// A commit's place in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub oid: Oid,
    /// Its root directory.
    pub tree: Oid,
    /// The commits it follows.
    pub parents: Parents,
    /// When it was committed, in seconds since 1970, as it says.
    pub time: i64,
}

/// The commits that a commit follows. Nearly all follow one.
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

/// How far a walk is; read by whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Objects there are.
    pub total: AtomicU64,
    /// Objects that are done.
    pub objects: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
    /// Of them, those that hold something.
    pub hits: AtomicU64,
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

    /// Counts an object. The sum is passed on now and then, since many threads wait for each other there.
    pub(super) fn count(&mut self, bytes: u64) {
        const EVERY: u64 = 256;
        self.objects += 1;
        self.bytes += bytes;
        if self.objects == EVERY {
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

    /// Objects there are, copies counted.
    pub fn len(&self) -> usize {
        self.odb.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.odb.is_empty()
    }

    /// How far its walks are.
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

    /// Lets one visitor a thread, made for the number of the first object of what it visits, take all objects of some
    /// kinds; loose ones as if they were a pack of whole objects.
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
            // A thread that finds the end passes it by one, and there are few threads.
            while let node = next.fetch_add(1, Ordering::Relaxed)
                && node < loose.end
            {
                let position = node - loose.start;
                match self.odb.read_node(node, limit) {
                    Ok((kind, bytes)) if kinds.contains(&kind) => {
                        _ = visitor.whole(Visit { position, kind, bytes: &bytes });
                    }
                    Ok(_) => {}
                    Err(words) => visitor.lost(position, Damage::Loose(words)),
                }
            }
            done(visitor);
        });
    }

    /// Deltas that lead nowhere are not met on a walk.
    fn add_orphans(&self, lost: &mut BTreeMap<Oid, String>) {
        /// Of so many it is found out where they lead, which may be far.
        const MOST_FOLLOWED: usize = 1000;
        for (PackFile { pack, .. }, forest) in self.odb.packs().iter().zip(&self.forests) {
            for (number, &entry) in forest.orphans().iter().enumerate() {
                let position = forest.position(entry) as usize;
                let followed = (number < MOST_FOLLOWED).then(|| pack.read(position, self.limit).err()).flatten();
                lost.insert(pack.index.oid(position), followed.unwrap_or(Damage::Endless).to_string());
            }
        }
    }

    /// What is damaged in one place and whole in another is not lost.
    fn forgive_copies(&self, outline: &mut Outline) {
        outline.lost.retain(|oid, _| {
            let has_copies = self.odb.copies(oid).nth(1).is_some();
            !(has_copies && self.odb.read(oid, self.limit).is_ok())
        });
    }
}

/// Appends the shorter to the longer, so that there is never more than one copy of most.
fn append<T>(all: &mut Vec<T>, some: &mut Vec<T>) {
    if all.len() < some.len() {
        std::mem::swap(all, some);
    }
    all.append(some);
}

/// Hands objects over and keeps the outline of one thread.
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
                    Some(links) => self.outline.commits.push(Commit {
                        oid,
                        tree: links.tree,
                        parents: links.parents().collect(),
                        time: links.time,
                    }),
                    None => self.lose(oid, "it is no valid commit".into()),
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
    const LEAST_SHARED: usize = LEAST_SHARED;

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
