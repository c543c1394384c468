//! Sources of blobs. A source emits each blob once and reports what it could not or should not read.

pub mod chat;
pub mod gitignore;
pub mod pieces;
pub mod read;
mod skip;
pub mod tree;
pub mod unpack;

use crate::finding::BlobPath;
use crate::finding::message::Enclosing;
use pieces::Piece;
pub use skip::{Skip, SkipCause};
use std::sync::Arc;
use unpack::Content;
use unpack::format::Format;

/// Bytes to scan.
#[derive(Debug, Clone)]
pub struct Blob<'a> {
    /// Their name in reports.
    pub path: BlobPath,
    /// Valid until the call that passes them to the sink returns.
    pub bytes: &'a [u8],
    /// What the enclosing containers say about them.
    pub context: Option<Context>,
}

/// What the containers around a blob say about it.
#[derive(Debug, Clone)]
pub enum Context {
    /// It is part of a message.
    Message(Arc<Enclosing>),
    /// It is in an archive with these exports.
    Exports(Arc<chat::export::Exports>),
}

/// What a source emits.
pub enum Item<'a> {
    /// A blob to scan.
    Blob(Blob<'a>),
    /// The raw bytes of a nested container, whose parts are emitted as well.
    Whole(Blob<'a>),
    /// A container to be read in pieces, because it is large or comes through a pipe; with its size in bytes, if known.
    Container(BlobPath, Format, Content<'a>, Option<u64>),
    /// A part of a file, or of an entry of a container, that is too large for memory.
    Piece(Piece<'a>),
    /// A directory, of which only the name is scanned.
    Directory(BlobPath),
    /// Something that is not scanned.
    Skip(Skip),
}

/// Receives what a source emits, from several threads at once and in any order.
pub type Sink<'a> = &'a (dyn Fn(Item) + Sync);

/// The maximum size of a file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// In bytes.
    pub bytes: u64,
    /// True if the user set it.
    pub is_chosen: bool,
}

impl SizeLimit {
    /// The maximum size of a git object to read: a small blob may be stored as a delta against a large base.
    pub fn of_objects(&self) -> u64 {
        self.bytes.max(Self::default().bytes)
    }

    /// Rejects a size over the limit.
    ///
    /// # Errors
    /// The reason to skip what is too large.
    pub fn check(&self, size: u64) -> Result<(), SkipCause> {
        let Self { bytes: limit, is_chosen } = *self;
        if size > limit { Err(SkipCause::TooLarge { size, limit, is_chosen }) } else { Ok(()) }
    }
}

impl Default for SizeLimit {
    /// 1 GiB, not set by the user.
    fn default() -> Self {
        Self { bytes: 1 << 30, is_chosen: false }
    }
}
