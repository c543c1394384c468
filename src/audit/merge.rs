//! Joins results of any number of units: what one knows of a key counts for all, and every key is judged once.
//!
//! All files are read at the same time, in the order of their records, so that one key is in memory at a time, whatever
//! the number of files. The outcome depends on which units there are, and not on which files they are in.

use super::inventory::{
    Inventory, JudgementEntry, KeyEntry, MAX_LISTED, MAX_OBSERVATIONS, MAX_REMEMBERED, Observation, OwnedBy, Read,
    UnitEntry,
};
use super::record::UnknownRule;
use super::result::{Facts, Header, Name, Packed, PairPlace, Records, ResultError, ResultFile, TargetRecord};
use crate::config::{Config, ConfigProblem};
use crate::credential::Fingerprint;
use crate::finding::evidence::Link;
use crate::finding::history::Commit;
use crate::finding::verification::Verification;
use crate::finding::{Finding, Kind};
use crate::judge::inventory::Credential;
use crate::judge::{self, Observed};
use crate::policy::allow;
use crate::policy::place::Places;
use crate::report::wording::{headline, remedy, steps};
use crate::rule::pack;
use crate::rule::{Finder, Matcher, RuleSet, Severity};
use crate::text::sanitize::one_line;
use crate::verify;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::PathBuf;
use std::sync::Arc;

/// The maximum number of occurrences of one key that are judged: the first ones. All are counted.
const MAX_JUDGED: usize = 10_000;

/// The maximum number of occurrences of a secret alone that wait until those of its id are read; all are counted.
const MAX_WAITING: usize = 1_000;

/// How many records are unpacked and judged at a time, and how many bytes of them.
const BATCH: usize = 20_000;
/// See [`BATCH`].
const BATCH_BYTES: usize = 64 << 20;

/// Results cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be used.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// Two files do not belong together.
    #[error("{} and {} {problem}", one.display(), other.display())]
    Mixed {
        /// A file.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// What is different, and what to do.
        problem: &'static str,
    },
    /// A rule is not known.
    #[error("{}: it has findings of a rule that is not known: {rule}; pass the file of the rule with --rules", file.display())]
    UnknownRule {
        /// The file.
        file: PathBuf,
        /// The rule.
        rule: String,
    },
    /// The configuration in a file cannot be used.
    #[error("{}: its configuration cannot be used: {problem}", file.display())]
    Settings {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: ConfigProblem,
    },
}

/// Results to be joined.
#[derive(Debug, Default)]
pub struct Merge {
    /// By the name of the unit: of several results of one unit, the latest.
    files: BTreeMap<String, ResultFile>,
    pairs: BTreeMap<Fingerprint, PairPlace>,
    of_stores: BTreeMap<Fingerprint, Option<String>>,
    /// Units that must be there, and what to report of those without results.
    expected: BTreeMap<String, &'static str>,
    /// What was answered about keys, by their ids.
    answers: BTreeMap<String, Arc<Verification>>,
}

impl Merge {
    /// Says which units there must be: without results, they count as not scanned.
    pub fn expect(&mut self, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().map(|name| (name, "no result; the shard it belongs to did not finish"));
        self.expected.extend(names);
    }

    /// Says that a part of the audit is not there at all: a file or folder of results.
    pub fn miss(&mut self, name: String) {
        self.expected.insert(name, "not found; this part of the audit is missing");
    }

    /// Says what was answered about keys, by their ids.
    pub fn know(&mut self, answers: BTreeMap<String, Arc<Verification>>) {
        self.answers = answers;
    }

    /// Adds results.
    ///
    /// # Errors
    /// If one cannot be used, or does not belong to the others.
    pub fn add(&mut self, paths: &[PathBuf]) -> Result<(), MergeError> {
        // What each knows is large before it is joined.
        const OPEN_AT_ONCE: usize = 32;
        let mut is_stale = false;
        for paths in paths.chunks(OPEN_AT_ONCE) {
            let opened: Vec<_> = paths.par_iter().map(|path| ResultFile::open(path)).collect();
            for result in opened {
                let (file, facts) = result?;
                is_stale |= self.add_file(file, facts);
            }
        }
        // Only what is used must belong together.
        let first = self.scanned().next();
        first.map_or(Ok(()), |first| self.scanned().try_for_each(|other| belong_together(first, other)))?;
        if is_stale { self.read_facts_again() } else { Ok(()) }
    }

