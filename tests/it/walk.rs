//! Our pack walk and attribution, compared with plain libgit2: every object by name, every commit's whole tree.

use crate::support::expand;
use git2::{ObjectType, Oid, Repository, Signature, Time, TreeWalkMode};
use keyspill::finding::history::MAX_COMMITS;
use keyspill::finding::object::ObjectKind;
use keyspill::internals::detect::Detector;
use keyspill::internals::rule::RuleSet;
use keyspill::internals::scan::examine::Examiner;
use keyspill::internals::scan::{Limits, Progress, Scan, Scope};
use keyspill::{
    finding::BlobPath,
    internals::source::{Blob, SizeLimit},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())));

/// Path, rule, fingerprint.
type Place = (String, String, String);

/// The commits that introduced something at a place, those that removed it, and whether HEAD has it.
type Story = (BTreeSet<String>, BTreeSet<String>, bool);

/// The result of keyspill.
fn ours(dir: &Path) -> BTreeMap<Place, Story> {
    let scan = Scan {
        roots: vec![dir.to_owned()],
        scope: Scope::History { with_tree: false, with_submodules: false },
        archives: false,
        ..Scan::default()
    };
    let report = scan.run(&DETECTOR, &Progress::default());
    assert_eq!(report.coverage.failures().count(), 0);
    let prefix = format!("{}/", dir.canonicalize().expect("a path").display());
    // Findings in the text of commits and tags are not compared.
    let of_blobs = |finding: &&keyspill::finding::Finding| {
        finding.judgement().is_none() && finding.history.as_ref().is_some_and(|h| h.kind == ObjectKind::Blob)
    };
    let stories = report.findings().chain(report.suppressed()).filter(of_blobs).map(|finding| {
        let history = finding.history.as_ref().expect("a history");
        let path = finding.path.to_text();
        let path = path.strip_prefix(&prefix).unwrap_or_else(|| panic!("{path} is below {prefix}")).to_owned();
        let names =
            |commits: &[Arc<keyspill::finding::history::Commit>]| commits.iter().map(|c| c.oid.to_string()).collect();
        let story = (names(&history.introduced.listed), names(&history.removed.listed), history.is_at_head);
        ((path, finding.rule.id.to_string(), finding.fingerprint.to_string()), story)
    });
    stories.collect()
}

/// The result of libgit2, computed the slow way.
fn plain(dir: &Path) -> BTreeMap<Place, Story> {
    let examiner = Examiner::new(&DETECTOR, false, Limits::default(), SizeLimit::default(), false);
    let repository = Repository::open(dir).expect("a repository");
    let odb = repository.odb().expect("objects");
    let mut items: HashMap<Oid, Vec<(String, String)>> = HashMap::new();
    let mut commits = Vec::new();
    let mut all = Vec::new();
    odb.foreach(|oid| {
        all.push(*oid);
        true
    })
    .expect("objects");
    for oid in all {
        let object = odb.read(oid).expect("an object");
        match object.kind() {
            ObjectType::Blob => {
                let found = examiner
                    .blob(&Blob { path: BlobPath::new(Path::new("x")), bytes: object.data(), context: None })
                    .findings;
                let found = found.iter().map(|finding| (finding.rule.id.to_string(), finding.fingerprint.to_string()));
                items.insert(oid, found.collect());
            }
            ObjectType::Commit => commits.push(repository.find_commit(oid).expect("a commit")),
            _ => {}
        }
    }
    let mut met = BTreeSet::new();
    let mut places_of = |commit: &git2::Commit| {
        let mut places = BTreeSet::new();
        let tree = commit.tree().expect("a tree");
        tree.walk(TreeWalkMode::PreOrder, |dir, entry| {
            if entry.kind() == Some(ObjectType::Blob) {
                met.insert(entry.id());
                let path = format!("{dir}{}", String::from_utf8_lossy(entry.name_bytes()));
                places.extend(
                    items
                        .get(&entry.id())
                        .into_iter()
                        .flatten()
                        .map(|(rule, print)| (path.clone(), rule.clone(), print.clone())),
                );
            }
            git2::TreeWalkResult::Ok
        })
        .expect("it is walked");
        places
    };
    let places: HashMap<Oid, BTreeSet<Place>> = commits.iter().map(|commit| (commit.id(), places_of(commit))).collect();
    let mut stories: BTreeMap<Place, Story> = BTreeMap::new();
    let mut dropped: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for commit in &commits {
        let here = &places[&commit.id()];
        let parents: Vec<_> = commit.parent_ids().map(|parent| &places[&parent]).collect();
        let name = commit.id().to_string();
        for place in here.iter().filter(|place| !parents.iter().any(|parent| parent.contains(*place))) {
            stories.entry(place.clone()).or_default().0.insert(name.clone());
        }
        for place in parents.iter().copied().flatten().filter(|place| !here.contains(*place)) {
            if parents.iter().all(|parent| parent.contains(place)) {
                stories.entry(place.clone()).or_default().1.insert(name.clone());
            } else {
                dropped.entry(place.clone()).or_default().insert(name.clone());
            }
        }
    }
    if let Ok(head) = repository.head().and_then(|head| head.peel_to_commit()) {
        for place in &places[&head.id()] {
            stories.entry(place.clone()).or_default().2 = true;
        }
    }
    for (place, merges) in dropped {
        let story = stories.entry(place).or_default();
        if story.1.is_empty() {
            story.1 = merges;
        }
    }
    for (oid, found) in items.into_iter().filter(|(oid, _)| !met.contains(oid)) {
        for (rule, print) in found {
            stories.insert((format!("blob {oid}"), rule, print), Story::default());
        }
    }
    stories
}

