//! Scans everything that a repository has ever contained, or several that share objects.
//!
//! ```text
//! every object ─► what it holds ─► where and when that was ─► the version to show ─► Finding
//! (once)          (only names)     (attribute)                (read again)
//! ```
//!
//! For each version of a file, only the rules and fingerprints of its values are kept, so that memory does not grow
//! with the number of versions; what is shown of a key is made from one of them.

use super::examine::{Examiner, fingerprint};
use super::{Collected, Identity, Scan, commit, hidden, hidden_text, identities};
use crate::credential::Fingerprint;
use crate::detect::prefilter::{Hits, Shared};
use crate::detect::{Candidate, Detector};
use crate::finding::BlobPath;
use crate::finding::Finding;
use crate::finding::history::Reach;
use crate::finding::history::{Commit, Commits, Exposure, History, MAX_COMMITS};
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use crate::git::attribute::graph::{CommitId, Graph};
use crate::git::attribute::trees::{Chunk, Trees};
use crate::git::attribute::{self, ItemId, MAX_REFS, Presence, RefTip, Wanted};
use crate::git::history::{History as Objects, Inspector, Object, Outline};
use crate::git::index::Index;
use crate::git::mailmap::Mailmap;
use crate::git::odb::{Node, Odb};
use crate::git::pack::delta::Copied;
use crate::git::repository::{Ref, Repository};
use crate::rule::{Rule, RuleId};
use crate::source::unpack::Content;
use crate::source::unpack::format::Format;
use crate::source::{Blob, SkipCause};
use crate::text::alphabet::SECRET_LEN;
use rayon::prelude::*;
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Maximum number of unreadable objects listed per repository; the rest are only counted.
const MAX_LISTED: usize = 1000;

/// Maximum number of versions that cannot be scanned whose paths are looked for; others go by their object ids.
const MAX_UNSCANNED: usize = 1000;

/// Maximum number of paths named for one of these.
const MAX_PATHS: usize = 20;

/// The item that a version which cannot be scanned holds in place of values, so that its path is found: this, less its
/// number.
const UNSCANNED: ItemId = ItemId::MAX;

/// Scans the history of repositories that share objects: one, or forks that borrow from each other. Every object is read
/// once, and what it holds is reported for each repository from which it can be reached.
pub(super) struct HistoryScan<'a> {
    /// Each with the prefix of its paths: the working tree's location, as the user would write it. Never empty.
    pub family: &'a [(Repository, PathBuf)],
    pub examiner: &'a Examiner<'a>,
    pub scan: &'a Scan,
    pub collected: &'a Collected<'a>,
}

