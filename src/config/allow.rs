//! The `[[allow]]` tables of a team's configuration.

use crate::credential::{AccountId, Fingerprint};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Path patterns, as in `.gitignore`.
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

/// Why patterns of paths cannot be used. They are not quoted: a name may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    /// The number of an entry, from 1.
    #[error("paths: entry {0} is not a valid pattern")]
    Pattern(usize),
    /// They compile to too much.
    #[error("paths: too many patterns")]
    TooMany,
}

impl Paths {
    /// Paths below `dir` that match one of `patterns`.
    ///
    /// # Errors
    /// If a pattern is not valid, or there are too many.
    pub fn new(dir: &Path, patterns: &[String]) -> Result<Self, PathsError> {
        let dir = dir.to_owned();
        let mut builder = GitignoreBuilder::new(&dir);
        for (number, pattern) in patterns.iter().enumerate() {
            builder.add_line(None, pattern).map_err(|_| PathsError::Pattern(number + 1))?;
        }
        let matcher = builder.build().map_err(|_| PathsError::TooMany)?;
        Ok(Self { dir, patterns: patterns.to_vec(), matcher })
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// True if a path, as resolved by [`Places`], matches.
    pub fn contain(&self, path: &Path, is_dir: bool) -> bool {
        path.starts_with(&self.dir) && self.matcher.matched_path_or_any_parents(path, is_dir).is_ignore()
    }
}

/// An `[[allow]]` table. A finding must match all conditions that are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The file that contains it.
    pub file: PathBuf,
    /// Its 1-based line in the file.
    pub line: usize,
    /// Paths that it applies to; all if `None`.
    pub paths: Option<Paths>,
    /// Rules that it applies to; all if empty.
    pub rules: Vec<String>,
    /// Values that it applies to; all if empty.
    pub fingerprints: Vec<Fingerprint>,
    /// Accounts that it applies to; all if empty.
    pub accounts: BTreeSet<AccountId>,
    /// Why it is allowed.
    pub reason: String,
    /// The last day on which it is valid.
    pub expires: Option<jiff::civil::Date>,
}

impl Allow {
    /// True if it has expired at `now`, in seconds since 1970.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|day| day < day_of(now))
    }
}

/// An `[[unscanned]]` table: files that are known not to be scannable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unscanned {
    /// The file that contains it.
    pub file: PathBuf,
    /// Its 1-based line there.
    pub line: usize,
    /// Which files.
    pub paths: Paths,
    /// Why that is accepted.
    pub reason: String,
    /// The last day on which it is.
    pub expires: Option<jiff::civil::Date>,
}

impl Unscanned {
    /// True if it is no longer in force at `now`, in seconds since 1970.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|day| day < day_of(now))
    }
}

/// The moment at which an entry that is valid until and on a day is no longer valid, in seconds since 1970.
pub fn end_of(day: jiff::civil::Date) -> i64 {
    let next = day.tomorrow().unwrap_or(day);
    let midnight = next.to_datetime(jiff::civil::Time::midnight());
    jiff::tz::Offset::UTC.to_timestamp(midnight).map_or(i64::MAX, jiff::Timestamp::as_second)
}

/// The UTC date of a moment in seconds since 1970.
pub fn day_of(now: i64) -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(now).unwrap_or_default()).date()
}
