//! The graph of commits.

use crate::finding::history::Reach;
use crate::finding::object::{self, Oid};
use crate::git::history::CommitNode;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Number of a commit.
pub type CommitId = u32;

/// A missing parent.
const NOT_THERE: CommitId = CommitId::MAX;

/// All commits of a repository.
#[derive(Debug, Clone)]
pub struct Graph<'a> {
    commits: &'a [CommitNode],
    /// Where the parents of each commit start in `parents`; they end where those of the next commit start.
    starts: Vec<u32>,
    parents: Vec<CommitId>,
    /// Length of the longest path to a root commit, in steps: less than that of every child.
    generations: Vec<u32>,
    reaches: Vec<Reach>,
    /// Commits with a missing parent, and its object id.
    pub cut: BTreeMap<CommitId, Oid>,
}

impl<'a> Graph<'a> {
    /// The graph of `commits`, which are sorted by object id.
    pub fn new(commits: &'a [CommitNode]) -> Self {
        let mut starts = Vec::with_capacity(commits.len() + 1);
        let mut count = 0;
        for commit in commits {
            starts.push(count);
            count += commit.parents.len() as u32;
        }
        starts.push(count);
        let mut graph = Self {
            commits,
            starts,
            parents: vec![],
            generations: vec![],
            reaches: vec![Reach::Unreachable; commits.len()],
            cut: BTreeMap::new(),
        };
        let find = |parent: &Oid| graph.find(parent).unwrap_or(NOT_THERE);
        let oids: Vec<Oid> = commits.iter().flat_map(|commit| commit.parents.iter().copied()).collect();
        graph.parents = oids.par_iter().map(find).collect();
        if graph.parents.contains(&NOT_THERE) {
            graph.cut();
        }
        graph.number_generations();
        graph
    }

    /// Leaves out missing parents.
    fn cut(&mut self) {
        let parents = std::mem::take(&mut self.parents);
        for (id, commit) in self.commits.iter().enumerate() {
            let range = self.starts[id] as usize..self.starts[id + 1] as usize;
            self.starts[id] = self.parents.len() as u32;
            for (oid, parent) in commit.parents.iter().zip(&parents[range]) {
                if *parent == NOT_THERE {
                    self.cut.insert(id as CommitId, *oid);
                } else {
                    self.parents.push(*parent);
                }
            }
        }
        self.starts[self.commits.len()] = self.parents.len() as u32;
    }

    /// How many commits there are.
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// The number of a commit.
    pub fn find(&self, oid: &Oid) -> Option<CommitId> {
        let known = object::search(0..self.commits.len(), 0, oid, |id| self.commits[id].oid);
        known.map(|id| id as CommitId)
    }

    /// A commit.
    pub fn commit(&self, id: CommitId) -> &'a CommitNode {
        &self.commits[id as usize]
    }

    /// The parents of a commit that are not missing.
    pub fn parents(&self, id: CommitId) -> &[CommitId] {
        &self.parents[self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize]
    }

    /// From where a commit can be reached.
    pub fn reach(&self, id: CommitId) -> Reach {
        self.reaches[id as usize]
    }

    /// Records that `tips` and all their ancestors can be reached this way, unless a better way is known.
    pub fn reach_from(&mut self, tips: impl IntoIterator<Item = CommitId>, reach: Reach) {
        let mut open: Vec<CommitId> = tips.into_iter().collect();
        while let Some(id) = open.pop() {
            if reach < self.reaches[id as usize] {
                self.reaches[id as usize] = reach;
                open.extend_from_slice(self.parents(id));
            }
        }
    }

    /// Sort key of commits: those reachable from a ref before strays, then by position in history whatever their dates
    /// say, then by date and object id.
    pub fn rank(&self, id: CommitId) -> (bool, u32, i64, Oid) {
        let commit = self.commit(id);
        // HEAD and the other refs count as one history.
        let is_stray = self.reach(id) > Reach::Refs;
        (is_stray, self.generations[id as usize], commit.time, commit.oid)
    }

    fn number_generations(&mut self) {
        self.generations = vec![0; self.len()];
        let mut is_done = vec![false; self.len()];
        let mut open = Vec::new();
        for first in 0..self.len() as CommitId {
            open.push((first, false));
            while let Some((id, is_expanded)) = open.pop() {
                if is_expanded {
                    let highest = self.parents(id).iter().map(|parent| self.generations[*parent as usize] + 1).max();
                    self.generations[id as usize] = highest.unwrap_or(0);
                } else if !std::mem::replace(&mut is_done[id as usize], true) {
                    open.push((id, true));
                    open.extend(
                        self.parents(id).iter().filter(|parent| !is_done[**parent as usize]).map(|id| (*id, false)),
                    );
                }
            }
        }
    }
}
