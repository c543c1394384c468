//! A repository: where its objects are, and what points to them.
//!
//! libgit2 finds and opens it, under git's rules of repository ownership; no program is ever run.

use super::error::GitError;
use super::guard;
use super::mailmap::{self, Mailmap};
use crate::environment::Environment;
use crate::file;
use crate::finding::object::Oid;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

/// Maximum length of a chain of repositories that borrow from each other; git's limit is the same.
const MAX_ALTERNATES: usize = 5;

/// Maximum size of git's text files that are read as a whole, in bytes. The largest is the list of shallow commits.
const MAX_TEXT: u64 = 64 << 20;

/// The first commit is searched for along the first parents of at most so many commits.
const MAX_FIRST_PARENTS: usize = 200_000;

/// An open repository.
pub struct Repository {
    inner: git2::Repository,
    environment: Environment,
    /// Whether libgit2 may read its refs and objects, once that was checked.
    is_readable: OnceLock<Result<(), GitError>>,
}

/// A name that points to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// Full name, as in `refs/heads/main`.
    pub name: String,
    /// What it points to: mostly a commit or an annotated tag.
    pub target: Oid,
}

/// What identifies a repository and its state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where it was cloned from, without user and password.
    pub url: Option<String>,
    /// The commit that is checked out.
    pub head: Option<Oid>,
    /// The branch that is checked out.
    pub branch: Option<String>,
}

/// A URL without the part before `@` in its authority, which may be a password or token.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => url.to_owned(),
    }
}

impl Repository {
    /// Opens the repository that contains `path`.
    ///
    /// # Errors
    /// A message that says what to do, if there is none, it belongs to someone else, or its format is not supported.
    pub fn open(path: &Path, environment: &Environment) -> Result<Self, GitError> {
        if !path.exists() {
            return Err(GitError::MissingPath);
        }
        know_extensions();
        let parent = || path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = if path.is_dir() { path } else { parent() };
        guard::before_open(dir, environment)?;
        // The settings of a submodule that is no longer used name a working tree that no longer exists.
        let is_of_submodule = dir.components().any(|part| part.as_os_str() == "modules") && is_git_dir(dir);
        let flags = if is_of_submodule { git2::RepositoryOpenFlags::BARE } else { git2::RepositoryOpenFlags::empty() };
        let no_ceiling: [&Path; 0] = [];
        match git2::Repository::open_ext(dir, flags, no_ceiling) {
            Ok(inner) => Ok(Self { inner, environment: environment.clone(), is_readable: OnceLock::new() }),
            Err(error) => Err(match error.code() {
                git2::ErrorCode::NotFound => GitError::NotARepository,
                git2::ErrorCode::Owner => GitError::WrongOwner(dir.canonicalize().unwrap_or_else(|_| dir.to_owned())),
                _ => GitError::libgit2("the repository cannot be opened", error),
            }),
        }
    }

    /// What identifies this repository and its state.
    pub fn facts(&self) -> Facts {
        let head = self.inner.head().ok();
        let url = self.inner.find_remote("origin").ok().and_then(|remote| remote.url().ok().map(without_password));
        Facts {
            url,
            head: head.as_ref().and_then(git2::Reference::target).map(Oid::from),
            branch: head.filter(git2::Reference::is_branch).and_then(|head| head.shorthand().ok().map(str::to_owned)),
        }
    }

    /// The process that asks.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The top of the working tree; `None` if the repository is bare.
    pub fn work_dir(&self) -> Option<&Path> {
        // Without a setting, git goes by the directory's name, while libgit2 takes any parent directory for a working
        // tree.
        let is_set = |key| self.inner.config().is_ok_and(|config| config.get_entry(key).is_ok());
        let is_named = self.git_dir().file_name().is_some_and(|name| name == ".git");
        let is_told = is_named || self.inner.is_worktree() || is_set("core.bare") || is_set("core.worktree");
        self.inner.workdir().filter(|_| is_told)
    }

    /// The git directory; for a linked worktree, that worktree's own.
    pub fn git_dir(&self) -> &Path {
        self.inner.path()
    }

    /// The prefix of comments in commit messages.
    pub fn comment_mark(&self) -> String {
        let config = self.settings();
        let value = |key| config.as_ref().ok().and_then(|config| config.get_string(key).ok());
        // `auto` uses another character only if a line of the message starts with the usual one.
        let mark = value("core.commentString").or_else(|| value("core.commentChar")).filter(|mark| mark != "auto");
        mark.filter(|mark| !mark.is_empty()).unwrap_or_else(|| "#".to_owned())
    }

