//! What an audit is of: targets as given, and the units that they fall into.

use crate::environment::Environment;
use crate::file::describe;
use crate::git::repository::Repository;
use crate::source::gitignore::{GitIgnores, Ignored};
use crate::text::mask::hide_secrets_in_name;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The maximum depth of folders below a target in which repositories are looked for.
const MAX_DEPTH: usize = 500;

/// The maximum length of a line in a list of targets, in bytes.
const MAX_LINE: usize = 64 << 10;

/// What is scanned as one, since it shares what is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// Identifies it: the names of its targets, one a line.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// Folders in it that are none of it: repositories of their own, and what audits write.
    pub apart: Vec<PathBuf>,
}

/// Where a unit is. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Repositories that share objects, by their paths.
    Repositories(Vec<PathBuf>),
    /// A file, or a folder as far as it is in no repository.
    Files(PathBuf),
    /// A repository that must be cloned first.
    Remote(String),
    /// Nothing that can be scanned, and why.
    Failed(String),
}

/// A list of targets cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ListError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The targets in a list and their 1-based lines: one per line, as a path or URL; blank lines and comments after `#` are left out.
///
/// # Errors
/// The number of a line that is not UTF-8 or too long, and what is wrong with it.
pub fn read_list(text: &[u8]) -> Result<Vec<(usize, String)>, ListError> {
    let mut targets = Vec::new();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let refused = |problem| ListError { line: number + 1, problem };
        if line.len() > MAX_LINE {
            return Err(refused("it is longer than any path or URL; expected one target per line"));
        }
        let line = std::str::from_utf8(line).map_err(|_| refused("it is not UTF-8"))?;
        let line = line.trim();
        // A path may contain a `#`, but hardly one after a blank.
        let line = line.split_once(" #").map_or(line, |(target, _)| target.trim_end());
        if !line.is_empty() && !line.starts_with('#') {
            targets.push((number + 1, line.to_owned()));
        }
    }
    Ok(targets)
}

/// True for what git takes for a URL: `https://…`, or `user@host:path`.
pub fn is_url(target: &str) -> bool {
    let is_scheme = |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+');
    if target.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return true;
    }
    // As git decides: a colon before the first slash, and no such file.
    let host = target.split_once(':').map(|(host, _)| host);
    host.is_some_and(|host| host.len() > 1 && !host.contains('/')) && !Path::new(target).exists()
}

/// The units of targets, in order of their names: the same for the same targets in any order, wherever the audit runs.
/// `own` are folders that the audit itself writes to.
pub fn units(targets: &[String], own: &[PathBuf], environment: &Environment) -> Vec<Unit> {
    let own: BTreeSet<PathBuf> = own.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mut search = Search { own: own.clone(), ..Search::default() };
    let (remotes, local): (BTreeSet<String>, BTreeSet<String>) =
        targets.iter().cloned().partition(|target| is_url(target));
    // Folders before what is in them, so that the order of the targets does not matter.
    let mut local: Vec<_> = local.into_iter().map(|target| (Path::new(&target).canonicalize().ok(), target)).collect();
    local.sort();
    local.iter().for_each(|(_, target)| search.target(Path::new(target)));
    let mut units = std::mem::take(&mut search.failed);
    units.extend(families(search.repositories.iter().cloned().collect(), environment));
    // What git ignores is not read with its repository, so it is read by itself if it was named.
    let ignores = GitIgnores::new(Arc::new(environment.clone()));
    let is_ignored = |path: &Path, is_dir| ignores.ignores(path, is_dir) != Ignored::No;
    let is_inside =
        |file: &PathBuf| file.ancestors().any(|above| search.seen.contains(above)) && !is_ignored(file, false);
    let named = search.named.iter().filter(|path| search.is_in_repository(path) && is_ignored(path, true));
    let files = search.files.iter().filter(|file| !is_inside(file)).chain(&search.folders).chain(&search.strays);
    let files: BTreeSet<&PathBuf> = files.chain(named).collect();
    let files = files.into_iter();
    units.extend(files.map(|path| Unit { name: name(path), source: Source::Files(path.clone()), apart: vec![] }));
    units.extend(remotes.into_iter().map(remote));
    units.sort();
    // The same repository with another user or token.
    units.dedup_by(|a, b| a.name == b.name);
    let apart: Vec<PathBuf> = own.into_iter().chain(search.repositories).collect();
    for unit in &mut units {
        let roots = match &unit.source {
            Source::Repositories(paths) => paths.clone(),
            Source::Files(path) => vec![path.clone()],
            Source::Remote(_) | Source::Failed(_) => continue,
        };
        let is_below = |dir: &&PathBuf| roots.iter().any(|root| dir.starts_with(root) && *dir != root);
        unit.apart = apart.iter().filter(is_below).cloned().collect();
    }
    units
}

