//! Resolves scanned paths to real ones, so that they match a policy's paths however the scan reached the file.

use crate::environment::Environment;
use crate::file::normalise;
use crate::finding::BlobPath;
use crate::finding::path::to_path;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Resolves paths and caches directories, since findings in one directory come together.
#[derive(Debug, Clone)]
pub struct Places {
    here: PathBuf,
    known: RefCell<HashMap<PathBuf, PathBuf>>,
}

impl Places {
    /// Resolves paths from the working directory.
    pub fn new(environment: &Environment) -> Self {
        let here = &environment.working_dir;
        Self { here: here.canonicalize().unwrap_or_else(|_| here.clone()), known: RefCell::default() }
    }

    /// The file that is or contains a blob, with links followed as far as the path exists: a path from history may not.
    pub fn of(&self, path: &BlobPath) -> PathBuf {
        self.of_file(&to_path(path))
    }

    /// The same, for a path in the file system.
    pub fn of_file(&self, path: &Path) -> PathBuf {
        let absolute = self.here.join(path);
        let (Some(dir), Some(name)) = (absolute.parent(), absolute.file_name()) else { return normalise(&absolute) };
        self.known.borrow_mut().entry(dir.to_owned()).or_insert_with(|| resolve(dir)).join(name)
    }
}

/// The directory, with links followed in the part that exists.
fn resolve(dir: &Path) -> PathBuf {
    for there in dir.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), dir.strip_prefix(there)) {
            return normalise(&real.join(rest));
        }
    }
    normalise(dir)
}
