//! The pipeline: sources supply blobs, each is examined and its findings collected; then all are sorted and judged.

mod changes;
mod collect;
mod commit;
pub mod examine;
mod hide;
mod history;
mod place;
mod scanner;

use crate::config::Config;
use crate::credential::Fingerprint;
use crate::detect::Detector;
use crate::environment::Environment;
use crate::finding::{BlobPath, Finding};
use crate::git::error::GitError;
pub use crate::git::history::Progress;
pub use crate::git::range::{Pushed, Selection};
use crate::git::repository::Repository;
use crate::policy::Policy;
use crate::policy::baseline::Baseline;
use crate::policy::place::Places;
use crate::report::Report;
use crate::rule::RuleId;
use crate::source::read::Reader;
use crate::source::tree::Tree;
use crate::source::unpack::Content;
pub use crate::source::unpack::limits::{Limit, Limits};
use crate::source::{Blob, Item, SizeLimit, SkipCause};
use crate::verify::Verifying;
use changes::ChangeScan;
use collect::Collected;
use examine::Examiner;
use hide::{hidden, hidden_name, hidden_text};
use history::HistoryScan;
use place::shown_path;
pub use scanner::{Scanner, ScannerBuilder};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// What to scan, and how.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Files and directories, or paths in repositories.
    pub roots: Vec<PathBuf>,
    /// Also scan standard input, under this name.
    pub stdin: Option<PathBuf>,
    /// Named texts, such as the message of a commit in progress.
    pub texts: Vec<(PathBuf, Vec<u8>)>,
    /// Which part of the roots to scan.
    pub scope: Scope,
    /// Also scan files that git ignores.
    pub no_ignore: bool,
    /// Files that reports will be written to.
    pub outputs: Vec<PathBuf>,
    /// The maximum file size.
    pub limit: SizeLimit,
    /// Scan inside archives and documents. Mail is always scanned.
    pub archives: bool,
    /// The team's configuration.
    pub config: Config,
    /// The accepted findings.
    pub baseline: Option<Baseline>,
    /// Limits for unpacking containers.
    pub limits: Limits,
    /// How many threads walk a tree; 0 for one per processor.
    pub threads: usize,
    /// Do not mask secrets in findings.
    pub show_secrets: bool,
    /// Files of settings that could not be used, and why.
    pub refused: Vec<(PathBuf, String)>,
    /// The process that it runs for.
    pub environment: Arc<Environment>,
    /// The current time in seconds since 1970: exposure that has not ended is counted up to then.
    pub now: i64,
    /// How to ask whether the keys work, if that is wanted.
    pub verifying: Option<Verifying>,
}

impl Default for Scan {
    /// Nothing, but archives in it would be unpacked.
    fn default() -> Self {
        Self {
            roots: vec![],
            stdin: None,
            texts: vec![],
            scope: Scope::Tree,
            no_ignore: false,
            outputs: vec![],
            limit: SizeLimit::default(),
            archives: true,
            config: Config::default(),
            baseline: None,
            limits: Limits::default(),
            threads: 0,
            show_secrets: false,
            environment: Arc::default(),
            refused: vec![],
            now: 0,
            verifying: None,
        }
    }
}

/// The part of the roots that is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The files as they are.
    Tree,
    /// Everything that their repositories have ever contained.
    History {
        /// Also the files of their working trees.
        with_tree: bool,
        /// Also their submodules.
        with_submodules: bool,
    },
    /// What is staged in their repositories.
    Staged {
        /// Also report what was already in a changed file.
        whole_files: bool,
    },
    /// What some commits introduced into their repositories.
    Commits {
        /// The commits.
        selection: Selection,
        /// Also report what was already in a changed file.
        whole_files: bool,
    },
}

impl Scan {
    /// Runs the scan. Problems with single files are recorded in the report's skips, and the rest is still scanned.
    pub fn run(&self, detector: &Detector, progress: &Progress) -> Report {
        // Pipes can be read only once.
        let is_stable =
            |root: &PathBuf| root.metadata().map_or(true, |metadata| metadata.is_file() || metadata.is_dir());
        let (roots, pipes): (Vec<_>, Vec<_>) = self.roots.iter().cloned().partition(is_stable);
        let read_once = (self.stdin.is_some() || !pipes.is_empty()).then(|| {
            let scan = Self { roots: pipes, texts: vec![], refused: vec![], scope: Scope::Tree, ..self.clone() };
            scan.collect(detector, progress)
        });
        let rest = match read_once {
            Some(_) => Cow::Owned(Self { roots, stdin: None, ..self.clone() }),
            None => Cow::Borrowed(self),
        };
        let collected = rest.collect(detector, progress);
        // A secret that is known from one place counts wherever it stands: people send the id and the secret separately.
        let mut known = collected.secrets();
        known.extend(read_once.iter().flat_map(Collected::secrets));
        let knowing = detector.knowing(known);
        let mut collected = match &knowing {
            Some(knowing) => {
                progress.reset();
                rest.collect(knowing, progress)
            }
            None => collected,
        };
        if let Some(other) = read_once {
            collected.absorb(other);
        }
        collected.into_report(knowing.as_ref().unwrap_or(detector), self)
    }

