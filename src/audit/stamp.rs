//! The state of a unit: a hash of what its result depends on, so that what did not change is not scanned again.

use super::target::{Source, Unit};
use crate::environment::Environment;
use crate::git::error::GitError;
use crate::git::repository::Repository;
use sha2::{Digest, Sha256};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// The maximum size of a file of a repository that is hashed by its content, in bytes: lists of refs.
const MAX_CONTENT: u64 = 64 << 20;

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
/// Of a repository, its refs, reflogs and settings count by their content, its objects by the names of their files, which
/// git never changes. Of files, the name, size, number and times of the last changes count.
///
/// # Errors
/// If a repository cannot be opened; the unit must be scanned to tell more.
pub fn stamp(unit: &Unit, environment: &Environment) -> Result<Stamp, GitError> {
    let mut look = Look { hash: Sha256::new(), size: 0, apart: &unit.apart };
    match &unit.source {
        Source::Repositories(paths) => {
            for path in paths {
                look.repository(path, environment)?;
            }
        }
        Source::Files(path) => look.tree(path, false),
        Source::Remote(_) | Source::Failed(_) => {}
    }
    let state = data_encoding::HEXLOWER.encode(&look.hash.finalize()[..16]);
    Ok(Stamp { state, size: look.size })
}

struct Look<'a> {
    hash: Sha256,
    size: u64,
    apart: &'a [PathBuf],
}

impl Look<'_> {
    fn note(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    fn repository(&mut self, path: &Path, environment: &Environment) -> Result<(), GitError> {
        let repository = Repository::open(path, environment)?;
        let (own, common) = (repository.git_dir(), repository.common_dir());
        self.git_dir(common, 0);
        if own != common {
            self.git_dir(own, 0);
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

    /// Everything in a repository's own folder, but not its objects, its submodules, and programs that are never run.
    fn git_dir(&mut self, dir: &Path, depth: usize) {
        const MAX_DEPTH: usize = 100;
        const LEFT_OUT: [&str; 3] = ["objects", "modules", "hooks"];
        for (path, facts) in listed(dir).unwrap_or_default() {
            let is_left_out = || depth == 0 && LEFT_OUT.iter().any(|name| path.file_name() == Some(name.as_ref()));
            if facts.is_dir() {
                if depth < MAX_DEPTH && !is_left_out() {
                    self.git_dir(&path, depth + 1);
                }
            } else if path.file_name() == Some("index".as_ref()) {
                self.facts(&path);
            } else if facts.is_file() {
                self.content(&path);
            }
        }
    }

    /// The content of a file, which may be missing.
    fn content(&mut self, path: &Path) {
        self.note(path.as_os_str().as_encoded_bytes());
        match crate::file::read(path, MAX_CONTENT) {
            Ok(text) => self.note(&text),
            Err(error) => {
                self.note(format!("{:?}", error.kind()).as_bytes());
                self.facts(path);
            }
        }
    }

    /// The names and sizes of the files in a folder of objects.
    fn names(&mut self, dir: &Path) {
        for (path, facts) in listed(dir).unwrap_or_default() {
            self.note(path.as_os_str().as_encoded_bytes());
            self.note(&facts.len().to_le_bytes());
            self.size = self.size.saturating_add(facts.len());
        }
    }

    /// Everything below a path, without git's own folders if it is a working tree.
    fn tree(&mut self, path: &Path, is_working_tree: bool) {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let is_gits = is_working_tree && path.file_name().is_some_and(|name| name == ".git");
            if is_gits || self.apart.contains(&path) {
                continue;
            }
            self.facts(&path);
            if path.symlink_metadata().is_ok_and(|facts| facts.is_dir()) {
                match listed(&path) {
                    Ok(entries) => open.extend(entries.into_iter().rev().map(|(path, _)| path)),
                    Err(error) => self.note(format!("{:?}", error.kind()).as_bytes()),
                }
            }
        }
    }

    fn facts(&mut self, path: &Path) {
        self.note(path.as_os_str().as_encoded_bytes());
        let Ok(facts) = path.symlink_metadata() else { return self.note(b"missing") };
        if facts.is_dir() {
            return self.note(b"directory");
        }
        self.note(&identity(&facts));
        self.size = self.size.saturating_add(if facts.is_file() { facts.len() } else { 0 });
    }
}

/// What is not the same after a file was changed, even if its size and time are.
fn identity(facts: &Metadata) -> Vec<u8> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let numbers = [
            facts.size() as i64,
            facts.mtime(),
            facts.mtime_nsec(),
            facts.ctime(),
            facts.ctime_nsec(),
            facts.ino() as i64,
            i64::from(facts.mode()),
        ];
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
    #[cfg(not(unix))]
    {
        let changed = facts.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        [facts.len().to_le_bytes().as_slice(), &changed.unwrap_or_default().as_nanos().to_le_bytes()].concat()
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