    /// True if an earlier result was replaced, so that what was known by it must be forgotten.
    fn add_file(&mut self, file: ResultFile, facts: Facts) -> bool {
        // Which of two is later must not depend on which comes first. As of the same moment, the one that failed.
        let age = |file: &ResultFile| {
            let unit = &file.header.unit;
            (unit.moment, unit.error.is_some(), unit.state.clone(), file.hash)
        };
        let name = file.header.unit.name.clone();
        match self.files.get(&name) {
            Some(known) if age(known) >= age(&file) => false,
            Some(_) => {
                self.files.insert(name, file);
                true
            }
            None => {
                self.files.insert(name, file);
                self.add_facts(facts);
                false
            }
        }
    }

    /// The results of units that could be scanned. Others say nothing, whatever they were written with.
    fn scanned(&self) -> impl Iterator<Item = &ResultFile> {
        self.files.values().filter(|file| file.header.unit.error.is_none())
    }

    fn add_facts(&mut self, facts: Facts) {
        for (print, place) in facts.pairs {
            let known = self.pairs.entry(print).or_insert_with(|| place.clone());
            if place < *known {
                *known = place;
            }
        }
        for (print, vendor) in facts.of_stores {
            let known = self.of_stores.entry(print).or_insert_with(|| vendor.clone());
            // A known vendor before none, then by name.
            if known.is_none() || vendor.as_ref().is_some_and(|vendor| Some(vendor) < known.as_ref()) {
                known.clone_from(&vendor);
            }
        }
    }

    fn read_facts_again(&mut self) -> Result<(), MergeError> {
        (self.pairs, self.of_stores) = (BTreeMap::new(), BTreeMap::new());
        let paths: Vec<PathBuf> = self.files.values().map(|file| file.path.clone()).collect();
        for path in paths {
            let (_, facts) = ResultFile::open(&path)?;
            self.add_facts(facts);
        }
        Ok(())
    }

    /// The results, in order of their units.
    pub fn files(&self) -> impl Iterator<Item = &ResultFile> {
        self.files.values()
    }

