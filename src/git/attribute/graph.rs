//! Commits and how they follow each other.

use crate::finding::history::Reach;
use crate::finding::object::{self, Oid};
use crate::git::history::Commit;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Number of a commit.
pub type CommitId = u32;

/// A parent that is not there.
const NOT_THERE: CommitId = CommitId::MAX;

/// All commits of a repository.
#[derive(Debug)]
pub struct Graph<'a> {
    commits: &'a [Commit],
    /// Where in `parents` those of a commit start; they end where the next one's start.
    starts: Vec<u32>,
    parents: Vec<CommitId>,
    /// The longest way to a commit without parents, in steps: less than that of every commit that follows.
    generations: Vec<u32>,
    reaches: Vec<Reach>,
    /// Commits that name a parent that is not there, with its name.
    pub cut: BTreeMap<CommitId, Oid>,
}

impl<'a> Graph<'a> {
    /// The graph of `commits`, which are in order of their names.
    pub fn new(commits: &'a [Commit]) -> Self {
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

    /// Leaves out parents that are not there.
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
    pub fn commit(&self, id: CommitId) -> &'a Commit {
        &self.commits[id as usize]
    }

    /// The commits that a commit follows, as far as they are there.
    pub fn parents(&self, id: CommitId) -> &[CommitId] {
        &self.parents[self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize]
    }

    /// From where a commit can be reached.
    pub fn reach(&self, id: CommitId) -> Reach {
        self.reaches[id as usize]
    }

    /// Notes that `tips` and all before them can be reached from there, unless they can be reached better.
    pub fn reach_from(&mut self, tips: impl IntoIterator<Item = CommitId>, reach: Reach) {
        let mut open: Vec<CommitId> = tips.into_iter().collect();
        while let Some(id) = open.pop() {
            if reach < self.reaches[id as usize] {
                self.reaches[id as usize] = reach;
                open.extend_from_slice(self.parents(id));
            }
        }
    }

    /// What commits are sorted by: those that a ref leads to before strays, then those that come first in history whatever
    /// their dates say, then by date and name.
    pub fn rank(&self, id: CommitId) -> (bool, u32, i64, Oid) {
        let commit = self.commit(id);
        // What HEAD has and what other branches have is one history.
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
