//! The folder that remembers an audit: results of units, so that what did not change is not scanned again, and what was
//! known of keys.
//!
//! ```text
//! lock          held while an audit runs
//! units/        a result file for each unit: HASH OF ITS NAME-HASH OF WHAT IT DEPENDS ON.result
//! units.json    the names of all units, those of other shards too
//! keys.json     every key that was ever found, and the audits so far
//! answers.json  what AWS answered about keys, and when
//! ```

use super::inventory::{Changes, Inventory, Moment, Status};
use super::result::EXTENSION;
use super::target::Unit;
use super::unit::UnitResult;
use crate::file::describe;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The maximum size of the file of known keys, in bytes.
const MAX_KEYS: u64 = 4 << 30;

/// The maximum size of the list of units, in bytes.
const MAX_UNITS: u64 = 128 << 20;

/// The extension of a file that is being written.
const UNFINISHED: &str = "unfinished";

/// The names of all units, in JSON.
const UNITS: &str = "units.json";

/// The maximum number of audits that are remembered.
const MAX_MOMENTS: usize = 1000;

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It, or something in it, cannot be read or written.
    #[error("{} cannot be used: {}", path.display(), describe(error))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It must not be used.
    #[error("{}: {problem}", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// Why, and what to do.
        problem: &'static str,
    },
    /// Another audit uses it.
    #[error("{}: another audit is using this folder; wait until it has ended, or use another folder", .0.display())]
    Locked(PathBuf),
    /// What is remembered of keys is of a later audit.
    #[error("{}: the state already records an audit after {}; audits must run in chronological order", path.display(), crate::report::wording::date(*now))]
    Later {
        /// The file.
        path: PathBuf,
        /// The moment of this audit, in seconds since 1970.
        now: i64,
    },
    /// What was answered about keys cannot be used.
    #[error("{}: {problem}; delete the file, so that the keys are asked about again", path.display())]
    Answers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What was known of keys is damaged.
    #[error("{}: {problem}; delete the file to begin again, with every key counted as new", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl StateError {
    /// True if it may be possible later.
    pub fn is_retryable(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self {
            Self::Locked(_) => true,
            Self::Io { error, .. } => !matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem),
            Self::Answers { .. } | Self::Keys { .. } | Self::Later { .. } | Self::Refused { .. } => false,
        }
    }
}

/// A folder in use by this audit, and by no other.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    /// Held until it is dropped.
    _lock: File,
    /// Results by the hash of the unit's name.
    results: HashMap<String, Vec<PathBuf>>,
}