    fn collect<'a>(&self, detector: &Detector, progress: &'a Progress) -> Collected<'a> {
        let collected = Collected::new(progress);
        let examiner = Examiner::new(detector, self.show_secrets, self.limits, self.limit, self.archives)
            .verifying(self.verifying.is_some());
        if let Some(name) = &self.stdin {
            let mut reader = Reader::new(self.limit, self.archives);
            reader.stdin(BlobPath::new(name), &|item| take(item, &examiner, &collected));
        }
        for (name, bytes) in &self.texts {
            let path = BlobPath::new(name);
            take(Item::Blob(Blob { path, bytes, context: None }), &examiner, &collected);
        }
        match &self.scope {
            Scope::Tree => self.scan_tree(&self.roots, &examiner, &collected),
            Scope::History { with_tree, with_submodules } => {
                self.scan_history(*with_tree, *with_submodules, &examiner, &collected);
            }
            Scope::Staged { whole_files } => self.scan_changes(*whole_files, None, &examiner, &collected),
            Scope::Commits { selection, whole_files } => {
                self.scan_changes(*whole_files, Some(selection), &examiner, &collected);
            }
        }
        for (file, problem) in &self.refused {
            collected.skip(BlobPath::new(file), SkipCause::Settings(problem.clone()));
        }
        collected
    }

    /// The policy in force.
    fn policy(&self) -> Policy<'_> {
        // A partial scan cannot show which entries have no effect.
        let is_all = matches!(self.scope, Scope::Tree | Scope::History { with_tree: true, .. });
        let absolute = |path: &Path| path.canonicalize().unwrap_or_default();
        let of_policy = self.config.files.first().or(self.baseline.as_ref().map(|baseline| &baseline.file));
        let home =
            of_policy.map(|file| absolute(&Path::new(".").join(file)).parent().map(Path::to_owned).unwrap_or_default());
        let is_whole = is_all && home.is_some_and(|home| self.roots.iter().any(|root| absolute(root) == home));
        Policy {
            config: &self.config,
            baseline: self.baseline.as_ref(),
            now: self.now,
            is_whole,
            places: Places::new(&self.environment),
        }
    }

    fn scan_tree(&self, roots: &[PathBuf], examiner: &Examiner, collected: &Collected) {
        let tree = Tree {
            roots: roots.to_vec(),
            no_ignore: self.no_ignore,
            limit: self.limit,
            archives: self.archives,
            threads: self.threads,
            exclude: self.config.exclude.clone(),
            outputs: self.outputs.clone(),
            environment: self.environment.clone(),
        };
        tree.walk(&|item| take(item, examiner, collected));
    }

    fn scan_history(&self, with_tree: bool, with_submodules: bool, examiner: &Examiner, collected: &Collected) {
        let (repositories, others) = self.open_repositories(with_submodules, collected);
        // A mailbox or an export has no history, and is audited with what has one.
        let (files, dirs): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(path, error)| is_a_file(path) && matches!(error, GitError::NotARepository));
        let worktrees = repositories.iter().filter(|(repository, _)| repository.work_dir().is_some());
        let worktrees = worktrees.map(|(_, path)| path.clone());
        let in_none = dirs.iter().map(|(path, _)| path.clone()).filter(|path| path.is_dir());
        let trees = worktrees.chain(in_none).filter(|_| with_tree).chain(files.into_iter().map(|(path, _)| path));
        self.scan_tree(&trees.collect::<Vec<_>>(), examiner, collected);
        skip_all(dirs, collected);
        let mut found = Vec::new();
        for family in families(repositories) {
            for (repository, prefix) in &family {
                let mut facts = repository.facts();
                let hide = |text: String| hidden_text(examiner.detector(), &text, self.show_secrets);
                facts.branch = facts.branch.map(hide);
                facts.url = facts.url.map(hide);
                let known = (BlobPath::new(prefix), facts);
                collected.repositories.lock().unwrap_or_else(PoisonError::into_inner).push(known);
            }
            found.extend(HistoryScan { family: &family, examiner, scan: self, collected }.run());
        }
        let past = {
            let mut findings = collected.findings.lock().unwrap_or_else(PoisonError::into_inner);
            history::merge(findings.iter_mut().map(AsMut::as_mut), found)
        };
        collected.add(past);
    }

    /// Scans what some commits change, or what is staged.
    fn scan_changes(&self, whole_files: bool, commits: Option<&Selection>, examiner: &Examiner, collected: &Collected) {
        let (repositories, others) = self.open_repositories(false, collected);
        skip_all(others, collected);
        for (repository, prefix) in &repositories {
            let scan = ChangeScan { prefix, examiner, scan: self, collected, whole_files };
            let found = match commits {
                Some(selection) => scan.commits(repository, selection),
                None => scan.staged(repository),
            };
            match found {
                Ok(findings) => collected.add(findings),
                Err(error) => collected.skip(BlobPath::new(prefix), SkipCause::NoCommits(error.to_words())),
            }
        }
    }

    /// The repositories that contain the roots, each with the prefix of its paths; and the roots for which none can be
    /// opened, with the reason.
    fn open_repositories(
        &self,
        with_submodules: bool,
        collected: &Collected,
    ) -> (Repositories, Vec<(PathBuf, GitError)>) {
        let (mut repositories, mut others) = (Vec::new(), Vec::new());
        let mut open: Vec<PathBuf> = self.roots.iter().rev().cloned().collect();
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            let repository = match Repository::open(&path, &self.environment) {
                Ok(repository) => repository,
                Err(error) => {
                    others.push((path, error));
                    continue;
                }
            };
            let top = repository.work_dir().unwrap_or(repository.git_dir()).to_owned();
            if !seen.insert(top.canonicalize().unwrap_or(top.clone())) {
                continue;
            }
            if with_submodules {
                let (there, missing) = repository.submodules().unwrap_or_else(|error| {
                    collected.skip(BlobPath::new(&path), SkipCause::Unreadable(error.to_words()));
                    Default::default()
                });
                open.extend(there.into_iter().rev().map(|dir| shown_path(&dir, &dir, &self.environment)));
                for dir in missing {
                    collected.skip(BlobPath::new(&shown_path(&dir, &dir, &self.environment)), SkipCause::NoSubmodule);
                }
            }
            let prefix = shown_path(&top, &path, &self.environment);
            repositories.push((repository, prefix));
        }
        (repositories, others)
    }
}

