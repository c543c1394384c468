//! What a team's configuration allows.

use crate::credential::{AccountId, Fingerprint};
use crate::file::normalise;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Patterns of paths, as in `.gitignore`.
#[derive(Debug, Clone)]
pub struct Paths {
    dir: PathBuf,
    patterns: Vec<String>,
    matcher: Gitignore,
}

impl PartialEq for Paths {
    fn eq(&self, other: &Self) -> bool {
        (&self.dir, &self.patterns) == (&other.dir, &other.patterns)
    }
}

impl Eq for Paths {}

impl Paths {
    /// Those that match one of `patterns`, below `dir`.
    ///
    /// # Errors
    /// If one is not a valid pattern: which.
    pub fn new(dir: &Path, patterns: &[String]) -> Result<Self, String> {
        let here = std::env::current_dir().map_err(|error| crate::file::describe(&error))?.join(dir);
        let dir = here.canonicalize().unwrap_or_else(|_| normalise(&here));
        let mut builder = GitignoreBuilder::new(&dir);
        for (number, pattern) in patterns.iter().enumerate() {
            let problem = |_| format!("paths: entry {} is not a valid pattern", number + 1);
            builder.add_line(None, pattern).map_err(problem)?;
        }
        let matcher = builder.build().map_err(|_| "paths: the patterns are too many")?;
        Ok(Self { dir, patterns: patterns.to_vec(), matcher })
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// True if a file, as [`Places`] tell it, is one of them.
    pub fn contain(&self, file: &Path) -> bool {
        file.starts_with(&self.dir) && self.matcher.matched_path_or_any_parents(file, false).is_ignore()
    }
}

/// An `[[allow]]` table. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The file it is in.
    pub file: PathBuf,
    /// Its line there, 1-based.
    pub line: usize,
    /// Where.
    pub paths: Option<Paths>,
    /// Of which rules; of all if empty.
    pub rules: Vec<String>,
    /// Which values; any if empty.
    pub fingerprints: Vec<Fingerprint>,
    /// Of which accounts; of any if empty.
    pub accounts: BTreeSet<AccountId>,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Option<jiff::civil::Date>,
}

impl Allow {
    /// True if it is no longer in force at `now`, in seconds since 1970.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|day| day < day_of(now))
    }
}

/// The day of a moment, in UTC.
pub fn day_of(now: i64) -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(now).unwrap_or_default()).date()
}