/// Both agree, except that keyspill names only the first of several merges that drop something.
fn assert_same(dir: &Path) {
    let (ours, plain) = (ours(dir), plain(dir));
    assert_eq!(ours.keys().collect::<Vec<_>>(), plain.keys().collect::<Vec<_>>());
    for (place, (introduced, removed, at_head)) in &ours {
        let expected = &plain[place];
        assert_eq!(at_head, &expected.2, "{place:?}");
        // If there are many commits, only the first are listed.
        if expected.0.len() <= MAX_COMMITS {
            assert_eq!(introduced, &expected.0, "{place:?}");
        }
        assert_eq!(removed.is_empty(), expected.1.is_empty(), "{place:?}");
        if expected.1.len() > MAX_COMMITS {
            continue;
        }
        assert!(
            removed.is_subset(&expected.1) && (removed.len() == expected.1.len() || removed.len() == 1),
            "{place:?}"
        );
    }
}

/// One step in a random history.
#[derive(Debug, Clone)]
enum Step {
    /// A commit on a branch that sets files to one of several contents, or removes them.
    Commit { branch: usize, edits: Vec<(usize, Option<usize>)> },
    /// A merge of one branch into another, which may also change files.
    Merge { into: usize, from: usize, edits: Vec<(usize, Option<usize>)> },
    /// A branch is moved to another one; its own commits may become unreachable.
    Reset { branch: usize, to: usize },
    /// Everything is packed into a new pack.
    Pack,
}

const BRANCHES: usize = 3;
const PATHS: [&str; 7] = ["a.txt", "b.txt", "d/a.txt", "d/b.txt", "d/e/f/g.txt", "d/e/40000 x", "z"];

/// Long texts that differ little, so that they are stored as deltas of each other.
fn content(number: usize) -> String {
    let mut lines: Vec<String> =
        (0..120).map(|line| format!("line {line} of a text that is long enough {}\n", line * 7919 % 1013)).collect();
    let keys = [&[][..], &["a"], &["b"], &["a", "b"], &["b", "c"], &["c"]][number % 6];
    for (place, label) in keys.iter().enumerate() {
        let at = (number * 31 + place * 17) % lines.len();
        lines.insert(at, expand(&format!("id = {{{{akia {label}}}}} key = {{{{secret {label}}}}}\n")).text);
    }
    lines.insert(number * 5 % 100, format!("version {number}\n"));
    lines.concat()
}

