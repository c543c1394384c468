//! Scans the units of an audit: large ones first, several at a time, and remote ones while they are being cloned.

use super::clone::{CloneError, Cloner};
use super::result::{Header, ResultFile, UnitRecord};
use super::state::{State, StateError};
use super::target::{Source, Unit};
use super::unit::{Cloned, UnitScan};
use super::{result, stamp};
use crate::detect::Detector;
use crate::environment::Environment;
use crate::finding::Times;
use crate::rule::{Matcher, RuleSet};
use crate::scan::{Progress, Scan};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, VecDeque};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is audited, and how.
#[derive(Debug)]
pub struct Audit {
    /// What is the same for all units: configuration, limits, the moment.
    pub template: Scan,
    /// The detector.
    pub detector: Detector,
    /// The key of fingerprints.
    pub key: Option<Vec<u8>>,
    /// The part of the units that is scanned here.
    pub shard: Shard,
    /// How remote repositories are cloned; if not, they fail.
    pub cloner: Option<Cloner>,
    /// How many are cloned at a time.
    pub clones_at_once: usize,
    /// How many units are scanned at a time; 0 for one per processor.
    pub threads: usize,
    /// Results of units that are not audited here any more are removed.
    pub forgets: bool,
    /// What git ignores everywhere for this user: a hash of [`global_excludes`].
    pub excludes: String,
}

/// A hash of the user's own list of files that git ignores in every repository. Results depend on it.
pub fn global_excludes(environment: &Environment) -> String {
    let file = environment.home.as_ref().and_then(|_| ignore::gitignore::gitconfig_excludes_path());
    let text = file.and_then(|file| crate::file::read(&file, MAX_EXCLUDES).ok()).unwrap_or_default();
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..16])
}

/// The maximum size of the list that is hashed, in bytes.
const MAX_EXCLUDES: u64 = 16 << 20;

/// One of several parts of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// All of it.
    pub const ALL: Self = Self { number: 0, count: 1 };
}

/// How far an audit has come.
#[derive(Debug, Default)]
pub struct AuditProgress {
    /// The number of units.
    pub total: AtomicUsize,
    /// Those that are done.
    pub done: AtomicUsize,
    /// About how many bytes must be read.
    pub total_bytes: AtomicU64,
    /// About how many were read of the units that are done.
    pub bytes: AtomicU64,
    /// The progress of units in work, and the size of each in bytes.
    in_work: Mutex<Vec<(Arc<Progress>, u64)>>,
    /// Occurrences of keys so far.
    pub found: AtomicUsize,
}

impl AuditProgress {
    /// About how many bytes were read so far, also of units in work.
    pub fn bytes_read(&self) -> u64 {
        let in_work = self.in_work.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |(progress, size): &(Arc<Progress>, u64)| {
            let [done, total] = [&progress.objects, &progress.total].map(|count| count.load(Ordering::Relaxed));
            if total == 0 { 0 } else { (*size as f64 * (done as f64 / total as f64).min(1.0)) as u64 }
        };
        self.bytes.load(Ordering::Relaxed).saturating_add(in_work.iter().map(part).sum())
    }

    fn begin(&self, size: u64) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner).push((progress.clone(), size));
        progress
    }

    fn end(&self, progress: &Arc<Progress>) {
        let mut in_work = self.in_work.lock().unwrap_or_else(PoisonError::into_inner);
        in_work.retain(|(other, _)| !Arc::ptr_eq(other, progress));
    }
}

/// What became of an audit.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A result file for each unit, in any order.
    pub results: Vec<PathBuf>,
    /// The number of units that did not change and were not scanned again.
    pub reused: usize,
    /// Problems that do not keep the audit from going on, in sentences.
    pub warnings: Vec<String>,
    /// True if scanning some unit again may help.
    pub is_retryable: bool,
}

/// A unit that is ready to be scanned.
struct Job {
    unit: Unit,
    state: String,
    size: u64,
    /// The clone that it is scanned in.
    clone: Option<PathBuf>,
}