    /// The findings in a file, and the number of the target that each is in; `rules` are those of [`Self::with_described`],
    /// which are the same for all files.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn findings_of(
        &self,
        file: &ResultFile,
        rules: &RuleSet,
        settings: &Config,
        now: i64,
    ) -> Result<Vec<(Finding, u32)>, MergeError> {
        let mut findings = Vec::new();
        let mut records = file.records();
        while let Some((_, record)) = records.read()? {
            let (mut finding, _, target) = unpack(file, &record, rules, now)?;
            if matches!(finding.kind, Kind::Observation { times, .. } if !times.contain(Some(now))) {
                continue;
            }
            self.adopt(&mut finding, rules, settings);
            self.note_answer(&mut finding);
            findings.push((finding, target));
        }
        Ok(findings)
    }

    /// The rules of all findings: those given, and those that the files describe.
    pub fn with_described(&self, rules: &RuleSet) -> RuleSet {
        let mut all = rules.clone();
        // Of two descriptions with one id, the same one counts in every order.
        let described: BTreeSet<_> = self.files.values().flat_map(|file| &file.header.unit.rules).collect();
        for rule in described.into_iter().rev() {
            // A file from elsewhere must not change what keyspill itself says; what was given here counts, too.
            if rules.get(&rule.id).is_none() && !pack::ids().contains(&rule.id.as_str()) {
                rule.rule().into_iter().for_each(|rule| all.put(rule));
            }
        }
        all
    }

    /// What judging needs of the configuration.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn settings(&self, rules: &RuleSet) -> Result<Config, MergeError> {
        let Some(file) = self.scanned().next() else { return Ok(Config::default()) };
        Config::parse_for_judging(&file.header.settings, &self.with_described(rules))
            .map_err(|problem| MergeError::Settings { file: file.path.clone(), problem })
    }

    /// Tells a finding what other units know of its secret.
    fn adopt(&self, finding: &mut Finding, rules: &RuleSet, settings: &Config) {
        let Some(print) = finding.secret_fingerprint().filter(|_| finding.id().is_none()) else { return };
        let is_proven = finding.link().is_some_and(|link| link.is_proven);
        if let (Some(place), false, Kind::Key(key)) = (self.pairs.get(&print), is_proven, &mut finding.kind) {
            let path = String::from_utf8_lossy(place.path.file()).into_owned();
            let line =
                if place.path.inside().is_empty() { format!(":{}", place.location.start_line) } else { String::new() };
            let reason = format!("Its id is {}: both appear together at {path}{line}.", place.id);
            Arc::make_mut(key).link = Some(Arc::new(Link { id: place.id.clone(), reason, is_proven: false }));
        }
        let is_of = |finder| matches!(finding.rule.matcher, Matcher::Finder(own) if own == finder);
        let finder = match self.of_stores.get(&print) {
            Some(vendor) if finding.link().is_none() => {
                if let (Some(vendor), Kind::Key(key)) = (vendor, &mut finding.kind) {
                    Arc::make_mut(key).vendor = crate::detect::vendor::by_name(vendor);
                }
                Finder::S3CompatibleKey
            }
            _ if finding.link().is_some() && is_of(Finder::SecretKey40) => Finder::SecretAccessKey,
            _ => return,
        };
        let Some(rule) = rules.of_finder(finder) else { return };
        finding.rule = rule.clone();
        finding.severity = settings.severity.get(rule.id.as_str()).copied().unwrap_or(rule.severity);
    }

    /// Notes what was answered about the key of a finding.
    fn note_answer(&self, finding: &mut Finding) {
        let is_of_aws = !finding.is_of_others();
        if let Some(answer) = finding.key_id().filter(|_| is_of_aws).and_then(|id| self.answers.get(id)) {
            verify::note_answer(finding, answer);
        }
    }

    /// Judges every key and makes the inventory, as of `now`, in seconds since 1970. `judged` is given every key's
    /// occurrences and judgements, in order.
    ///
    /// # Errors
    /// If a file changed since it was added, or names a rule that is not among `rules`.
    pub fn run(&self, rules: &RuleSet, now: i64, judged: &mut dyn FnMut(&Judged)) -> Result<Inventory, MergeError> {
        let rules = &self.with_described(rules);
        let settings = self.settings(rules)?;
        let files: Vec<&ResultFile> = self.files.values().collect();
        let mut join = Join {
            merge: self,
            files: &files,
            rules,
            settings: &settings,
            now,
            known: Observed::default(),
            observations: vec![],
            observation_count: 0,
            keys: vec![],
            occurrences: vec![0; files.len()],
        };
        join.run(judged)?;
        let Join { mut keys, observations, observation_count, occurrences, .. } = join;
        keys.sort_by(|a, b| {
            let rank = |key: &KeyEntry| (key.account.is_none(), key.account, Reverse(worst(key)));
            rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
        });
        let mut units: Vec<_> =
            files.iter().zip(occurrences).map(|(file, count)| unit(&file.header, count, now)).collect();
        units.extend(
            self.expected
                .iter()
                .filter(|(name, _)| !self.files.contains_key(*name))
                .map(|(name, why)| without_result(name, why)),
        );
        units.sort_by(|a, b| a.targets.cmp(&b.targets));
        let suppressed = files.iter().fold([0; 5], |sum, file| {
            let own = file.header.unit.suppressed;
            std::array::from_fn(|reason| sum[reason] + own[reason])
        });
        let key_check = self.scanned().next().map(|file| file.header.key_check.clone());
        Ok(Inventory {
            now,
            keys,
            observations,
            observation_count,
            key_check,
            units,
            suppressed,
            changes: None,
            trend: vec![],
        })
    }
}

/// How bad a key is: severity, then the worst judgement, then whether its secret is known.
fn worst(key: &KeyEntry) -> (Severity, Option<crate::rule::Grade>, bool) {
    (key.severity, key.judgements.iter().map(|judgement| judgement.grade).max(), key.secret.is_some())
}

fn belong_together(one: &ResultFile, other: &ResultFile) -> Result<(), MergeError> {
    let (a, b) = (&one.header, &other.header);
    let problem = if a.version != b.version {
        "were written by different versions of keyspill; audit again with one of them"
    } else if a.key_check != b.key_check {
        "have fingerprints with different keys, so that nothing can be joined; audit again with the same --fingerprint-key"
    } else if a.rules != b.rules {
        "were written with different rules; audit again with the same --rules"
    } else if a.settings != b.settings {
        "were written with different configurations; audit again with the same --config"
    } else {
        return Ok(());
    };
    Err(MergeError::Mixed { one: one.path.clone(), other: other.path.clone(), problem })
}

