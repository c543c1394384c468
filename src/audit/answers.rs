//! What the services that keys belong to answered about them: remembered between audits, with the time of each answer.

use super::inventory::{Inventory, KeyEntry};
use super::state::{StateError, write_whole};
use crate::credential::AccountId;
use crate::finding::verification::{KeyStatus, Verification};
use crate::text::alphabet::PREFIXES;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The maximum size of the file, in bytes.
const MAX_SIZE: u64 = 1 << 30;

/// Maximum age of a remembered answer, in seconds.
pub const MAX_AGE: i64 = 24 * 60 * 60;

/// The version of the file's format.
const VERSION: u32 = 1;

/// Answers by the ids of the keys.
#[derive(Debug, Default)]
pub struct Answers {
    /// Where they are remembered, if they are.
    path: Option<PathBuf>,
    by_id: BTreeMap<String, Verification>,
}

#[derive(Serialize, Deserialize)]
struct Stored<A> {
    /// Also how a scan recognises the file: the ids in it are those of keys that were found elsewhere.
    #[serde(rename = "keyspillAnswers")]
    version: u32,
    answers: A,
}

impl Answers {
    /// What is remembered in a file; nothing if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub fn read(path: PathBuf) -> Result<Self, StateError> {
        let text = match crate::file::read(&path, MAX_SIZE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: Some(path), by_id: BTreeMap::new() });
            }
            Err(error) => return Err(StateError::Io { path, error }),
        };
        let stored = serde_json::from_slice::<Stored<BTreeMap<String, Verification>>>(&text);
        match stored {
            Ok(Stored { version: VERSION, answers }) => Ok(Self { path: Some(path), by_id: answers }),
            Ok(_) => Err(StateError::Answers { path, problem: "it is of another version" }),
            Err(_) => Err(StateError::Answers { path, problem: "it is damaged" }),
        }
    }

    /// Forgets answers that were given before a moment, in seconds since 1970.
    pub fn forget_before(&mut self, moment: i64) {
        self.by_id.retain(|_, answer| answer.checked >= moment);
    }

    /// Remembers an answer. A failure is reported and retried.
    pub fn insert(&mut self, id: &str, answer: &Verification) {
        self.by_id.insert(id.to_owned(), answer.clone());
    }

    /// What was answered about a key.
    pub fn get(&self, id: &str) -> Option<&Verification> {
        self.by_id.get(id).filter(|answer| answer.status.tells())
    }

    /// The keys of an inventory to ask about, each with its account: AWS's, by their ids, without those that were answered and
    /// those that were planted to be found.
    pub fn open_questions(&self, inventory: &Inventory) -> Vec<(String, Option<AccountId>)> {
        self.open_keys(inventory).filter_map(|key| Some((key.id.clone()?, key.account))).collect()
    }

    /// The units to read again for the secrets of these keys: one for each whose id and secret are together somewhere.
    pub fn units_of_open_pairs(&self, inventory: &Inventory) -> BTreeSet<String> {
        self.open_keys(inventory).filter_map(|key| key.unit_of_pair.clone()).collect()
    }

    fn open_keys<'a>(&self, inventory: &'a Inventory) -> impl Iterator<Item = &'a KeyEntry> {
        let is_open = |id: &String| PREFIXES.iter().any(|prefix| id.starts_with(prefix)) && self.get(id).is_none();
        let keys = inventory.keys.iter().filter(|key| !key.is_canary && key.is_of_aws);
        keys.filter(move |key| key.id.as_ref().is_some_and(is_open))
    }

    /// All of them, to be shared.
    pub fn shared(&self) -> BTreeMap<String, Arc<Verification>> {
        self.by_id.iter().map(|(id, answer)| (id.clone(), Arc::new(answer.clone()))).collect()
    }

    /// Writes what tells something, if there is a file for it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> Result<(), StateError> {
        let Some(path) = &self.path else { return Ok(()) };
        let answers: BTreeMap<&String, &Verification> =
            self.by_id.iter().filter(|(_, answer)| answer.status.tells()).collect();
        let stored = Stored { version: VERSION, answers };
        let failed = |error| StateError::Io { path: Path::to_owned(path), error };
        write_whole(path, |out| Ok(serde_json::to_writer(out, &stored)?)).map_err(failed)
    }
}

impl KeyStatus {
    /// True if it tells whether the key works. That a service is busy tells nothing, and must not be remembered.
    fn tells(self) -> bool {
        !matches!(self, Self::Unknown | Self::NotAsked)
    }
}
