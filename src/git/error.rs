//! Why something of a repository cannot be read.

use super::pack::Damage;
use crate::file;
use crate::finding::object::{ObjectKind, Oid};
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why something of a repository cannot be read. What caused it is its [`source`](Error::source).
///
/// Messages of libgit2 are never passed on: they may quote settings, refs and objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// A path that does not exist.
    #[error("no such file or directory; check the spelling")]
    MissingPath,
    /// There is no repository around a path.
    #[error("not in a git repository")]
    NotARepository,
    /// Git refuses to read a repository of someone else's, at this directory.
    #[error(
        "the repository belongs to another user; if you trust it: git config --global --add safe.directory {}",
        .0.display()
    )]
    WrongOwner(PathBuf),
    /// Libgit2 failed.
    #[error("{attempt}")]
    Libgit2 {
        /// What cannot be done.
        attempt: String,
        /// Why.
        source: Libgit2Error,
    },
    /// Something cannot be read.
    #[error("{what} cannot be read")]
    Unreadable {
        /// An object or a file.
        what: String,
        /// Why.
        source: Box<GitError>,
    },
    /// An object is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The system refuses.
    #[error("{0}")]
    System(String),
    /// Something is not what it should be: what it is not.
    #[error("{0}")]
    Invalid(&'static str),
    /// An object is not there.
    #[error("it is missing")]
    MissingObject,
    /// A pipe or device stands in the place of a file.
    #[error("{} is not a regular file; remove it", .0.display())]
    NotRegular(PathBuf),
    /// A file is larger than this many bytes.
    #[error("{} is larger than {}", .0.display(), bytesize::ByteSize(*.1))]
    TooLarge(PathBuf, u64),
    /// Directories are nested beyond any real repository, in this one or in a tree.
    #[error("{} is nested too deeply", .0.display())]
    TooDeep(PathBuf),
    /// Directories of a tree are nested too deeply.
    #[error("directories are nested too deeply")]
    DeepTree,
    /// There is no commit of this name.
    #[error("there is no commit `{0}` here; fetch it, or check the spelling")]
    UnknownCommit(String),
    /// A name that several commits may have, or a few digits that libgit2 does not look up.
    #[error("`{0}` is too short to name one commit; give more of its id")]
    ShortName(String),
    /// A range without names.
    #[error("`{0}` names no commits; are the variables set?")]
    EmptyRange(String),
    /// A repository without commits.
    #[error("there are no commits yet")]
    NoCommits,
    /// A range that leads beyond what a shallow clone has.
    #[error("the clone is shallow and lacks commits of the range; `git fetch --unshallow` fetches the rest")]
    ShallowRange,
    /// An object that should be a commit.
    #[error("object {0} is a {name}, not a commit; it is not scanned", name = .1.name())]
    NotACommit(Oid, ObjectKind),
    /// Tags of tags.
    #[error("the chain of tags to {0} is longer than {1}")]
    TagChain(Oid, usize),
    /// There is no index in a bare repository.
    #[error("nothing can be staged in a bare repository")]
    Bare,
}

/// What libgit2 says, in our words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Libgit2Error(&'static str);

impl From<git2::Error> for Libgit2Error {
    fn from(error: git2::Error) -> Self {
        Self(super::repository::words(&error))
    }
}

impl From<io::Error> for GitError {
    fn from(error: io::Error) -> Self {
        Self::System(file::describe(&error))
    }
}

impl GitError {
    /// That something, an object or a file, cannot be read because of this.
    #[must_use]
    pub fn of(self, what: impl Into<String>) -> Self {
        Self::Unreadable { what: what.into(), source: Box::new(self) }
    }

    /// That libgit2 failed at something.
    pub fn libgit2(attempt: impl Into<String>, error: git2::Error) -> Self {
        Self::Libgit2 { attempt: attempt.into(), source: error.into() }
    }

    /// The error and its causes, in one line.
    pub fn to_words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        words
    }
}