    /// The settings that git would use here.
    fn settings(&self) -> Result<git2::Config, git2::Error> {
        with_environment(self.inner.config()?, &self.environment)
    }

    /// True if `core.hooksPath` is set for more than this repository.
    pub fn shares_hooks(&self) -> bool {
        let own = [git2::ConfigLevel::Local, git2::ConfigLevel::Worktree, git2::ConfigLevel::App];
        let level =
            self.settings().ok().and_then(|config| config.get_entry("core.hooksPath").ok().map(|entry| entry.level()));
        level.is_some_and(|level| !own.contains(&level))
    }

    /// Where git looks for hooks: in `core.hooksPath`, or in the repository.
    ///
    /// # Errors
    /// A message, if the settings cannot be read.
    pub fn hooks_dir(&self) -> Result<PathBuf, GitError> {
        let config = self.settings().map_err(|error| GitError::libgit2("git's settings cannot be read", error))?;
        match config.get_path("core.hooksPath") {
            Ok(dir) => Ok(self.work_dir().unwrap_or(self.git_dir()).join(dir)),
            Err(_) => Ok(self.common_dir().join("hooks")),
        }
    }

    /// The directory of the objects and refs that all its worktrees share.
    pub fn common_dir(&self) -> &Path {
        self.inner.commondir()
    }

    /// The object directories: its own and those it borrows from, without duplicates. Problems are added to `errors`.
    pub fn object_dirs(&self, errors: &mut Vec<(PathBuf, GitError)>) -> Vec<PathBuf> {
        let mut dirs = Vec::new();
        // While a push is received, its objects are in quarantine. Source: gitreceive-pack(1), "Quarantine environment".
        let variable = |name| self.environment.variable(name);
        if variable("GIT_QUARANTINE_PATH").is_some() {
            let own = variable("GIT_OBJECT_DIRECTORY").map(PathBuf::from);
            let others = variable("GIT_ALTERNATE_OBJECT_DIRECTORIES");
            let others = others.iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
            for dir in own.into_iter().chain(others) {
                add_objects(&dir, 0, &mut dirs, errors);
            }
        }
        add_objects(&self.common_dir().join("objects"), 0, &mut dirs, errors);
        dirs
    }

    /// All refs, HEAD first if it points to something. What cannot be read is added to `errors`.
    pub fn refs(&self, errors: &mut Vec<(PathBuf, GitError)>) -> Vec<Ref> {
        let mut refs = Vec::new();
        let mut fail = |name: &str, error: GitError| errors.push((PathBuf::from(name), error));
        let listed = |error| GitError::libgit2("libgit2 cannot read it", error);
        if let Err(error) = guard::before_refs(self.git_dir(), self.common_dir()) {
            fail("refs", error);
            return refs;
        }
        match self.inner.head() {
            Ok(head) => refs.extend(head.target().map(|target| Ref { name: "HEAD".into(), target: target.into() })),
            // A repository without commits.
            Err(error) if matches!(error.code(), git2::ErrorCode::UnbornBranch | git2::ErrorCode::NotFound) => {}
            Err(error) => fail("HEAD", listed(error)),
        }
        match self.inner.references() {
            Err(error) => fail("refs", listed(error)),
            Ok(references) => {
                for reference in references {
                    match reference {
                        // A symbolic ref points to one that is listed itself.
                        Ok(reference) => refs.extend(reference.target().map(|target| Ref {
                            name: String::from_utf8_lossy(reference.name_bytes()).into_owned(),
                            target: target.into(),
                        })),
                        Err(error) => fail("refs", listed(error)),
                    }
                }
            }
        }
        refs.extend(self.worktree_heads());
        refs
    }

    /// True if git recorded that it transferred `target` to `name`, a remote-tracking ref: its reflog says so, or it is
    /// a packed ref that has not changed since the repository was cloned. Neither is true of a ref that was written by
    /// hand.
    pub fn is_as_transferred(&self, name: &str, target: Oid) -> bool {
        const TRANSFERS: [&str; 5] = ["fetch", "pull", "clone", "update by push", "remote: renamed"];
        let log = read_text(&self.common_dir().join("logs").join(name)).unwrap_or_default();
        match log.lines().last() {
            Some(line) => {
                let (facts, message) = line.split_once('\t').unwrap_or((line, ""));
                let new = facts.split(' ').nth(1).and_then(|hex| Oid::from_hex(hex.as_bytes()));
                new == Some(target) && TRANSFERS.iter().any(|transfer| message.starts_with(transfer))
            }
            None => self.common_dir().join(name).symlink_metadata().is_err(),
        }
    }

