//! How one version of a directory differs from others, file by file.

use super::error::GitError;
use super::object::{MAX_DEPTH, MAX_TREE, Mode, TreeEntry};
use super::odb::Odb;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum total size of cached trees, in bytes.
const MAX_KEPT: usize = 64 << 20;

/// Maximum number of directory entries compared for one commit: a few small trees can describe more paths than there
/// are atoms. The largest repositories have a few million files.
const MAX_ENTRIES: usize = 4_000_000;

/// Maximum number of changes.
const MAX_CHANGES: usize = 1_000_000;

/// What a comparison has found so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By path.
    pub list: Vec<Change>,
    /// Number of entries compared.
    entries: usize,
    /// True if a limit was reached, so that there may be more.
    pub is_cut: bool,
}

impl Changes {
    /// Adds a change, if there is room.
    pub fn push(&mut self, change: Change) {
        if self.list.len() < MAX_CHANGES {
            self.list.push(change);
        } else {
            self.is_cut = true;
        }
    }

    /// Counts an entry; false once a limit is reached.
    fn enter(&mut self) -> bool {
        self.entries += 1;
        self.is_cut |= self.entries > MAX_ENTRIES || self.list.len() >= MAX_CHANGES;
        !self.is_cut
    }
}

/// A file that differs from all older versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path from the repository's root.
    pub path: Vec<u8>,
    /// Its blob now; `None` if the file was removed.
    pub new: Option<Oid>,
    /// Its blob in each older version that has the file.
    pub old: Vec<Oid>,
}

/// The entries of a directory by name.
pub type Directory = BTreeMap<Vec<u8>, (Mode, Oid)>;

/// Reads trees, through a cache of limited size.
#[derive(Debug)]
pub struct TreeReader<'a> {
    odb: &'a Odb,
    kept: Mutex<(HashMap<Oid, Arc<Directory>>, usize)>,
}

impl<'a> TreeReader<'a> {
    /// A reader of trees in this database.
    pub fn new(odb: &'a Odb) -> Self {
        Self { odb, kept: Mutex::default() }
    }

    /// The directory that a tree describes.
    ///
    /// # Errors
    /// A message that names the tree, if it cannot be read.
    pub fn read(&self, tree: Oid) -> Result<Arc<Directory>, GitError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = kept().0.get(&tree) {
            return Ok(directory.clone());
        }
        let failed = |error: GitError| error.of(format!("tree {tree}"));
        let (kind, bytes) = self.odb.read(&tree, MAX_TREE).map_err(failed)?;
        let mut directory = Directory::new();
        let mut at = 0;
        while at < bytes.len() {
            let entry = TreeEntry::read(&bytes[at..]).filter(|_| kind == ObjectKind::Tree);
            let entry = entry.ok_or_else(|| failed(GitError::Invalid("it is not a valid tree")))?;
            directory.insert(entry.name.to_vec(), (entry.mode, entry.oid));
            at += entry.length;
        }
        let directory = Arc::new(directory);
        let mut kept = kept();
        if kept.1 + bytes.len() > MAX_KEPT {
            *kept = Default::default();
        }
        kept.1 += bytes.len();
        kept.0.insert(tree, directory.clone());
        Ok(directory)
    }

    /// The files in `new` that differ from those in every tree of `old`; all files if `old` is empty.
    ///
    /// # Errors
    /// If a tree cannot be read.
    pub fn changes(&self, old: &[Oid], new: Option<Oid>) -> Result<Changes, GitError> {
        let mut changes = Changes::default();
        self.compare(&mut Vec::new(), old, new, 0, &mut changes)?;
        Ok(changes)
    }

    /// Compares everything below `path` and appends the differences.
    pub(super) fn compare(
        &self,
        path: &mut Vec<u8>,
        old: &[Oid],
        new: Option<Oid>,
        depth: usize,
        changes: &mut Changes,
    ) -> Result<(), GitError> {
        if new.is_some_and(|new| old.contains(&new)) {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(GitError::DeepTree);
        }
        let olds: Vec<_> = old.iter().map(|tree| self.read(*tree)).collect::<Result<_, _>>()?;
        let new = new.map(|tree| self.read(tree)).transpose()?.unwrap_or_default();
        let gone = olds.iter().flat_map(|directory| directory.keys()).filter(|name| !new.contains_key(*name));
        let names: std::collections::BTreeSet<_> = new.keys().chain(gone).cloned().collect();
        for name in names {
            if !changes.enter() {
                break;
            }
            let entries = || olds.iter().filter_map(|directory| directory.get(&name));
            let of = |wanted: Mode| entries().filter(move |(mode, _)| *mode == wanted).map(|(_, oid)| *oid);
            let entry = new.get(&name).copied();
            let now = |wanted: Mode| entry.filter(|(mode, _)| *mode == wanted).map(|(_, oid)| oid);
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            let (old_trees, new_tree): (Vec<_>, _) = (of(Mode::Tree).collect(), now(Mode::Tree));
            if new_tree.is_some() || !old_trees.is_empty() {
                self.compare(path, &old_trees, new_tree, depth + 1, changes)?;
            }
            let (old, new): (Vec<_>, _) = (of(Mode::Blob).collect(), now(Mode::Blob));
            if new.map_or(!old.is_empty(), |new| !old.contains(&new)) {
                changes.push(Change { path: path.clone(), new, old });
            }
            path.truncate(length);
        }
        Ok(())
    }
}