fn remote(url: String) -> Unit {
    match problem_of_url(&url) {
        Some(problem) => Unit { name: shown_url(&url), source: Source::Failed(problem.to_owned()), apart: vec![] },
        None => Unit { name: shown_url(&url), source: Source::Remote(url), apart: vec![] },
    }
}

/// Why a target is not used, if it is a URL that is not.
pub fn refusal(target: &str) -> Option<&'static str> {
    is_url(target).then(|| problem_of_url(target)).flatten()
}

/// Why a URL is not used, if it is not.
fn problem_of_url(url: &str) -> Option<&'static str> {
    const SCHEMES: [&str; 3] = ["https", "ssh", "file"];
    if url.contains(char::is_control) || super::clone::has_control_characters(url) {
        return Some("it has characters that are not allowed in a URL");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // As `user@host:path`, in which only one user is possible.
        let (host, path) = url.split_once(':')?;
        let is_plain = !path.contains('@') && !path.starts_with(':') && !SCHEMES.contains(&host) && host != "http";
        return (!is_plain).then_some("expected https://…, ssh://…, file://… or user@host:path");
    };
    if !SCHEMES.contains(&scheme) {
        return Some(
            "only https, ssh and file URLs are accepted; others run programs, or are neither private nor authentic",
        );
    }
    if scheme == "file" {
        return None;
    }
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if url.contains(['?', '#', ';']) {
        // Whatever it is, others would see it in the arguments of git.
        Some("it has a query, which may hold a token; pass tokens as git is set up to, or as the user of the URL")
    } else if authority.is_empty() {
        Some("it names no host")
    } else if path.match_indices('@').any(|(at, _)| !path[..at].ends_with('/')) {
        Some("its user or password has a character that must be percent-encoded")
    } else {
        None
    }
}

/// A URL without credentials: passwords and, on the web, users. What is left out of a name is told apart by a
/// hash.
pub fn shown_url(url: &str) -> String {
    if problem_of_url(url).is_some() {
        let scheme =
            url.split("://").next().filter(|scheme| matches!(*scheme, "https" | "ssh" | "file" | "http" | "git"));
        return format!("{}://…{}", scheme.unwrap_or("url"), digest(url));
    }
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let shown = match authority.rsplit_once('@') {
                // Of ssh, the user says which repository it is.
                Some((user, host)) if !scheme.starts_with("http") => {
                    format!("{}@{host}", user.split(':').next().unwrap_or_default())
                }
                Some((_, host)) => host.to_owned(),
                None => authority.to_owned(),
            };
            format!("{scheme}://{shown}{path}")
        }
        None => url.to_owned(),
    }
}

fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..4])
}

/// A path as reports name it: nothing in it is taken for something else, and no two paths have the same name.
pub fn name(path: &Path) -> String {
    name_of_bytes(path.as_os_str().as_encoded_bytes())
}

/// The same for the bytes of a path.
pub fn name_of_bytes(bytes: &[u8]) -> String {
    let mut hidden = bytes.to_vec();
    hide_secrets_in_name(&mut hidden);
    let mut name = String::with_capacity(bytes.len());
    for chunk in hidden.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' if cfg!(windows) => name.push('/'),
                '\\' => name.push_str("\\\\"),
                c if c.is_control() => name.extend(c.escape_default()),
                c => name.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| name.push_str(&format!("\\x{byte:02x}")));
    }
    if hidden == bytes {
        name
    } else {
        format!("{name}~{}", data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)[..4]))
    }
}

/// What is found in the targets. Paths are canonical, so that nothing is found twice.
#[derive(Default)]
struct Search {
    /// What the audit itself writes.
    own: BTreeSet<PathBuf>,
    /// Files and folders among git's own in a bare repository.
    strays: BTreeSet<PathBuf>,
    /// What was named as a target.
    named: BTreeSet<PathBuf>,
    /// Folders that were looked at.
    seen: BTreeSet<PathBuf>,
    repositories: BTreeSet<PathBuf>,
    /// Targets that are folders and no repositories.
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    failed: Vec<Unit>,
}

