//! What was not scanned, and why.

use crate::detect::MOST_TOKENS;
use crate::finding::BlobPath;
use std::fmt;

/// Something that was not scanned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skip {
    /// What.
    pub path: BlobPath,
    /// Why.
    pub cause: SkipCause,
}

/// Why something was not scanned.
///
/// The words of a library are never among these: they may quote what was read. So what is said of containers is fixed text.
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
    /// What git tracks in a repository cannot be told, and why. So what its patterns ignore was scanned, too.
    TrackingUnknown(String),
    /// A symbolic link: what it points to is scanned where it is, if it is in the tree.
    Symlink,
    /// A socket, pipe or device.
    Special,
    /// keyspill itself failed on it.
    Internal,
    /// A container that is damaged: what is wrong. What could be read of it was scanned.
    Damaged(&'static str),
    /// A container of which so many parts cannot be read: what they are, in the plural.
    PartsLost(usize, &'static str),
    /// In a container, and encrypted.
    Encrypted,
    /// Packed or written in a way that keyspill does not know: which.
    Unsupported(&'static str),
    /// A document whose text cannot be read, or not all of it: why. Its bytes were scanned as they are.
    NoText(&'static str),
    /// In a container, and beyond what is read of it.
    OverLimit {
        /// Which limit, and how to raise it.
        words: String,
        /// True if the user set the limit, and so knows.
        is_chosen: bool,
    },
    /// So many more entries of a container, after a limit was met.
    MoreEntries {
        /// How many.
        count: usize,
        /// True if the scan is incomplete because of it.
        is_failure: bool,
    },
    /// A container that was not looked into, as the user asked for.
    NotOpened,
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
            Self::Damaged(_) | Self::PartsLost(..) | Self::Unsupported(_) => true,
            Self::TooLarge { is_chosen, .. } | Self::OverLimit { is_chosen, .. } => !is_chosen,
            Self::MoreEntries { is_failure, .. } => *is_failure,
            Self::Encrypted | Self::NoText(_) | Self::NotOpened => false,
            Self::GitIgnored | Self::Symlink | Self::Special => false,
            Self::NotFetched(_) | Self::Shallow | Self::NoSubmodule | Self::TrackingUnknown(_) => false,
        }
    }

    /// True if it is said of many files at once, which are counted and not listed for people.
    pub fn is_of_many(&self) -> bool {
        matches!(self, Self::GitIgnored | Self::Symlink | Self::Special | Self::NotOpened)
    }

    /// A word for counting and for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::TooLarge { .. } => "too-large",
            Self::GitIgnored => "git-ignored",
            Self::TrackingUnknown(_) => "tracking-unknown",
            Self::Symlink => "symlink",
            Self::Special => "special",
            Self::Internal => "internal",
            Self::Damaged(_) | Self::PartsLost(..) => "damaged",
            Self::Encrypted => "encrypted",
            Self::Unsupported(_) => "unsupported",
            Self::NoText(_) => "no-text",
            Self::OverLimit { .. } => "over-limit",
            Self::MoreEntries { .. } => "more-entries",
            Self::NotOpened => "not-opened",
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
            Self::TrackingUnknown(words) => {
                write!(f, "it cannot be told what git tracks here ({words}), so ignored files were scanned, too")
            }
            Self::Symlink => f.write_str("a symbolic link, not followed"),
            Self::Special => f.write_str("not a regular file"),
            Self::TooMany => {
                write!(
                    f,
                    "scanned in part: it holds more than {MOST_TOKENS} keys and comments, more layers or amounts of packed \
                     text than are unpacked, or more findings than are kept of one file; scan it in smaller pieces"
                )
            }
            Self::NoRepository(words) | Self::NoCommits(words) => f.write_str(words),
            Self::MoreUnreadable(count) => write!(f, "{count} more objects cannot be read"),
            Self::TooManyPaths => f.write_str("not told in full: its trees stand for too many paths"),
            Self::NotFetched(count) => {
                write!(f, "a partial clone: {count} objects were never fetched; scan a full clone to see them")
            }
            Self::Shallow => {
                f.write_str("a shallow clone: what came before was never fetched; `git fetch --unshallow` fetches it")
            }
            Self::NoSubmodule => f.write_str("a submodule that was never fetched; `git submodule update --init` does"),
            Self::Damaged(words) => write!(f, "damaged ({words}); what could be read of it was scanned"),
            Self::PartsLost(count, parts) => {
                write!(f, "damaged: {count} of its {parts} cannot be read; the others were scanned")
            }
            Self::Encrypted => f.write_str("encrypted, so that it cannot be scanned; decrypt it first"),
            Self::Unsupported(words) => write!(f, "not scanned: keyspill cannot unpack it ({words})"),
            Self::NoText(words) => {
                write!(f, "not all of its text can be read ({words}); its bytes were scanned as they are")
            }
            Self::OverLimit { words, .. } => write!(f, "not scanned, or in part: {words}"),
            Self::MoreEntries { count, .. } => write!(f, "{count} more entries were not scanned"),
            Self::NotOpened => f.write_str("archives are left out, as was asked for"),
            Self::Internal => f.write_str("not scanned: an internal error of keyspill; please report it"),
        }
    }
}
