//! Scans what changes introduce: those that are staged, and those of some commits.
//!
//! Only keys that were not in the file before are reported, unless whole files are requested.

use super::examine::{Examiner, NAME, fingerprint};
use super::{Collected, Identity, Scan, commit, hidden, identities};
use crate::detect::decode::Decoded;
use crate::detect::decode::wide::WideText;
use crate::finding::BlobPath;
use crate::finding::Finding;
use crate::finding::history::Reach;
use crate::finding::history::{Commits, Exposure, History, MAX_COMMITS};
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use crate::git::changes::{Change, Changes, TreeReader};
use crate::git::error::GitError;
use crate::git::index::Index;
use crate::git::mailmap::Mailmap;
use crate::git::object::{MAX_COMMIT, Mode};
use crate::git::odb::Odb;
use crate::git::range::{Selected, Selection};
use crate::git::repository::Repository;
use crate::git::staged;
use crate::source::unpack::Content;
use crate::source::unpack::format::Format;
use crate::source::{Blob, SkipCause};
use crate::text::wide::Wide;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Maximum number of places (paths with a value in them) reported: a few trees can represent any number of paths.
const MAX_PLACES: usize = 50_000;

/// Scans changes in one repository.
pub(super) struct ChangeScan<'a> {
    /// The prefix of every path.
    pub prefix: &'a Path,
    pub examiner: &'a Examiner<'a>,
    pub scan: &'a Scan,
    pub collected: &'a Collected<'a>,
    /// Also report what was already in a changed file.
    pub whole_files: bool,
}