impl HistoryScan<'_> {
    /// Scans it. Findings are returned; skips and counts are collected.
    pub fn run(&self) -> Vec<Finding> {
        let mut errors = Vec::new();
        let mut dirs = Vec::new();
        for (repository, _) in self.family {
            for dir in repository.object_dirs(&mut errors) {
                if !dirs.contains(&dir) {
                    dirs.push(dir);
                }
            }
        }
        let odb = Odb::open_all(&dirs);
        errors.extend_from_slice(odb.unreadable());
        let limit = self.scan.limit.of_objects();
        let (mut objects, mut refs) = (None, Vec::new());
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| objects = Some(Objects::new(&odb, limit, self.collected.progress)));
            refs = self.family.iter().map(|(repository, _)| repository.refs(&mut errors)).collect();
        });
        for (path, error) in errors {
            self.collected.skip(BlobPath::new(&path), SkipCause::Unreadable(error.to_words()));
        }
        for ((_, prefix), refs) in self.family.iter().zip(&mut refs) {
            self.examine_names(prefix, refs);
        }
        let objects = objects.expect("the scope waits for it");
        let Self { examiner, scan, collected, .. } = *self;
        let prefix = self.prefix();
        let inspector = ObjectInspector {
            prefix,
            examiner,
            scan,
            collected,
            odb: &odb,
            found: Found::default(),
            skipped: Mutex::default(),
        };
        let outline = objects.walk(&inspector);
        let (mut held, by_name, items) = inspector.found.by_object(&odb);
        let unscanned = unscanned(&odb, &inspector.skipped.into_inner().unwrap_or_else(PoisonError::into_inner));
        for (number, node) in (0..).zip(&unscanned) {
            held.entry(*node).or_insert((ObjectKind::Blob, vec![])).1.push(UNSCANNED - number);
        }
        let trees = Trees::read(&objects, &|node| held.contains_key(&node) || by_name.of_blobs.contains_key(&node));
        by_name.settle(&trees, &mut held);
        let graph = Graph::new(&outline.commits);
        self.collected.commits.fetch_add(graph.len() as u64, Ordering::Relaxed);
        let walked = Walked { odb: &odb, outline: &outline, objects: &objects, trees: &trees, graph: &graph };
        self.report_missing(&dirs, &walked);
        let members = self.family.iter().zip(&refs);
        let blobs = held.iter().filter(|(_, (kind, _))| *kind == ObjectKind::Blob);
        let blobs: Vec<_> = blobs.map(|(node, (_, items))| Wanted { node: *node, items: items.clone() }).collect();
        let mut occurrences: Vec<_> = members
            .map(|((repository, prefix), refs)| self.occurrences(repository, prefix, refs, &walked, &held, &blobs))
            .collect();
        if self.family.len() > 1 {
            // A repository's own objects are in the first of its directories.
            let own =
                |(repository, _): &(Repository, PathBuf)| repository.object_dirs(&mut Vec::new()).into_iter().next();
            let own: Vec<Option<PathBuf>> = self.family.iter().map(own).collect();
            let keeper = |node: Node| own.iter().position(|dir| dir.as_deref() == odb.dir(node)).unwrap_or(0);
            keep_own(&mut occurrences, keeper);
        }
        self.name_unscanned(&unscanned, &mut occurrences, &odb);
        // No longer needed, and large.
        drop((graph, trees, objects));
        let members = self.family.iter().zip(occurrences);
        members.flat_map(|((_, prefix), occurrences)| self.findings(prefix, occurrences, &items, &odb)).collect()
    }

    /// What is to be shown of what a repository holds.
    fn occurrences(
        &self,
        repository: &Repository,
        prefix: &Path,
        refs: &[Ref],
        walked: &Walked,
        held: &Held,
        blobs: &[Wanted],
    ) -> Vec<Occurrence> {
        let Walked { odb, outline, objects, trees, .. } = *walked;
        let mut graph = walked.graph.clone();
        let (tips, broken) = attribute::tips(refs, objects, &outline.tags, &graph);
        for reference in broken {
            let words = format!("it points to {}, which does not exist", reference.target);
            self.collected.skip(prefixed(prefix, reference.name.as_bytes()), SkipCause::Unreadable(words));
        }
        if held.is_empty() {
            return Vec::new();
        }
        reach(&mut graph, &tips, &repository.reflog_targets(), outline);
        let mut attribution = attribute::attribute(objects, trees, &graph, &tips, blobs);
        self.find_staged(repository, prefix, odb, &mut attribution.presences);
        if attribution.is_cut {
            self.collected.skip(BlobPath::new(prefix), SkipCause::TooManyPaths);
        }
        let builder = HistoryBuilder {
            odb,
            graph: &graph,
            tips: &tips,
            refs,
            tags: &outline.tags,
            refs_through: OnceLock::new(),
            scan: self.scan,
            detector: self.examiner.detector(),
            people: repository.mailmap(),
            commits: Mutex::default(),
        };
        if self.family.len() > 1 {
            attribution.presences.iter_mut().for_each(|presence| forget_other_branches(presence, &graph));
        }
        builder.occurrences(held, attribution.presences)
    }

    /// Gives versions that cannot be scanned the paths that were found for them, and takes their items out.
    fn name_unscanned(&self, unscanned: &[Node], occurrences: &mut [Vec<Occurrence>], odb: &Odb) {
        let mut paths: HashMap<BlobPath, BTreeSet<BlobPath>> = HashMap::new();
        for ((_, prefix), occurrences) in self.family.iter().zip(occurrences) {
            let number = |one: &Occurrence| usize::try_from(UNSCANNED - one.item).unwrap_or(usize::MAX);
            for one in occurrences.extract_if(.., |one| number(one) < unscanned.len()) {
                if let Some(path) = &one.path {
                    let oid = odb.oid(unscanned[number(&one)]);
                    let own = path_of(self.prefix(), ObjectKind::Blob, oid);
                    // What is left out of a longer list keeps the name that nobody accepts by path.
                    let all = paths.entry(own.clone()).or_default();
                    all.insert(if all.len() < MAX_PATHS { prefixed(prefix, path) } else { own });
                }
            }
        }
        self.collected.rename_skips(&paths);
    }

    /// Looks for keys in the names of branches and tags, and hides secrets in them: reports show these names.
    fn examine_names(&self, prefix: &Path, refs: &mut [Ref]) {
        let names: Vec<&str> = refs.iter().map(|known| known.name.as_str()).collect();
        let path = prefixed(prefix, b".git/refs");
        let names = names.join("\n");
        let blob = Blob { path, bytes: names.as_bytes(), context: None };
        self.collected.examined(self.examiner.blob(&blob));
        for known in refs.iter_mut().filter(|known| known.name.len() >= SECRET_LEN) {
            known.name = hidden_text(self.examiner.detector(), &known.name, self.scan.show_secrets);
        }
    }

    /// Gives blobs that are in the index, but in no commit, their path in the index.
    fn find_staged(&self, repository: &Repository, prefix: &Path, odb: &Odb, presences: &mut [Presence]) {
        let strays = || presences.iter().filter(|presence| presence.path.is_none());
        let blobs: HashSet<Oid> = strays().map(|presence| odb.oid(presence.node)).collect();
        if blobs.is_empty() || repository.work_dir().is_none() {
            return;
        }
        let paths = match Index::read(repository) {
            Ok(index) => {
                let entries = (0..index.entry_count()).map(|number| index.entry(number));
                let entries = entries.filter(|entry| blobs.contains(&entry.facts.oid));
                entries.map(|entry| (entry.facts.oid, entry.path.to_vec())).collect::<HashMap<_, _>>()
            }
            Err(error) => {
                let cause = SkipCause::Unreadable(error.to_words());
                return self.collected.skip(BlobPath::new(prefix), cause);
            }
        };
        for presence in presences.iter_mut().filter(|presence| presence.path.is_none()) {
            if let Some(path) = paths.get(&odb.oid(presence.node)) {
                presence.path = Some(path.clone());
                presence.reach = Reach::Index;
            }
        }
    }

    /// Reports objects that are missing or cannot be read, and those that were left out on purpose.
    fn report_missing(&self, dirs: &[PathBuf], walked: &Walked) {
        let Walked { odb, outline, trees, graph, .. } = *walked;
        let name = || BlobPath::new(self.prefix());
        let repositories = || self.family.iter().map(|(repository, _)| repository);
        let shallow: BTreeSet<Oid> = repositories().flat_map(Repository::shallow_commits).collect();
        let mut lost: BTreeMap<Oid, String> = outline.lost.clone();
        lost.extend(trees.lost.clone());
        let mut missing: BTreeSet<Oid> = trees.missing.clone();
        let roots = outline.commits.par_iter().map(|commit| commit.tree);
        missing.par_extend(roots.filter(|tree| odb.find(tree).is_none()));
        missing.extend(outline.tags.values().filter(|target| odb.find(target).is_none()));
        if !missing.is_empty() && repositories().any(|repository| repository.is_partial(dirs)) {
            self.collected.skip(name(), SkipCause::NotFetched(missing.len()));
            missing.clear();
        }
        let cut = graph.cut.iter().filter(|(id, _)| !shallow.contains(&graph.commit(**id).oid));
        missing.extend(cut.filter(|(_, parent)| !lost.contains_key(parent)).map(|(_, parent)| *parent));
        lost.extend(missing.into_iter().map(|oid| (oid, "it is missing; fetch it again, or re-clone".to_owned())));
        if graph.cut.keys().any(|id| shallow.contains(&graph.commit(*id).oid)) {
            self.collected.skip(name(), SkipCause::Shallow);
        }
        let count = lost.len();
        for (oid, words) in lost.into_iter().take(MAX_LISTED) {
            self.collected
                .skip(prefixed(self.prefix(), format!("object {oid}").as_bytes()), SkipCause::Unreadable(words));
        }
        if count > MAX_LISTED {
            self.collected.skip(name(), SkipCause::MoreUnreadable(count - MAX_LISTED));
        }
    }

    /// Makes findings from the versions to show.
    fn findings(
        &self,
        prefix: &Path,
        occurrences: Vec<Occurrence>,
        items: &HashMap<Identity, ItemId>,
        odb: &Odb,
    ) -> Vec<Finding> {
        let Self { examiner, scan, collected, .. } = self;
        let mut versions: BTreeMap<Version, HashMap<ItemId, Arc<History>>> = BTreeMap::new();
        for Occurrence { node, path, item, history } in occurrences {
            versions.entry((node, path)).or_default().insert(item, history);
        }
        let show = |((node, path), histories): (Version, HashMap<ItemId, Arc<History>>)| {
            let oid = odb.oid(node);
            let read = odb.read(&oid, scan.limit.of_objects());
            let (kind, bytes) = match read {
                Ok(object) => object,
                Err(error) => {
                    let path = prefixed(prefix, format!("object {oid}").as_bytes());
                    collected.skip(path, SkipCause::Unreadable(error.to_words()));
                    return Vec::new();
                }
            };
            let path = path.map_or_else(|| path_of(prefix, kind, oid), |path| prefixed(prefix, &path));
            // Skips were recorded when it was first examined.
            let examined = examiner.blob(&Blob { path, bytes: &bytes, context: None });
            let mut findings = examined.findings;
            // The list does not contain what a rule finds only in other paths, nor comments that allow nothing.
            findings.retain_mut(|finding| {
                let item = items.get(&(finding.rule.id.clone(), finding.fingerprint));
                finding.history = item.and_then(|item| histories.get(item)).cloned();
                finding.history.is_some()
            });
            findings
        };
        versions.into_par_iter().flat_map_iter(show).collect()
    }

    /// The prefix of what belongs to no repository in particular.
    fn prefix(&self) -> &Path {
        &self.family[0].1
    }
}

