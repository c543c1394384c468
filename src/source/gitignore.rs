//! Which files git ignores, by `.gitignore` files, `.git/info/exclude` and global excludes, combined as git does.
//!
//! The `ignore` crate reads and matches the patterns. It could also leave out matching files by itself, but then nobody
//! would know what was left out, and a tracked file that matches a pattern (such as a committed `.env`) would be
//! missed: git does not consider it ignored.

use crate::environment::Environment;
use crate::file;
use crate::git::error::GitError;
use crate::git::guard;
use crate::git::index::{EntryKind, Index};
use foldhash::HashMap;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

/// The rules of every directory visited so far.
#[derive(Debug)]
pub struct GitIgnores {
    environment: Arc<Environment>,
    /// Keyed by directory as bytes: each file does a lookup, and a path would be hashed component by component.
    levels: RwLock<HashMap<OsString, Arc<Level>>>,
}

/// The rules in force in one directory.
#[derive(Debug)]
enum Level {
    /// Outside any repository.
    NoRepository,
    /// Inside a repository.
    In {
        repository: Arc<RepositoryRoot>,
        /// Its own rules and, at the repository's root, the repository's excludes; in order of precedence.
        rules: Vec<Gitignore>,
        /// The parent directory, up to the repository's root.
        above: Option<Arc<Level>>,
        /// True if the directory itself is ignored, and with it everything inside.
        is_ignored: bool,
    },
}

#[derive(Debug)]
struct RepositoryRoot {
    path: PathBuf,
    /// Read when a path matches an ignore pattern.
    tracked: OnceLock<Result<Tracked, GitError>>,
}

/// What the index of a repository tracks.
#[derive(Debug, Default)]
struct Tracked {
    /// Paths of files, sorted.
    files: Vec<Vec<u8>>,
    /// Directories, with a trailing `/`, that a sparse index does not expand.
    dirs: Vec<Vec<u8>>,
}

/// Whether git ignores a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// Git does not ignore it, or tracks it despite a pattern.
    No,
    /// Git ignores it.
    Yes,
    /// A pattern matches it, but whether git tracks it is unknown: the repository, and why.
    Unknown(PathBuf, String),
}

impl GitIgnores {
    /// No directory has been visited yet.
    pub fn new(environment: Arc<Environment>) -> Self {
        Self { environment, levels: RwLock::default() }
    }

    /// Whether git ignores the absolute path `path` and tracks nothing there.
    pub fn ignores(&self, path: &Path, is_dir: bool) -> Ignored {
        let Some(parent) = path.parent() else { return Ignored::No };
        let level = self.level(parent);
        let Level::In { repository, .. } = &*level else { return Ignored::No };
        // The rules of the outer repository do not apply to a nested one.
        if is_dir && path.join(".git").exists() || !level.matches(path, is_dir) {
            return Ignored::No;
        }
        match repository.tracks(path, is_dir) {
            Ok(true) => Ignored::No,
            Ok(false) => Ignored::Yes,
            Err(error) => Ignored::Unknown(repository.path.clone(), error.to_words()),
        }
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
            let exclude = git_dirs(dir).map_or(git, |(_, common_dir)| common_dir).join("info/exclude");
            let may_read = self.environment.home.is_some() && guard::check_user_settings(&self.environment).is_ok();
            let global = if may_read { GitignoreBuilder::new(dir).build_global().0 } else { Gitignore::empty() };
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
    fn tracks(&self, path: &Path, is_dir: bool) -> Result<bool, GitError> {
        let Ok(relative) = path.strip_prefix(&self.path) else { return Ok(false) };
        let mut name = super::BlobPath::new(relative).file().to_vec();
        if is_dir {
            name.push(b'/');
        }
        let Tracked { files, dirs } =
            self.tracked.get_or_init(|| Tracked::read(&self.path)).as_ref().map_err(Clone::clone)?;
        let at = files.partition_point(|known| *known < name);
        let is_file = files.get(at).is_some_and(|known| if is_dir { known.starts_with(&name) } else { *known == name });
        Ok(is_file || dirs.iter().any(|dir| name.starts_with(dir) || is_dir && dir.starts_with(&name)))
    }
}

impl Tracked {
    /// Reads the index of the repository whose working tree is at `root`. Its owner does not matter: no setting in it
    /// takes effect.
    fn read(root: &Path) -> Result<Self, GitError> {
        let dirs = git_dirs(root).filter(|(git_dir, common_dir)| git_dir.is_dir() && common_dir.is_dir());
        let (git_dir, common_dir) = dirs.ok_or(GitError::Invalid("its .git does not point to a repository"))?;
        let settings = file::read(&common_dir.join("config"), MAX_SETTINGS).unwrap_or_default().to_ascii_lowercase();
        if [&b"objectformat"[..], b"sha256"].iter().all(|word| memchr::memmem::find(&settings, word).is_some()) {
            return Err(GitError::Invalid("it uses SHA-256 object names, which are not supported yet"));
        }
        let file = git_dir.join("index");
        let has_branch = || common_dir.join("refs/heads").read_dir().is_ok_and(|mut refs| refs.next().is_some());
        if !file.exists() && (common_dir.join("packed-refs").exists() || has_branch()) {
            return Err(GitError::Invalid("it has commits but no index"));
        }
        let index = Index::open_verified(&file)?;
        let mut tracked = Self::default();
        for entry in (0..index.entry_count()).map(|number| index.entry(number)) {
            let is_dir = entry.facts.kind == EntryKind::Directory;
            (if is_dir { &mut tracked.dirs } else { &mut tracked.files }).push(entry.path.to_vec());
        }
        tracked.files.sort_unstable();
        Ok(tracked)
    }
}

/// The maximum size of a settings file of a repository, in bytes.
const MAX_SETTINGS: u64 = 16 << 20;

/// The git directory of the repository whose working tree is at `root`, and the common directory, which differs in a
/// linked worktree. Source: gitrepository-layout(5).
fn git_dirs(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let git = root.join(".git");
    let text = |path: &Path| {
        let bytes = file::read(path, MAX_SETTINGS).ok()?;
        Some(PathBuf::from(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    };
    let git_dir =
        if git.is_dir() { git } else { root.join(text(&git)?.to_str()?.strip_prefix("gitdir:")?.trim_start()) };
    let common_dir = text(&git_dir.join("commondir")).map_or_else(|| git_dir.clone(), |dir| git_dir.join(dir));
    Some((git_dir, common_dir))
}

/// The patterns of a file; `None` if there is no such file. Invalid patterns are ignored, as in git.
fn read(root: &Path, file: &Path) -> Option<Gitignore> {
    if !file.is_file() {
        return None;
    }
    let mut builder = GitignoreBuilder::new(root);
    builder.add(file);
    builder.build().ok()
}