#[derive(Default)]
struct Queue {
    /// What is here, large units last.
    local: Vec<Job>,
    /// What must be cloned.
    remote: VecDeque<(Unit, String)>,
    /// What was cloned.
    cloned: VecDeque<Job>,
    /// How many are being cloned.
    cloning: usize,
    /// The size of the units being scanned, in bytes.
    in_work: u64,
    outcome: Outcome,
    failure: Option<StateError>,
}

impl Audit {
    /// The same audit for the questions of its scans alone.
    #[cfg(feature = "verify")]
    #[must_use]
    pub fn gathering(self, gathering: crate::verify::Verifying) -> Self {
        Self { template: Scan { verifying: Some(gathering), ..self.template }, ..self }
    }

    /// Scans the units that changed, and leaves a result file for each in the folder.
    ///
    /// # Errors
    /// If a result cannot be written. What was written before remains.
    pub fn run(&self, units: Vec<Unit>, state: &State, progress: &AuditProgress) -> Result<Outcome, StateError> {
        let header = self.header();
        let scan =
            UnitScan { template: &self.template, detector: &self.detector, key: self.key.as_deref(), header: &header };
        let mut queue = Queue::default();
        let mut jobs = Vec::new();
        for unit in units {
            match &unit.source {
                Source::Remote(url) => {
                    let url = url.clone();
                    queue.remote.push_back((unit, url));
                }
                _ => {
                    // What cannot be looked at now fails again when it is scanned, and says why.
                    let stamp = stamp::stamp(&unit, &self.template.environment)
                        .unwrap_or_else(|error| stamp::Stamp { state: error.to_words(), size: 0 });
                    jobs.push(Job { unit, state: stamp.state, size: stamp.size, clone: None });
                }
            }
        }
        jobs.sort_by(|a, b| (a.size, &b.unit.name).cmp(&(b.size, &a.unit.name)));
        queue.local = self.deal(jobs);
        queue.remote = queue.remote.into_iter().skip(self.shard.number).step_by(self.shard.count).collect();
        let own = queue.local.iter().map(|job| &job.unit).chain(queue.remote.iter().map(|(unit, _)| unit));
        let own: BTreeSet<String> = own.map(|unit| unit.name.clone()).collect();
        progress.total.store(queue.local.len() + queue.remote.len(), Ordering::Relaxed);
        progress
            .total_bytes
            .store(queue.local.iter().fold(0, |sum: u64, job| sum.saturating_add(job.size)), Ordering::Relaxed);
        // As much at a time as the largest takes alone.
        let capacity = queue.local.last().map_or(0, |job| job.size).max(MIN_CAPACITY);
        let worker = Worker { audit: self, scan: &scan, header: &header, state, progress, capacity };
        let shared = (Mutex::new(queue), Condvar::new());
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            count => count,
        };
        std::thread::scope(|scope| {
            for _ in 0..self.clones_at_once {
                scope.spawn(|| worker.clone_units(&shared));
            }
            for _ in 0..threads {
                scope.spawn(|| worker.scan_units(&shared));
            }
        });
        let queue = shared.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = queue.failure {
            if let Some(cloner) = &self.cloner {
                queue.cloned.iter().filter_map(|job| job.clone.as_ref()).for_each(|clone| cloner.remove(clone));
            }
            return Err(failure);
        }
        if self.forgets {
            state.forget_others(&own);
        }
        Ok(queue.outcome)
    }

    /// The jobs of this shard, of jobs by size: each goes to the shard that has the least so far.
    fn deal(&self, jobs: Vec<Job>) -> Vec<Job> {
        let mut loads = vec![0_u64; self.shard.count];
        let mut own = Vec::new();
        for job in jobs.into_iter().rev() {
            let least = (0..loads.len()).min_by_key(|number| (loads[*number], *number)).unwrap_or(0);
            // Even an empty one takes some time.
            loads[least] = loads[least].saturating_add(job.size).saturating_add(64 << 10);
            if least == self.shard.number {
                own.push(job);
            }
        }
        own.reverse();
        own
    }

    /// What every result begins with.
    fn header(&self) -> Header {
        let mut settings = self.template.config.for_judging();
        if let Some(key) = &self.key {
            let prints = settings.allows.iter_mut().flat_map(|allow| &mut allow.fingerprints);
            prints.for_each(|print| *print = print.keyed(key));
        }
        let key_check = self.key.as_ref().map_or_else(String::new, |key| {
            let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
            hmac.update(b"keyspill fingerprint key check");
            data_encoding::HEXLOWER.encode(&hmac.finalize().into_bytes()[..8])
        });
        let unit = UnitRecord {
            name: String::new(),
            state: String::new(),
            moment: self.template.now,
            times: Times::ALL,
            targets: vec![],
            coverage: result::CoverageRecord::default(),
            suppressed: [0; 5],
            rules: vec![],
            error: None,
            is_retryable: false,
        };
        Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: rules_hash(self.detector.rules()),
            settings: settings.to_toml(),
            key_check,
            unit,
        }
    }

    /// Everything that a result depends on, beside the unit.
    fn dependencies(&self, header: &Header, state: &str) -> String {
        let Scan { config, limits, limit, archives, no_ignore, .. } = &self.template;
        format!(
            "{state}\n{}\n{}\n{}\n{}\n{limits:?}\n{limit:?}\n{archives}\n{no_ignore}\n{}",
            self.excludes,
            header.version,
            header.rules,
            header.key_check,
            config.to_toml()
        )
    }
}