fn prefixed(prefix: &Path, path: &[u8]) -> BlobPath {
    BlobPath::new(prefix).join(path)
}

/// The path shown for an object without one: `commit 0123…`.
fn path_of(prefix: &Path, kind: ObjectKind, oid: Oid) -> BlobPath {
    prefixed(prefix, format!("{} {oid}", kind.name()).as_bytes())
}

/// The first copies of these blobs.
fn unscanned(odb: &Odb, oids: &BTreeSet<Oid>) -> Vec<Node> {
    oids.iter().filter_map(|oid| odb.find(oid)).collect()
}

/// Leaves to a presence only what this repository's own refs lead to, if they lead to any of it.
fn forget_other_branches(presence: &mut Presence, graph: &Graph) {
    if presence.reach < Reach::Unreachable {
        let is_own = |id: &CommitId| graph.reach(*id) < Reach::Unreachable;
        presence.introduced.retain(is_own);
        presence.removed.retain(is_own);
    }
}

/// Leaves to each of several repositories what can be reached from it; and what can be reached from none, to the one with
/// the number of its keeper.
fn keep_own(occurrences: &mut [Vec<Occurrence>], keeper: impl Fn(Node) -> usize) {
    let key = |occurrence: &Occurrence| (occurrence.node, occurrence.item);
    let is_reached = |occurrence: &Occurrence| occurrence.history.reach < Reach::Unreachable;
    let reached: HashSet<_> = occurrences.iter().flatten().filter(|one| is_reached(one)).map(key).collect();
    for (number, list) in occurrences.iter_mut().enumerate() {
        list.retain(|occurrence| {
            is_reached(occurrence) || (!reached.contains(&key(occurrence)) && keeper(occurrence.node) == number)
        });
    }
}

