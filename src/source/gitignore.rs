//! Which files git ignores: `.gitignore` files, `.git/info/exclude` and the user's global excludes, as git combines them.
//!
//! The crate `ignore` reads and matches them, and could also leave out what they match by itself, but then nobody
//! would know what was left out, and a file that is tracked in spite of a pattern (a `.env` that was committed all the
//! same) would be lost: git does not call that ignored.

use super::git::repository::Repository;
use foldhash::HashMap;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

/// The rules of every directory met so far.
#[derive(Debug, Default)]
pub struct GitIgnores {
    /// By directory, as bytes: every file asks, and those of a path are hashed part by part.
    levels: RwLock<HashMap<OsString, Arc<Level>>>,
}

/// The rules in force in one directory.
#[derive(Debug)]
enum Level {
    /// It is in no repository.
    NoRepository,
    /// It is in a repository.
    In {
        repository: Arc<RepositoryRoot>,
        /// Its own rules; the repository's excludes at its root. In order of precedence.
        rules: Vec<Gitignore>,
        /// The directory above, up to the repository's root.
        above: Option<Arc<Level>>,
        /// True if the directory itself is ignored, so that everything in it is.
        is_ignored: bool,
    },
}

#[derive(Debug)]
struct RepositoryRoot {
    path: PathBuf,
    /// Paths in the index, sorted; read when something ignored is met.
    tracked: OnceLock<Vec<Vec<u8>>>,
}

impl GitIgnores {
    /// True if git ignores `path`, an absolute path, and tracks nothing there.
    pub fn ignores(&self, path: &Path, is_dir: bool) -> bool {
        let Some(parent) = path.parent() else { return false };
        let level = self.level(parent);
        let Level::In { repository, .. } = &*level else { return false };
        // A repository inside another one is its own.
        if is_dir && path.join(".git").exists() {
            return false;
        }
        level.matches(path, is_dir) && !repository.tracks(path, is_dir)
    }

    fn level(&self, dir: &Path) -> Arc<Level> {
        if let Some(level) = self.levels.read().ok().and_then(|levels| levels.get(dir.as_os_str()).cloned()) {
            return level;
        }
        let level = Arc::new(self.make_level(dir));
        if let Ok(mut levels) = self.levels.write() {
            levels.insert(dir.as_os_str().to_owned(), level.clone());
        }
        level
    }

    fn make_level(&self, dir: &Path) -> Level {
        let git = dir.join(".git");
        if git.exists() {
            let exclude = if git.is_dir() { git } else { common_dir(dir).unwrap_or(git) }.join("info/exclude");
            let (global, _) = GitignoreBuilder::new(dir).build_global();
            let rules =
                [read(dir, &dir.join(".gitignore")), read(dir, &exclude), Some(global)].into_iter().flatten().collect();
            let repository = Arc::new(RepositoryRoot { path: dir.to_owned(), tracked: OnceLock::new() });
            return Level::In { repository, rules, above: None, is_ignored: false };
        }
        let Some(parent) = dir.parent() else { return Level::NoRepository };
        let above = self.level(parent);
        match &*above {
            Level::NoRepository => Level::NoRepository,
            Level::In { repository, .. } => Level::In {
                repository: repository.clone(),
                rules: read(dir, &dir.join(".gitignore")).into_iter().collect(),
                is_ignored: above.matches(dir, true),
                above: Some(above.clone()),
            },
        }
    }
}

impl Level {
    fn matches(&self, path: &Path, is_dir: bool) -> bool {
        let Self::In { rules, above, is_ignored, .. } = self else { return false };
        if *is_ignored {
            return true;
        }
        for rules in rules {
            match rules.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        above.as_ref().is_some_and(|above| above.matches(path, is_dir))
    }
}

impl RepositoryRoot {
    fn tracks(&self, path: &Path, is_dir: bool) -> bool {
        let Ok(relative) = path.strip_prefix(&self.path) else { return false };
        let mut name = super::BlobPath::new(relative).file().to_vec();
        if is_dir {
            name.push(b'/');
        }
        let tracked = self.tracked.get_or_init(|| {
            Repository::open(&self.path).map(|repository| repository.tracked_paths()).unwrap_or_default()
        });
        let at = tracked.partition_point(|known| *known < name);
        tracked.get(at).is_some_and(|known| if is_dir { known.starts_with(&name) } else { *known == name })
    }
}

fn common_dir(root: &Path) -> Option<PathBuf> {
    Some(Repository::open(root).ok()?.common_dir().to_owned())
}

/// The patterns of a file; `None` if there is no such file. A line that is no valid pattern is passed over, as git does.
fn read(root: &Path, file: &Path) -> Option<Gitignore> {
    if !file.is_file() {
        return None;
    }
    let mut builder = GitignoreBuilder::new(root);
    builder.add(file);
    builder.build().ok()
}
