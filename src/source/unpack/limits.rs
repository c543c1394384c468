//! How far containers are looked into: everything in them may be made to exhaust who opens it.

use crate::file::{Reason, describe};
use crate::source::SkipCause;
use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that must not be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The largest that is allowed.
    pub most: u64,
    /// True if the user set it, and so knows.
    pub is_chosen: bool,
}

impl Limit {
    const fn default_of(most: u64) -> Self {
        Self { most, is_chosen: false }
    }
}

/// How far the containers in one file are looked into; in a mailbox, those in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep containers may lie in containers; compression counts.
    pub depth: Limit,
    /// How many entries all of them may have.
    pub entries: Limit,
    /// How many bytes all of them may unfold to.
    pub bytes: Limit,
    /// To how many times the size of the file they may unfold. Not asked of little that unfolds to less than [`FREE`].
    pub ratio: Limit,
}

/// What unfolds to less is not compared with its size, in bytes.
pub const FREE: u64 = 256 << 20;

impl Default for Limits {
    /// 8 deep, a million entries, 16 GiB, 200 times the size.
    fn default() -> Self {
        Self {
            depth: Limit::default_of(8),
            entries: Limit::default_of(1_000_000),
            bytes: Limit::default_of(16 << 30),
            ratio: Limit::default_of(200),
        }
    }
}

/// What of [`Limits`] has been used up.
#[derive(Debug)]
pub struct Budget<'a> {
    limits: &'a Limits,
    /// Size of the file in bytes, if it is known.
    size: Option<u64>,
    entries: AtomicU64,
    bytes: AtomicU64,
    /// Why nothing more is read, once a limit was met.
    spent: OnceLock<SkipCause>,
}

impl<'a> Budget<'a> {
    /// For a file of `size` bytes, if that is known.
    pub fn new(limits: &'a Limits, size: Option<u64>) -> Self {
        Self { limits, size, entries: AtomicU64::new(0), bytes: AtomicU64::new(0), spent: OnceLock::new() }
    }

    /// Why nothing more is read, if so.
    pub fn spent(&self) -> Option<&SkipCause> {
        self.spent.get()
    }

    /// How many bytes came out of decompressors so far.
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
    /// That it is one too many.
    pub fn enter(&self) -> Result<(), SkipCause> {
        let limit = self.limits.entries;
        if self.entries.fetch_add(1, Ordering::Relaxed) >= limit.most {
            let words = format!("archives hold more than {} entries; raise it with --max-archive-entries", limit.most);
            self.spend(words, limit);
        }
        self.spent().cloned().map_or(Ok(()), Err)
    }

    /// Refuses to go deeper than is allowed.
    ///
    /// # Errors
    /// That `depth` is too deep.
    pub fn descend(&self, depth: u64) -> Result<(), SkipCause> {
        let limit = self.limits.depth;
        if depth < limit.most {
            return Ok(());
        }
        let words =
            format!("archives lie more than {} deep in each other; raise it with --max-archive-depth", limit.most);
        Err(SkipCause::OverLimit { words, is_chosen: limit.is_chosen })
    }

    /// Counts bytes that came out of a decompressor.
    pub(super) fn unfold(&self, bytes: u64) -> bool {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let Limits { bytes: limit, ratio, .. } = self.limits;
        if all > limit.most {
            let most = bytesize::ByteSize(limit.most);
            self.spend(format!("archives unfold to more than {most}; raise it with --max-archive-size"), *limit);
        } else if all > FREE && self.size.is_some_and(|size| all / ratio.most > size) {
            let most = ratio.most;
            let words =
                format!("archives unfold to more than {most} times their size; raise it with --max-archive-ratio");
            self.spend(words, *ratio);
        }
        self.spent.get().is_none()
    }

    fn spend(&self, words: String, limit: Limit) {
        _ = self.spent.set(SkipCause::OverLimit { words, is_chosen: limit.is_chosen });
    }

    /// `decoder`, with what it yields counted. Fails once a limit is met.
    pub fn meter<R: Read>(&self, decoder: R) -> Metered<'_, R> {
        Metered { decoder, budget: self }
    }

    /// Why reading failed: a limit was met, or the data is damaged.
    pub fn cause(&self, error: &io::Error) -> SkipCause {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Reason>());
        match (reason, error.kind()) {
            (Some(reason), _) => self.damaged(reason.0),
            (None, io::ErrorKind::UnexpectedEof) => self.damaged("it ends early"),
            (None, _) if error.raw_os_error().is_some() => SkipCause::Unreadable(describe(error)),
            (None, io::ErrorKind::OutOfMemory) => self.damaged("to unpack it takes too much memory"),
            (None, _) => self.damaged("it is not written as its format asks"),
        }
    }

    /// That something is damaged, unless reading ended because a limit was met.
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
