//! When and by whom a finding was introduced into a repository, and whether it is still there.

use super::limited::at_most;
use super::object::{ObjectKind, Oid};
use std::sync::Arc;

/// Maximum number of commits listed one by one; the rest are only counted.
pub const MAX_COMMITS: usize = 20;

/// What a repository's history says about a finding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct History {
    /// The object in which it was found.
    pub object: Oid,
    /// A blob, or a commit or tag whose text contains it.
    pub kind: ObjectKind,
    /// Where that object is reachable from.
    pub reach: Reach,
    /// True if it is in the commit that is checked out.
    pub is_at_head: bool,
    /// True if it is in the working tree that was scanned.
    pub is_in_tree: bool,
    /// Refs that contain it, the most interesting first; only the first few.
    #[serde(deserialize_with = "at_most::<100, _, _>")]
    pub refs: Vec<String>,
    /// How many refs contain it.
    pub ref_count: usize,
    /// Commits that introduced it, in history order.
    pub introduced: Commits,
    /// Commits that removed it, latest first.
    pub removed: Commits,
    /// The last commit that contained it before it was removed.
    pub last: Option<Arc<Commit>>,
    /// True if a shallow clone ends where it was introduced, so it may be older.
    pub is_cut: bool,
    /// How long it has been there.
    pub exposure: Option<Exposure>,
}

impl History {
    /// What is known of an object of a kind that can be reached in some way, and nothing else.
    pub fn new(object: Oid, kind: ObjectKind, reach: Reach) -> Self {
        Self {
            object,
            kind,
            reach,
            is_at_head: reach == Reach::Head,
            is_in_tree: false,
            refs: vec![],
            ref_count: 0,
            introduced: Commits::default(),
            removed: Commits::default(),
            last: None,
            is_cut: false,
            exposure: None,
        }
    }

    /// True if it is neither at HEAD nor in the working tree, only in history.
    pub fn is_past(&self) -> bool {
        !self.is_at_head && !self.is_in_tree
    }
}

/// From where an object can be reached, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Reach {
    /// From the commit that is checked out.
    Head,
    /// From a branch, tag or another ref.
    Refs,
    /// From the index: it is staged, but not in any commit yet.
    Index,
    /// Only from a reflog: from what a ref once pointed to.
    Reflog,
    /// From nowhere: it exists until git collects garbage.
    Unreachable,
}

/// A possibly shortened list of commits, and their total number.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Commits {
    /// The first of them, at most [`MAX_COMMITS`].
    #[serde(deserialize_with = "at_most::<100, _, _>")]
    pub listed: Vec<Arc<Commit>>,
    /// Their total number.
    pub count: usize,
}

/// A commit as shown. Its texts are safe to show, with secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Commit {
    /// Its object id.
    pub oid: Oid,
    /// Who wrote the change.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// Who else wrote it, by `Co-authored-by:` in its message; the time is not known.
    #[serde(deserialize_with = "at_most::<1000, _, _>")]
    pub co_authors: Vec<Person>,
    /// True if it only joins branches.
    pub is_merge: bool,
    /// First line of the message.
    pub subject: String,
}

/// A person named in a commit, with the time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Seconds since 1970.
    pub time: i64,
}

/// How long something has been in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exposure {
    /// Date of the first commit that contains it, in seconds since 1970.
    pub since: i64,
    /// When it was removed, in seconds since 1970; none if a ref still contains it.
    pub until: Option<i64>,
    /// Whole days between, or up to now.
    pub days: u64,
}

impl Exposure {
    /// The time between two moments; `now` stands in for an end that has not come yet.
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