/// Records where commits are reachable from.
fn reach(graph: &mut Graph, tips: &[RefTip], logged: &[Oid], outline: &Outline) {
    let (heads, others): (Vec<&RefTip>, _) = tips.iter().partition(|tip| tip.name == "HEAD");
    graph.reach_from(heads.iter().map(|tip| tip.commit), Reach::Head);
    graph.reach_from(others.iter().map(|tip| tip.commit), Reach::Refs);
    let logged: Vec<_> = logged.iter().filter_map(|oid| graph.find(&attribute::peel(*oid, &outline.tags))).collect();
    graph.reach_from(logged, Reach::Reflog);
}

/// Examines objects and records their items.
struct ObjectInspector<'a> {
    /// Of the paths of objects, before it is known where they are.
    prefix: &'a Path,
    examiner: &'a Examiner<'a>,
    scan: &'a Scan,
    collected: &'a Collected<'a>,
    odb: &'a Odb,
    found: Found,
    /// Blobs that cannot be scanned, or not in full.
    skipped: Mutex<BTreeSet<Oid>>,
}

impl ObjectInspector<'_> {
    fn skip(&self, object: Object, cause: SkipCause) {
        let oid = self.odb.oid(object.node);
        self.collected.skip(path_of(self.prefix, object.kind, oid), cause);
        self.note_skipped(object.kind, oid);
    }

    /// Remembers a blob whose path is to be found, of many the same ones in every run.
    fn note_skipped(&self, kind: ObjectKind, oid: Oid) {
        if kind == ObjectKind::Blob {
            let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
            skipped.insert(oid);
            if skipped.len() > MAX_UNSCANNED {
                skipped.pop_last();
            }
        }
    }

    /// Returns the places worth examining, so that versions derived from this one need not be searched in full.
    fn examine(&self, object: Object, base: Option<(&Hits, &[Copied])>) -> Option<Hits> {
        let Self { examiner, scan, collected, .. } = self;
        let detector = examiner.detector();
        let skip = |cause| self.skip(object, cause);
        let shared = |part: &Copied| Shared { from: part.from, to: part.to, length: part.length };
        let detect = || {
            let hits = detector.prefilter(object.bytes, base.map(|(hits, parts)| (hits, parts.iter().map(shared))));
            let detection = match &hits {
                Some(hits) => detector.detect_among(object.bytes, None, hits),
                None => detector.detect(object.bytes, None),
            };
            (hits, detection)
        };
        // A bug triggered by one object must neither abort the scan of the others nor go unnoticed.
        let Ok((hits, detection)) = catch_unwind(AssertUnwindSafe(detect)) else {
            skip(SkipCause::Internal);
            return None;
        };
        if let Err(cause) = scan.limit.check(object.bytes.len() as u64) {
            skip(cause);
            return hits;
        }
        let identity = |candidate: &Candidate| (candidate.rule.id.clone(), fingerprint(candidate));
        let (by_name, others): (Vec<_>, Vec<_>) =
            detection.candidates.iter().partition(|candidate| name_of_files(&candidate.rule).is_some());
        if object.kind == ObjectKind::Blob {
            by_name.iter().for_each(|candidate| self.found.add_by_name(object, &candidate.rule, identity(candidate)));
        }
        let mut items: Vec<Identity> = others.into_iter().map(identity).collect();
        items.extend(self.inside(object));
        if !items.is_empty() {
            if detection.is_cut {
                skip(SkipCause::TooMany);
            }
            collected.progress.hits.fetch_add(1, Ordering::Relaxed);
            self.found.add(object, items);
        }
        hits
    }

    /// The items inside a container.
    fn inside(&self, object: Object) -> Vec<Identity> {
        let Self { examiner, collected, .. } = self;
        let Some(format) = Format::from_blob(object.bytes).filter(|_| object.kind == ObjectKind::Blob) else {
            return vec![];
        };
        let path = path_of(self.prefix, object.kind, self.odb.oid(object.node));
        let size = object.bytes.len() as u64;
        let examined = examiner.container(&path, format, Content::Bytes(object.bytes), Some(size));
        if examined.skips.iter().any(|skip| skip.cause.is_failure()) {
            self.note_skipped(object.kind, self.odb.oid(object.node));
        }
        identities(collected.told(examined)).collect()
    }
}