/// A value and the rule it falls under.
impl ChangeScan<'_> {
    /// Scans what `git commit` would record now.
    ///
    /// # Errors
    /// A message, if the index or HEAD cannot be read.
    pub fn staged(&self, repository: &Repository) -> Result<Vec<Finding>, GitError> {
        if repository.work_dir().is_none() {
            return Err(GitError::Bare);
        }
        let odb = self.open(repository);
        let trees = TreeReader::new(&odb);
        let head = repository.head()?.map(|head| odb.tree_of(head)).transpose()?;
        let Changes { list: changes, is_cut, .. } = staged::changes(&Index::read(repository)?, &trees, head)?;
        if is_cut {
            self.collected.skip(BlobPath::new(self.prefix), SkipCause::TooManyPaths);
        }
        // A file that was only renamed introduces nothing.
        let gone: HashSet<Oid> =
            changes.iter().filter(|change| change.new.is_none()).flat_map(|change| change.old.clone()).collect();
        let findings = changes.par_iter().flat_map_iter(|change| {
            let Some(new) = change.new.filter(|new| self.whole_files || !gone.contains(new)) else { return vec![] };
            let Some(bytes) = self.read(&odb, new, &change.path) else { return vec![] };
            let mut findings = self.examine(&change.path, &bytes);
            if !self.whole_files && !findings.is_empty() {
                let old = change.old.first().and_then(|old| odb.read(old, self.scan.limit.of_objects()).ok());
                if let Some((_, old)) = old {
                    self.keep_new(&mut findings, &old, &bytes);
                }
            }
            findings
        });
        Ok(findings.collect())
    }

    /// Scans what some commits introduce.
    ///
    /// # Errors
    /// A message, if the commits cannot be resolved or read.
    pub fn commits(&self, repository: &Repository, selection: &Selection) -> Result<Vec<Finding>, GitError> {
        let odb = self.open(repository);
        let selected = selection.resolve(repository, &odb)?;
        self.collected.commits.fetch_add(selected.commits.len() as u64, Ordering::Relaxed);
        let trees = TreeReader::new(&odb);
        let shallow = repository.shallow_commits();
        let people = repository.mailmap();
        let ledger = Ledger { scan: self, odb: &odb, trees: &trees, people, known: Mutex::default() };
        let news = ledger.all_news(&selected.commits, &shallow)?;
        let tips = selected.tips.iter().map(|tip| odb.tree_of(*tip)).collect::<Result<Vec<_>, _>>()?;
        let head = repository.head()?;
        let reach = if selected.tips.iter().all(|tip| Some(*tip) == head) { Reach::Head } else { Reach::Refs };
        let head = head.map(|head| odb.tree_of(head)).transpose()?;
        if selected.is_cut {
            self.collected.skip(BlobPath::new(self.prefix), SkipCause::Shallow);
        }
        let mut findings = ledger.findings(&selected.commits, news, &Ends { tips, head, reach }, &shallow)?;
        findings.par_extend(selected.commits.par_iter().flat_map_iter(|commit| ledger.in_text(commit, reach)));
        for tag in &selected.tags {
            // It was read before.
            let text = odb.read(tag, MAX_COMMIT).map(|(_, text)| text).unwrap_or_default();
            findings.extend(self.examine(format!("tag {tag}").as_bytes(), &text));
        }
        Ok(findings)
    }

    fn open(&self, repository: &Repository) -> Odb {
        let mut errors = Vec::new();
        let odb = Odb::open(&repository.object_dirs(&mut errors));
        errors.extend_from_slice(odb.unreadable());
        for (path, error) in errors {
            self.collected.skip(BlobPath::new(&path), SkipCause::Unreadable(error.to_words()));
        }
        odb
    }

    /// The content of a file; `None` if it is not scanned, which is recorded as a skip.
    fn read(&self, odb: &Odb, oid: Oid, path: &[u8]) -> Option<Vec<u8>> {
        let read =
            odb.read(&oid, self.scan.limit.of_objects()).map_err(|error| SkipCause::Unreadable(error.to_words()));
        match read.and_then(|(_, bytes)| self.scan.limit.check(bytes.len() as u64).map(|()| bytes)) {
            Ok(bytes) => {
                self.collected.files.fetch_add(1, Ordering::Relaxed);
                self.collected.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(bytes)
            }
            Err(cause) => {
                self.collected.skip(self.path(path), cause);
                None
            }
        }
    }

    fn examine(&self, path: &[u8], bytes: &[u8]) -> Vec<Finding> {
        self.collected.told(self.examiner.blob(&Blob { path: self.path(path), bytes, context: None }))
    }

    /// Keeps only the findings in `new` that `old` did not have.
    fn keep_new(&self, findings: &mut Vec<Finding>, old: &[u8], new: &[u8]) {
        let added = added_lines(old, new);
        // What is in a container has no line number in the outer file.
        let old = findings.iter().any(|finding| !finding.path.inside().is_empty()).then(|| self.items_in(old));
        // A file that existed before already had its name.
        findings.retain(|finding| finding.path.inside().last().is_none_or(|name| **name != *NAME));
        findings.retain(|finding| match (&old, &added) {
            (Some(old), _) if !finding.path.inside().is_empty() => {
                !old.contains(&(finding.rule.id.clone(), finding.fingerprint))
            }
            (_, Some(added)) => lines(finding).any(|line| added.contains(&line)),
            (_, None) => true,
        });
    }

    /// The items inside a container, besides those in its own bytes.
    fn inside(&self, bytes: &[u8], path: &[u8]) -> BTreeSet<Identity> {
        let Some(format) = Format::from_blob(bytes) else { return BTreeSet::new() };
        let size = bytes.len() as u64;
        let examined = self.examiner.container(&self.path(path), format, Content::Bytes(bytes), Some(size));
        identities(self.collected.told(examined)).collect()
    }

    /// The items in a file and in everything it contains. Skips are not recorded.
    fn items_in(&self, bytes: &[u8]) -> BTreeSet<Identity> {
        let examined = self.examiner.blob(&Blob { path: self.path(b""), bytes, context: None });
        identities(examined.findings).collect()
    }

    fn path(&self, path: &[u8]) -> BlobPath {
        BlobPath::new(self.prefix).join(path)
    }
}