impl State {
    /// Opens a folder, or makes it.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StateError::Io { path, error }
        };
        let units = dir.join("units");
        std::fs::create_dir_all(&units).map_err(failed(&units))?;
        let lock = lock(dir, "lock")?;
        let mut results: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for entry in std::fs::read_dir(&units).map_err(failed(&units))? {
            let path = entry.map_err(failed(&units))?.path();
            // Whatever else is there is not this program's.
            let Some(unit) = unit_of(&path) else { continue };
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                results.entry(unit).or_default().push(path);
            } else {
                // What an audit that was killed did not finish.
                _ = std::fs::remove_file(path);
            }
        }
        Ok(Self { dir: dir.to_owned(), _lock: lock, results })
    }

    /// The result of a unit that depends on this, if there is one.
    pub fn result(&self, unit: &Unit, depends_on: &str) -> Option<PathBuf> {
        let path = self.path(unit, depends_on);
        self.results.get(&digest(&unit.name)).is_some_and(|known| known.contains(&path)).then_some(path)
    }

    /// Writes a result and removes those that it replaces: unless the unit could not be scanned, since an earlier one may be
    /// of use again. A file is there as a whole, or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn store(&self, unit: &Unit, depends_on: &str, result: UnitResult) -> Result<PathBuf, StateError> {
        let is_failure = result.header.unit.error.is_some();
        let path = self.path(unit, depends_on);
        write_whole(&path, |out| result.write(out)).map_err(|error| StateError::Io { path: path.clone(), error })?;
        if !is_failure {
            self.remove_others(unit, &path);
        }
        Ok(path)
    }

    /// Removes the results of a unit except one.
    pub fn remove_others(&self, unit: &Unit, path: &Path) {
        let known = self.results.get(&digest(&unit.name)).into_iter().flatten();
        known.filter(|other| *other != path).for_each(|other| _ = std::fs::remove_file(other));
    }

    /// Removes results of units except those with these names.
    pub fn forget_others(&self, names: &BTreeSet<String>) {
        let known: BTreeSet<String> = names.iter().map(|name| digest(name)).collect();
        for (_, files) in self.results.iter().filter(|(unit, _)| !known.contains(*unit)) {
            files.iter().for_each(|file| _ = std::fs::remove_file(file));
        }
    }

    fn path(&self, unit: &Unit, depends_on: &str) -> PathBuf {
        let name = format!("{}-{}.{EXTENSION}", digest(&unit.name), digest(depends_on));
        self.dir.join("units").join(name)
    }

    /// Notes the units of all parts of the audit, so that it is noticed when one of them has no result.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn note_units(&self, units: &[Unit]) -> Result<(), StateError> {
        let path = self.dir.join(UNITS);
        let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
        let write = |out: &mut BufWriter<File>| Ok(serde_json::to_writer(out, &names)?);
        write_whole(&path, write).map_err(|error| StateError::Io { path: path.clone(), error })
    }

    /// The file of answers about keys.
    pub fn answers(&self) -> PathBuf {
        self.dir.join("answers.json")
    }

    /// The file of known keys.
    pub fn keys(&self) -> PathBuf {
        self.dir.join("keys.json")
    }
}

/// The names of the units of an audit whose state is in a folder; nothing if that is not known.
///
/// # Errors
/// If it cannot be read.
pub fn units_in(dir: &Path) -> Result<Vec<String>, StateError> {
    let path = dir.join(UNITS);
    match crate::file::read(&path, MAX_UNITS) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|_| StateError::Refused { path, problem: "it is damaged; delete it and audit again" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(StateError::Io { path, error }),
    }
}