impl Inspector for ObjectInspector<'_> {
    type State = Option<Hits>;

    fn whole(&self, object: Object) -> Option<Hits> {
        self.examine(object, None)
    }

    fn derived(&self, object: Object, base: &Option<Hits>, shared: &[Copied]) -> Option<Hits> {
        self.examine(object, base.as_ref().map(|hits| (hits, shared)))
    }
}

/// What is known about a repository's objects after walking them.
struct Walked<'a> {
    odb: &'a Odb,
    outline: &'a Outline,
    objects: &'a Objects<'a>,
    trees: &'a Trees,
    graph: &'a Graph<'a>,
}

/// The items of the objects examined so far.
#[derive(Default)]
struct Found {
    items: Mutex<HashMap<Identity, ItemId>>,
    objects: Mutex<Vec<(Node, ObjectKind, Vec<ItemId>)>>,
    by_name: Mutex<ByName>,
}

/// What a rule for the names of files finds in every blob, for each blob: the rules, and the items of each.
#[derive(Default)]
struct ByName {
    rules: Vec<Arc<Rule>>,
    of_blobs: HashMap<Node, Vec<(usize, ItemId)>>,
}

/// What the name of a file must match, if a rule is about that.
fn name_of_files(rule: &Rule) -> Option<&Regex> {
    rule.regex()?.gitleaks.as_ref()?.name()
}

