//! Where blobs come from. A source hands over each blob once and names what it could not or should not read.

pub mod git;
mod gitignore;
pub mod read;
pub mod tree;

use crate::detect::MOST_TOKENS;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// A blob's name in reports: the path as given on the command line and what was found under it, with `/` between parts.
/// It need not be valid UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlobPath(Vec<u8>);

impl BlobPath {
    /// From a path of the file system. A leading `./` is left out.
    pub fn new(path: &Path) -> Self {
        let bytes = path.as_os_str().as_encoded_bytes();
        let bytes = if std::path::MAIN_SEPARATOR == '/' {
            bytes.to_vec()
        } else {
            bytes.iter().map(|&b| if b == std::path::MAIN_SEPARATOR as u8 { b'/' } else { b }).collect()
        };
        match bytes.strip_prefix(b"./") {
            Some(rest) if !rest.is_empty() => Self(rest.to_vec()),
            _ => Self(bytes),
        }
    }

    /// The name of something under this one, given as git does: with `/`.
    #[must_use]
    pub fn join(mut self, below: &[u8]) -> Self {
        if self.0 == b"." {
            self.0.clear();
        }
        if !self.0.is_empty() && !self.0.ends_with(b"/") {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(below);
        self
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text; what is not UTF-8 is replaced.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

/// Something that was not scanned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skip {
    /// What.
    pub path: BlobPath,
    /// Why.
    pub cause: SkipCause,
}

/// Why something was not scanned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipCause {
    /// A path that was asked for and is not there.
    Missing,
    /// A file or directory that could not be read; the system's words.
    Unreadable(String),
    /// A file over the size limit, in bytes.
    TooLarge {
        /// Size of the file.
        size: u64,
        /// The limit.
        limit: u64,
        /// True if the user set the limit, and so knows.
        is_chosen: bool,
    },
    /// A file or directory that git ignores and does not track.
    GitIgnored,
    /// A symbolic link: what it points to is scanned where it is, if it is in the tree.
    Symlink,
    /// A socket, pipe or device.
    Special,
    /// keyspill itself failed on it.
    Internal,
    /// It holds more than is reported of one file; only the first findings are.
    TooMany,
    /// No repository could be opened there; what is wrong and what to do.
    NoRepository(String),
    /// The changes that were asked for cannot be told; what is wrong and what to do.
    NoCommits(String),
    /// More objects like those that are listed could not be read: so many.
    MoreUnreadable(usize),
    /// A history with more, or deeper, paths than are followed.
    TooManyPaths,
    /// A partial clone: so many objects were never fetched.
    NotFetched(usize),
    /// A shallow clone: what came before was never fetched.
    Shallow,
    /// A submodule that was never fetched.
    NoSubmodule,
}

impl SkipCause {
    /// True if the scan is incomplete because of it, in a way that nobody asked for.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Missing | Self::Unreadable(_) | Self::Internal | Self::TooMany => true,
            Self::NoRepository(_) | Self::NoCommits(_) | Self::MoreUnreadable(_) | Self::TooManyPaths => true,
            Self::TooLarge { is_chosen, .. } => !is_chosen,
            Self::GitIgnored | Self::Symlink | Self::Special => false,
            Self::NotFetched(_) | Self::Shallow | Self::NoSubmodule => false,
        }
    }

    /// True if it is said of many files at once, which are counted and not listed for people.
    pub fn is_of_many(&self) -> bool {
        matches!(self, Self::GitIgnored | Self::Symlink | Self::Special)
    }

    /// A word for counting and for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::TooLarge { .. } => "too-large",
            Self::GitIgnored => "git-ignored",
            Self::Symlink => "symlink",
            Self::Special => "special",
            Self::Internal => "internal",
            Self::TooMany => "too-many",
            Self::NoRepository(_) => "no-repository",
            Self::NoCommits(_) => "no-commits",
            Self::MoreUnreadable(_) => "more-unreadable",
            Self::TooManyPaths => "too-many-paths",
            Self::NotFetched(_) => "not-fetched",
            Self::Shallow => "shallow",
            Self::NoSubmodule => "no-submodule",
        }
    }
}

impl fmt::Display for SkipCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file or directory; check the spelling"),
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::TooLarge { size, limit, .. } => {
                let (size, limit) = (bytesize::ByteSize(*size), bytesize::ByteSize(*limit));
                write!(f, "not scanned: {size} is over the limit of {limit}; raise it with --max-file-size")
            }
            Self::GitIgnored => f.write_str("git ignores it; scan it with --no-ignore"),
            Self::Symlink => f.write_str("a symbolic link, not followed"),
            Self::Special => f.write_str("not a regular file"),
            Self::TooMany => {
                write!(
                    f,
                    "scanned in part: it holds more than {MOST_TOKENS} keys and comments; scan it in smaller pieces"
                )
            }
            Self::NoRepository(words) | Self::NoCommits(words) => f.write_str(words),
            Self::MoreUnreadable(count) => write!(f, "{count} more objects cannot be read"),
            Self::TooManyPaths => {
                f.write_str("scanned, but not told in full where it was when: its trees stand for too many paths")
            }
            Self::NotFetched(count) => {
                write!(f, "a partial clone: {count} objects were never fetched; scan a full clone to see them")
            }
            Self::Shallow => {
                f.write_str("a shallow clone: what came before was never fetched; `git fetch --unshallow` fetches it")
            }
            Self::NoSubmodule => f.write_str("a submodule that was never fetched; `git submodule update --init` does"),
            Self::Internal => f.write_str("not scanned: an internal error of keyspill; please report it"),
        }
    }
}

/// What a source hands over.
pub enum Item<'a> {
    /// A blob to scan. Its bytes live until the call returns.
    Blob(BlobPath, &'a [u8]),
    /// Something that is not scanned.
    Skip(Skip),
}

/// Takes what a source hands over, from several threads at once and in any order.
pub type Sink<'a> = &'a (dyn Fn(Item) + Sync);

/// The largest file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// In bytes.
    pub bytes: u64,
    /// True if the user set it.
    pub is_chosen: bool,
}

impl SizeLimit {
    /// The largest object of a repository that is read: what is to be scanned may be small, and made from what is large.
    pub fn of_objects(&self) -> u64 {
        self.bytes.max(Self::default().bytes)
    }

    /// Refuses what is larger.
    ///
    /// # Errors
    /// Why it is not scanned.
    pub fn check(&self, size: u64) -> Result<(), SkipCause> {
        let Self { bytes: limit, is_chosen } = *self;
        if size > limit { Err(SkipCause::TooLarge { size, limit, is_chosen }) } else { Ok(()) }
    }
}

impl Default for SizeLimit {
    /// 1 GiB, not chosen by anyone.
    fn default() -> Self {
        Self { bytes: 1 << 30, is_chosen: false }
    }
}
