//! What was not scanned, and why.

use crate::detect::MAX_TOKENS;
use crate::finding::BlobPath;
use std::fmt;

/// Something that was not scanned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skip {
    /// Its name.
    pub path: BlobPath,
    /// The reason.
    pub cause: SkipCause,
}

/// Why something was not scanned.
///
/// Error texts of libraries are never included, as they may quote the input. So texts about containers are fixed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipCause {
    /// A requested path that does not exist.
    Missing,
    /// A file or directory that could not be read, with the system's error text.
    Unreadable(String),
    /// A file over the size limit, in bytes.
    TooLarge {
        /// Size of the file.
        size: u64,
        /// The limit.
        limit: u64,
        /// True if the user set the limit, so the skip is intended.
        is_chosen: bool,
    },
    /// A file or directory that git ignores and does not track.
    GitIgnored,
    /// A repository in which it is unknown what git tracks, and why. So ignored files were scanned, too.
    TrackingUnknown(String),
    /// A symbolic link. Its target is scanned in its own place, if it is in the tree.
    Symlink,
    /// A socket, pipe or device.
    Special,
    /// An internal error of keyspill.
    Internal,
    /// A damaged container, with what is wrong. The readable parts were scanned.
    Damaged(&'static str),
    /// A container of which this many parts could not be read, and what they are, in the plural.
    PartsLost(usize, &'static str),
    /// An encrypted container or entry.
    Encrypted,
    /// In an unsupported format, and which.
    Unsupported(&'static str),
    /// Its text cannot be read, or only in part, and why. Its raw bytes were scanned.
    NoText(&'static str),
    /// In a container, beyond one of the limits.
    OverLimit {
        /// Which limit, and how to raise it.
        words: String,
        /// True if the user set the limit, so the skip is intended.
        is_chosen: bool,
    },
    /// The remaining entries of a container, after a limit was reached.
    MoreEntries {
        /// How many.
        count: usize,
        /// True if the scan is incomplete because of it.
        is_failure: bool,
    },
    /// A container that was not opened, as the user requested.
    NotOpened,
    /// It holds more than is processed for one file, and was scanned in part.
    TooMany,
    /// No repository could be opened there: the problem and its solution.
    NoRepository(String),
    /// The requested changes could not be determined: the problem and its solution.
    NoCommits(String),
    /// The number of further unreadable objects, beyond those that are listed.
    MoreUnreadable(usize),
    /// A history with more, or deeper, paths than are followed.
    TooManyPaths,
    /// A partial clone: the number of objects that were never fetched.
    NotFetched(usize),
    /// A shallow clone: earlier commits were never fetched.
    Shallow,
    /// A submodule that was never fetched.
    NoSubmodule,
    /// The scan writes a report to it.
    Output,
    /// A report of keyspill: key ids in it are not found again, secrets are.
    OwnReport,
    /// Settings that could not be read, so that the scan went without them: the problem.
    Settings(String),
    /// A key that could not be verified: which, and why.
    NotVerified(String),
    /// The configuration excludes it.
    Excluded,
    /// The configuration accepts that it cannot be scanned: the cause, and by which entry.
    Accepted(Box<SkipCause>, String),
    /// The same, but the entry has expired.
    AcceptedOnce(Box<SkipCause>, String),
}

impl SkipCause {
    /// True if it makes the scan incomplete in a way that the user did not request.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::AcceptedOnce(cause, _) => cause.is_failure(),
            Self::Missing | Self::Unreadable(_) | Self::Internal | Self::TooMany => true,
            Self::Settings(_)
            | Self::NotVerified(_)
            | Self::NoRepository(_)
            | Self::NoCommits(_)
            | Self::MoreUnreadable(_)
            | Self::TooManyPaths => true,
            Self::Damaged(_) | Self::PartsLost(..) | Self::Unsupported(_) => true,
            Self::TooLarge { is_chosen, .. } | Self::OverLimit { is_chosen, .. } => !is_chosen,
            Self::MoreEntries { is_failure, .. } => *is_failure,
            Self::Encrypted | Self::NoText(_) | Self::NotOpened => false,
            Self::Output | Self::OwnReport | Self::Excluded | Self::Accepted(..) => false,
            Self::GitIgnored | Self::Symlink | Self::Special => false,
            Self::NotFetched(_) | Self::Shallow | Self::NoSubmodule | Self::TrackingUnknown(_) => false,
        }
    }

    /// True if it often affects many files, which reports for people count instead of listing.
    pub fn is_of_many(&self) -> bool {
        matches!(self, Self::GitIgnored | Self::Symlink | Self::Special | Self::NotOpened | Self::Excluded)
    }

    /// A machine-readable identifier, also used for counting.
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
            Self::Output => "output",
            Self::OwnReport => "own-report",
            Self::Settings(_) => "settings",
            Self::NotVerified(_) => "not-verified",
            Self::Excluded => "excluded",
            Self::Accepted(..) => "accepted",
            Self::AcceptedOnce(cause, _) => cause.word(),
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
                write!(f, "cannot determine what git tracks here ({words}), so ignored files were scanned, too")
            }
            Self::Symlink => f.write_str("a symbolic link, not followed"),
            Self::Special => f.write_str("not a regular file"),
            Self::TooMany => {
                write!(
                    f,
                    "scanned in part: it holds more than {MAX_TOKENS} keys and comments, encoded text that is too \
                     large or nested too deep, or more findings than are kept for one file; scan it in smaller pieces"
                )
            }
            Self::NoRepository(words) | Self::NoCommits(words) => f.write_str(words),
            Self::MoreUnreadable(count) => write!(f, "{count} more objects cannot be read"),
            Self::TooManyPaths => f.write_str("reported only in part: its trees expand to too many paths"),
            Self::NotFetched(count) => {
                write!(f, "a partial clone: {count} objects were never fetched; scan a full clone to see them")
            }
            Self::Shallow => {
                f.write_str("a shallow clone: earlier commits were never fetched; run `git fetch --unshallow`")
            }
            Self::NoSubmodule => f.write_str("a submodule that was never fetched; run `git submodule update --init`"),
            Self::Output => f.write_str("not scanned: this scan writes a report to it"),
            Self::OwnReport => {
                f.write_str("a report of keyspill; key ids without a secret in it are not reported again")
            }
            Self::Settings(words) | Self::NotVerified(words) => f.write_str(words),
            Self::Excluded => f.write_str("excluded by the configuration"),
            Self::Accepted(cause, by) => write!(f, "{cause} (accepted by {by})"),
            Self::AcceptedOnce(cause, by) => write!(f, "{cause} (it was accepted by {by})"),
            Self::Damaged(words) => write!(f, "damaged ({words}); the readable parts were scanned"),
            Self::PartsLost(count, parts) => {
                write!(f, "damaged: {count} of its {parts} cannot be read; the others were scanned")
            }
            Self::Encrypted => f.write_str("encrypted, so it cannot be scanned; decrypt it first"),
            Self::Unsupported(words) => write!(f, "not scanned: keyspill cannot unpack it ({words})"),
            Self::NoText(words) => {
                write!(f, "its text cannot be read in full ({words}); its raw bytes were scanned")
            }
            Self::OverLimit { words, .. } => write!(f, "not scanned, or only in part: {words}"),
            Self::MoreEntries { count, .. } => write!(f, "{count} more entries were not scanned"),
            Self::NotOpened => f.write_str("archive not opened, as requested"),
            Self::Internal => f.write_str("not scanned because of an internal error in keyspill; please report it"),
        }
    }
}