/// Takes a lock on a folder, until the file is dropped.
///
/// # Errors
/// If another audit has it, or the file cannot be used.
pub fn lock(dir: &Path, name: &str) -> Result<File, StateError> {
    let path = dir.join(name);
    let failed = |error| StateError::Io { path: path.clone(), error };
    // To open a pipe waits for its other end.
    if path.symlink_metadata().is_ok_and(|facts| !facts.is_file()) {
        return Err(StateError::Refused { path, problem: "it is not a regular file; delete it" });
    }
    let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StateError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The result files in a folder: of an audit's state, or any other. Of an audit whose units are known, only theirs.
///
/// # Errors
/// If it cannot be listed.
pub fn results_in(dir: &Path, units: &[String]) -> io::Result<Vec<PathBuf>> {
    let known: BTreeSet<String> = units.iter().map(|name| digest(name)).collect();
    let is_known = |path: &Path| known.is_empty() || unit_of(path).is_none_or(|unit| known.contains(&unit));
    let units = dir.join("units");
    let dir = if units.is_dir() { units } else { dir.to_owned() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && is_known(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The hash of the unit's name in the name of a result, finished or not.
fn unit_of(path: &Path) -> Option<String> {
    let is_own = path.extension().is_some_and(|extension| extension == EXTENSION || extension == UNFINISHED);
    let name = path.file_stem()?.to_str().filter(|_| is_own)?;
    // What is being written has some random letters, too.
    let name = name.split('.').next()?;
    let (unit, state) = name.split_once('-')?;
    let is_digest = |text: &str| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (is_digest(unit) && is_digest(state)).then(|| unit.to_owned())
}

fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..16])
}

/// Writes a file that is there as a whole, or not at all, even if the machine stops.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    // A name that nobody can foresee, so that no link of others is followed.
    let (prefix, suffix) = (format!("{stem}."), format!(".{UNFINISHED}"));
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(&suffix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let (file, unfinished) = builder.tempfile_in(dir)?.into_parts();
    let mut out = BufWriter::with_capacity(1 << 16, file);
    write(&mut out)?;
    out.into_inner()?.sync_data()?;
    unfinished.persist(path).map_err(|error| error.error)
}

/// What is remembered of keys.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    version: u32,
    /// Identifies the fingerprint key.
    #[serde(default)]
    key_check: String,
    audits: Vec<Moment>,
    keys: BTreeMap<String, KeyMemory>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeyMemory {
    /// When it was first found, in seconds since 1970.
    first: i64,
    /// When it was last found.
    last: i64,
    /// When it was first not found any more.
    fixed: Option<i64>,
    /// When it was last found again after that.
    #[serde(default)]
    returned: Option<i64>,
    /// Hashes of the names of the targets that it was in.
    targets: BTreeSet<u64>,
    /// True if it was in more than are remembered.
    #[serde(default)]
    is_cut: bool,
    /// The fingerprint of its secret, if the key has an id: the name under which the secret alone goes.
    #[serde(default)]
    secret: Option<String>,
}

impl KeyMemory {
    fn new(now: i64) -> Self {
        Self {
            first: now,
            last: now,
            fixed: None,
            returned: None,
            targets: BTreeSet::new(),
            is_cut: false,
            secret: None,
        }
    }

    /// Adds what is remembered of the same key under another name.
    fn absorb(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        // It is fixed if both are.
        self.fixed = self.fixed.zip(other.fixed).map(|(one, other)| one.max(other));
        self.returned = self.returned.max(other.returned);
        self.targets.extend(other.targets);
        self.is_cut |= other.is_cut;
    }
}

/// A short stand-in for the name of a target.
pub fn hash(name: &str) -> u64 {
    let digest = Sha256::digest(name);
    u64::from_le_bytes(*digest.first_chunk().expect("it is longer"))
}

impl Ledger {
    const VERSION: u32 = 1;

    /// Reads the file; there is nothing to remember if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub fn read(path: &Path) -> Result<Self, StateError> {
        let text = match crate::file::read(path, MAX_KEYS) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(StateError::Io { path: path.to_owned(), error }),
        };
        let refused = |problem: &str| StateError::Keys { path: path.to_owned(), problem: problem.to_owned() };
        // The error may quote the file.
        let ledger: Self = serde_json::from_slice(&text).map_err(|_| refused("it is damaged"))?;
        if ledger.keys.keys().any(|name| name.is_empty() || name.contains(char::is_control)) {
            return Err(refused("it is damaged"));
        }
        if ledger.version == Self::VERSION { Ok(ledger) } else { Err(refused("it is of another version of keyspill")) }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let write = |out: &mut BufWriter<File>| {
            serde_json::to_writer(&mut *out, self)?;
            out.write_all(b"\n")
        };
        write_whole(path, write).map_err(|error| StateError::Io { path: path.to_owned(), error })
    }

    /// True if an audit as of a later moment was entered, so that this one would change what came after it.
    pub fn is_later_than(&self, now: i64) -> bool {
        self.audits.last().is_some_and(|audit| audit.at > now)
    }

    /// Enters an audit, and tells it what changed. Running it again at the same moment changes nothing.
    ///
    /// A key is fixed if it is not found any more in an audit that scanned everything it was in.
    pub fn enter(&mut self, inventory: &mut Inventory) {
        let now = inventory.now;
        self.version = Self::VERSION;
        // An audit that is repeated as of the same moment takes the place of the one before.
        self.audits.pop_if(|audit| audit.at == now);
        // Without any result there are no fingerprints.
        if let Some(key_check) = inventory.key_check.as_ref().filter(|check| **check != self.key_check) {
            // Fingerprints are others now, so that nothing can be said of keys that have no other name.
            self.keys.retain(|name, _| !name.contains("-v1:"));
            self.keys.values_mut().for_each(|memory| memory.secret = None);
            self.key_check.clone_from(key_check);
        }
        for memory in self.keys.values_mut() {
            memory.fixed.take_if(|fixed| *fixed == now);
        }
        self.keys.retain(|_, memory| memory.first < now);
        let before = self.audits.last().map(|audit| audit.at);
        let mut counts: BTreeMap<Status, usize> = BTreeMap::new();
        let scanned: BTreeSet<u64> = inventory.scanned_targets().map(hash).collect();
        let by_secret: HashMap<String, String> =
            self.keys.iter().filter_map(|(name, memory)| Some((memory.secret.clone()?, name.clone()))).collect();
        let mut present: BTreeSet<String> = BTreeSet::new();
        for key in &mut inventory.keys {
            // A secret whose id is not found now is still the key that it was.
            let name = match by_secret.get(&key.name) {
                Some(name) if !self.keys.contains_key(&key.name) => name.clone(),
                _ => key.name.clone(),
            };
            // A secret alone may have got its id since.
            if let Some(memory) =
                key.secret.as_ref().filter(|print| **print != name).and_then(|print| self.keys.remove(print))
            {
                match self.keys.get_mut(&name) {
                    Some(known) => known.absorb(memory),
                    None => _ = self.keys.insert(name.clone(), memory),
                }
            }
            let status = match self.keys.get(&name) {
                None => Status::New,
                Some(memory) if memory.fixed.is_some() || memory.returned == Some(now) => Status::BackAgain,
                Some(_) => Status::Known,
            };
            let memory = self.keys.entry(name.clone()).or_insert_with(|| KeyMemory::new(now));
            (memory.last, memory.fixed) = (now, None);
            if let Some(print) = key.secret.as_ref().filter(|print| **print != name) {
                memory.secret = Some(print.clone());
            }
            present.insert(name);
            if status == Status::BackAgain {
                memory.returned = Some(now);
            }
            // Where it was and could not be looked at now, it may still be.
            memory.targets.retain(|target| !scanned.contains(target));
            memory.targets.extend(&key.all_targets);
            memory.is_cut |= key.target_count > key.all_targets.len();
            *counts.entry(status).or_default() += 1;
            key.status = Some(status);
            key.first_found = Some(memory.first);
        }
        let mut fixed = Vec::new();
        let is_complete = inventory.is_complete();
        let mut unseen = Vec::new();
        for (name, memory) in
            self.keys.iter_mut().filter(|(name, memory)| memory.fixed.is_none() && !present.contains(name.as_str()))
        {
            let was_looked_for = memory.targets.iter().all(|target| scanned.contains(target));
            // Where a key was in more places than are remembered, all must have been looked at.
            if was_looked_for && (!memory.is_cut || is_complete) {
                memory.fixed = Some(now);
                fixed.push((name.clone(), memory.first));
            } else {
                unseen.push((name.clone(), memory.first));
            }
        }
        if !fixed.is_empty() {
            counts.insert(Status::Fixed, fixed.len());
        }
        let count = |status| counts.get(&status).copied().unwrap_or_default();
        self.audits.push(Moment {
            at: now,
            keys: inventory.keys.len(),
            current: inventory.keys.iter().filter(|key| key.is_current).count(),
            new: count(Status::New) + count(Status::BackAgain),
            fixed: fixed.len(),
        });
        let surplus = self.audits.len().saturating_sub(MAX_MOMENTS);
        self.audits.drain(..surplus);
        inventory.trend.clone_from(&self.audits);
        inventory.changes = before.map(|since| Changes { since, counts, fixed, unseen });
    }
}
