//! What all threads found, and the report that is made of it.

use super::examine::Examined;
use super::hide::hidden_name;
use super::{Scan, place};
use crate::credential::Fingerprint;
use crate::detect::Detector;
use crate::finding::{BlobPath, Finding};
use crate::git::history::Progress;
use crate::git::repository::Facts;
use crate::judge::{self, link};
use crate::policy::{Policy, Used};
use crate::report::{Coverage, Report};
use crate::rule::{Finder, Matcher};
use crate::source::pieces::Piece;
use crate::source::{Skip, SkipCause};
use crate::text::alphabet::SECRET_LEN;
use crate::verify::Verifying;
use rayon::slice::ParallelSliceMut;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The results of all threads, unordered.
pub struct Collected<'a> {
    pub files: AtomicU64,
    pub bytes: AtomicU64,
    /// Blobs in containers.
    inner_blobs: AtomicU64,
    inner_bytes: AtomicU64,
    pub commits: AtomicU64,
    /// Boxed, because sorting a million of them then moves only pointers.
    pub findings: Mutex<Vec<Box<Finding>>>,
    skips: Mutex<Vec<Skip>>,
    pub repositories: Mutex<Vec<(BlobPath, Facts)>>,
    pub progress: &'a Progress,
}

impl<'a> Collected<'a> {
    pub fn new(progress: &'a Progress) -> Self {
        Self {
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            inner_blobs: AtomicU64::new(0),
            inner_bytes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            findings: Mutex::default(),
            skips: Mutex::default(),
            repositories: Mutex::default(),
            progress,
        }
    }

    pub fn count(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file that is read in pieces counts once.
    pub fn count_piece(&self, piece: &Piece) {
        self.files.fetch_add(u64::from(piece.start.offset == 0), Ordering::Relaxed);
        self.bytes.fetch_add(piece.own.len() as u64, Ordering::Relaxed);
    }

    pub fn examined(&self, examined: Examined) {
        if !examined.is_nothing() {
            self.add(self.told(examined));
        }
    }

    /// Records everything except the findings, which are returned.
    pub fn told(&self, examined: Examined) -> Vec<Finding> {
        if !examined.skips.is_empty() {
            self.skips.lock().unwrap_or_else(PoisonError::into_inner).extend(examined.skips);
        }
        self.inner_blobs.fetch_add(examined.blobs, Ordering::Relaxed);
        self.inner_bytes.fetch_add(examined.bytes, Ordering::Relaxed);
        examined.findings
    }

    pub fn add(&self, found: Vec<Finding>) {
        if !found.is_empty() {
            let found: Vec<_> = found.into_iter().map(Box::new).collect();
            self.findings.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    }

    /// Adds what was collected elsewhere.
    pub fn absorb(&mut self, other: Self) {
        for (own, other) in [
            (&mut self.files, other.files),
            (&mut self.bytes, other.bytes),
            (&mut self.inner_blobs, other.inner_blobs),
            (&mut self.inner_bytes, other.inner_bytes),
            (&mut self.commits, other.commits),
        ] {
            *own.get_mut() += other.into_inner();
        }
        fn append<T>(own: &mut Mutex<Vec<T>>, other: Mutex<Vec<T>>) {
            let other = other.into_inner().unwrap_or_else(PoisonError::into_inner);
            own.get_mut().unwrap_or_else(PoisonError::into_inner).extend(other);
        }
        append(&mut self.findings, other.findings);
        append(&mut self.skips, other.skips);
        append(&mut self.repositories, other.repositories);
    }

    /// The fingerprints of all secrets of AWS's that were found.
    pub fn secrets(&self) -> foldhash::HashSet<Fingerprint> {
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let of_aws = findings.iter().filter(|finding| {
            let is_of_secret = |finder: Finder| finder.is_of_secret() && !finder.is_of_others();
            finding.suppression.is_none()
                && matches!(finding.rule.matcher, Matcher::Finder(finder) if is_of_secret(finder))
        });
        of_aws.filter_map(|finding| finding.secret_fingerprint()).collect()
    }

    pub fn skip(&self, path: BlobPath, cause: SkipCause) {
        self.skips.lock().unwrap_or_else(PoisonError::into_inner).push(Skip { path, cause });
    }

    /// Gives skipped blobs other names, by the names of their files so far: each is listed under all of them.
    pub fn rename_skips(&self, names: &HashMap<BlobPath, BTreeSet<BlobPath>>) {
        if names.is_empty() {
            return;
        }
        let mut skips = self.skips.lock().unwrap_or_else(PoisonError::into_inner);
        for skip in std::mem::take(&mut *skips) {
            match names.get(&BlobPath::from_bytes(skip.path.file())) {
                Some(names) => skips
                    .extend(names.iter().map(|name| Skip { path: skip.path.in_file(name), cause: skip.cause.clone() })),
                None => skips.push(skip),
            }
        }
    }

    /// Sorts everything, decides what counts, and judges.
    pub fn into_report(self, detector: &Detector, scan: &Scan) -> Report {
        let policy = scan.policy();
        let repositories = self.repositories.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut skips = self.skips.into_inner().unwrap_or_else(PoisonError::into_inner);
        policy.exclude(&mut findings, &mut skips);
        let mut used = Used::default();
        policy.accept_unscanned(&mut skips, &mut used);
        let of_config = |finding: &Finding| finding.account.is_some_and(|id| scan.config.canary_accounts.contains(&id));
        for finding in &mut findings {
            policy.grade(finding);
            finding.is_canary |= of_config(finding);
        }
        findings.par_sort_unstable_by(|a, b| a.order(b));
        let (mut suppressed, judgements, unused, unverified) =
            decide(&mut findings, &mut used, &policy, detector, scan, &repositories);
        skips.extend(unverified);
        findings.extend(judgements);
        findings.extend(unused);
        findings.par_sort_unstable_by(|a, b| a.order(b));
        suppressed.sort_by(|a, b| a.order(b));
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
                skips: shown_skips(skips, detector, scan),
            },
            repositories,
            config: scan.config.files.iter().map(|file| BlobPath::new(file)).collect(),
            now: scan.now,
            baseline: scan.baseline.as_ref().map(|baseline| BlobPath::new(&baseline.file)),
            rules: detector.rules().clone(),
        }
    }
}