    /// The commit that a name stands for, by git's rules.
    ///
    /// # Errors
    /// A message, if there is none.
    pub fn commit(&self, name: &str) -> Result<Oid, GitError> {
        self.check_reading()?;
        let commit = self.inner.revparse_single(name).and_then(|object| object.peel_to_commit());
        commit.map(|commit| commit.id().into()).map_err(|error| match error.code() {
            _ if self.has_no_commits() => GitError::NoCommits,
            git2::ErrorCode::NotFound => GitError::UnknownCommit(name.to_owned()),
            git2::ErrorCode::Ambiguous => GitError::ShortName(name.to_owned()),
            _ => GitError::libgit2(format!("`{name}` is not a commit"), error),
        })
    }

    /// Keeps libgit2 from reading refs and objects that are not regular files.
    fn check_reading(&self) -> Result<(), GitError> {
        let check = || {
            guard::before_refs(self.git_dir(), self.common_dir())?;
            guard::before_objects(&self.object_dirs(&mut vec![]))
        };
        self.is_readable.get_or_init(check).clone()
    }

    fn has_no_commits(&self) -> bool {
        self.inner.references().is_ok_and(|mut refs| refs.next().is_none())
    }

    /// The commit that is checked out, if there is one yet.
    ///
    /// # Errors
    /// A message, if HEAD cannot be read.
    pub fn head(&self) -> Result<Option<Oid>, GitError> {
        match self.inner.head() {
            Ok(head) => Ok(head.target().map(Oid::from)),
            Err(error) if error.code() == git2::ErrorCode::UnbornBranch => Ok(None),
            Err(error) => Err(GitError::libgit2("HEAD cannot be read", error)),
        }
    }

    /// True if there is a ref of this full name.
    pub fn has_ref(&self, name: &str) -> bool {
        self.check_reading().is_ok() && self.inner.find_reference(name).is_ok()
    }