impl ByName {
    /// Adds the items of blobs that have a fitting name somewhere.
    fn settle(self, trees: &Trees, held: &mut Held) {
        if self.of_blobs.is_empty() {
            return;
        }
        let fits = |rule: &Arc<Rule>| -> Vec<bool> {
            trees.names.par_iter().map(|name| name_of_files(rule).is_some_and(|regex| regex.is_match(name))).collect()
        };
        let fits: Vec<Vec<bool>> = self.rules.iter().map(fits).collect();
        for link in trees.chunks.iter().flat_map(Chunk::trees).flat_map(|tree| tree.added) {
            let items = self.of_blobs.get(&link.to).into_iter().flatten();
            for (_, item) in items.filter(|(rule, _)| fits[*rule][link.name as usize]) {
                held.entry(link.to).or_insert((ObjectKind::Blob, vec![])).1.push(*item);
            }
        }
        for (_, items) in held.values_mut() {
            items.sort_unstable();
            items.dedup();
        }
    }
}

/// By object, in order: its kind and its items.
type Held = BTreeMap<Node, (ObjectKind, Vec<ItemId>)>;

impl Found {
    fn add(&self, object: Object, items: Vec<Identity>) {
        let mut numbers = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ids = Vec::with_capacity(items.len());
        for item in items {
            let next = numbers.len() as ItemId;
            ids.push(*numbers.entry(item).or_insert(next));
        }
        drop(numbers);
        ids.sort_unstable();
        ids.dedup();
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.push((object.node, object.kind, ids));
    }

    /// Adds what a rule for the names of files finds in a blob.
    fn add_by_name(&self, object: Object, rule: &Arc<Rule>, item: Identity) {
        let mut numbers = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len() as ItemId;
        let item = *numbers.entry(item).or_insert(next);
        drop(numbers);
        let ByName { rules, of_blobs } = &mut *self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let number = rules.iter().position(|known| known.id == rule.id).unwrap_or_else(|| {
            rules.push(rule.clone());
            rules.len() - 1
        });
        of_blobs.entry(object.node).or_default().push((number, item));
    }