/// Numbers (1-based) of the lines that are in `new` and not in `old`; `None` if lines cannot be compared.
fn added_lines(old: &[u8], new: &[u8]) -> Option<HashSet<u32>> {
    let (old, new) = (&*in_utf8(old), &*in_utf8(new));
    let mut options = git2::DiffOptions::new();
    options.context_lines(0).force_text(true);
    let patch = git2::Patch::from_buffers(old, None, new, None, Some(&mut options)).ok()?;
    let mut added = HashSet::new();
    for hunk in 0..patch.num_hunks() {
        for line in 0..patch.num_lines_in_hunk(hunk).ok()? {
            let line = patch.line_in_hunk(hunk, line).ok()?;
            added.extend(line.new_lineno().filter(|_| line.old_lineno().is_none()));
        }
    }
    Some(added)
}

/// Text without its encoding: that of UTF-16 and UTF-32 cannot be split into lines bytewise.
fn in_utf8(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(wide) = Wide::detect(text) else { return Cow::Borrowed(text) };
    Cow::Owned(WideText::file(text, wide).text().to_vec())
}

/// The lines that a finding covers.
fn lines(finding: &Finding) -> impl Iterator<Item = u32> {
    let values = finding.values().map(|value| value.location).chain([finding.location]);
    values.flat_map(|place| place.start_line..=place.end_line)
}

/// The relevant changes of one commit.
#[derive(Default)]
struct News {
    /// Items that a path has and had in none of the parents, each with its blob.
    gained: Vec<(Vec<u8>, Identity, Oid)>,
    /// Items that a path had in all parents and no longer has.
    lost: Vec<(Vec<u8>, Identity)>,
    /// True if there are more paths or places than are examined.
    is_cut: bool,
}

/// The items of a blob, once it has been examined.
type Lookup = Arc<OnceLock<Arc<BTreeSet<Identity>>>>;

/// Where the selected commits end.
struct Ends {
    /// Root trees of the last commits.
    tips: Vec<Oid>,
    /// HEAD's root tree.
    head: Option<Oid>,
    /// Where the commits are reachable from.
    reach: Reach,
}

/// What commits did with an item at a path.
struct Story<'a> {
    introduced: Vec<&'a Selected>,
    removed: Vec<&'a Selected>,
    /// The version to show.
    blob: Oid,
    is_at_tip: bool,
    is_at_head: bool,
}

/// Which commits, by number, introduced an item at each place, in which blobs; and which removed it. Oldest first.
type ByPlace = (BTreeMap<HeldAt, Vec<(usize, Oid)>>, HashMap<HeldAt, Vec<usize>>);

fn by_place(news: Vec<News>) -> ByPlace {
    let (mut gained, mut lost) = ByPlace::default();
    for (number, news) in news.into_iter().enumerate().rev() {
        for (path, item, blob) in news.gained {
            gained.entry((path, item)).or_default().push((number, blob));
        }
        news.lost.into_iter().for_each(|place| lost.entry(place).or_default().push(number));
    }
    (gained, lost)
}

/// An item at a path.
type HeldAt = (Vec<u8>, Identity);

/// Determines what commits change.
struct Ledger<'a> {
    scan: &'a ChangeScan<'a>,
    odb: &'a Odb,
    trees: &'a TreeReader<'a>,
    people: Mailmap,
    /// The items of the blobs examined so far.
    known: Mutex<HashMap<Oid, Lookup>>,
}

