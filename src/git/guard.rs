//! Looks at the files of a repository before libgit2 reads them: it would wait for a pipe, read a device for ever, and hold
//! a file of any size in memory.

use crate::file;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest of git's own text files that libgit2 may read, in bytes.
const MAX_TEXT: u64 = 64 << 20;

/// The largest index or list of packed refs, in bytes: a million entries have some 100 MB.
const MAX_LIST: u64 = 1 << 30;

/// As many files may include each other in a row; git stops there, too.
const MAX_INCLUDES: usize = 10;

/// Directories of refs, logs and objects are not nested deeper.
const MAX_DEPTH: usize = 64;

/// Directories of a repository of which libgit2 reads files when it opens it, or asks for settings and attributes. Which
/// files depends on its version, so that all of them must be regular ones.
const READ_AT_START: [&str; 3] = ["", "info", "objects/info"];

/// Checks the files of settings that the user has for all repositories.
///
/// # Errors
/// As [`before_open`].
pub fn check_user_settings() -> Result<(), String> {
    let named = ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let home = std::env::home_dir();
    let xdg = std::env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let xdg = xdg.or_else(|| Some(home.as_ref()?.join(".config")));
    let usual = [home.map(|dir| dir.join(".gitconfig")), xdg.map(|dir| dir.join("git/config"))];
    // To name the device that is empty is the usual way to have no settings.
    let is_empty = |file: &PathBuf| file.as_path() == Path::new("/dev/null");
    named.chain(usual.into_iter().flatten()).filter(|file| !is_empty(file)).try_for_each(|file| check(&file, MAX_TEXT))
}

/// Checks what is read when the repository that `start`, a directory, is in is opened.
///
/// # Errors
/// In words that name the file which is not a regular one, or too large.
pub fn before_open(start: &Path) -> Result<(), String> {
    check_user_settings()?;
    let Some(git_dir) = find(start) else { return Ok(()) };
    let common_dir = common_dir(&git_dir);
    for dir in [&git_dir, &common_dir] {
        for part in READ_AT_START {
            check_files(&dir.join(part))?;
        }
        for name in ["config", "config.worktree"] {
            check_includes(&dir.join(name), 0)?;
        }
    }
    let head = text(&git_dir.join("HEAD")).unwrap_or_default();
    match head.strip_prefix("ref:").map(str::trim).filter(|name| name.starts_with("refs/")) {
        Some(name) => check(&common_dir.join(name), MAX_TEXT),
        None => Ok(()),
    }
}

/// Checks what is read when refs are listed or resolved, also by their logs.
///
/// # Errors
/// As [`before_open`].
pub fn before_refs(git_dir: &Path, common_dir: &Path) -> Result<(), String> {
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
pub fn before_objects(object_dirs: &[PathBuf]) -> Result<(), String> {
    object_dirs.iter().try_for_each(|dir| check_all(dir, 0))
}

/// The directory of the repository that `start` is in, as libgit2 finds it.
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

/// Where the repository is that a worktree belongs to.
fn common_dir(git_dir: &Path) -> PathBuf {
    text(&git_dir.join("commondir")).map_or_else(|| git_dir.to_owned(), |dir| git_dir.join(dir.trim()))
}

fn text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&file::read(path, MAX_TEXT).ok()?).into_owned())
}

/// A file that is not there, or may not be read, is libgit2's to tell of.
fn check(path: &Path, max: u64) -> Result<(), String> {
    let Ok(facts) = fs::metadata(path) else { return Ok(()) };
    if !facts.is_file() && !facts.is_dir() {
        return Err(format!("{} is not a regular file; remove it", path.display()));
    }
    if facts.is_file() && facts.len() > max {
        return Err(format!("{} is larger than {}", path.display(), bytesize::ByteSize(max)));
    }
    Ok(())
}

/// Checks the files that a file of settings includes. More lines are taken for an include than git does: it is only asked
/// what the files are.
fn check_includes(config: &Path, depth: usize) -> Result<(), String> {
    let Some(text) = text(config).filter(|_| depth < MAX_INCLUDES) else { return Ok(()) };
    // A line goes on after a backslash, and quotes may stand anywhere in a value.
    for line in text.replace("\\\r\n", "").replace("\\\n", "").replace('"', "").lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if !key.trim_end().to_ascii_lowercase().ends_with("path") {
            continue;
        }
        let value = value.split(['#', ';']).next().unwrap_or_default().trim();
        let below_home = value.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
        let path = below_home.unwrap_or_else(|| config.parent().unwrap_or(Path::new("")).join(value));
        check(&path, MAX_TEXT)?;
        check_includes(&path, depth + 1)?;
    }
    Ok(())
}

/// Checks the files in a directory, not those below it.
fn check_files(dir: &Path) -> Result<(), String> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_list = entry.file_name() == "index" || entry.file_name() == "packed-refs";
        check(&entry.path(), if is_list { MAX_LIST } else { MAX_TEXT })?;
    }
    Ok(())
}

/// Checks all files below a directory. What kind a file is, is known from the directory, so that this costs little.
fn check_all(dir: &Path, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{} is nested too deep", dir.display()));
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