/// A unit that was never scanned.
fn without_result(name: &str, why: &str) -> UnitEntry {
    let target =
        |name: &str| TargetRecord { name: one_line(name), is_repository: false, url: None, head: None, branch: None };
    UnitEntry {
        targets: name.split('\n').map(target).collect(),
        error: Some(why.into()),
        failures: vec![],
        failure_count: 0,
        is_cut: false,
        skips: BTreeMap::new(),
        occurrences: 0,
        read: Read::default(),
    }
}

fn unit(header: &Header, occurrences: usize, now: i64) -> UnitEntry {
    let unit = &header.unit;
    let coverage = &unit.coverage;
    let mut failures: Vec<(String, String)> =
        coverage.failures.iter().map(|(path, cause)| (one_line(path), one_line(cause))).collect();
    let is_stale = !unit.times.contain(Some(now));
    if is_stale {
        let problem = format!(
            "scanned as of {}; since then an entry of the configuration or a key has expired: audit it again",
            crate::report::wording::date(unit.moment)
        );
        failures.insert(0, (unit.targets.first().map_or_else(String::new, |target| one_line(&target.name)), problem));
    }
    UnitEntry {
        targets: unit.targets.clone(),
        error: unit.error.as_deref().map(one_line),
        failures,
        failure_count: coverage.failure_count + u64::from(is_stale),
        is_cut: ["shallow", "not-fetched"].iter().any(|word| coverage.skips.contains_key(*word)),
        skips: coverage.skips.iter().map(|(word, count)| (one_line(word), *count)).collect(),
        occurrences,
        read: Read {
            files: coverage.files,
            bytes: coverage.bytes,
            commits: coverage.commits,
            objects: coverage.objects,
            object_bytes: coverage.object_bytes,
        },
    }
}

/// A key that was judged.
pub struct Judged {
    /// Its occurrences, and the number of the file that each is in.
    pub occurrences: Vec<(usize, Finding)>,
    /// Its judgements.
    pub judgements: Vec<Finding>,
}

/// Occurrences of one key, packed, with the number of the file that each is in.
#[derive(Default)]
struct Group {
    name: Option<Name>,
    records: Vec<(usize, Packed)>,
    /// How many bytes they have.
    bytes: usize,
    /// How many there are, of which only the first are kept.
    count: usize,
}

struct Join<'a> {
    merge: &'a Merge,
    files: &'a [&'a ResultFile],
    rules: &'a RuleSet,
    settings: &'a Config,
    now: i64,
    known: Observed,
    observations: Vec<Observation>,
    observation_count: usize,
    keys: Vec<KeyEntry>,
    /// The number of occurrences in each file.
    occurrences: Vec<usize>,
}