    /// By object; copies of an object are merged.
    fn by_object(self, odb: &Odb) -> (Held, ByName, HashMap<Identity, ItemId>) {
        let first = |node: Node| odb.find(&odb.oid(node)).unwrap_or(node);
        let ByName { rules, of_blobs } = self.by_name.into_inner().unwrap_or_else(PoisonError::into_inner);
        let of_blobs = of_blobs.into_iter().map(|(node, items)| (first(node), items)).collect();
        let objects = self.objects.into_inner().unwrap_or_else(PoisonError::into_inner);
        let held = objects.into_iter().map(|(node, kind, items)| (first(node), (kind, items)));
        (held.collect(), ByName { rules, of_blobs }, self.items.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An object, at a path if it has one.
type Version = (Node, Option<Vec<u8>>);

/// An item to show, and from which version.
struct Occurrence {
    node: Node,
    path: Option<Vec<u8>>,
    item: ItemId,
    history: Arc<History>,
}

/// Turns numbers of commits and refs into what is shown of them.
struct HistoryBuilder<'a> {
    odb: &'a Odb,
    graph: &'a Graph<'a>,
    tips: &'a [RefTip],
    refs: &'a [Ref],
    tags: &'a BTreeMap<Oid, Oid>,
    /// The refs that point to an object, directly or through tags. There may be as many refs as texts with findings.
    refs_through: OnceLock<HashMap<Oid, Vec<&'a Ref>>>,
    scan: &'a Scan,
    detector: &'a Detector,
    people: Mailmap,
    commits: Mutex<HashMap<CommitId, Arc<Commit>>>,
}

impl HistoryBuilder<'_> {
    /// What is to be shown: of the texts of commits and tags, and of blobs.
    fn occurrences(&self, held: &Held, presences: Vec<Presence>) -> Vec<Occurrence> {
        let texts = held.iter().filter(|(_, (kind, _))| *kind != ObjectKind::Blob);
        let texts = texts.flat_map(|(node, (kind, items))| {
            let history = Arc::new(self.history_of_text(*node, *kind));
            items.iter().map(move |item| Occurrence { node: *node, path: None, item: *item, history: history.clone() })
        });
        let mut occurrences: Vec<Occurrence> = texts.collect();
        let in_blobs: Vec<_> = presences.into_par_iter().map(|presence| self.occurrence(presence)).collect();
        occurrences.extend(in_blobs);
        occurrences
    }

    fn occurrence(&self, mut presence: Presence) -> Occurrence {
        let mut names: Vec<String> = presence.refs.iter().map(|tip| self.tips[*tip as usize].name.clone()).collect();
        if presence.path.is_none() {
            // A ref may point to a blob.
            (names, presence.ref_count) = self.refs_through(self.odb.oid(presence.node));
            if presence.ref_count > 0 {
                presence.reach = Reach::Refs;
            }
        }
        let is_there = presence.ref_count > 0;
        let time = |id: &CommitId| self.graph.commit(*id).time;
        let since = presence.introduced.iter().map(time).min();
        // Removals that no ref reaches do not count beside removals that a ref reaches.
        let removed = presence.removed.first().filter(|_| !is_there);
        let is_stray = |id: &CommitId| self.graph.reach(*id) > Reach::Refs;
        let counted = presence.removed.iter().filter(|id| removed.is_some_and(|first| is_stray(first) == is_stray(id)));
        let until = counted.map(time).max();
        let last = removed;
        let last = last.and_then(|removed| self.graph.parents(*removed).first());
        let history = History {
            object: self.odb.oid(presence.node),
            kind: ObjectKind::Blob,
            reach: presence.reach,
            is_at_head: presence.is_at_head,
            is_in_tree: false,
            refs: names,
            ref_count: presence.ref_count,
            introduced: self.commits(&presence.introduced),
            removed: self.commits(&presence.removed),
            last: last.map(|id| self.commit(*id)),
            is_cut: presence.is_cut,
            exposure: since.map(|since| Exposure::new(since, until, self.scan.now)),
        };
        Occurrence { node: presence.node, path: presence.path, item: presence.item, history: Arc::new(history) }
    }

    /// The names of the first refs that point to an object, directly or through tags, and the number of all.
    fn refs_through(&self, object: Oid) -> (Vec<String>, usize) {
        let all = self.refs_through.get_or_init(|| {
            let mut all: HashMap<Oid, Vec<&Ref>> = HashMap::default();
            for known in self.refs {
                for oid in attribute::tag_chain(known.target, self.tags) {
                    let there = all.entry(oid).or_default();
                    // A circular chain comes back.
                    if there.last().is_none_or(|last| !std::ptr::eq(*last, known)) {
                        there.push(known);
                    }
                }
            }
            all
        });
        let there = all.get(&object).map_or(&[][..], Vec::as_slice);
        (there.iter().take(MAX_REFS).map(|known| known.name.clone()).collect(), there.len())
    }

    /// The history of a finding in the text of a commit or tag, which cannot be removed again.
    fn history_of_text(&self, node: Node, kind: ObjectKind) -> History {
        let object = self.odb.oid(node);
        let commit = self.graph.find(&object);
        let (names, ref_count) = self.refs_through(object);
        let reach = match commit {
            Some(id) => self.graph.reach(id),
            None if names.is_empty() => Reach::Unreachable,
            None => Reach::Refs,
        };
        let introduced: Vec<CommitId> = commit.into_iter().collect();
        let since = introduced.iter().map(|id| self.graph.commit(*id).time).min();
        History {
            object,
            kind,
            reach,
            is_at_head: reach == Reach::Head,
            is_in_tree: false,
            refs: names,
            ref_count,
            introduced: self.commits(&introduced),
            removed: Commits::default(),
            last: None,
            is_cut: false,
            exposure: since.map(|since| Exposure::new(since, None, self.scan.now)),
        }
    }

    fn commits(&self, ids: &[CommitId]) -> Commits {
        Commits { listed: ids.iter().take(MAX_COMMITS).map(|id| self.commit(*id)).collect(), count: ids.len() }
    }

    fn commit(&self, id: CommitId) -> Arc<Commit> {
        let known = |commits: &HashMap<CommitId, Arc<Commit>>| commits.get(&id).cloned();
        if let Some(commit) = known(&self.commits.lock().unwrap_or_else(PoisonError::into_inner)) {
            return commit;
        }
        let oid = self.graph.commit(id).oid;
        // It was read before, so it can be read again.
        let text = self.odb.read(&oid, self.scan.limit.of_objects()).map(|(_, text)| text).unwrap_or_default();
        let text = hidden(self.detector, text, self.scan.show_secrets);
        let commit = Arc::new(commit::read(oid, &text, &self.people, self.scan.show_secrets));
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).insert(id, commit.clone());
        commit
    }
}

/// Merges findings that are both in the working tree and in history.
pub(super) fn merge<'a>(tree: impl Iterator<Item = &'a mut Finding>, history: Vec<Finding>) -> Vec<Finding> {
    let mut tree: Vec<_> = tree.collect();
    type Key = (Arc<BlobPath>, RuleId, Fingerprint);
    let key = |finding: &Finding| -> Key { (finding.path.clone(), finding.rule.id.clone(), finding.fingerprint) };
    let in_tree: HashSet<Key> = tree.iter().map(|finding| key(finding)).collect();
    let (both, past): (Vec<_>, Vec<_>) = history.into_iter().partition(|finding| in_tree.contains(&key(finding)));
    let both: HashMap<Key, Arc<History>> = both
        .into_iter()
        .filter_map(|finding| {
            let history = History { is_in_tree: true, ..History::clone(finding.history.as_ref()?) };
            Some((key(&finding), Arc::new(history)))
        })
        .collect();
    for finding in &mut tree {
        finding.history = both.get(&key(finding)).cloned();
    }
    past
}