/// Findings by the million are sorted: each has its own place, so that only pointers are moved.
type Findings = Vec<Box<Finding>>;

/// Takes from the findings those that do not count, and says what the rest means: the suppressed ones, the judgements, and
/// what allows nothing; and what could not be verified.
fn decide(
    findings: &mut Findings,
    used: &mut Used,
    policy: &Policy,
    detector: &Detector,
    scan: &Scan,
    repositories: &[(BlobPath, Facts)],
) -> (Findings, Findings, Findings, Vec<Skip>) {
    policy.apply(findings, used);
    let mut unused = policy.accept(findings, detector.rules());
    let mut suppressed: Findings = findings.extract_if(.., |finding| finding.suppression.is_some()).collect();
    let secrets = link::link(findings, &mut suppressed);
    link::adopt(findings, detector.rules(), |finding| policy.grade(finding));
    let verify = |verifying: &Verifying| verifying.run(findings, &secrets, &scan.config);
    let unverified = scan.verifying.as_ref().map(verify).unwrap_or_default().into_iter();
    let unverified = unverified.map(|(path, words)| Skip { path, cause: SkipCause::NotVerified(words) }).collect();
    drop(secrets);
    place::note_places(findings, repositories, &scan.environment);
    let judgements = judge::judge(findings, detector.rules(), policy.config);
    let mut judgements: Findings = judgements.into_iter().map(Box::new).collect();
    judgements.iter_mut().for_each(|judgement| policy.grade(judgement));
    policy.apply(&mut judgements, used);
    suppressed.extend(judgements.extract_if(.., |judgement| judgement.suppression.is_some()));
    unused.extend(policy.unused(used, detector.rules()));
    (suppressed, judgements, unused.into_iter().map(Box::new).collect(), unverified)
}

/// In order, each once, and without secrets in names.
fn shown_skips(mut skips: Vec<Skip>, detector: &Detector, scan: &Scan) -> Vec<Skip> {
    for skip in skips.iter_mut().filter(|_| !scan.show_secrets) {
        if let Some(path) = skip.path.map_long(SECRET_LEN, |name| hidden_name(detector, name)) {
            skip.path = path;
        }
    }
    skips.sort();
    skips.dedup();
    skips
}
