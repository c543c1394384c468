//! Choosing commits: by range, branch and date.

use super::error::GitError;
use super::object::{CommitLinks, MAX_COMMIT};
use super::odb::Odb;
use super::repository::Repository;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

/// Like git, the walk visits this many more commits once only excluded ones seem to be left: commits are ordered by
/// their dates, which may be wrong.
const SLOP: usize = 5;

/// A selection of commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `A..B` or `A...B`, as in `git log`, or a commit with all its ancestors.
    pub range: Option<String>,
    /// Branches, with all ancestors of their tips.
    pub branches: Vec<String>,
    /// Earliest commit time that counts, in seconds since 1970.
    pub since: Option<i64>,
    /// A push, used instead of `range` and `branches`.
    pub pushed: Option<Pushed>,
}

/// What a push introduces: commits and tags, by object id, since the refs may not exist yet at the receiving end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The new tips: commits, with all their ancestors, or tags of commits.
    pub new: Vec<Oid>,
    /// What the receiver already has, with all its ancestors. Objects that cannot be read are ignored.
    pub known: Vec<Oid>,
}

/// A commit, with what is needed to find its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its object id.
    pub oid: Oid,
    /// Its root directory.
    pub tree: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

/// The commits of a selection.
#[derive(Debug, Clone, Default)]
pub struct Commits {
    /// Newest first, by their dates; a commit comes before its parents.
    pub commits: Vec<Selected>,
    /// The tips of the selection: commits without a selected child.
    pub tips: Vec<Oid>,
    /// Pushed annotated tags of these commits.
    pub tags: Vec<Oid>,
    /// True if the clone is shallow, so that older commits may be missing.
    pub is_cut: bool,
}

impl Selection {
    /// Resolves the selection to commits.
    ///
    /// # Errors
    /// A message, if a name cannot be resolved, there is no commit yet, or a commit cannot be read.
    pub fn resolve(&self, repository: &Repository, odb: &Odb) -> Result<Commits, GitError> {
        let mut tags = Vec::new();
        let (tips, excluded) = match &self.pushed {
            Some(pushed) => pushed.ends(odb, &mut tags)?,
            None => self.ends(repository)?,
        };
        let shallow = repository.shallow_commits();
        let mut commits = walk(odb, &shallow, &tips, &excluded)?;
        let is_cut = commits.iter().any(|commit| shallow.contains(&commit.oid));
        if is_cut && !excluded.is_empty() && self.pushed.is_none() {
            return Err(GitError::ShallowRange);
        }
        if let Some(since) = self.since {
            commits.retain(|commit| commit.time >= since);
        }
        Ok(Commits { commits, tips, tags, is_cut })
    }

    fn ends(&self, repository: &Repository) -> Result<(Vec<Oid>, Vec<Oid>), GitError> {
        let (mut tips, mut excluded) = (Vec::new(), Vec::new());
        if let Some(range) = &self.range {
            let (from, to) = match range.split_once("...").or_else(|| range.split_once("..")) {
                Some((from, to)) => (Some(from), to),
                None => (None, range.as_str()),
            };
            // `..HEAD` is nothing at all, and what is left of `$BASE..HEAD` if the variable is not set.
            let is_nothing = from == Some("") && matches!(to, "" | "HEAD" | "@") || range.is_empty();
            if is_nothing {
                return Err(GitError::EmptyRange(range.clone()));
            }
            let name = |name: &str| repository.commit(if name.is_empty() { "HEAD" } else { name });
            tips.push(name(to)?);
            if let Some(from) = from {
                let from = name(from)?;
                if range.contains("...") {
                    excluded.extend(repository.merge_bases(from, tips[0])?);
                    tips.push(from);
                } else {
                    excluded.push(from);
                }
            }
        }
        for branch in &self.branches {
            // A tag of the same name must not be taken for the branch.
            let full = ["refs/heads/", "refs/remotes/"].map(|kind| format!("{kind}{branch}"));
            let branch = full.iter().find(|name| repository.has_ref(name)).unwrap_or(branch);
            tips.push(repository.commit(branch)?);
        }
        if tips.is_empty() {
            let mut errors = Vec::new();
            for known in repository.refs(&mut errors) {
                match repository.commit_at(known.target) {
                    Ok(commit) => tips.extend(commit),
                    Err(error) => errors.push((known.name.into(), error)),
                }
            }
            if let Some((name, error)) = errors.into_iter().next() {
                return Err(error.of(name.display().to_string()));
            }
            if tips.is_empty() {
                return Err(GitError::NoCommits);
            }
        }
        tips.sort_unstable();
        tips.dedup();
        Ok((tips, excluded))
    }
}

