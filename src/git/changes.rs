//! How one version of a directory differs from others, file by file.

use super::object::{MOST_DEPTH, MOST_TREE, Mode, TreeEntry};
use super::odb::Odb;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Trees that were read are kept up to this many bytes in all.
const MOST_KEPT: usize = 64 << 20;

/// So many entries of directories are compared for one commit: a few small trees can stand for more paths than there are
/// atoms. The largest repositories have some million files.
const MAX_ENTRIES: usize = 4_000_000;

/// The changes that are found are no more than this.
const MAX_CHANGES: usize = 1_000_000;

/// What a comparison has found so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By path.
    pub list: Vec<Change>,
    /// How many entries were looked at.
    entries: usize,
    /// True if there are more.
    pub is_cut: bool,
}

impl Changes {
    /// Adds one, if there is room.
    pub fn push(&mut self, change: Change) {
        if self.list.len() < MAX_CHANGES {
            self.list.push(change);
        } else {
            self.is_cut = true;
        }
    }

    /// Counts one more entry; false if it is one too many.
    fn enter(&mut self) -> bool {
        self.entries += 1;
        self.is_cut |= self.entries > MAX_ENTRIES || self.list.len() >= MAX_CHANGES;
        !self.is_cut
    }
}

/// A file that is not as it was in any of the older versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path from the repository's root.
    pub path: Vec<u8>,
    /// Its content now; `None` if it is gone.
    pub new: Option<Oid>,
    /// Its content in each of the older versions in which there is such a file.
    pub old: Vec<Oid>,
}

/// The entries of a directory by name.
pub type Directory = BTreeMap<Vec<u8>, (Mode, Oid)>;

/// Reads trees, each once as long as there is room.
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
    /// If it cannot be read; in words that name it.
    pub fn read(&self, tree: Oid) -> Result<Arc<Directory>, String> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = kept().0.get(&tree) {
            return Ok(directory.clone());
        }
        let failed = |words: &str| format!("tree {tree} cannot be read: {words}");
        let (kind, bytes) = self.odb.read(&tree, MOST_TREE).map_err(|words| failed(&words))?;
        let mut directory = Directory::new();
        let mut at = 0;
        while at < bytes.len() {
            let entry = TreeEntry::read(&bytes[at..]).filter(|_| kind == ObjectKind::Tree);
            let entry = entry.ok_or_else(|| failed("it is no valid tree"))?;
            directory.insert(entry.name.to_vec(), (entry.mode, entry.oid));
            at += entry.length;
        }
        let directory = Arc::new(directory);
        let mut kept = kept();
        if kept.1 + bytes.len() > MOST_KEPT {
            *kept = Default::default();
        }
        kept.1 += bytes.len();
        kept.0.insert(tree, directory.clone());
        Ok(directory)
    }

    /// The files that in `new` are different from all of `old`; without any, all files.
    ///
    /// # Errors
    /// If a tree cannot be read.
    pub fn changes(&self, old: &[Oid], new: Option<Oid>) -> Result<Changes, String> {
        let mut changes = Changes::default();
        self.compare(&mut Vec::new(), old, new, 0, &mut changes)?;
        Ok(changes)
    }

    /// Compares what is below `path` and appends what is different.
    pub(super) fn compare(
        &self,
        path: &mut Vec<u8>,
        old: &[Oid],
        new: Option<Oid>,
        depth: usize,
        changes: &mut Changes,
    ) -> Result<(), String> {
        if new.is_some_and(|new| old.contains(&new)) {
            return Ok(());
        }
        if depth > MOST_DEPTH {
            return Err("directories are nested too deep".into());
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