impl Search {
    fn target(&mut self, path: &Path) {
        let looked = path.canonicalize().and_then(|absolute| Ok((absolute.metadata()?, absolute)));
        match looked {
            Err(error) => self.fail(path, describe(&error)),
            Ok((facts, absolute)) if facts.is_file() => _ = self.files.insert(absolute),
            Ok((facts, absolute)) if facts.is_dir() => {
                self.named.insert(absolute.clone());
                // A folder below one that was looked at is part of that.
                if !self.seen.contains(&absolute) {
                    let known = self.repositories.len();
                    let has_others = self.directory(&absolute, 0) || self.repositories.len() == known;
                    if has_others && !self.is_in_repository(&absolute) {
                        self.folders.retain(|folder| !folder.starts_with(&absolute));
                        self.folders.insert(absolute);
                    }
                }
            }
            Ok(_) => self.fail(path, "it is a pipe, a socket or a device; expected a file or folder".into()),
        }
    }

    fn is_in_repository(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.repositories.contains(above))
    }

    fn fail(&mut self, path: &Path, problem: String) {
        self.failed.push(Unit { name: name(path), source: Source::Failed(problem), apart: vec![] });
    }

    /// Looks for repositories in a directory, and in their working trees. Links are not followed. True if there is anything
    /// that is in no repository.
    fn directory(&mut self, dir: &Path, depth: usize) -> bool {
        if self.own.contains(dir) || !self.seen.insert(dir.to_owned()) {
            return false;
        }
        let has_tree = dir.join(".git").exists();
        if has_tree || is_bare_repository(dir) {
            self.repositories.insert(dir.to_owned());
        }
        let is_repository = self.repositories.contains(dir);
        if is_repository && !has_tree {
            self.strays_in(dir, depth);
            return false;
        }
        if depth == MAX_DEPTH {
            self.fail(dir, format!("more than {MAX_DEPTH} levels deep; not searched further for repositories"));
            return true;
        }
        // What cannot be listed is reported when it is scanned.
        let Ok(entries) = std::fs::read_dir(dir) else { return true };
        let mut has_others = false;
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                has_others = true;
            } else if entry.file_name() != ".git" {
                has_others |= self.directory(&entry.path(), depth + 1);
            }
        }
        has_others && !is_repository
    }
}

impl Search {
    /// Notes what is in a bare repository and is none of git's.
    fn strays_in(&mut self, dir: &Path, depth: usize) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(is_gits) {
                continue;
            }
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_file() || kind.is_dir() && depth < MAX_DEPTH && self.directory(&path, depth + 1) {
                self.strays.insert(path);
            }
        }
    }
}

/// True for what git, its maintenance, and code hosts have in a repository's own folder.
fn is_gits(name: &str) -> bool {
    const NAMES: [&str; 19] = [
        "HEAD",
        "config",
        "config.worktree",
        "description",
        "hooks",
        "info",
        "objects",
        "refs",
        "packed-refs",
        "logs",
        "branches",
        "worktrees",
        "modules",
        "index",
        "shallow",
        "lfs",
        "gc.log",
        "rr-cache",
        "reftable",
    ];
    NAMES.contains(&name)
        || name.ends_with("_HEAD")
        || name.ends_with("_EDITMSG")
        || name.strip_suffix("lock").is_some_and(|name| name.ends_with('.'))
}

fn is_bare_repository(dir: &Path) -> bool {
    dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir()
}

