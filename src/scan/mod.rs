//! The pipeline: sources hand over blobs, each is detected, judged and collected; then all is sorted.

mod changes;
pub mod examine;
mod history;

use crate::config::Config;
use crate::detect::Detector;
use crate::detect::finder::SECRET_LEN;
use crate::finding::{Finding, mask};
use crate::judge::partner::{self, Clues};
use crate::judge::{self, Surroundings};
use crate::policy::Policy;
use crate::policy::baseline::Baseline;
use crate::policy::place::Places;
use crate::report::uri::to_path;
use crate::report::{Coverage, Report};
use crate::source::container::Content;
pub use crate::source::container::limits::{Limit, Limits};
pub use crate::source::git::history::Progress;
pub use crate::source::git::range::{Pushed, Selection};
use crate::source::git::repository::{Facts, Repository};
use crate::source::read::Reader;
use crate::source::tree::Tree;
use crate::source::{Blob, BlobPath, Item, SizeLimit, Skip, SkipCause};
use changes::ChangeScan;
use examine::{Examined, Examiner};
use history::HistoryScan;
use rayon::slice::ParallelSliceMut;
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What to scan, and how.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Files and directories; or paths in repositories.
    pub roots: Vec<PathBuf>,
    /// Standard input, under this name.
    pub stdin: Option<PathBuf>,
    /// Texts under names, as that of a commit that is being made.
    pub texts: Vec<(PathBuf, Vec<u8>)>,
    /// What of the roots.
    pub scope: Scope,
    /// Scan what git ignores, too.
    pub no_ignore: bool,
    /// The largest file.
    pub limit: SizeLimit,
    /// Look into archives and documents. Mail is looked into in any case.
    pub archives: bool,
    /// What the team tells of itself.
    pub config: Config,
    /// What was accepted.
    pub baseline: Option<Baseline>,
    /// How far what holds other blobs is looked into.
    pub limits: Limits,
    /// How many threads walk a tree; 0 for one a processor.
    pub threads: usize,
    /// Leave secrets in clear in findings.
    pub show_secrets: bool,
    /// Seconds since 1970 up to which the exposure of what is still there is counted.
    pub now: i64,
}

/// What of the roots is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Files, as they are.
    Tree,
    /// All that the repositories they are in have ever held.
    History {
        /// And the files of their working trees.
        with_tree: bool,
        /// And those of their submodules.
        with_submodules: bool,
    },
    /// What would be committed now in the repositories they are in.
    Staged {
        /// Also what is in a changed file and was there before.
        whole_files: bool,
    },
    /// What some commits brought into the repositories they are in.
    Commits {
        /// Which.
        selection: Selection,
        /// Also what is in a changed file and was there before.
        whole_files: bool,
    },
}

impl Scan {
    /// Scans everything. What goes wrong with one file is in the report's skips, and the rest is still scanned.
    pub fn run(&self, detector: &Detector, progress: &Progress) -> Report {
        let collected = Collected::new(progress);
        let examiner = Examiner::new(detector, self.show_secrets, self.limits, self.limit, self.archives);
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
        collected.into_report(detector, self)
    }

    /// What is in force.
    fn policy(&self) -> Policy<'_> {
        // Of a part nobody can tell what has no effect.
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
            places: Places::default(),
        }
    }

    fn scan_tree(&self, roots: &[PathBuf], examiner: &Examiner, collected: &Collected) {
        let tree = Tree {
            roots: roots.to_vec(),
            no_ignore: self.no_ignore,
            limit: self.limit,
            archives: self.archives,
            threads: self.threads,
        };
        tree.walk(&|item| take(item, examiner, collected));
    }

    fn scan_history(&self, with_tree: bool, with_submodules: bool, examiner: &Examiner, collected: &Collected) {
        let repositories = self.open_repositories(with_submodules, collected);
        if with_tree {
            let trees: Vec<_> = repositories
                .iter()
                .filter(|(repository, _)| repository.work_dir().is_some())
                .map(|(_, path)| path.clone())
                .collect();
            self.scan_tree(&trees, examiner, collected);
        }
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (repository, prefix) in &repositories {
            // Worktrees of one repository share its history.
            if seen.insert(repository.common_dir().canonicalize().unwrap_or_default()) {
                let name = BlobPath::new(prefix);
                let mut facts = repository.facts();
                let hide = |text: String| hidden_text(examiner.detector(), &text, self.show_secrets);
                facts.branch = facts.branch.map(hide);
                facts.url = facts.url.map(hide);
                collected.repositories.lock().unwrap_or_else(PoisonError::into_inner).push((name, facts));
                found.extend(HistoryScan { prefix, examiner, scan: self, collected }.run(repository));
            }
        }
        let past = {
            let mut findings = collected.findings.lock().unwrap_or_else(PoisonError::into_inner);
            history::merge(findings.iter_mut().map(AsMut::as_mut), found)
        };
        collected.add(past);
    }

    /// Scans what some commits change, or what is staged.
    fn scan_changes(&self, whole_files: bool, commits: Option<&Selection>, examiner: &Examiner, collected: &Collected) {
        for (repository, prefix) in &self.open_repositories(false, collected) {
            let scan = ChangeScan { prefix, examiner, scan: self, collected, whole_files };
            let found = match commits {
                Some(selection) => scan.commits(repository, selection),
                None => scan.staged(repository),
            };
            match found {
                Ok(findings) => collected.add(findings),
                Err(words) => collected.skip(BlobPath::new(prefix), SkipCause::NoCommits(words)),
            }
        }
    }

    /// The repositories that the roots are in, and what to put before their paths.
    fn open_repositories(&self, with_submodules: bool, collected: &Collected) -> Vec<(Repository, PathBuf)> {
        let mut repositories = Vec::new();
        let mut open: Vec<PathBuf> = self.roots.iter().rev().cloned().collect();
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            let repository = match Repository::open(&path) {
                Ok(repository) => repository,
                Err(words) => {
                    collected.skip(BlobPath::new(&path), SkipCause::NoRepository(words));
                    continue;
                }
            };
            let top = repository.work_dir().unwrap_or(repository.git_dir()).to_owned();
            if !seen.insert(top.canonicalize().unwrap_or(top.clone())) {
                continue;
            }
            if with_submodules {
                let (there, missing) = repository.submodules().unwrap_or_else(|words| {
                    collected.skip(BlobPath::new(&path), SkipCause::Unreadable(words));
                    Default::default()
                });
                open.extend(there.into_iter().rev().map(|dir| shown_path(&dir, &dir)));
                for dir in missing {
                    collected.skip(BlobPath::new(&shown_path(&dir, &dir)), SkipCause::NoSubmodule);
                }
            }
            let prefix = shown_path(&top, &path);
            repositories.push((repository, prefix));
        }
        repositories
    }
}