impl Ledger<'_> {
    /// What all commits change, up to [`MAX_PLACES`]. Commits are processed in order and in chunks, so that the cutoff
    /// does not depend on threads, and nothing beyond it is kept.
    fn all_news(&self, commits: &[Selected], shallow: &BTreeSet<Oid>) -> Result<Vec<News>, GitError> {
        let mut all = Vec::with_capacity(commits.len());
        let progress = self.scan.collected.progress;
        progress.total_commits.store(commits.len() as u64, Ordering::Relaxed);
        let (mut left, mut is_cut) = (MAX_PLACES, false);
        for some in commits.chunks(4 * rayon::current_num_threads()) {
            let found: Vec<News> =
                some.par_iter().map(|commit| self.news(commit, shallow)).collect::<Result<_, _>>()?;
            for mut news in found {
                is_cut |= news.is_cut || news.gained.len() > left;
                news.gained.truncate(left);
                left -= news.gained.len();
                all.push(news);
            }
            progress.commits.fetch_add(some.len() as u64, Ordering::Relaxed);
            if left == 0 {
                break;
            }
        }
        if is_cut {
            self.scan.collected.skip(BlobPath::new(self.scan.prefix), SkipCause::TooManyPaths);
        }
        Ok(all)
    }

    fn news(&self, commit: &Selected, shallow: &BTreeSet<Oid>) -> Result<News, GitError> {
        let parents = commit.parents.iter().filter(|_| !shallow.contains(&commit.oid));
        let parents = parents.map(|parent| self.odb.tree_of(*parent)).collect::<Result<Vec<_>, _>>()?;
        let mut news = News::default();
        let changes = self.trees.changes(&parents, Some(commit.tree))?;
        news.is_cut = changes.is_cut;
        for Change { path, new, old } in changes.list {
            let before: Vec<_> = old.iter().map(|oid| self.items(*oid, &path)).collect();
            let now = new.map(|oid| (oid, self.items(oid, &path)));
            if let Some((oid, now)) = &now {
                let is_new = |item: &&Identity| self.scan.whole_files || !before.iter().any(|old| old.contains(item));
                let gained: Vec<_> = now.iter().filter(is_new).map(|item| (path.clone(), item.clone(), *oid)).collect();
                if news.gained.len() + gained.len() > MAX_PLACES {
                    news.is_cut = true;
                    return Ok(news);
                }
                news.gained.extend(gained);
            }
            if let Some((first, others)) = before.split_first().filter(|_| before.len() == parents.len()) {
                let is_lost = |item: &&Identity| {
                    others.iter().all(|old| old.contains(item))
                        && !now.as_ref().is_some_and(|(_, now)| now.contains(item))
                };
                news.lost.extend(first.iter().filter(is_lost).map(|item| (path.clone(), item.clone())));
            }
        }
        Ok(news)
    }

    /// The items of a blob; none if it cannot be read, which is recorded as a skip. Each blob is examined once.
    fn items(&self, oid: Oid, path: &[u8]) -> Arc<BTreeSet<Identity>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(oid).or_default().clone();
        known.get_or_init(|| Arc::new(self.look_at(oid, path))).clone()
    }

    fn look_at(&self, oid: Oid, path: &[u8]) -> BTreeSet<Identity> {
        let Some(bytes) = self.scan.read(self.odb, oid, path) else { return BTreeSet::new() };
        let detection = self.scan.examiner.detector().detect(&bytes, None);
        if detection.is_cut {
            self.scan.collected.skip(self.scan.path(path), SkipCause::TooMany);
        }
        let candidates = detection.candidates.iter();
        let own = candidates.map(|candidate| (candidate.rule.id.clone(), fingerprint(candidate)));
        own.chain(self.scan.inside(&bytes, path)).collect()
    }

    /// Findings of what the commits introduce, each from the version to show.
    fn findings(
        &self,
        commits: &[Selected],
        news: Vec<News>,
        ends: &Ends,
        shallow: &BTreeSet<Oid>,
    ) -> Result<Vec<Finding>, GitError> {
        let (gained, lost) = by_place(news);
        let mut findings = Vec::new();
        let mut at_tips: HashMap<Vec<u8>, Vec<Oid>> = HashMap::new();
        for (place, introductions) in gained {
            let (path, item) = &place;
            if !at_tips.contains_key(path) {
                let blobs = ends.tips.iter().filter_map(|tip| self.blob_at(*tip, path).transpose());
                at_tips.insert(path.clone(), blobs.collect::<Result<_, _>>()?);
            }
            let at_tip = at_tips[path].iter().find(|blob| self.items(**blob, path).contains(item)).copied();
            let removed = lost.get(&place).map_or(&[][..], Vec::as_slice);
            let story = Story {
                introduced: introductions.iter().map(|(number, _)| &commits[*number]).collect(),
                removed: removed.iter().rev().map(|number| &commits[*number]).collect(),
                blob: at_tip.unwrap_or(introductions[0].1),
                is_at_tip: at_tip.is_some(),
                is_at_head: self.is_at_head(ends, path, item)?,
            };
            findings.extend(self.shown_version(&place, self.history(&story, ends, shallow)));
        }
        Ok(findings)
    }

    fn is_at_head(&self, ends: &Ends, path: &[u8], item: &Identity) -> Result<bool, GitError> {
        let blob = ends.head.map(|head| self.blob_at(head, path)).transpose()?.flatten();
        Ok(blob.is_some_and(|blob| self.items(blob, path).contains(item)))
    }

    fn history(&self, story: &Story, ends: &Ends, shallow: &BTreeSet<Oid>) -> History {
        let since = story.introduced.iter().map(|commit| commit.time).min();
        let until = story.removed.iter().map(|commit| commit.time).max().filter(|_| !story.is_at_tip);
        let reach = if story.is_at_head { Reach::Head } else { ends.reach };
        History {
            is_at_head: story.is_at_head,
            is_cut: story.introduced.iter().any(|commit| shallow.contains(&commit.oid)),
            introduced: self.shown(&story.introduced),
            removed: self.shown(&story.removed),
            exposure: since.map(|since| Exposure::new(since, until, self.scan.scan.now)),
            ..History::new(story.blob, ObjectKind::Blob, reach)
        }
    }

    /// The findings of an item in the version to show, with their history.
    fn shown_version(&self, (path, item): &HeldAt, history: History) -> Vec<Finding> {
        // It was read before, and any problem was recorded then.
        let read = self.odb.read(&history.object, self.scan.scan.limit.of_objects());
        let Ok((_, bytes)) = read else { return vec![] };
        let history = Arc::new(history);
        let examined = self.scan.examiner.blob(&Blob { path: self.scan.path(path), bytes: &bytes, context: None });
        let mut findings = examined.findings;
        findings.retain(|finding| (&finding.rule.id, finding.fingerprint) == (&item.0, item.1));
        findings.iter_mut().for_each(|finding| finding.history = Some(history.clone()));
        findings
    }

    /// Findings in a commit's own text: the message, and the names and addresses of people.
    fn in_text(&self, commit: &Selected, reach: Reach) -> Vec<Finding> {
        // It was read before.
        let Ok((_, text)) = self.odb.read(&commit.oid, MAX_COMMIT) else { return vec![] };
        let mut findings = self.scan.examine(format!("commit {}", commit.oid).as_bytes(), &text);
        if findings.is_empty() {
            return findings;
        }
        let history = Arc::new(History {
            introduced: self.shown(&[commit]),
            exposure: Some(Exposure::new(commit.time, None, self.scan.scan.now)),
            ..History::new(commit.oid, ObjectKind::Commit, reach)
        });
        findings.iter_mut().for_each(|finding| finding.history = Some(history.clone()));
        findings
    }

    fn shown(&self, commits: &[&Selected]) -> Commits {
        let read = |commit: &&Selected| {
            let text = self.odb.read(&commit.oid, MAX_COMMIT).map(|(_, text)| text).unwrap_or_default();
            Arc::new(commit::read(
                commit.oid,
                &hidden(self.scan.examiner.detector(), text, self.scan.scan.show_secrets),
                &self.people,
                self.scan.scan.show_secrets,
            ))
        };
        Commits { listed: commits.iter().take(MAX_COMMITS).map(read).collect(), count: commits.len() }
    }

    /// The blob at a path below a tree.
    fn blob_at(&self, tree: Oid, path: &[u8]) -> Result<Option<Oid>, GitError> {
        let mut names = path.split(|&b| b == b'/').peekable();
        let mut oid = tree;
        while let Some(name) = names.next() {
            let wanted = if names.peek().is_some() { Mode::Tree } else { Mode::Blob };
            match self.trees.read(oid)?.get(name) {
                Some((mode, next)) if *mode == wanted => oid = *next,
                _ => return Ok(None),
            }
        }
        Ok(Some(oid))
    }
}
