//! What `git commit` would record now: how the index differs from HEAD.
//!
//! The index notes which of its directories are as in a tree that exists (its "cache tree"). Those that are HEAD's are passed
//! over at once, so that the work depends on what was staged and not on how many files there are.
//!
//! Source: [gitformat-index](https://git-scm.com/docs/gitformat-index).

use super::changes::{Change, Directory, TreeReader};
use super::object::{MOST_DEPTH, Mode};
use super::oid::Oid;
use super::repository::Repository;
use gix_index::entry::{Flags, Mode as EntryMode, Stage};
use gix_index::extension;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The index of a repository.
pub struct Index {
    file: gix_index::File,
}

impl Index {
    /// Reads the index that git would use now: while a hook runs, `GIT_INDEX_FILE` names it. There need not be one.
    ///
    /// # Errors
    /// If it cannot be read; in words that name the file.
    pub fn read(repository: &Repository) -> Result<Self, String> {
        let failed = |path: &Path, words: &dyn std::fmt::Display| {
            format!("the index {} cannot be read: {words}", path.display())
        };
        let path = match named_index(repository) {
            Some(path) if path.exists() => path,
            Some(path) => return Err(failed(&path, &"GIT_INDEX_FILE names it, and it is not there")),
            None => repository.git_dir().join("index"),
        };
        // git itself does not verify the checksum of a whole index either: it takes longer than all the rest.
        let options = gix_index::decode::Options { thread_limit: Some(1), ..Default::default() };
        gix_index::File::at_or_default(&path, gix_index::hash::Kind::Sha1, true, options)
            .map(|file| Self { file })
            .map_err(|error| failed(&path, &error))
    }

    /// The paths of some blobs, those of which it has any.
    pub fn paths_of(&self, blobs: &HashSet<Oid>) -> HashMap<Oid, Vec<u8>> {
        let entries = self.file.entries().iter().filter_map(|entry| Some((oid(&entry.id)?, entry)));
        let wanted = entries.filter(|(oid, _)| blobs.contains(oid));
        wanted.map(|(oid, entry)| (oid, entry.path(&self.file).to_vec())).collect()
    }

    /// The files that differ from `head`, the tree of the commit that is checked out, if there is one. Those that are gone,
    /// too.
    ///
    /// # Errors
    /// If a tree cannot be read.
    pub fn changes(&self, trees: &TreeReader, head: Option<Oid>) -> Result<Vec<Change>, String> {
        let mut changes = Vec::new();
        let walk = Walk { index: &self.file, trees };
        walk.compare(&mut Vec::new(), self.file.entries(), head, self.file.tree(), 0, &mut changes)?;
        Ok(changes)
    }
}

/// The index that git names to its hooks, if this is the repository that the hook is of. A relative path starts at the top
/// of the working tree, wherever the hook has gone since.
fn named_index(repository: &Repository) -> Option<PathBuf> {
    let top = repository.work_dir()?.canonicalize().ok()?;
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    std::env::var_os("GIT_INDEX_FILE").filter(|_| here.starts_with(&top)).map(|path| top.join(path))
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.file.path()).finish()
    }
}

struct Walk<'a> {
    index: &'a gix_index::File,
    trees: &'a TreeReader<'a>,
}

impl Walk<'_> {
    /// Compares a directory: `entries` are all of the index below `path` (which ends with `/`, if it is not empty).
    fn compare(
        &self,
        path: &mut Vec<u8>,
        entries: &[gix_index::Entry],
        tree: Option<Oid>,
        cached: Option<&extension::Tree>,
        depth: usize,
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        let is_as_cached = |cached: &extension::Tree| cached.num_entries == Some(entries.len() as u32);
        if tree.is_some() && cached.filter(|cached| is_as_cached(cached)).and_then(|cached| oid(&cached.id)) == tree {
            return Ok(());
        }
        if depth > MOST_DEPTH {
            return Err("directories are nested too deep".into());
        }
        let directory = tree.map(|tree| self.trees.read(tree)).transpose()?.unwrap_or_default();
        let mut gone: Directory = (*directory).clone();
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let below = &self.path(first)[path.len()..];
            let length = path.len();
            match memchr::memchr(b'/', below) {
                Some(slash) => {
                    let name = below[..slash].to_vec();
                    path.extend_from_slice(&below[..=slash]);
                    let end = rest.partition_point(|entry| self.path(entry).starts_with(path));
                    let (inside, after) = rest.split_at(end.max(1));
                    rest = after;
                    let old = directory.get(&name).filter(|(mode, _)| *mode == Mode::Tree).map(|(_, oid)| *oid);
                    let cached = cached.and_then(|tree| tree.children.iter().find(|child| child.name[..] == name[..]));
                    if first.mode == EntryMode::DIR && self.path(first).len() == path.len() {
                        // Of a sparse index: the directory as a whole.
                        path.truncate(length + name.len());
                        let new = oid(&first.id);
                        self.trees.compare(path, old.as_slice(), new, depth + 1, changes)?;
                    } else {
                        self.compare(path, inside, old, cached, depth + 1, changes)?;
                    }
                    if old.is_some() {
                        gone.remove(&name);
                    }
                }
                None => {
                    rest = &rest[1..];
                    let old = directory.get(below).filter(|(mode, _)| *mode == Mode::Blob).map(|(_, oid)| *oid);
                    if first.stage() == Stage::Unconflicted && old.is_some() {
                        gone.remove(below);
                    }
                    // What is only announced (`git add --intent-to-add`) is not committed.
                    let is_file = first.mode != EntryMode::COMMIT && !first.flags.contains(Flags::INTENT_TO_ADD);
                    let new = oid(&first.id).filter(|new| is_file && old != Some(*new));
                    if let Some(new) = new {
                        let path = [&path[..], below].concat();
                        changes.push(Change { path, new: Some(new), old: old.into_iter().collect() });
                    }
                }
            }
            path.truncate(length);
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

    fn path(&self, entry: &gix_index::Entry) -> &[u8] {
        entry.path(self.index)
    }
}

fn oid(id: &gix_index::hash::oid) -> Option<Oid> {
    Oid::read(id.as_bytes())
}