/// Looks at what a source hands over.
fn take(item: Item, examiner: &Examiner, collected: &Collected) {
    match item {
        Item::Skip(skip) => collected.skip(skip.path, skip.cause),
        Item::Directory(path) => collected.examined(examiner.directory(&path)),
        Item::Blob(blob) => {
            collected.count(blob.bytes.len() as u64);
            collected.examined(examiner.blob(&blob));
        }
        // Only in a container.
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

/// Tells which repository a file is in.
struct RepositoryLookup<'a> {
    /// Those whose history was scanned.
    scanned: &'a [(BlobPath, Facts)],
    /// By directory.
    known: Mutex<HashMap<PathBuf, Option<Arc<str>>>>,
}

impl RepositoryLookup<'_> {
    fn of(&self, path: &BlobPath) -> Option<Arc<str>> {
        let dir = to_path(path).parent()?.to_owned();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(dir).or_insert_with_key(|dir| self.find(dir)).clone()
    }

    /// The repository's directory, as in paths.
    fn find(&self, dir: &Path) -> Option<Arc<str>> {
        let name = |dir: &Path| Arc::from(BlobPath::new(dir).to_text());
        let is_scanned = |dir: &&Path| self.scanned.iter().any(|(path, _)| to_path(path) == **dir);
        let here = |dir: &Path| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() };
        let found = dir.ancestors().find(|dir| is_scanned(dir) || here(dir).join(".git").exists());
        let above = || std::env::current_dir().ok()?.ancestors().find(|dir| dir.join(".git").exists()).map(name);
        found.map(|dir| name(&here(dir))).or_else(|| above().filter(|_| dir.is_relative()))
    }
}

/// Of a file that is there.
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

/// A stream of which it is told how many bytes were read.
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

/// The directory `top`, which was found through `given`, as the user would write it.
fn shown_path(top: &Path, given: &Path) -> PathBuf {
    let absolute = top.canonicalize().unwrap_or(top.to_owned());
    if given.canonicalize().is_ok_and(|given| given == absolute) && given.is_relative() {
        return given.to_owned();
    }
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_default();
    if let Ok(below) = absolute.strip_prefix(&here) {
        return if below.as_os_str().is_empty() { PathBuf::from(".") } else { below.to_owned() };
    }
    match here.strip_prefix(&absolute) {
        Ok(above) if given.is_relative() => above.components().map(|_| "..").collect(),
        _ => absolute,
    }
}

/// The text of a commit with everything hidden in it that a rule calls secret.
fn hidden(detector: &Detector, mut text: Vec<u8>, show_secrets: bool) -> Vec<u8> {
    if show_secrets {
        return text;
    }
    let detection = detector.detect(&text, None);
    let secrets = detection.candidates.iter().filter_map(|candidate| Some(candidate.secret.as_ref()?.span.clone()));
    for at in secrets.chain(detection.sensitive).flatten() {
        text[at] = mask::MASK as u8;
    }
    text
}

/// A name with everything hidden in it that is, or may well be, a secret.
fn hidden_name(detector: &Detector, name: &[u8]) -> Vec<u8> {
    let mut name = hidden(detector, name.to_vec(), false);
    mask::hide_secrets_in_name(&mut name);
    name
}