impl Join<'_> {
    fn run(&mut self, judged: &mut dyn FnMut(&Judged)) -> Result<(), MergeError> {
        let mut readers: Vec<Records> = self.files.iter().map(|file| file.records()).collect();
        let mut heap = BinaryHeap::new();
        let mut next: Vec<Option<Packed>> = Vec::with_capacity(readers.len());
        for (number, reader) in readers.iter_mut().enumerate() {
            let first = reader.read()?;
            next.push(first.map(|(name, record)| {
                heap.push(Reverse((name, number)));
                record
            }));
        }
        // Secrets whose id is known from elsewhere, by that id.
        let mut waiting: BTreeMap<String, Group> = BTreeMap::new();
        let mut batch: Vec<Group> = Vec::new();
        let (mut held, mut bytes) = (0, 0);
        let mut group = Group::default();
        while let Some(Reverse((name, number))) = heap.pop() {
            let record = next[number].take().expect("it was read");
            if group.name.as_ref() != Some(&name) {
                let done = std::mem::replace(&mut group, Group { name: Some(name.clone()), ..Group::default() });
                held += done.records.len();
                bytes += done.bytes;
                self.finish(done, &mut waiting, &mut batch)?;
                if held >= BATCH || bytes >= BATCH_BYTES {
                    self.judge(std::mem::take(&mut batch), judged)?;
                    (held, bytes) = (0, 0);
                }
            }
            if name == Name::Observation {
                self.observe(number, &record)?;
            } else {
                self.occurrences[number] += 1;
                group.count += 1;
                if group.records.len() < MAX_JUDGED && group.bytes < BATCH_BYTES {
                    group.bytes += record.size();
                    group.records.push((number, record));
                }
            }
            if let Some((name, record)) = readers[number].read()? {
                next[number] = Some(record);
                heap.push(Reverse((name, number)));
            }
        }
        self.finish(group, &mut waiting, &mut batch)?;
        // Ids that are only known beside the secret in a file that was replaced, or from a signature.
        batch.extend(std::mem::take(&mut waiting).into_values());
        self.judge(batch, judged)
    }

    fn finding(&self, number: usize, record: &Packed) -> Result<(Finding, Vec<String>, u32), MergeError> {
        unpack(self.files[number], record, self.rules, self.now)
    }

    fn target(&self, number: usize, target: u32) -> &str {
        self.files[number].header.unit.targets.get(target as usize).map_or("", |target| &target.name)
    }

    fn observe(&mut self, number: usize, record: &Packed) -> Result<(), MergeError> {
        let (finding, ..) = self.finding(number, record)?;
        if !matches!(finding.kind, Kind::Observation { times, .. } if times.contain(Some(self.now))) {
            return Ok(());
        }
        self.known.add(&finding);
        self.observation_count += 1;
        if self.observations.len() < MAX_OBSERVATIONS {
            self.observations.push(Observation {
                rule: finding.rule.id.clone(),
                severity: finding.severity,
                account: finding.account,
                sentence: headline(&finding),
                place: place(&finding),
            });
        }
        Ok(())
    }

    /// Puts a complete group where it belongs: to be judged, or to wait for its id.
    fn finish(
        &self,
        mut group: Group,
        waiting: &mut BTreeMap<String, Group>,
        batch: &mut Vec<Group>,
    ) -> Result<(), MergeError> {
        match &group.name {
            None | Some(Name::Observation) => {}
            Some(Name::Secret(print)) => match self.merge.pairs.get(print) {
                Some(place) => wait(waiting, &place.id, group.count, group.records),
                // Each may be linked to an id in its own unit, or to none.
                None => {
                    let mut rest = Group { name: group.name.clone(), ..Group::default() };
                    let kept = group.records.len();
                    for (number, record) in group.records {
                        let (finding, ..) = self.finding(number, &record)?;
                        match finding.link() {
                            Some(link) => wait(waiting, &link.id.clone(), 1, vec![(number, record)]),
                            None => rest.records.push((number, record)),
                        }
                    }
                    rest.count = rest.records.len() + (group.count - kept);
                    if rest.count > 0 {
                        batch.push(rest);
                    }
                }
            },
            Some(Name::Id(id)) => {
                if let Some(other) = waiting.remove(id) {
                    group.count += other.count;
                    group.records.extend(other.records);
                }
                batch.push(group);
            }
        }
        Ok(())
    }

    /// Judges keys, all at the same time, and enters them in their order.
    fn judge(&mut self, batch: Vec<Group>, judged: &mut dyn FnMut(&Judged)) -> Result<(), MergeError> {
        let entries: Vec<_> = batch.into_par_iter().map(|group| self.judge_one(group)).collect();
        for entry in entries {
            if let Some((entry, key)) = entry? {
                judged(&key);
                self.keys.push(entry);
            }
        }
        Ok(())
    }

    fn judge_one(&self, group: Group) -> Result<Option<(KeyEntry, Judged)>, MergeError> {
        let mut all = Vec::with_capacity(group.records.len());
        for (number, record) in &group.records {
            let (mut finding, owners, target) = self.finding(*number, record)?;
            self.merge.adopt(&mut finding, self.rules, self.settings);
            self.merge.note_answer(&mut finding);
            all.push((*number, finding, owners, target));
        }
        all.sort_by(|(_, a, ..), (_, b, ..)| a.order(b));
        let Some((_, first, ..)) = all.first() else { return Ok(None) };
        let name = first.credential().into_owned();
        let occurrences: Vec<&Finding> = all.iter().map(|(_, finding, ..)| finding).collect();
        let mut key = Credential { name, occurrences, judgements: vec![] };
        let mut judgements = judge::judge_key(&key, &self.known, self.rules, self.settings);
        judgements.retain_mut(|judgement| self.counts(judgement));
        key.judgements = judgements.iter().collect();
        key.judgements.sort_by_key(|finding| {
            let grade = finding.judgement().map(|judgement| judgement.grade);
            (Reverse(grade), finding.rule.id.clone())
        });
        let mut by_target: BTreeMap<&str, InTarget> = BTreeMap::new();
        for (number, finding, owners, target) in &all {
            let there = by_target.entry(self.target(*number, *target)).or_default();
            there.owners.extend(owners);
            there.findings.push(finding);
        }
        let of_pair = all.iter().find(|(_, finding, ..)| is_pair(finding));
        let unit_of_pair = of_pair.map(|(number, ..)| self.files[*number].header.unit.name.clone());
        let entry = KeyEntry { unit_of_pair, ..self.entry(&key, group.count, &by_target) };
        let occurrences = all.into_iter().map(|(number, finding, ..)| (number, finding)).collect();
        Ok(Some((entry, Judged { occurrences, judgements })))
    }

    /// Applies the configuration to a judgement. False if it allows it.
    fn counts(&self, judgement: &mut Finding) -> bool {
        let severity = self.settings.severity.get(judgement.rule.id.as_str());
        judgement.severity = severity.copied().unwrap_or(judgement.severity);
        let nowhere = Places::new(&crate::environment::Environment::default());
        let allows = |entry: &crate::config::allow::Allow| {
            !entry.is_expired(self.now) && allow::covers(entry, judgement, &nowhere)
        };
        !self.settings.allows.iter().any(allows)
    }

    fn entry(&self, key: &Credential, count: usize, targets: &BTreeMap<&str, InTarget>) -> KeyEntry {
        let of_pair = key.occurrences.iter().find(|finding| finding.secret().is_some()).unwrap_or(&key.occurrences[0]);
        let is_root = key.judgements.iter().any(|finding| {
            matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey)) && finding.severity == Severity::Error
        });
        let known_steps = steps(of_pair, is_root);
        let people: BTreeSet<String> = people(key);
        let (owners, owned_by) = owners(targets);
        let is_current = key.is_current();
        let sent = key.occurrences.iter().filter_map(|finding| finding.message.as_deref());
        let sent: Vec<i64> = sent
            .filter_map(|message| message.date.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_second)
            .collect();
        let exposure = key.exposure();
        let first = exposure.map(|(since, _)| since).into_iter().chain(sent.iter().copied()).min();
        let until = exposure.map(|(_, until)| until.unwrap_or(self.now));
        let last = until.into_iter().chain(sent).chain(is_current.then_some(self.now)).max();
        let places: Vec<String> = key.occurrences.iter().map(|finding| place(finding)).collect();
        let mut distinct: Vec<&String> = places.iter().collect();
        distinct.dedup();
        KeyEntry {
            name: key.name.clone(),
            title: headline(of_pair),
            account: key.occurrences.iter().find_map(|finding| finding.account),
            is_of_aws: !key.occurrences.iter().all(|finding| finding.is_of_others()),
            is_canary: key.occurrences.iter().any(|finding| finding.is_canary),
            severity: key
                .occurrences
                .iter()
                .chain(&key.judgements)
                .map(|finding| finding.severity)
                .max()
                .unwrap_or(of_pair.severity),
            id: key.occurrences.iter().find_map(|finding| finding.key_id()).map(str::to_owned),
            secret: key.occurrences.iter().find_map(|finding| finding.secret_fingerprint()).map(|it| it.to_string()),
            is_proven: key.is_proven(),
            expires: last_expiry(&key.occurrences),
            verification: key.answer().cloned(),
            judgements: key.judgements.iter().filter_map(|finding| judgement(finding)).collect(),
            first_seen: first,
            last_seen: last,
            days: key.days(),
            is_current,
            occurrences: count,
            targets: targets.keys().take(MAX_LISTED).map(|name| one_line(name)).collect(),
            all_targets: targets.keys().take(MAX_REMEMBERED).map(|name| super::state::hash(name)).collect(),
            target_count: targets.len(),
            unit_of_pair: None,
            places: distinct.into_iter().take(MAX_LISTED).cloned().collect(),
            people_count: people.len(),
            people: people.into_iter().take(MAX_LISTED).collect(),
            owners,
            owned_by,
            steps: if known_steps.is_empty() { vec![remedy(of_pair)] } else { known_steps },
            status: None,
            first_found: None,
        }
    }
}

