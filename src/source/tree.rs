//! Files and directories.

use super::gitignore::{GitIgnores, Ignored};
use super::read::Reader;
use super::{BlobPath, Item, Sink, SizeLimit, Skip, SkipCause};
use crate::config::allow::Paths;
use crate::environment::Environment;
use crate::file::describe;
use ignore::{DirEntry, WalkBuilder, WalkState};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to walk, and how.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Files and directories, scanned even if ignored.
    pub roots: Vec<PathBuf>,
    /// Also scan what git ignores.
    pub no_ignore: bool,
    /// The maximum file size.
    pub limit: SizeLimit,
    /// Read large archives in pieces instead of skipping them.
    pub archives: bool,
    /// Number of threads; 0 for one per processor.
    pub threads: usize,
    /// Paths that the configuration excludes, named or not.
    pub exclude: Vec<Paths>,
    /// Files that reports are written to; they are scanned only if they are among the roots.
    pub outputs: Vec<PathBuf>,
    /// The process, whose user may ignore files of all repositories.
    pub environment: Arc<Environment>,
}

/// What a walk found besides files to scan.
enum Met {
    /// It is not scanned, for a reason that is no failure.
    LeftOut(PathBuf, SkipCause),
    /// A repository in which it is unknown what git tracks, and why.
    Unknown(PathBuf, String),
}

/// A root as given, and its resolved path.
struct Root {
    given: PathBuf,
    absolute: PathBuf,
    is_dir: bool,
}

impl Tree {
    /// Passes every file to `sink` once, from several threads.
    pub fn walk(&self, sink: Sink) {
        let roots = self.resolve(sink);
        let (dirs, files): (Vec<_>, Vec<_>) = roots.into_iter().partition(|root| root.is_dir);
        let mut reader = Reader::new(self.limit, self.archives);
        for file in &files {
            reader.named(&file.given, BlobPath::new(&file.given), sink);
        }
        // Roots that were named are not visited again below another root.
        let named: Arc<HashSet<PathBuf>> =
            Arc::new(dirs.iter().chain(&files).map(|root| root.absolute.clone()).collect());
        for dir in &dirs {
            self.walk_dir(dir, &named, sink);
        }
    }

    fn rules(&self) -> Rules {
        // A link is replaced when a report is written, and what it leads to stays.
        let whole = |path: &PathBuf| {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(dir.canonicalize().ok()?.join(path.file_name()?))
        };
        Rules { exclude: self.exclude.clone(), outputs: self.outputs.iter().filter_map(whole).collect() }
    }

    /// The roots that exist, each once.
    fn resolve(&self, sink: Sink) -> Vec<Root> {
        let rules = self.rules();
        let mut seen = HashSet::new();
        let mut roots = Vec::new();
        for given in &self.roots {
            match given.canonicalize() {
                Ok(absolute) => {
                    let is_dir = absolute.is_dir();
                    if let Some(cause) = rules.excludes(&absolute, is_dir) {
                        sink(Item::Skip(Skip { path: BlobPath::new(given), cause }));
                    } else if seen.insert(absolute.clone()) {
                        roots.push(Root { given: given.clone(), absolute, is_dir });
                    }
                }
                // A pipe that has no name, as of `<(command)`.
                Err(_) if given.metadata().is_ok() => {
                    roots.push(Root { given: given.clone(), absolute: given.clone(), is_dir: false });
                }
                Err(error) => {
                    let missing = error.kind() == std::io::ErrorKind::NotFound;
                    let cause = if missing { SkipCause::Missing } else { SkipCause::Unreadable(describe(&error)) };
                    sink(Item::Skip(Skip { path: BlobPath::new(given), cause }));
                }
            }
        }
        roots
    }

