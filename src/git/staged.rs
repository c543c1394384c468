//! What `git commit` would record now: how the index differs from HEAD.
//!
//! The index records which of its directories equal an existing tree (its "cache tree"). Those that equal HEAD's are
//! skipped at once, so that the work depends on what was staged and not on the number of files.

use super::changes::{Change, Changes, Directory, TreeReader};
use super::error::GitError;
use super::index::{CachedTree, EntryKind, Index};
use super::object::{MAX_DEPTH, Mode};
use super::odb::Odb;
use super::repository::Repository;
use crate::environment::Environment;
use crate::file;
use crate::finding::BlobPath;
use crate::finding::object::Oid;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

/// The files of `index` that differ from `head`, the tree of the checked-out commit, if any; this includes removed
/// files.
///
/// # Errors
/// If a tree cannot be read.
pub fn changes(index: &Index, trees: &TreeReader, head: Option<Oid>) -> Result<Changes, GitError> {
    let mut changes = Changes::default();
    let walk = Walk { index, trees };
    walk.compare(&mut Vec::new(), 0..index.entry_count(), head, index.cached_tree(), 0, &mut changes)?;
    Ok(changes)
}

/// The paths at which the index of a repository differs from HEAD.
///
/// # Errors
/// A message, if the index or HEAD cannot be read.
pub fn staged_paths(repository: &Repository) -> Result<HashSet<Vec<u8>>, GitError> {
    let odb = Odb::open(&repository.object_dirs(&mut vec![]));
    let head = repository.head()?.map(|head| odb.tree_of(head)).transpose()?;
    let changes = changes(&Index::read(repository)?, &TreeReader::new(&odb), head)?;
    Ok(changes.list.into_iter().map(|change| change.path).collect())
}

/// True if a file of a working tree is in the index with the same content. Line endings may differ, since git may be
/// configured to convert them.
pub fn is_staged(file: &Path, environment: &Environment) -> bool {
    let staged = || {
        let file = file.canonicalize().ok()?;
        let repository = Repository::open(&file, environment).ok()?;
        let path = BlobPath::new(file.strip_prefix(repository.work_dir()?.canonicalize().ok()?).ok()?);
        let index = Index::read(&repository).ok()?;
        let numbers = 0..index.entry_count();
        let entry = numbers.map(|number| index.entry(number)).find(|entry| entry.path == path.file())?;
        let odb = Odb::open(&repository.object_dirs(&mut vec![]));
        let (_, staged) = odb.read(&entry.facts.oid, file::MAX_SETTINGS).ok()?;
        let there = file::read(&file, file::MAX_SETTINGS).ok()?;
        let is_text = |b: &&u8| **b != b'\r';
        entry.facts.is_committed_file().then(|| staged.iter().filter(is_text).eq(there.iter().filter(is_text)))
    };
    staged().unwrap_or(false)
}

struct Walk<'a> {
    index: &'a Index,
    trees: &'a TreeReader<'a>,
}

impl Walk<'_> {
    /// Compares a directory: `entries` are all index entries below `path` (which is empty or ends with `/`).
    fn compare(
        &self,
        path: &mut Vec<u8>,
        entries: Range<usize>,
        tree: Option<Oid>,
        cached: Option<&CachedTree>,
        depth: usize,
        changes: &mut Changes,
    ) -> Result<(), GitError> {
        let as_cached = cached.filter(|cached| cached.entry_count == entries.len()).and_then(|cached| cached.oid);
        if tree.is_some() && as_cached == tree {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(GitError::DeepTree);
        }
        let directory = tree.map(|tree| self.trees.read(tree)).transpose()?.unwrap_or_default();
        let mut gone: Directory = (*directory).clone();
        let mut rest = entries;
        while !rest.is_empty() {
            let first = self.index.entry(rest.start);
            let Some(below) = first.path.strip_prefix(&path[..]) else {
                // In a damaged index entries may be out of order.
                if first.facts.is_committed_file() {
                    changes.push(Change { path: first.path.to_vec(), new: Some(first.facts.oid), old: vec![] });
                }
                rest.start += 1;
                continue;
            };
            match memchr::memchr(b'/', below) {
                Some(slash) => {
                    let name = below[..slash].to_vec();
                    let old = directory.get(&name).filter(|(mode, _)| *mode == Mode::Tree).map(|(_, oid)| *oid);
                    if old.is_some() {
                        gone.remove(&name);
                    }
                    rest.start = self.compare_below(path, &name, rest.clone(), old, cached, depth, changes)?;
                }
                None => {
                    rest.start += 1;
                    let old = directory.get(below).filter(|(mode, _)| *mode == Mode::Blob).map(|(_, oid)| *oid);
                    if !first.facts.is_conflicted && old.is_some() {
                        gone.remove(below);
                    }
                    if first.facts.is_committed_file() && old != Some(first.facts.oid) {
                        let path = [&path[..], below].concat();
                        changes.push(Change { path, new: Some(first.facts.oid), old: old.into_iter().collect() });
                    }
                }
            }
        }
        for (name, (mode, old)) in gone {
            let mut path = [&path[..], &name].concat();
            match mode {
                Mode::Blob => changes.push(Change { path, new: None, old: vec![old] }),
                Mode::Tree => self.trees.compare(&mut path, &[old], None, depth + 1, changes)?,
                Mode::Submodule => {}
            }
        }
        Ok(())
    }

    /// Compares the directory `name` in `path` with the tree `old`. Its entries are the first ones of `entries`; returns
    /// where they end.
    #[expect(clippy::too_many_arguments, reason = "one step of a recursion")]
    fn compare_below(
        &self,
        path: &mut Vec<u8>,
        name: &[u8],
        entries: Range<usize>,
        old: Option<Oid>,
        cached: Option<&CachedTree>,
        depth: usize,
        changes: &mut Changes,
    ) -> Result<usize, GitError> {
        let length = path.len();
        path.extend_from_slice(name);
        path.push(b'/');
        let end = self.index.end_of(entries.start + 1..entries.end, path);
        let first = self.index.entry(entries.start);
        if first.facts.kind == EntryKind::Directory && first.path.len() == path.len() {
            // A sparse index has one entry for all of it.
            path.pop();
            self.trees.compare(path, old.as_slice(), Some(first.facts.oid), depth + 1, changes)?;
        } else {
            let cached = cached.and_then(|tree| tree.child(name));
            self.compare(path, entries.start..end, old, cached, depth + 1, changes)?;
        }
        path.truncate(length);
        Ok(end)
    }
}
