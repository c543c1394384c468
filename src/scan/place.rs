//! Where files are: in which repository, with which permissions, and how the user would write their paths.

use crate::environment::Environment;
use crate::file::repository_root;
use crate::finding::path::to_path;
use crate::finding::{BlobPath, Finding};
use crate::git::repository::{Facts, Repository};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files in which tools keep keys, and which those tools require or advise to be private to the user.
const KEPT_IN: [&str; 7] =
    [".aws/credentials", ".aws/config", "/.boto", "/.s3cfg", "/.passwd-s3fs", "/rclone.conf", "/.rclone.conf"];

/// Notes at each key the repository that it is in and, of a file in which tools keep keys, who may read it.
pub fn note_places(findings: &mut [Box<Finding>], scanned: &[(BlobPath, Facts)], environment: &Environment) {
    let lookup = RepositoryLookup { scanned, environment, known: Mutex::default() };
    for finding in findings.iter_mut() {
        let path = finding.path.clone();
        let Some(key) = finding.key_mut() else { continue };
        key.evidence.repository = lookup.repository(&path);
        let file = format!("/{}", String::from_utf8_lossy(path.file()));
        let is_kept = path.inside().is_empty() && KEPT_IN.iter().any(|name| file.ends_with(name));
        key.evidence.file_mode = is_kept.then(|| mode(&path)).flatten();
    }
    note_origins(findings, environment);
}

/// Notes where repositories that hold the same key come from.
fn note_origins(findings: &mut [Box<Finding>], environment: &Environment) {
    let mut repositories: HashMap<String, BTreeSet<Arc<str>>> = HashMap::new();
    let of_secret = |finding: &Finding| {
        let repository = finding.evidence()?.repository.clone()?;
        finding.secret().map(|_| (finding.credential().into_owned(), repository))
    };
    for (key, repository) in findings.iter().filter_map(|finding| of_secret(finding)) {
        repositories.entry(key).or_default().insert(repository);
    }
    repositories.retain(|_, names| names.len() > 1);
    let mut origins: HashMap<Arc<str>, Option<Arc<str>>> = HashMap::new();
    for finding in findings.iter_mut().filter(|_| !repositories.is_empty()) {
        let Some((_, name)) = of_secret(finding).filter(|(key, _)| repositories.contains_key(key)) else { continue };
        let origin = origins.entry(name.clone()).or_insert_with(|| origin(&name, environment));
        if let Some(key) = finding.key_mut() {
            key.evidence.origin.clone_from(origin);
        }
    }
}

/// The first commit of the repository in a directory.
fn origin(directory: &str, environment: &Environment) -> Option<Arc<str>> {
    let repository = Repository::open(Path::new(directory), environment).ok()?;
    Some(repository.first_commit()?.to_string().into())
}

/// Finds the repository of a file.
struct RepositoryLookup<'a> {
    /// The repositories whose history was scanned.
    scanned: &'a [(BlobPath, Facts)],
    environment: &'a Environment,
    /// What is known, by directory.
    known: Mutex<HashMap<PathBuf, Option<Arc<str>>>>,
}

impl RepositoryLookup<'_> {
    fn repository(&self, path: &BlobPath) -> Option<Arc<str>> {
        let dir = to_path(path).parent()?.to_owned();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(dir).or_insert_with_key(|dir| self.find(dir)).clone()
    }

    /// The repository's directory, as written in paths.
    fn find(&self, dir: &Path) -> Option<Arc<str>> {
        let name = |dir: &Path| Arc::from(BlobPath::new(dir).to_text());
        let is_scanned = |dir: &&Path| self.scanned.iter().any(|(path, _)| to_path(path) == **dir);
        let here = |dir: &Path| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() };
        let found = dir.ancestors().find(|dir| is_scanned(dir) || here(dir).join(".git").exists());
        let above = || repository_root(&self.environment.working_dir).map(name);
        found.map(|dir| name(&here(dir))).or_else(|| above().filter(|_| dir.is_relative()))
    }
}

/// The mode of an existing regular file.
fn mode(path: &BlobPath) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let facts = to_path(path).symlink_metadata().ok()?;
        facts.is_file().then(|| facts.permissions().mode())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// The directory `top`, which was found through `given`, as the user would write it.
pub fn shown_path(top: &Path, given: &Path, environment: &Environment) -> PathBuf {
    let absolute = top.canonicalize().unwrap_or(top.to_owned());
    if given.canonicalize().is_ok_and(|given| given == absolute) && given.is_relative() {
        return given.to_owned();
    }
    let here = environment.working_dir.canonicalize().unwrap_or_default();
    if let Ok(below) = absolute.strip_prefix(&here) {
        return if below.as_os_str().is_empty() { PathBuf::from(".") } else { below.to_owned() };
    }
    match here.strip_prefix(&absolute) {
        Ok(above) if given.is_relative() => above.components().map(|_| "..").collect(),
        _ => absolute,
    }
}
