//! The state of a unit: a hash of what its result depends on, so that what did not change is not scanned again.

use super::target::Source;
use crate::environment::Environment;
use crate::git::repository::Repository;
use sha2::{Digest, Sha256};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The maximum size of a file that is hashed by its content, in bytes: refs and lists of them.
const MAX_REFS: u64 = 1 << 30;

/// What a unit was like when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The state, as hexadecimal digits.
    pub state: String,
    /// About how many bytes must be read to scan it.
    pub size: u64,
}

/// Looks at a unit.
///
/// Of a repository, its refs, HEAD and reflogs count by their content, its objects by the names of their files, which git
/// never changes. Of files, the name, size and time of the last change count.
///
/// # Errors
/// Words for what could not be looked at; the unit must be scanned to tell more.
pub fn of(source: &Source, environment: &Environment) -> Result<Stamp, String> {
    let mut look = Look { hash: Sha256::new(), size: 0 };
    match source {
        Source::Repositories(paths) => {
            for path in paths {
                look.repository(path, environment)?;
            }
        }
        Source::Files(paths) => paths.iter().for_each(|path| look.tree(path, false)),
        Source::Remote(_) | Source::Failed(_) => {}
    }
    let state = data_encoding::HEXLOWER.encode(&look.hash.finalize()[..16]);
    Ok(Stamp { state, size: look.size })
}

struct Look {
    hash: Sha256,
    size: u64,
}

impl Look {
    fn note(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    fn repository(&mut self, path: &Path, environment: &Environment) -> Result<(), String> {
        let repository = Repository::open(path, environment).map_err(|error| error.to_words())?;
        let (own, common) = (repository.git_dir(), repository.common_dir());
        for dir in if own == common { vec![common] } else { vec![common, own] } {
            for file in ["HEAD", "packed-refs", "shallow", "config"] {
                self.content(&dir.join(file));
            }
            for folder in ["refs", "logs", "worktrees"] {
                self.contents(&dir.join(folder), 0);
            }
            self.facts(&dir.join("index"));
        }
        for dir in repository.object_dirs(&mut Vec::new()) {
            self.content(&dir.join("info/alternates"));
            self.names(&dir.join("pack"));
            (0..=0xff_u32).for_each(|prefix| self.names(&dir.join(format!("{prefix:02x}"))));
        }
        if let Some(tree) = repository.work_dir() {
            self.tree(tree, true);
        }
        Ok(())
    }

    /// The content of a file, which may be missing.
    fn content(&mut self, path: &Path) {
        self.note(path.as_os_str().as_encoded_bytes());
        match crate::file::read(path, MAX_REFS) {
            Ok(text) => self.note(&text),
            Err(error) => self.note(format!("{:?}", error.kind()).as_bytes()),
        }
    }

    /// The contents of all files below a folder.
    fn contents(&mut self, dir: &Path, depth: usize) {
        const MAX_DEPTH: usize = 100;
        for (path, facts) in listed(dir).unwrap_or_default() {
            if facts.is_dir() && depth < MAX_DEPTH {
                self.contents(&path, depth + 1);
            } else if facts.is_file() {
                self.content(&path);
            }
        }
    }

    /// The names and sizes of the files in a folder of objects.
    fn names(&mut self, dir: &Path) {
        for (path, facts) in listed(dir).unwrap_or_default() {
            self.note(path.as_os_str().as_encoded_bytes());
            self.note(&facts.len().to_le_bytes());
            self.size += facts.len();
        }
    }

    /// Name, size and time of everything below a path, without git's own folders if it is a working tree.
    fn tree(&mut self, path: &Path, is_working_tree: bool) {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            self.facts(&path);
            let is_dir = path.symlink_metadata().is_ok_and(|facts| facts.is_dir());
            let is_gits = is_working_tree && path.file_name().is_some_and(|name| name == ".git");
            if !is_dir || is_gits {
                continue;
            }
            match listed(&path) {
                Ok(entries) => open.extend(entries.into_iter().rev().map(|(path, _)| path)),
                Err(error) => self.note(format!("{:?}", error.kind()).as_bytes()),
            }
        }
    }

    fn facts(&mut self, path: &Path) {
        self.note(path.as_os_str().as_encoded_bytes());
        let Ok(facts) = path.symlink_metadata() else { return self.note(b"missing") };
        if facts.is_dir() {
            return self.note(b"directory");
        }
        let changed = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        self.note(&facts.len().to_le_bytes());
        self.note(&changed.unwrap_or_default().as_nanos().to_le_bytes());
        self.size += if facts.is_file() { facts.len() } else { 0 };
    }
}

/// The entries of a folder, in order.
fn listed(dir: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        // What vanishes meanwhile is not there.
        if let Ok(facts) = path.symlink_metadata() {
            entries.push((path, facts));
        }
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}