impl Pushed {
    fn ends(&self, odb: &Odb, tags: &mut Vec<Oid>) -> Result<(Vec<Oid>, Vec<Oid>), GitError> {
        let mut tips = self.new.iter().map(|oid| follow_tags(odb, *oid, tags)).collect::<Result<Vec<_>, _>>()?;
        let mut excluded: Vec<Oid> =
            self.known.iter().filter_map(|oid| follow_tags(odb, *oid, &mut vec![]).ok()).collect();
        for list in [&mut tips, &mut excluded] {
            list.sort_unstable();
            list.dedup();
        }
        Ok((tips, excluded))
    }
}

/// Follows tags to the commit that they point to; annotated tags on the way are added to `tags`.
fn follow_tags(odb: &Odb, oid: Oid, tags: &mut Vec<Oid>) -> Result<Oid, GitError> {
    const MAX_TAGS: usize = 64;
    let mut oid = oid;
    for _ in 0..MAX_TAGS {
        let (kind, bytes) = odb.read(&oid, MAX_COMMIT).map_err(|error| error.of(format!("object {oid}")))?;
        match kind {
            ObjectKind::Commit => return Ok(oid),
            ObjectKind::Tag => {
                tags.push(oid);
                let target =
                    bytes.strip_prefix(b"object ").and_then(|rest| Oid::from_hex(rest.get(..Oid::HEX_LENGTH)?));
                oid = target.ok_or_else(|| GitError::Invalid("it is not a valid tag").of(format!("tag {oid}")))?;
            }
            ObjectKind::Tree | ObjectKind::Blob => {
                return Err(GitError::NotACommit(oid, kind));
            }
        }
    }
    Err(GitError::TagChain(oid, MAX_TAGS))
}

/// State of a commit during a walk.
struct Seen {
    commit: Selected,
    is_excluded: bool,
}

/// `tips` and all their ancestors, except `excluded` and their ancestors.
fn walk(odb: &Odb, shallow: &BTreeSet<Oid>, tips: &[Oid], excluded: &[Oid]) -> Result<Vec<Selected>, GitError> {
    let mut seen: HashMap<Oid, Seen> = HashMap::new();
    let mut queue: BinaryHeap<(i64, Oid)> = BinaryHeap::new();
    for (oid, is_excluded) in tips.iter().map(|oid| (oid, false)).chain(excluded.iter().map(|oid| (oid, true))) {
        meet(odb, *oid, is_excluded, &mut seen, &mut queue)?;
    }
    let mut order = Vec::new();
    let mut slop = SLOP;
    while let Some((_, oid)) = queue.pop() {
        let (parents, is_excluded) = match seen.get(&oid) {
            Some(known) => (known.commit.parents.clone(), known.is_excluded),
            None => continue,
        };
        if !is_excluded {
            order.push(oid);
        }
        // The oldest commits of a shallow clone name parents that are missing.
        for parent in parents.iter().filter(|_| !shallow.contains(&oid)) {
            meet(odb, *parent, is_excluded, &mut seen, &mut queue)?;
        }
        if !excluded.is_empty() && queue.iter().all(|(_, oid)| seen.get(oid).is_some_and(|known| known.is_excluded)) {
            if slop == 0 {
                break;
            }
            slop -= 1;
        } else {
            slop = SLOP;
        }
    }
    let mut commits = Vec::with_capacity(order.len());
    let mut is_taken = HashSet::new();
    for oid in order {
        if let Some(known) = seen.get(&oid).filter(|known| !known.is_excluded)
            && is_taken.insert(oid)
        {
            commits.push(known.commit.clone());
        }
    }
    Ok(commits)
}

/// Queues a commit unless it has been seen; one that turns out to be excluded is queued again.
fn meet(
    odb: &Odb,
    oid: Oid,
    is_excluded: bool,
    seen: &mut HashMap<Oid, Seen>,
    queue: &mut BinaryHeap<(i64, Oid)>,
) -> Result<(), GitError> {
    match seen.get_mut(&oid) {
        Some(known) if known.is_excluded || !is_excluded => {}
        Some(known) => {
            known.is_excluded = true;
            queue.push((known.commit.time, oid));
        }
        None => {
            let commit = read(odb, oid)?;
            queue.push((commit.time, oid));
            seen.insert(oid, Seen { commit, is_excluded });
        }
    }
    Ok(())
}

fn read(odb: &Odb, oid: Oid) -> Result<Selected, GitError> {
    let failed = |error: GitError| error.of(format!("commit {oid}"));
    let (kind, bytes) = odb.read(&oid, MAX_COMMIT).map_err(failed)?;
    let links = CommitLinks::read(&bytes).filter(|_| kind == ObjectKind::Commit);
    let links = links.ok_or_else(|| failed(GitError::Invalid("it is not a valid commit")))?;
    Ok(Selected { oid, tree: links.tree, parents: links.parents().collect(), time: links.time })
}