/// The last time at which a key stops working, if every text that it was found in tells one.
fn last_expiry(occurrences: &[&Finding]) -> Option<i64> {
    let times = occurrences.iter().map(|finding| finding.key().and_then(|key| key.expires));
    times.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn is_pair(finding: &Finding) -> bool {
    finding.key_id().is_some() && finding.secret_fingerprint().is_some()
}

/// A finding as it was recorded, its owners, and the number of its target.
fn unpack(
    file: &ResultFile,
    record: &Packed,
    rules: &RuleSet,
    now: i64,
) -> Result<(Finding, Vec<String>, u32), MergeError> {
    let damaged = || ResultError { file: file.path.clone(), problem: "it is damaged".to_owned() };
    let mut record = record.unpack().ok_or_else(damaged)?;
    let owners = std::mem::take(&mut record.owners);
    let target = record.target;
    let unknown = |UnknownRule(rule)| MergeError::UnknownRule { file: file.path.clone(), rule };
    Ok((record.into_finding(rules, now).map_err(unknown)?, owners, target))
}

fn wait(waiting: &mut BTreeMap<String, Group>, id: &str, count: usize, records: Vec<(usize, Packed)>) {
    let group = waiting
        .entry(id.to_owned())
        .or_insert_with(|| Group { name: Some(Name::Id(id.to_owned())), ..Group::default() });
    group.count += count;
    let room = MAX_WAITING.saturating_sub(group.records.len());
    group.records.extend(records.into_iter().take(room));
}

fn judgement(finding: &Finding) -> Option<JudgementEntry> {
    let judgement = finding.judgement()?;
    Some(JudgementEntry {
        rule: finding.rule.id.clone(),
        grade: judgement.grade,
        reasons: judgement.reasons.iter().map(|reason| one_line(reason)).collect(),
    })
}

fn place(finding: &Finding) -> String {
    format!("{}:{}", one_line(&finding.path.to_text()), finding.location.start_line)
}

fn people(key: &Credential) -> BTreeSet<String> {
    let introduced = key.authors().into_iter().map(one_line);
    introduced.chain(key.senders()).chain(key.recipients()).map(|name| one_line(&name)).collect()
}

/// What is in one target of a key.
#[derive(Default)]
struct InTarget<'a> {
    owners: BTreeSet<&'a String>,
    findings: Vec<&'a Finding>,
}