    /// The commit that an object is or points to; `None` if that is something else.
    ///
    /// # Errors
    /// A message, if it cannot be read.
    pub fn commit_at(&self, oid: Oid) -> Result<Option<Oid>, GitError> {
        self.check_reading()?;
        let object = git2::Oid::from_bytes(oid.as_bytes()).and_then(|oid| self.inner.find_object(oid, None));
        let object = object.map_err(|error| GitError::libgit2(format!("it points to {oid}"), error))?;
        match object.peel(git2::ObjectType::Commit) {
            Ok(commit) => Ok(Some(commit.id().into())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => {
                Err(GitError::libgit2("its target is missing", error))
            }
            Err(_) => Ok(None),
        }
    }

    /// The merge bases of two commits.
    ///
    /// # Errors
    /// A message, if history cannot be read.
    pub fn merge_bases(&self, one: Oid, other: Oid) -> Result<Vec<Oid>, GitError> {
        self.check_reading()?;
        let git = |oid: Oid| git2::Oid::from_bytes(oid.as_bytes());
        let bases = git(one).and_then(|one| self.inner.merge_bases(one, git(other)?));
        match bases {
            Ok(bases) => Ok(bases.iter().map(|base| Oid::from(*base)).collect()),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(vec![]),
            Err(error) => Err(GitError::libgit2("history cannot be read", error)),
        }
    }

    /// Who is who, by the `.mailmap` of the working tree, or of HEAD in a bare repository. As with git, one that cannot be
    /// read is none.
    pub fn mailmap(&self) -> Mailmap {
        let text = match self.inner.workdir() {
            Some(dir) => file::read(&dir.join(".mailmap"), mailmap::MAX_BYTES).ok(),
            None => self.file_at_head(".mailmap", mailmap::MAX_BYTES),
        };
        text.map(|text| Mailmap::read(&text)).unwrap_or_default()
    }

    /// A file as it is at HEAD, by its path with `/`; none if there is no such file, or it has more than `max` bytes.
    pub fn file_at_head(&self, path: &str, max: u64) -> Option<Vec<u8>> {
        self.check_reading().ok()?;
        let oid = self.inner.revparse_single(&format!("HEAD:{path}")).ok()?.id();
        let (size, _) = self.inner.odb().ok()?.read_header(oid).ok()?;
        if size as u64 > max {
            return None;
        }
        Some(self.inner.find_blob(oid).ok()?.content().to_vec())
    }

    /// The first commit of the history of HEAD: clones and worktrees of one repository have the same.
    pub fn first_commit(&self) -> Option<Oid> {
        self.check_reading().ok()?;
        let mut commit = self.inner.head().ok()?.peel_to_commit().ok()?;
        for _ in 0..MAX_FIRST_PARENTS {
            match commit.parent(0) {
                Ok(parent) => commit = parent,
                Err(_) if commit.parent_count() == 0 => return Some(commit.id().into()),
                Err(_) => return None,
            }
        }
        None
    }

    /// Detached heads of linked worktrees; the others are branches.
    fn worktree_heads(&self) -> Vec<Ref> {
        let head = |dir: PathBuf| {
            let target = Oid::from_hex(read_text(&dir.join("HEAD"))?.trim().as_bytes())?;
            Some(Ref { name: format!("worktrees/{}/HEAD", dir.file_name()?.to_string_lossy()), target })
        };
        let mut heads: Vec<_> = subdirs(&self.common_dir().join("worktrees")).into_iter().filter_map(head).collect();
        heads.sort_by(|a, b| a.name.cmp(&b.name));
        heads
    }

    /// All objects that reflogs mention: former targets of refs, including those of deleted branches and dropped
    /// stashes.
    pub fn reflog_targets(&self) -> Vec<Oid> {
        let mut targets = BTreeSet::new();
        let mut open = vec![self.common_dir().join("logs")];
        open.extend(subdirs(&self.common_dir().join("worktrees")).into_iter().map(|dir| dir.join("logs")));
        while let Some(path) = open.pop() {
            let Ok(kind) = fs::symlink_metadata(&path) else { continue };
            if kind.is_dir() {
                open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            } else if kind.is_file() {
                let text = read_text(&path).unwrap_or_default();
                let oids = text.lines().flat_map(|line| line.split(' ').take(2));
                targets.extend(oids.filter_map(|hex| Oid::from_hex(hex.as_bytes())).filter(|oid| !oid.is_zero()));
            }
        }
        targets.into_iter().collect()
    }

    /// Commits whose parents were left out when the repository was cloned.
    pub fn shallow_commits(&self) -> BTreeSet<Oid> {
        let text = read_text(&self.common_dir().join("shallow")).unwrap_or_default();
        text.lines().filter_map(|line| Oid::from_hex(line.trim().as_bytes())).collect()
    }

    /// True if objects may be missing until git fetches them from the remote, which keyspill never does.
    pub fn is_partial(&self, object_dirs: &[PathBuf]) -> bool {
        let has_promisor_pack = |dir: &PathBuf| {
            let files = fs::read_dir(dir.join("pack")).into_iter().flatten().flatten();
            files.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|end| end == "promisor"))
        };
        object_dirs.iter().any(has_promisor_pack)
            || self.inner.config().is_ok_and(|config| config.get_string("extensions.partialclone").is_ok())
    }

    /// The submodule repositories that are present, sorted by path, and the paths of those that are missing.
    ///
    /// # Errors
    /// A message, if they cannot be listed.
    pub fn submodules(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), GitError> {
        // A bare repository has no list of them.
        let known = if self.inner.is_bare() { Ok(vec![]) } else { self.inner.submodules() };
        let known = known.map_err(|error| GitError::libgit2("its submodules cannot be listed", error))?;
        let paths = known.iter().map(|submodule| self.work_dir().unwrap_or(self.git_dir()).join(submodule.path()));
        let (mut there, missing): (Vec<_>, Vec<_>) = paths.partition(|path| path.join(".git").exists());
        // git keeps the repositories of submodules that are no longer used.
        let in_use: BTreeSet<_> = there
            .iter()
            .filter_map(|path| Some(Self::open(path, &self.environment).ok()?.git_dir().to_owned()))
            .collect();
        let mut open = vec![self.common_dir().join("modules")];
        while let Some(dir) = open.pop() {
            if is_git_dir(&dir) {
                if !dir
                    .canonicalize()
                    .is_ok_and(|dir| in_use.iter().any(|used| used.canonicalize().is_ok_and(|used| used == dir)))
                {
                    there.push(dir);
                }
            } else {
                open.extend(subdirs(&dir));
            }
        }
        there.sort();
        Ok((there, missing))
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Repository").field(&self.git_dir()).finish()
    }
}