/// Small units need not wait for one another.
const MIN_CAPACITY: u64 = 256 << 20;

/// A hash of everything that rules say.
fn rules_hash(rules: &RuleSet) -> String {
    let mut hash = Sha256::new();
    for rule in rules.iter() {
        let matcher = match &rule.matcher {
            Matcher::Finder(finder) => format!("{finder:?}"),
            Matcher::Regex(regex) => format!("{} {:?} {}", regex.source(), regex.path_source(), regex.min_entropy),
        };
        hash.update(format!("{}\n{}\n{:?}\n{matcher}\n", rule.id, rule.severity, rule.keywords));
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

struct Worker<'a> {
    audit: &'a Audit,
    scan: &'a UnitScan<'a>,
    header: &'a Header,
    state: &'a State,
    progress: &'a AuditProgress,
    capacity: u64,
}

type Shared = (Mutex<Queue>, Condvar);

fn lock(shared: &Shared) -> MutexGuard<'_, Queue> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker<'_> {
    fn scan_units(&self, shared: &Shared) {
        while let Some(job) = self.next_job(shared) {
            let (size, clone) = (job.size, job.clone.clone());
            let done = self.scan_unit(job);
            if let (Some(clone), Some(cloner)) = (clone, &self.audit.cloner) {
                cloner.remove(&clone);
            }
            let mut queue = lock(shared);
            queue.in_work -= size.min(self.capacity);
            self.record(&mut queue, done);
            self.progress.bytes.fetch_add(size, Ordering::Relaxed);
            drop(queue);
            shared.1.notify_all();
        }
    }

    /// The next unit for which there is room, or nothing if all are taken.
    fn next_job(&self, shared: &Shared) -> Option<Job> {
        let mut queue = lock(shared);
        loop {
            if queue.failure.is_some() {
                return None;
            }
            let room = self.capacity - queue.in_work.min(self.capacity);
            let fits = |job: &Job| job.size.min(self.capacity) <= room;
            let job = match queue.cloned.iter().position(fits) {
                Some(place) => queue.cloned.remove(place),
                // The largest that fits.
                None => queue.local.iter().rposition(fits).map(|place| queue.local.remove(place)),
            };
            if let Some(job) = job {
                queue.in_work += job.size.min(self.capacity);
                return Some(job);
            }
            let is_all = queue.local.is_empty() && queue.cloned.is_empty();
            if is_all && queue.remote.is_empty() && queue.cloning == 0 {
                return None;
            }
            queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn scan_unit(&self, job: Job) -> Done {
        let depends_on = self.audit.dependencies(self.header, &job.state);
        let mut warning = None;
        if let Some(kept) = self.kept(&job.unit, &depends_on, &mut warning) {
            return kept;
        }
        let clone = job.clone.as_deref().map(|dir| Cloned { dir, name: &job.unit.name });
        let progress = self.progress.begin(job.size);
        let result = self.scan.run(&job.unit, &job.state, clone, &progress);
        self.progress.end(&progress);
        // A damaged part is looked at again the next time, but is no reason to come back for it.
        let is_retryable = result.header.unit.is_retryable && result.header.unit.error.is_some();
        self.progress.found.fetch_add(result.count(), Ordering::Relaxed);
        Done { result: self.state.store(&job.unit, &depends_on, result), is_reused: false, is_retryable, warning }
    }

    fn record(&self, queue: &mut Queue, done: Done) {
        match done.result {
            Ok(path) => queue.outcome.results.push(path),
            Err(error) => _ = queue.failure.get_or_insert(error),
        }
        queue.outcome.reused += usize::from(done.is_reused);
        queue.outcome.is_retryable |= done.is_retryable;
        queue.outcome.warnings.extend(done.warning);
        self.progress.done.fetch_add(1, Ordering::Relaxed);
    }

    fn clone_units(&self, shared: &Shared) {
        loop {
            let mut queue = lock(shared);
            // Clones that wait to be scanned take room on the disk.
            while queue.cloned.len() >= self.audit.clones_at_once && queue.failure.is_none() {
                queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let Some((unit, url)) = queue.remote.pop_front().filter(|_| queue.failure.is_none()) else {
                drop(queue);
                return shared.1.notify_all();
            };
            queue.cloning += 1;
            drop(queue);
            let cloned = self.clone_unit(unit, &url);
            let mut queue = lock(shared);
            queue.cloning -= 1;
            match cloned {
                Ok(job) => queue.cloned.push_back(job),
                Err(done) => self.record(&mut queue, done),
            }
            drop(queue);
            shared.1.notify_all();
        }
    }

    /// A remote unit that must be scanned, in its clone; or what became of it, if it did not change or cannot be cloned.
    fn clone_unit(&self, unit: Unit, url: &str) -> Result<Job, Done> {
        let failed = |unit: &Unit, error: CloneError| {
            let result = self.scan.failed(unit, "", error.words, error.is_retryable);
            let stored = self.state.store(unit, "failed", result);
            Done { result: stored, is_reused: false, is_retryable: error.is_retryable, warning: None }
        };
        let Some(cloner) = &self.audit.cloner else {
            let words = "it must be cloned first: pass --clone DIR, a folder for clones".to_owned();
            return Err(failed(&unit, CloneError::lasting(&words)));
        };
        let refs = match cloner.refs(url) {
            Ok(refs) => refs,
            Err(error) => return Err(failed(&unit, error)),
        };
        let state = refs.digest.clone();
        let depends_on = self.audit.dependencies(self.header, &state);
        // A damaged one is told when it is made again.
        if let Some(kept) = self.kept(&unit, &depends_on, &mut None) {
            return Err(kept);
        }
        match cloner.mirror(url, &refs) {
            Ok(dir) => {
                let source = Source::Repositories(vec![dir.clone()]);
                let clone = Unit { name: String::new(), source, apart: vec![] };
                let size = stamp::stamp(&clone, &self.audit.template.environment).map_or(0, |stamp| stamp.size);
                self.progress.total_bytes.fetch_add(size, Ordering::Relaxed);
                Ok(Job { unit, state, size, clone: Some(dir) })
            }
            Err(error) => Err(failed(&unit, error)),
        }
    }

    /// The result of a unit that did not change, if it can be used.
    fn kept(&self, unit: &Unit, depends_on: &str, warning: &mut Option<String>) -> Option<Done> {
        let path = self.state.result(unit, depends_on)?;
        match ResultFile::open(&path) {
            Ok((known, _)) => {
                let unit_then = &known.header.unit;
                let holds = unit_then.times.contain(Some(self.audit.template.now));
                let is_good = holds && !unit_then.is_retryable && unit_then.error.is_none();
                if is_good {
                    // What was said when it could not be scanned is no longer true.
                    self.state.remove_others(unit, &path);
                }
                is_good.then_some(Done { result: Ok(path), is_reused: true, is_retryable: false, warning: None })
            }
            Err(error) => {
                *warning = Some(format!(
                    "{}; rebuilding it",
                    error.to_string().trim_end_matches("; delete it and audit again")
                ));
                None
            }
        }
    }
}

/// What became of a unit.
struct Done {
    result: Result<PathBuf, StateError>,
    is_reused: bool,
    is_retryable: bool,
    warning: Option<String>,
}
