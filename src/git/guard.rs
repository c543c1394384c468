//! Checks the files of a repository before libgit2 reads them: it would block on a pipe, read a device forever, and
//! load a file of any size into memory.

use super::error::GitError;
use crate::environment::Environment;
use crate::file;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum size of git's own text files that libgit2 may read, in bytes.
const MAX_TEXT: u64 = 64 << 20;

/// Maximum size of an index or of packed refs, in bytes: a million entries take about 100 MB.
const MAX_LIST: u64 = 1 << 30;

/// Maximum depth of nested includes; git's limit is the same.
const MAX_INCLUDES: usize = 10;

/// Maximum nesting depth of directories of refs, logs and objects.
const MAX_DEPTH: usize = 64;

/// Directories in which libgit2 reads files when it opens a repository or looks up settings and attributes. Which files
/// it reads depends on its version, so all of them must be regular files.
const READ_AT_START: [&str; 3] = ["", "info", "objects/info"];

/// Checks the configuration files that apply to all repositories of the user.
///
/// # Errors
/// As [`before_open`].
pub fn check_user_settings(environment: &Environment) -> Result<(), GitError> {
    let named = ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"].into_iter();
    let named = named.filter_map(|name| environment.variable(name)).map(PathBuf::from);
    let xdg = environment.config_home();
    let usual = [environment.home.as_ref().map(|dir| dir.join(".gitconfig")), xdg.map(|dir| dir.join("git/config"))];
    // Naming the null device is the usual way to have no settings.
    let is_empty = |file: &PathBuf| file.as_path() == Path::new("/dev/null");
    named.chain(usual.into_iter().flatten()).filter(|file| !is_empty(file)).try_for_each(|file| check(&file, MAX_TEXT))
}

/// Checks what is read when the repository that contains the directory `start` is opened.
///
/// # Errors
/// A message that names the file that is not a regular one, or too large.
pub fn before_open(start: &Path, environment: &Environment) -> Result<(), GitError> {
    check_user_settings(environment)?;
    let Some(git_dir) = find(start) else { return Ok(()) };
    let common_dir = common_dir(&git_dir);
    for dir in [&git_dir, &common_dir] {
        for part in READ_AT_START {
            check_files(&dir.join(part))?;
        }
        for name in ["config", "config.worktree"] {
            check_includes(&dir.join(name), 0, environment)?;
        }
    }
    let head = text(&git_dir.join("HEAD")).unwrap_or_default();
    match head.strip_prefix("ref:").map(str::trim).filter(|name| name.starts_with("refs/")) {
        Some(name) => check(&common_dir.join(name), MAX_TEXT),
        None => Ok(()),
    }
}

/// Checks what is read when refs are listed or resolved, including reflogs.
///
/// # Errors
/// As [`before_open`].
pub fn before_refs(git_dir: &Path, common_dir: &Path) -> Result<(), GitError> {
    for dir in [git_dir, common_dir] {
        check_all(&dir.join("refs"), 0)?;
        check_all(&dir.join("logs"), 0)?;
    }
    Ok(())
}

/// Checks what is read when objects are looked up.
///
/// # Errors
/// As [`before_open`].
pub fn before_objects(object_dirs: &[PathBuf]) -> Result<(), GitError> {
    object_dirs.iter().try_for_each(|dir| check_all(dir, 0))
}

/// The git directory of the repository that contains `start`, as libgit2 finds it.
fn find(start: &Path) -> Option<PathBuf> {
    let start = start.canonicalize().ok()?;
    start.ancestors().find_map(|dir| {
        let git = dir.join(".git");
        match git.metadata() {
            Ok(facts) if facts.is_dir() => Some(git),
            Ok(facts) if facts.is_file() => Some(dir.join(text(&git)?.strip_prefix("gitdir:")?.trim())),
            _ => (dir.join("HEAD").exists() && dir.join("objects").is_dir()).then(|| dir.to_owned()),
        }
    })
}

/// The common directory of the repository that a worktree belongs to.
fn common_dir(git_dir: &Path) -> PathBuf {
    text(&git_dir.join("commondir")).map_or_else(|| git_dir.to_owned(), |dir| git_dir.join(dir.trim()))
}

fn text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&file::read(path, MAX_TEXT).ok()?).into_owned())
}

/// Checks one file. libgit2 reports files that are missing or may not be read.
fn check(path: &Path, max: u64) -> Result<(), GitError> {
    let Ok(facts) = fs::metadata(path) else { return Ok(()) };
    if !facts.is_file() && !facts.is_dir() {
        return Err(GitError::NotRegular(path.to_owned()));
    }
    if facts.is_file() && facts.len() > max {
        return Err(GitError::TooLarge(path.to_owned(), max));
    }
    Ok(())
}

/// Checks the files that a configuration file includes. It takes more lines for includes than git does, which is
/// harmless: only the type and size of the files are checked.
fn check_includes(config: &Path, depth: usize, environment: &Environment) -> Result<(), GitError> {
    let Some(text) = text(config).filter(|_| depth < MAX_INCLUDES) else { return Ok(()) };
    // A backslash continues a line, and quotes may occur anywhere in a value.
    for line in text.replace("\\\r\n", "").replace("\\\n", "").replace('"', "").lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if !key.trim_end().to_ascii_lowercase().ends_with("path") {
            continue;
        }
        let value = value.split(['#', ';']).next().unwrap_or_default().trim();
        let below_home = value.strip_prefix("~/").and_then(|rest| Some(environment.home.as_ref()?.join(rest)));
        let path = below_home.unwrap_or_else(|| config.parent().unwrap_or(Path::new("")).join(value));
        check(&path, MAX_TEXT)?;
        check_includes(&path, depth + 1, environment)?;
    }
    Ok(())
}

/// Checks the files in a directory, but not in its subdirectories.
fn check_files(dir: &Path) -> Result<(), GitError> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_list = entry.file_name() == "index" || entry.file_name() == "packed-refs";
        check(&entry.path(), if is_list { MAX_LIST } else { MAX_TEXT })?;
    }
    Ok(())
}

/// Checks all files below a directory. Directory entries include the file type, so this costs little.
fn check_all(dir: &Path, depth: usize) -> Result<(), GitError> {
    if depth > MAX_DEPTH {
        return Err(GitError::TooDeep(dir.to_owned()));
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => check_all(&entry.path(), depth + 1)?,
            Ok(kind) if kind.is_file() => {}
            // A link may lead to anything.
            _ => check(&entry.path(), u64::MAX)?,
        }
    }
    Ok(())
}