/// Settings with the files that the environment names instead of the usual ones, which libgit2 does not support.
/// Source: git(1), `GIT_CONFIG_GLOBAL` and `GIT_CONFIG_SYSTEM`.
///
/// # Errors
/// If such a file cannot be read.
pub fn with_environment(mut settings: git2::Config, environment: &Environment) -> Result<git2::Config, git2::Error> {
    use git2::ConfigLevel::{Global, ProgramData, System, XDG};
    let nothing = PathBuf::from(if cfg!(windows) { "NUL" } else { "/dev/null" });
    let named = |name: &str| environment.variable(name).map(PathBuf::from);
    if let Some(file) = named("GIT_CONFIG_GLOBAL") {
        settings.add_file(&nothing, XDG, true)?;
        settings.add_file(&file, Global, true)?;
    }
    let is_on = |value: PathBuf| !matches!(value.to_str(), Some("" | "0" | "false" | "no" | "off"));
    let system = named("GIT_CONFIG_SYSTEM");
    if named("GIT_CONFIG_NOSYSTEM").is_some_and(is_on) || system.is_some() {
        settings.add_file(&nothing, ProgramData, true)?;
        settings.add_file(&system.unwrap_or(nothing), System, true)?;
    }
    Ok(settings)
}

/// Describes an error of libgit2. Its own message is not passed on: it may quote settings, refs and objects.
pub fn words(error: &git2::Error) -> &'static str {
    match (error.class(), error.code()) {
        (git2::ErrorClass::Config, git2::ErrorCode::NotFound) => "a setting is missing",
        (git2::ErrorClass::Config, _) => "a git configuration file is damaged; `git config --list` says where",
        (git2::ErrorClass::Reference, git2::ErrorCode::NotFound) => "a ref is missing",
        (git2::ErrorClass::Reference, _) => "a ref is damaged; `git fsck` says which",
        (git2::ErrorClass::Odb | git2::ErrorClass::Object, git2::ErrorCode::NotFound) => "an object is missing",
        (git2::ErrorClass::Odb | git2::ErrorClass::Object | git2::ErrorClass::Zlib, _) => {
            "an object is damaged; `git fsck` says which"
        }
        (git2::ErrorClass::Index, _) => "the index is damaged",
        (git2::ErrorClass::Repository, _) => "its format is not supported (SHA-256 or reftable), or it is damaged",
        (git2::ErrorClass::Os | git2::ErrorClass::Filesystem, _) => "one of its files cannot be read",
        (git2::ErrorClass::Submodule, _) => "the list of submodules is damaged",
        (git2::ErrorClass::NoMemory, _) => "there is not enough memory",
        (_, git2::ErrorCode::NotFound) => "part of it is missing",
        (_, git2::ErrorCode::Ambiguous) => "the name is ambiguous",
        (_, git2::ErrorCode::InvalidSpec) => "the name is not valid",
        _ => "libgit2 cannot read it",
    }
}

/// True for a git directory, as opposed to a working tree.
fn is_git_dir(dir: &Path) -> bool {
    dir.join("HEAD").is_file() && dir.join("objects").is_dir() && !dir.join(".git").exists()
}

/// Lets libgit2 open partial clones: our code expects missing objects.
#[allow(unsafe_code, reason = "there is no safe way to set it")]
fn know_extensions() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: this changes a global list of libgit2, which it reads when a repository is opened. Every repository is
        // opened through `Repository::open`, which does this first, and once for all threads.
        _ = unsafe { git2::opts::set_extensions(&["partialclone"]) };
    });
}

fn add_objects(dir: &Path, depth: usize, dirs: &mut Vec<PathBuf>, errors: &mut Vec<(PathBuf, GitError)>) {
    let absolute = match dir.canonicalize() {
        Ok(absolute) => absolute,
        Err(error) => return errors.push((dir.to_owned(), error.into())),
    };
    // A loop, or a directory that two repositories borrow from.
    if dirs.contains(&absolute) {
        return;
    }
    if depth > MAX_ALTERNATES {
        return errors.push((
            dir.to_owned(),
            GitError::Invalid("the chain of repositories borrowing from each other is too long"),
        ));
    }
    dirs.push(absolute.clone());
    let alternates = read_bytes(&absolute.join("info/alternates")).unwrap_or_default();
    for line in alternates.split(|&b| b == b'\n') {
        if !line.is_empty() && line[0] != b'#' {
            add_objects(&absolute.join(path_of(line)), depth + 1, dirs, errors);
        }
    }
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn subdirs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<_> =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect();
    dirs.sort();
    dirs
}

/// A small file; `None` if it is missing or too large.
fn read_bytes(path: &Path) -> Option<Vec<u8>> {
    file::read(path, MAX_TEXT).ok()
}

fn read_text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&read_bytes(path)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_cut_out_of_urls() {
        assert_eq!(without_password("https://u:p@h.example:8/a@b.git"), "https://h.example:8/a@b.git");
        assert_eq!(without_password("https://token@h.example"), "https://h.example");
        assert_eq!(without_password("git@h.example:a/b.git"), "git@h.example:a/b.git");
        assert_eq!(without_password("/srv/a.git"), "/srv/a.git");
    }
}