/// Units of repositories: those that share objects are one.
fn families(repositories: Vec<PathBuf>, environment: &Environment) -> Vec<Unit> {
    let mut units = Vec::new();
    // The number of the family that has each directory of objects.
    let mut owners: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut families: Vec<Vec<PathBuf>> = Vec::new();
    for path in repositories {
        let failed = |problem: String| Unit { name: name(&path), source: Source::Failed(problem), apart: vec![] };
        let repository = match Repository::open(&path, environment) {
            Ok(repository) => repository,
            // Its files can be read all the same; the scan says why its history cannot.
            Err(_) if path.join(".git").exists() => {
                units.push(Unit { name: name(&path), source: Source::Repositories(vec![path]), apart: vec![] });
                continue;
            }
            Err(error) => {
                units.push(failed(error.to_words()));
                continue;
            }
        };
        // Whoever wrote the settings of a repository must not choose what else is read.
        let tree = repository.work_dir().map(|dir| dir.canonicalize().unwrap_or(dir.to_owned()));
        if tree.is_some_and(|tree| tree != path) {
            units.push(failed("its settings name a working tree elsewhere (core.worktree)".into()));
            continue;
        }
        if repository.work_dir().is_none() && path.join(".git").exists() {
            units.push(failed("its settings say that it has no working tree (core.bare), but there is one".into()));
            continue;
        }
        let dirs = repository.object_dirs(&mut Vec::new());
        let number = families.len();
        families.push(vec![path]);
        let known: BTreeSet<usize> = dirs.iter().filter_map(|dir| owners.get(dir).copied()).collect();
        for other in known {
            let members = std::mem::take(&mut families[other]);
            families[number].extend(members);
            owners.values_mut().filter(|owner| **owner == other).for_each(|owner| *owner = number);
        }
        owners.extend(dirs.into_iter().map(|dir| (dir, number)));
    }
    for mut members in families.into_iter().filter(|members| !members.is_empty()) {
        members.sort();
        let name = members.iter().map(|path| name(path)).collect::<Vec<_>>().join("\n");
        units.push(Unit { name, source: Source::Repositories(members), apart: vec![] });
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_a_target_a_line() {
        let list =
            b"\xef\xbb\xbf# all of them\nclones/a\r\n\n  clones/b # archived\nhttps://example.com/c.git\nclones/#d\n";
        let targets = [(2, "clones/a"), (4, "clones/b"), (5, "https://example.com/c.git"), (6, "clones/#d")];
        assert_eq!(read_list(list), Ok(targets.map(|(line, target)| (line, target.to_owned())).into()));
        assert_eq!(read_list(b"a\n\xff\n"), Err(ListError { line: 2, problem: "it is not UTF-8" }));
        assert!(read_list(&vec![b'a'; MAX_LINE + 1]).is_err());
    }

    #[test]
    fn urls_are_told_from_paths_and_shown_without_passwords() {
        for (target, shown) in [
            ("https://user:token@example.com/a.git", "https://example.com/a.git"),
            ("https://token@example.com/@scope/a.git", "https://example.com/@scope/a.git"),
            ("git@example.com:team/a.git", "git@example.com:team/a.git"),
            ("ssh://git:hunter2@example.com:2222/a", "ssh://git@example.com:2222/a"),
            ("file:///srv/a#1.git", "file:///srv/a#1.git"),
        ] {
            assert!(is_url(target), "{target}");
            assert_eq!(shown_url(target), shown);
        }
        for path in ["clones/a", "C:/clones", "./a:b", "mail.mbox", "://x"] {
            assert!(!is_url(path), "{path}");
        }
        for url in [
            "https://example.com/a?private_token=hunter2",
            "https://ann:hun/ter2@example.com/a.git",
            "https://ann:123/hunter2@example.com/a",
            "HTTPS://hunter2@example.com/a.git",
            "git+https://hunter2@example.com/a",
            "oauth2:hunter2@example.com:g/a.git",
            "oauth2:hunter2@example.com/g/a.git",
            "https:/ann:hunter2@example.com/a",
            "https:///ann:hunter2@example.com/a",
            "ssh://example.com/a?token=hunter2",
            "https://example.com/a#token=hunter2",
            "https://ann:a%0Ahunter2@example.com/a",
            "ext::sh -c hunter2",
        ] {
            assert!(is_url(url), "{url}");
            let unit = remote(url.to_owned());
            assert!(matches!(unit.source, Source::Failed(_)), "{url}");
            assert!(!unit.name.contains("ter2"), "{}", unit.name);
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_two_paths_have_the_same_name() {
        use std::os::unix::ffi::OsStrExt;
        let paths: [&[u8]; 7] = [b"a\xff", b"a\\xff", b"a\xfe", b"a\nb", b"a\\nb", b"a\xef\xbf\xbd", b"a\x1b[2J"];
        let names: BTreeSet<String> =
            paths.iter().map(|path| name(Path::new(std::ffi::OsStr::from_bytes(path)))).collect();
        assert_eq!(names.len(), paths.len(), "{names:?}");
        assert!(names.iter().all(|name| !name.contains(char::is_control)), "{names:?}");
        let secret = crate::rule::example::expand("{{secret}}").text.replace('/', "x");
        let secret = format!("/x/aws_secret_access_key={secret}");
        assert!(!name(Path::new(&secret)).contains(&secret[25..]), "{}", name(Path::new(&secret)));
    }
}
