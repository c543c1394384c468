//! Where a scanned file really is: a policy's paths are those of its own directory, however a scan got there.

use crate::file::normalise;
use crate::finding::BlobPath;
use crate::finding::path::to_path;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Tells it, and remembers what it was asked: findings of one directory come together.
#[derive(Debug, Clone)]
pub struct Places {
    here: PathBuf,
    known: RefCell<HashMap<PathBuf, PathBuf>>,
}

impl Default for Places {
    /// From the working directory.
    fn default() -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self { here: here.canonicalize().unwrap_or(here), known: RefCell::default() }
    }
}

impl Places {
    /// The file that a blob is, or is in, with links followed as far as it is there: what only history holds is not.
    pub fn of(&self, path: &BlobPath) -> PathBuf {
        self.of_file(&to_path(path))
    }

    /// The same for a path of the file system.
    pub fn of_file(&self, path: &Path) -> PathBuf {
        let absolute = self.here.join(path);
        let (Some(dir), Some(name)) = (absolute.parent(), absolute.file_name()) else { return normalise(&absolute) };
        self.known.borrow_mut().entry(dir.to_owned()).or_insert_with(|| resolve(dir)).join(name)
    }
}

/// The directory, with links followed in so much of it as is there.
fn resolve(dir: &Path) -> PathBuf {
    for there in dir.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), dir.strip_prefix(there)) {
            return normalise(&real.join(rest));
        }
    }
    normalise(dir)
}