    fn walk_dir(&self, root: &Root, named: &Arc<HashSet<PathBuf>>, sink: Sink) {
        let (sender, met) = std::sync::mpsc::channel();
        let mut builder = WalkBuilder::new(&root.given);
        // The crate's own filters are all off, so that nothing is left out silently; `filter` replaces them.
        builder.standard_filters(false).threads(self.threads).filter_entry(self.filter(root, named, sender));
        builder.build_parallel().run(|| {
            let mut reader = Reader::new(self.limit, self.archives);
            Box::new(move |entry| {
                visit(entry, &mut reader, sink);
                WalkState::Continue
            })
        });
        drop(builder);
        let mut unknown = BTreeMap::new();
        for met in met {
            match met {
                Met::LeftOut(path, cause) => sink(Item::Skip(Skip { path: BlobPath::new(&path), cause })),
                Met::Unknown(repository, words) => _ = unknown.insert(repository, words),
            }
        }
        for (repository, words) in unknown {
            let below = repository.strip_prefix(&root.absolute).map(|below| root.given.join(below));
            let path = BlobPath::new(&below.unwrap_or(repository));
            sink(Item::Skip(Skip { path, cause: SkipCause::TrackingUnknown(words) }));
        }
    }

    /// Decides which entries below a root are walked. Sends to `met` what git ignores, and where that is unknown.
    fn filter(
        &self,
        root: &Root,
        named: &Arc<HashSet<PathBuf>>,
        met: std::sync::mpsc::Sender<Met>,
    ) -> impl Fn(&DirEntry) -> bool + Send + Sync + 'static {
        // An ignored directory that the user named is scanned with everything in it.
        let ignores = (!self.no_ignore)
            .then(|| GitIgnores::new(self.environment.clone()))
            .filter(|git| git.ignores(&root.absolute, true) == Ignored::No);
        let (given, absolute) = (root.given.clone(), root.absolute.clone());
        let named = named.clone();
        let rules = self.rules();
        let takes_all = ignores.is_none() && named.len() == 1 && rules.are_none();
        move |entry| {
            if entry.depth() == 0 {
                return true;
            }
            if entry.file_name() == ".git" {
                return false;
            }
            if takes_all {
                return true;
            }
            let below = entry.path().strip_prefix(&given).unwrap_or(entry.path());
            let path = absolute.join(below);
            if named.contains(&path) {
                return false;
            }
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            if let Some(cause) = rules.left_out(&path, is_dir) {
                _ = met.send(Met::LeftOut(entry.path().to_owned(), cause));
                return false;
            }
            // The receiver lives as long as the walk.
            match ignores.as_ref().map_or(Ignored::No, |ignores| ignores.ignores(&path, is_dir)) {
                Ignored::No => true,
                Ignored::Yes => {
                    _ = met.send(Met::LeftOut(entry.path().to_owned(), SkipCause::GitIgnored));
                    false
                }
                Ignored::Unknown(repository, words) => {
                    _ = met.send(Met::Unknown(repository, words));
                    true
                }
            }
        }
    }
}

/// Which paths are left out, though git does not ignore them.
struct Rules {
    exclude: Vec<Paths>,
    outputs: Vec<PathBuf>,
}

impl Rules {
    fn are_none(&self) -> bool {
        self.exclude.is_empty() && self.outputs.is_empty()
    }

    /// Why a path, given as absolute, is not scanned, if so.
    fn left_out(&self, path: &Path, is_dir: bool) -> Option<SkipCause> {
        let is_output = self.outputs.iter().any(|output| output == path);
        if is_output { Some(SkipCause::Output) } else { self.excludes(path, is_dir) }
    }

    /// The same for a path that the user named, which may be written afterwards.
    fn excludes(&self, path: &Path, is_dir: bool) -> Option<SkipCause> {
        self.exclude.iter().any(|paths| paths.contain(path, is_dir)).then_some(SkipCause::Excluded)
    }
}

fn visit(entry: Result<DirEntry, ignore::Error>, reader: &mut Reader, sink: Sink) {
    let skip = |path: &Path, cause| sink(Item::Skip(Skip { path: BlobPath::new(path), cause }));
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => {
            let path = path_of(&error).unwrap_or(Path::new("?")).to_owned();
            let words = error.io_error().map_or_else(|| error.to_string(), describe);
            return skip(&path, SkipCause::Unreadable(words));
        }
    };
    match entry.file_type() {
        Some(kind) if kind.is_file() => reader.file(entry.path(), BlobPath::new(entry.path()), sink),
        Some(kind) if kind.is_dir() => sink(Item::Directory(BlobPath::new(entry.path()))),
        Some(kind) if kind.is_symlink() && entry.depth() > 0 => skip(entry.path(), SkipCause::Symlink),
        _ if entry.depth() == 0 => {}
        _ => skip(entry.path(), SkipCause::Special),
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Loop { child, .. } => Some(child),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}