/// Open repositories, each with the prefix of its paths.
type Repositories = Vec<(Repository, PathBuf)>;

/// The repositories by what they share: in each family, they borrow objects from one another. Of the worktrees of a
/// repository, which share its history, one is kept.
fn families(repositories: Repositories) -> Vec<Repositories> {
    let mut seen = BTreeSet::new();
    let mut families: Vec<(BTreeSet<PathBuf>, Repositories)> = Vec::new();
    for (repository, prefix) in repositories {
        if !seen.insert(repository.common_dir().canonicalize().unwrap_or_default()) {
            continue;
        }
        // Problems are reported when the objects are read.
        let mut dirs: BTreeSet<PathBuf> = repository.object_dirs(&mut Vec::new()).into_iter().collect();
        let mut family = Vec::new();
        // What so far had nothing in common may turn out to be one family.
        for (_, members) in families.extract_if(.., |(known, _)| !known.is_disjoint(&dirs)).collect::<Vec<_>>() {
            family.extend(members);
        }
        for (repository, _) in &family {
            let repository: &Repository = repository;
            dirs.extend(repository.object_dirs(&mut Vec::new()));
        }
        family.push((repository, prefix));
        families.push((dirs, family));
    }
    families.into_iter().map(|(_, family)| family).collect()
}

fn skip_all(paths: Vec<(PathBuf, GitError)>, collected: &Collected) {
    for (path, error) in paths {
        collected.skip(BlobPath::new(&path), SkipCause::NoRepository(error.to_words()));
    }
}

/// True if a path is there and is no directory: a file, or a pipe that was named.
fn is_a_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_dir())
}

/// A value and the rule it falls under, wherever it is.
type Identity = (RuleId, Fingerprint);

/// What was found, without what allows nothing.
fn identities(findings: Vec<Finding>) -> impl Iterator<Item = Identity> {
    let findings = findings.into_iter().filter(|finding| !finding.is_unused_allow());
    findings.map(|finding| (finding.rule.id.clone(), finding.fingerprint))
}

/// Examines an item from a source.
fn take(item: Item, examiner: &Examiner, collected: &Collected) {
    match item {
        Item::Skip(skip) => collected.skip(skip.path, skip.cause),
        Item::Directory(path) => collected.examined(examiner.directory(&path)),
        Item::Blob(blob) => {
            collected.count(blob.bytes.len() as u64);
            collected.examined(examiner.blob(&blob));
        }
        // Occurs only in a container.
        Item::Piece(piece) => {
            collected.count_piece(&piece);
            collected.examined(examiner.piece(&piece));
        }
        Item::Whole(blob) => collected.examined(examiner.blob(&blob)),
        Item::Container(path, format, Content::Stream(stream), size) => {
            let mut counted = Counted { stream, bytes: 0 };
            collected.examined(examiner.container(&path, format, Content::Stream(&mut counted), size));
            collected.count(counted.bytes);
        }
        Item::Container(path, format, content, size) => {
            collected.count(size.unwrap_or_default());
            collected.examined(examiner.container(&path, format, content, size));
        }
    }
}

/// A reader that counts the bytes read.
struct Counted<'a> {
    stream: &'a mut dyn Read,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.bytes += length as u64;
        Ok(length)
    }
}