fn edits() -> impl Strategy<Value = Vec<(usize, Option<usize>)>> {
    prop::collection::vec((0..PATHS.len(), prop::option::weighted(0.8, 0usize..30)), 0..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..BRANCHES, edits()).prop_map(|(branch, edits)| Step::Commit { branch, edits }),
        2 => (0..BRANCHES, 0..BRANCHES, edits()).prop_map(|(into, from, edits)| Step::Merge { into, from, edits }),
        1 => (0..BRANCHES, 0..BRANCHES).prop_map(|(branch, to)| Step::Reset { branch, to }),
        1 => Just(Step::Pack),
    ];
    prop::collection::vec(step, 1..18)
}

/// A repository under construction.
struct Maker<'a> {
    sandbox: &'a crate::support::Sandbox,
    repository: Repository,
    heads: [Option<Oid>; BRANCHES],
    files: [BTreeMap<usize, usize>; BRANCHES],
    time: i64,
}

impl Maker<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Commit { branch, edits } => self.commit(branch, None, edits),
            Step::Merge { into, from, edits } if into != from && self.heads[from].is_some() => {
                self.commit(into, self.heads[from], edits);
            }
            Step::Merge { .. } => {}
            Step::Reset { branch, to } => {
                self.heads[branch] = self.heads[to];
                self.files[branch] = self.files[to].clone();
                self.point(branch);
            }
            Step::Pack => _ = self.sandbox.git(&["repack", "-q", "-d", "--depth=50"]),
        }
    }

    fn commit(&mut self, branch: usize, other: Option<Oid>, edits: Vec<(usize, Option<usize>)>) {
        for (path, content) in edits {
            match content {
                Some(content) => _ = self.files[branch].insert(path, content),
                None => _ = self.files[branch].remove(&path),
            }
        }
        let mut index = git2::Index::new().expect("an index");
        for (path, number) in &self.files[branch] {
            let id = self.repository.blob(content(*number).as_bytes()).expect("a blob");
            let time = git2::IndexTime::new(0, 0);
            let entry = git2::IndexEntry {
                ctime: time,
                mtime: time,
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: PATHS[*path].into(),
            };
            index.add(&entry).expect("an entry");
        }
        let tree =
            index.write_tree_to(&self.repository).and_then(|tree| self.repository.find_tree(tree)).expect("a tree");
        // Dates do not give the order: they go back and forth.
        self.time = (self.time * 31 + 17) % 1000;
        let person = Signature::new("A", "a@b", &Time::new(self.time * 86_400, 0)).expect("a person");
        let parents: Vec<_> = self.heads[branch].into_iter().chain(other).collect();
        let parents: Vec<_> = parents.iter().map(|oid| self.repository.find_commit(*oid).expect("a commit")).collect();
        let message = format!("commit {}", self.time);
        let commit =
            self.repository.commit(None, &person, &person, &message, &tree, &parents.iter().collect::<Vec<_>>());
        self.heads[branch] = Some(commit.expect("a commit"));
        self.point(branch);
    }

    fn point(&self, branch: usize) {
        let name = format!("refs/heads/{}", ["main", "one", "two"][branch]);
        if let Some(head) = self.heads[branch] {
            self.repository.reference(&name, head, true, "").expect("a ref");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn random_histories_are_told_as_libgit2_tells_them(steps in steps(), repack in 0..3) {
        let sandbox = crate::support::Sandbox::new();
        sandbox.init();
        let repository = Repository::open(sandbox.path()).expect("a repository");
        let mut maker = Maker { sandbox: &sandbox, repository, heads: [None; BRANCHES], files: Default::default(), time: 5 };
        steps.into_iter().for_each(|step| maker.step(step));
        match repack {
            0 => {}
            1 => _ = sandbox.git(&["repack", "-q", "-a", "-d", "-f", "-k", "--depth=50", "--window=20"]),
            // Deltas that name their base, as in packs sent over the network.
            _ => _ = sandbox.git(&["-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f", "-k", "--depth=250"]),
        }
        assert_same(sandbox.path());
    }
}

/// Run by hand on real repositories: `KEYSPILL_REPOSITORY=DIR cargo test --release --test walk -- --ignored`.
#[test]
#[ignore = "needs a repository, and a while"]
fn a_real_repository_is_told_as_libgit2_tells_it() {
    let dir = std::env::var_os("KEYSPILL_REPOSITORY").expect("KEYSPILL_REPOSITORY names a repository");
    assert_same(Path::new(&dir));
}