/// Who must act, for each target: the owners of the file, else who committed it last, else who sent it.
fn owners(targets: &BTreeMap<&str, InTarget>) -> (Vec<String>, OwnedBy) {
    let mut all: Vec<String> = Vec::new();
    let mut best = OwnedBy::Nobody;
    for there in targets.values() {
        let (owners, by) = owner(there);
        // The surest is told.
        best = if (by as u8) < best as u8 { by } else { best };
        for owner in owners {
            if all.len() < MAX_LISTED && !all.contains(&owner) {
                all.push(owner);
            }
        }
    }
    (all, best)
}

fn owner(there: &InTarget) -> (Vec<String>, OwnedBy) {
    if !there.owners.is_empty() {
        return (there.owners.iter().map(|name| one_line(name)).collect(), OwnedBy::CodeOwners);
    }
    let histories = there.findings.iter().filter_map(|finding| finding.history.as_deref());
    let commits = histories.flat_map(|history| {
        history.introduced.listed.iter().chain(&history.removed.listed).chain(&history.last).map(|commit| &**commit)
    });
    let last = commits.max_by_key(|commit: &&Commit| (commit.committer.time, commit.oid));
    if let Some(commit) = last {
        // A code host commits for people.
        let by_host = commit.committer.email.to_ascii_lowercase().starts_with("noreply@");
        let person = if by_host { &commit.author } else { &commit.committer };
        return (vec![one_line(&format!("{} <{}>", person.name, person.email))], OwnedBy::LastCommitter);
    }
    let messages = there.findings.iter().filter_map(|finding| finding.message.as_deref());
    let senders: BTreeSet<String> =
        messages.flat_map(|message| &message.from).map(|from| one_line(&from.to_text())).collect();
    let by = if senders.is_empty() { OwnedBy::Nobody } else { OwnedBy::Sender };
    (senders.into_iter().collect(), by)
}
