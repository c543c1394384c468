//! What an audit is of: targets as given, and the units that they fall into.

use crate::environment::Environment;
use crate::file::describe;
use crate::git::repository::Repository;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The maximum depth of folders below a target in which repositories are looked for.
const MAX_DEPTH: usize = 64;

/// The maximum length of a line in a list of targets, in bytes.
const MAX_LINE: usize = 64 << 10;

/// What is scanned as one, since it shares what is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// Identifies it: the names of its targets.
    pub name: String,
    /// Where it is.
    pub source: Source,
}

/// Where a unit is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Repositories that share objects, by their paths.
    Repositories(Vec<PathBuf>),
    /// Files and folders that are in no repository.
    Files(Vec<PathBuf>),
    /// A repository that must be cloned first.
    Remote(String),
    /// Nothing that can be scanned, and why.
    Failed(String),
}

/// The targets in a list: one a line, as a path or URL; blank lines and comments after `#` are left out.
///
/// # Errors
/// The number of a line that is not UTF-8 or too long, and what is wrong with it.
pub fn read_list(text: &[u8]) -> Result<Vec<String>, String> {
    let mut targets = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let refused = |problem: &str| format!("line {}: {problem}", number + 1);
        if line.len() > MAX_LINE {
            return Err(refused("it is longer than any path or URL; expected one target a line"));
        }
        let line = std::str::from_utf8(line).map_err(|_| refused("it is not UTF-8"))?;
        let line = line.trim();
        // A path may contain a `#`, but hardly one after a blank.
        let line = line.split_once(" #").map_or(line, |(target, _)| target.trim_end());
        if !line.is_empty() && !line.starts_with('#') {
            targets.push(line.to_owned());
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

/// The units of targets, in order of their names: the same for the same targets in any order.
pub fn units(targets: &[String], environment: &Environment) -> Vec<Unit> {
    let mut remotes = BTreeSet::new();
    let mut search = Search { seen: BTreeSet::new(), repositories: vec![], units: vec![] };
    let mut targets: Vec<&String> = targets.iter().collect();
    targets.sort();
    for target in targets {
        if is_url(target) {
            remotes.insert(target.clone());
        } else {
            search.target(Path::new(target));
        }
    }
    let Search { repositories, mut units, .. } = search;
    units.extend(families(repositories, environment));
    units.extend(remotes.into_iter().map(|url| Unit { name: shown_url(&url), source: Source::Remote(url) }));
    units.sort();
    units.dedup_by(|a, b| a.name == b.name);
    units
}

/// A URL without what is nobody's business: user, password, query.
pub fn shown_url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => url.rsplit_once('@').map_or(url, |(_, place)| place).to_owned(),
    }
}

/// Looks for repositories.
struct Search {
    /// Directories that were looked at, so that none is scanned twice.
    seen: BTreeSet<PathBuf>,
    repositories: Vec<PathBuf>,
    units: Vec<Unit>,
}

impl Search {
    fn target(&mut self, path: &Path) {
        let name = shown(path);
        let failed = |problem: String| Unit { name: name.clone(), source: Source::Failed(problem) };
        match path.metadata() {
            Err(error) => self.units.push(failed(describe(&error))),
            Ok(facts) if !facts.is_dir() => {
                let source = Source::Files(vec![path.to_owned()]);
                self.units.push(Unit { name, source });
            }
            Ok(_) => {
                let mut loose = Vec::new();
                let has_repository = self.directory(path, 0, &mut loose);
                if !has_repository {
                    loose = vec![path.to_owned()];
                }
                if !loose.is_empty() {
                    loose.sort();
                    self.units.push(Unit { name, source: Source::Files(loose) });
                }
            }
        }
    }

    /// Looks for repositories in a directory. What is in none is added to `loose`. False if there is none.
    fn directory(&mut self, dir: &Path, depth: usize, loose: &mut Vec<PathBuf>) -> bool {
        let absolute = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        if !self.seen.insert(absolute) {
            return true;
        }
        if is_repository(dir) {
            self.repositories.push(dir.to_owned());
            return true;
        }
        // What cannot be listed is reported when it is scanned.
        let Some(entries) = std::fs::read_dir(dir).ok().filter(|_| depth < MAX_DEPTH) else { return false };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut own = Vec::new();
        let mut has_repository = false;
        for entry in entries {
            let mut inner = Vec::new();
            let path = dir.join(entry.file_name());
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir && self.directory(&path, depth + 1, &mut inner) {
                has_repository = true;
                own.append(&mut inner);
            } else {
                own.push(path);
            }
        }
        if has_repository {
            loose.append(&mut own);
        }
        has_repository
    }
}

/// True for the top of a working tree, and for a bare repository.
fn is_repository(dir: &Path) -> bool {
    dir.join(".git").exists()
        || (dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir())
}

/// Units of repositories: those that share objects are one.
fn families(repositories: Vec<PathBuf>, environment: &Environment) -> Vec<Unit> {
    let mut units = Vec::new();
    // The number of the family that has each directory of objects.
    let mut owners: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut families: Vec<Vec<PathBuf>> = Vec::new();
    for path in repositories {
        let repository = match Repository::open(&path, environment) {
            Ok(repository) => repository,
            Err(error) => {
                units.push(Unit { name: shown(&path), source: Source::Failed(error.to_words()) });
                continue;
            }
        };
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
        let name = members.iter().map(|path| shown(path)).collect::<Vec<_>>().join("\n");
        units.push(Unit { name, source: Source::Repositories(members) });
    }
    units
}

/// A path as reports name it.
fn shown(path: &Path) -> String {
    crate::finding::BlobPath::new(path).to_text().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_a_target_a_line() {
        let list = b"# all of them\nclones/a\r\n\n  clones/b # archived\nhttps://example.com/c.git\nclones/#d\n";
        assert_eq!(
            read_list(list),
            Ok(["clones/a", "clones/b", "https://example.com/c.git", "clones/#d"].map(str::to_owned).into())
        );
        assert_eq!(read_list(b"a\n\xff\n"), Err("line 2: it is not UTF-8".into()));
        assert!(read_list(&vec![b'a'; MAX_LINE + 1]).is_err());
    }

    #[test]
    fn urls_are_told_from_paths_and_shown_without_passwords() {
        for (target, shown) in [
            ("https://user:token@example.com/a.git?x=1", "https://example.com/a.git"),
            ("git@example.com:team/a.git", "example.com:team/a.git"),
            ("ssh://git@example.com:2222/a", "ssh://example.com:2222/a"),
            ("file:///srv/a.git", "file:///srv/a.git"),
        ] {
            assert!(is_url(target), "{target}");
            assert_eq!(shown_url(target), shown);
        }
        for path in ["clones/a", "C:/clones", "./a:b", "mail.mbox", "://x"] {
            assert!(!is_url(path), "{path}");
        }
    }
}
