//! Where blobs come from. A source hands over each blob once and names what it could not or should not read.

pub mod chat;
mod gitignore;
pub mod read;
mod skip;
pub mod tree;
pub mod unpack;

use crate::finding::BlobPath;
use crate::finding::message::Enclosing;
pub use skip::{Skip, SkipCause};
use std::sync::Arc;
use unpack::Content;
use unpack::format::Format;

/// Bytes to scan.
#[derive(Debug, Clone)]
pub struct Blob<'a> {
    /// What they are called.
    pub path: BlobPath,
    /// They live until the call that hands them over returns.
    pub bytes: &'a [u8],
    /// What is known of them from what they were found in.
    pub context: Option<Context>,
}

/// What the containers around a blob tell of it.
#[derive(Debug, Clone)]
pub enum Context {
    /// It is part of a message.
    Message(Arc<Enclosing>),
    /// It is in an export of Slack, whose tables these are.
    Slack(Arc<chat::slack::Export>),
}

/// What a source hands over.
pub enum Item<'a> {
    /// A blob to scan.
    Blob(Blob<'a>),
    /// The bytes of a container in a container, of which the parts are handed over, too.
    Whole(Blob<'a>),
    /// A container that is read in pieces, since it is large or comes through a pipe; of so many bytes, if that is known.
    Container(BlobPath, Format, Content<'a>, Option<u64>),
    /// A directory, of which only the name is looked at.
    Directory(BlobPath),
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
