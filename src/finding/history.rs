//! When and through whom a finding came into a repository, and whether it is still there.

use super::object::{ObjectKind, Oid};
use std::sync::Arc;

/// So many commits are named one by one; beyond, they are counted.
pub const MOST_COMMITS: usize = 20;

/// What a repository's history tells of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The object in which it was found.
    pub object: Oid,
    /// A blob, or a commit or tag whose text it is in.
    pub kind: ObjectKind,
    /// From where that can be reached.
    pub reach: Reach,
    /// True if it is in the commit that is checked out.
    pub is_at_head: bool,
    /// True if it is in the working tree that was scanned.
    pub is_in_tree: bool,
    /// Refs that hold it, the most interesting first; only the first few.
    pub refs: Vec<String>,
    /// How many refs hold it.
    pub ref_count: usize,
    /// Commits that brought it in, those first that come first in history.
    pub introduced: Commits,
    /// Commits that took it out again, the last one first.
    pub removed: Commits,
    /// The last commit that held it before it was taken out.
    pub last: Option<Arc<Commit>>,
    /// True if the repository is a shallow clone that ends where it was brought in: it may be older.
    pub is_cut: bool,
    /// How long it has been there.
    pub exposure: Option<Exposure>,
}

impl History {
    /// True if it is neither at HEAD nor in the working tree: it can only be found in history.
    pub fn is_past(&self) -> bool {
        !self.is_at_head && !self.is_in_tree
    }
}

/// From where an object can be reached; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// From the commit that is checked out.
    Head,
    /// From a branch, tag or another ref.
    Refs,
    /// From the index: it is staged, and in no commit yet.
    Index,
    /// Only from a reflog: from what a ref once pointed to.
    Reflog,
    /// From nowhere: it is there until git cleans up.
    Unreachable,
}

/// Some commits and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commits {
    /// The first of them, at most [`MOST_COMMITS`].
    pub listed: Vec<Arc<Commit>>,
    /// How many there are in all.
    pub count: usize,
}

/// A commit as it is shown. Texts are safe to show, and secrets are masked in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub oid: Oid,
    /// Who wrote the change.
    pub author: Person,
    /// Who made the commit of it.
    pub committer: Person,
    /// First line of the message.
    pub subject: String,
}

/// Somebody, at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Seconds since 1970.
    pub time: i64,
}

/// How long something has been in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// Seconds since 1970 at which the first commit that holds it was made, as that says.
    pub since: i64,
    /// Seconds since 1970 at which it was taken out; none if some ref still holds it.
    pub until: Option<i64>,
    /// Whole days between, or up to now.
    pub days: u64,
}

impl Exposure {
    /// The time between two moments; `now` stands in for an end that has not come.
    pub fn new(since: i64, until: Option<i64>, now: i64) -> Self {
        const DAY: u64 = 24 * 60 * 60;
        let days = u64::try_from(until.unwrap_or(now).saturating_sub(since)).unwrap_or(0) / DAY;
        Self { since, until, days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_not_negative() {
        assert_eq!(Exposure::new(0, Some(86_399), 0).days, 0);
        assert_eq!(Exposure::new(0, None, 86_400 * 3 + 5).days, 3);
        assert_eq!(Exposure::new(100, Some(50), 0).days, 0);
    }
}