/// A name, with what a rule calls secret hidden in it.
fn hidden_text(detector: &Detector, text: &str, show_secrets: bool) -> String {
    if show_secrets {
        text.to_owned()
    } else {
        String::from_utf8_lossy(&hidden_name(detector, text.as_bytes())).into_owned()
    }
}

/// What all threads found, in no order.
struct Collected<'a> {
    files: AtomicU64,
    bytes: AtomicU64,
    /// Blobs in containers.
    inner_blobs: AtomicU64,
    inner_bytes: AtomicU64,
    commits: AtomicU64,
    /// There may be a million, which are sorted: each has its own place, so that only pointers are moved.
    findings: Mutex<Vec<Box<Finding>>>,
    skips: Mutex<Vec<Skip>>,
    repositories: Mutex<Vec<(BlobPath, Facts)>>,
    clues: Mutex<Clues>,
    progress: &'a Progress,
}

impl<'a> Collected<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self {
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            inner_blobs: AtomicU64::new(0),
            inner_bytes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            findings: Mutex::default(),
            skips: Mutex::default(),
            repositories: Mutex::default(),
            clues: Mutex::default(),
            progress,
        }
    }

    fn count(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn examined(&self, examined: Examined) {
        if !examined.is_nothing() {
            self.add(self.told(examined));
        }
    }

    /// Notes everything of what was seen but the findings, which are returned.
    fn told(&self, examined: Examined) -> Vec<Finding> {
        if !examined.skips.is_empty() {
            self.skips.lock().unwrap_or_else(PoisonError::into_inner).extend(examined.skips);
        }
        self.keep(examined.clues);
        self.inner_blobs.fetch_add(examined.blobs, Ordering::Relaxed);
        self.inner_bytes.fetch_add(examined.bytes, Ordering::Relaxed);
        examined.findings
    }

    fn keep(&self, clues: Clues) {
        if !clues.is_empty() {
            self.clues.lock().unwrap_or_else(PoisonError::into_inner).add(clues);
        }
    }

    fn add(&self, found: Vec<Finding>) {
        if !found.is_empty() {
            let found: Vec<_> = found.into_iter().map(Box::new).collect();
            self.findings.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    }

    fn skip(&self, path: BlobPath, cause: SkipCause) {
        self.skips.lock().unwrap_or_else(PoisonError::into_inner).push(Skip { path, cause });
    }

    fn into_report(self, detector: &Detector, scan: &Scan) -> Report {
        let config = &scan.config;
        let policy = scan.policy();
        let mut findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut skips = self.skips.into_inner().unwrap_or_else(PoisonError::into_inner);
        for skip in skips.iter_mut().filter(|_| !scan.show_secrets) {
            if let Some(path) = skip.path.map_long(SECRET_LEN, |name| hidden_name(detector, name)) {
                skip.path = path;
            }
        }
        for finding in &mut findings {
            policy.grade(finding);
            finding.is_canary |= finding.account.is_some_and(|account| config.canary_accounts.contains(&account));
        }
        findings.par_sort_unstable_by(|a, b| a.order(b));
        skips.sort();
        skips.dedup();
        let mut used = BTreeSet::new();
        policy.apply(&mut findings, &mut used);
        let mut unused = policy.accept(&mut findings, detector.rules());
        let mut suppressed: Vec<_> = findings.extract_if(.., |finding| finding.suppression.is_some()).collect();
        let repositories = self.repositories.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lookup = RepositoryLookup { scanned: &repositories, known: Mutex::default() };
        partner::find(&mut findings, self.clues.into_inner().unwrap_or_else(PoisonError::into_inner));
        let around = Surroundings { config, repository: &|path| lookup.of(path), mode: &mode };
        let mut judgements: Vec<_> =
            judge::judge(&findings, detector.rules(), &around).into_iter().map(Box::new).collect();
        judgements.iter_mut().for_each(|judgement| policy.grade(judgement));
        policy.apply(&mut judgements, &mut used);
        suppressed.extend(judgements.extract_if(.., |judgement| judgement.suppression.is_some()));
        suppressed.sort_by(|a, b| a.order(b));
        unused.extend(policy.unused(&used, detector.rules()));
        findings.extend(judgements.into_iter().chain(unused.into_iter().map(Box::new)));
        findings.par_sort_unstable_by(|a, b| a.order(b));
        let of_history = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Report {
            findings,
            suppressed,
            coverage: Coverage {
                files: self.files.into_inner(),
                bytes: self.bytes.into_inner(),
                inner_blobs: self.inner_blobs.into_inner(),
                inner_bytes: self.inner_bytes.into_inner(),
                commits: self.commits.into_inner(),
                objects: of_history(&self.progress.objects),
                object_bytes: of_history(&self.progress.bytes),
                skips,
            },
            repositories,
            config: config.files.iter().map(|file| BlobPath::new(file)).collect(),
            now: scan.now,
            baseline: scan.baseline.as_ref().map(|baseline| BlobPath::new(&baseline.file)),
            rules: detector.rules().clone(),
        }
    }
}
