//! Limits on unpacking containers: anything in them may be crafted to exhaust the program that opens it.

use crate::file::{Reason, describe};
use crate::source::SkipCause;
use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that must not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The largest value allowed.
    pub most: u64,
    /// True if the user set it.
    pub is_chosen: bool,
}

impl Limit {
    const fn default_of(most: u64) -> Self {
        Self { most, is_chosen: false }
    }
}

/// Limits on the containers in one file or, in a mailbox, in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum nesting depth of containers; compression counts.
    pub depth: Limit,
    /// Maximum number of entries in all of them.
    pub entries: Limit,
    /// Maximum number of bytes that all of them may expand to.
    pub bytes: Limit,
    /// Maximum ratio of the expanded size to the size of the file. Not checked up to [`FREE`] bytes.
    pub ratio: Limit,
}

/// Expanded sizes up to this many bytes are not checked against the ratio.
pub const FREE: u64 = 256 << 20;

impl Default for Limits {
    /// Depth 8, a million entries, 16 GiB, 200 times the size.
    fn default() -> Self {
        Self {
            depth: Limit::default_of(8),
            entries: Limit::default_of(1_000_000),
            bytes: Limit::default_of(16 << 30),
            ratio: Limit::default_of(200),
        }
    }
}

/// How much of [`Limits`] has been used up.
#[derive(Debug)]
pub struct Budget<'a> {
    limits: &'a Limits,
    /// Size of the file in bytes, if known.
    size: Option<u64>,
    entries: AtomicU64,
    bytes: AtomicU64,
    /// Why nothing more is read, once a limit is reached.
    spent: OnceLock<SkipCause>,
}

impl<'a> Budget<'a> {
    /// For a file of `size` bytes, if known.
    pub fn new(limits: &'a Limits, size: Option<u64>) -> Self {
        Self { limits, size, entries: AtomicU64::new(0), bytes: AtomicU64::new(0), spent: OnceLock::new() }
    }

    /// Why nothing more is read, if a limit was reached.
    pub fn spent(&self) -> Option<&SkipCause> {
        self.spent.get()
    }

    /// The number of bytes that decompressors have produced so far.
    pub fn unfolded(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The limits.
    pub fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Counts one more entry.
    ///
    /// # Errors
    /// If a limit was reached.
    pub fn enter(&self) -> Result<(), SkipCause> {
        let limit = self.limits.entries;
        if self.entries.fetch_add(1, Ordering::Relaxed) >= limit.most {
            let words =
                format!("archives hold more than {} entries; raise the limit with --max-archive-entries", limit.most);
            self.spend(words, limit);
        }
        self.spent().cloned().map_or(Ok(()), Err)
    }

    /// Fails if containers are nested too deeply.
    ///
    /// # Errors
    /// If `depth` is too deep.
    pub fn descend(&self, depth: u64) -> Result<(), SkipCause> {
        let limit = self.limits.depth;
        if depth < limit.most {
            return Ok(());
        }
        let words =
            format!("archives are nested more than {} deep; raise the limit with --max-archive-depth", limit.most);
        Err(SkipCause::OverLimit { words, is_chosen: limit.is_chosen })
    }

    /// Counts bytes that a decompressor produced; false once a limit is reached.
    pub(super) fn unfold(&self, bytes: u64) -> bool {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let Limits { bytes: limit, ratio, .. } = self.limits;
        if all > limit.most {
            let most = bytesize::ByteSize(limit.most);
            self.spend(format!("archives expand to over {most}; raise the limit with --max-archive-size"), *limit);
        } else if all > FREE && self.size.is_some_and(|size| all / ratio.most > size) {
            let most = ratio.most;
            let words =
                format!("archives expand to over {most} times their size; raise the limit with --max-archive-ratio");
            self.spend(words, *ratio);
        }
        self.spent.get().is_none()
    }

    fn spend(&self, words: String, limit: Limit) {
        _ = self.spent.set(SkipCause::OverLimit { words, is_chosen: limit.is_chosen });
    }

    /// Wraps `decoder` to count its output. Reading fails once a limit is reached.
    pub fn meter<R: Read>(&self, decoder: R) -> Metered<'_, R> {
        Metered { decoder, budget: self }
    }

    /// Why reading failed: a limit was reached, or the data is damaged or unreadable.
    pub fn cause(&self, error: &io::Error) -> SkipCause {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Reason>());
        match (reason, error.kind()) {
            (Some(reason), _) => self.damaged(reason.0),
            (None, io::ErrorKind::UnexpectedEof) => self.damaged("it ends early"),
            (None, _) if error.raw_os_error().is_some() => SkipCause::Unreadable(describe(error)),
            (None, io::ErrorKind::OutOfMemory) => self.damaged("unpacking it takes too much memory"),
            (None, _) => self.damaged("it does not conform to its format"),
        }
    }

    /// The cause for damaged data, unless reading ended because a limit was reached.
    pub fn damaged(&self, what: &'static str) -> SkipCause {
        self.spent().cloned().unwrap_or(SkipCause::Damaged(what))
    }
}

/// See [`Budget::meter`].
#[derive(Debug)]
pub struct Metered<'a, R> {
    decoder: R,
    budget: &'a Budget<'a>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.decoder.read(buffer)?;
        if self.budget.unfold(length as u64) { Ok(length) } else { Err(Reason("over a limit").into()) }
    }
}
