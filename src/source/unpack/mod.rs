//! Blobs that hold other blobs: archives, compressed files, documents, mail.
//!
//! ```text
//! first bytes ─► format ─► one module for each ─► entry ─► first bytes ─► … ─► Blob
//!                                                 (limits on depth, number, size and ratio)
//! ```
//!
//! Nothing is ever written to disk, no name in an archive is ever used as a path, and no link in it is followed.

mod ar;
mod compressed;
mod cpio;
pub mod format;
pub mod limits;
pub mod mail;
mod office;
#[cfg(feature = "documents")]
mod pdf;
mod rpm;
#[cfg(feature = "documents")]
mod seven_zip;
mod sqlite;
mod tar;
mod tolerant;
mod zip;

use super::pieces;
use super::{Blob, BlobPath, Context, Item, Sink, SizeLimit, Skip, SkipCause};
use crate::finding::message::{Enclosing, Message};
use format::{Format, HEAD};
use limits::{Budget, Limits};
use mail::mime::MAX_FIELDS;
use mail::{calendar, mbox, mime};
#[cfg(feature = "documents")]
use mail::{msg, pst, tnef};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tolerant::Tolerant;

/// The source of a container's bytes.
pub enum Content<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file, positioned at its start.
    File(&'a File),
    /// A stream, which can be read only once.
    Stream(&'a mut dyn Read),
}

/// A reader with random access.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

impl<'a> Content<'a> {
    /// Reads from the start to the end.
    pub fn reader(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Bytes(bytes) => Box::new(bytes),
            Self::File(file) => Box::new(io::BufReader::with_capacity(1 << 16, file)),
            Self::Stream(stream) => Box::new(stream),
        }
    }

    /// All bytes, read into memory if they are not there yet.
    pub(super) fn bytes(self, unpacker: &Unpacker) -> Result<Cow<'a, [u8]>, SkipCause> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            other => unpacker.read_all(&mut *other.reader()).map(Cow::Owned),
        }
    }

    /// With random access; a stream is read into memory.
    fn seekable(self, unpacker: &Unpacker) -> Result<Box<dyn ReadSeek + 'a>, SkipCause> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Self::File(file) => Ok(Box::new(io::BufReader::with_capacity(1 << 16, file))),
            Self::Stream(stream) => Ok(Box::new(Cursor::new(unpacker.read_all(stream)?))),
        }
    }
}

/// A location in the outermost file.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub path: BlobPath,
    /// The number of containers around it.
    pub depth: u64,
    /// What the containers say about it.
    pub context: Option<Context>,
    /// True if its raw bytes are part of bytes that are scanned anyway.
    pub is_seen: bool,
}

impl Place {
    /// The outermost file; `is_seen` says whether its raw bytes are scanned, too.
    pub fn outermost(path: BlobPath, is_seen: bool) -> Self {
        Self { path, depth: 0, context: None, is_seen }
    }

    /// An entry in the container at this place.
    #[must_use]
    pub fn within(&self, name: &[u8]) -> Self {
        let path = self.path.within(name);
        Self { path, depth: self.depth + 1, context: self.context.clone(), is_seen: false }
    }

    /// The same place, in a message that may itself be in another.
    #[must_use]
    pub fn with_message(self, message: Message) -> Self {
        let outer = match &self.context {
            Some(Context::Message(outer)) => Some(outer.clone()),
            _ => None,
        };
        self.with(Context::Message(Arc::new(Enclosing::new(message, outer))))
    }

    /// The same place, with more context from a container.
    #[must_use]
    pub fn with(self, context: Context) -> Self {
        Self { context: Some(context), ..self }
    }
}

/// Emits the contents of one file.
pub struct Unpacker<'a> {
    budget: Budget<'a>,
    /// The maximum size of a blob.
    size: SizeLimit,
    /// Open archives and documents, not only mail.
    archives: bool,
    sink: Sink<'a>,
}

impl<'a> Unpacker<'a> {
    /// For a file of `file_size` bytes, if known.
    pub fn new(limits: &'a Limits, file_size: Option<u64>, size: SizeLimit, archives: bool, sink: Sink<'a>) -> Self {
        Self { budget: Budget::new(limits, file_size), size, archives, sink }
    }

    /// An unpacker with the same limits and nothing used up, for a part of `size` bytes.
    pub(super) fn afresh(&self, size: u64) -> Self {
        Self::new(self.budget.limits(), Some(size), self.size, self.archives, self.sink)
    }

    /// True if containers of this format are opened.
    pub fn opens(&self, format: Format) -> bool {
        self.archives || format.is_mail()
    }

    /// Emits the contents of a container. Anything unreadable is emitted as a skip.
    pub fn open(&self, format: Format, place: &Place, content: Content) {
        if !self.opens(format) {
            return self.skip(&place.path, SkipCause::NotOpened);
        }
        let open = || match format {
            Format::Gzip
            | Format::Zlib
            | Format::Bzip2
            | Format::Xz
            | Format::Zstd
            | Format::Lzma
            | Format::Lzip
            | Format::Lz4
            | Format::Brotli => compressed::open(self, format, place, content),
            Format::Ar => ar::open(self, place, content),
            Format::Cpio => cpio::open(self, place, content),
            Format::Rpm => rpm::open(self, place, content),
            Format::Tar => tar::open(self, place, content),
            Format::Zip => zip::open(self, place, content),
            #[cfg(feature = "documents")]
            Format::SevenZip => seven_zip::open(self, place, content),
            #[cfg(feature = "documents")]
            Format::Pdf => pdf::open(self, place, &content.bytes(self)?),
            #[cfg(feature = "documents")]
            Format::Compound => msg::open(self, place, &content.bytes(self)?),
            #[cfg(feature = "documents")]
            Format::Tnef => tnef::open(self, place, &content.bytes(self)?),
            Format::Sqlite => sqlite::open(self, place, &content.bytes(self)?),
            #[cfg(feature = "documents")]
            Format::Pst => pst::open(self, place, content),
            Format::Mbox => mbox::open(self, place, content),
            #[cfg(not(feature = "documents"))]
            Format::SevenZip | Format::Pdf | Format::Compound | Format::Tnef | Format::Pst => {
                Err(SkipCause::Unsupported("it was built without the feature `documents`"))
            }
            Format::Calendar => {
                calendar::open(self, place, &content.bytes(self)?);
                Ok(())
            }
            Format::Mail => {
                mime::open(self, place, &content.bytes(self)?);
                Ok(())
            }
        };
        let opened = self.budget.descend(place.depth).and_then(|()| {
            // A parser that panics on one file must not affect other files, nor go unnoticed.
            catch_unwind(AssertUnwindSafe(open)).unwrap_or(Err(SkipCause::Internal))
        });
        if let Err(cause) = opened {
            self.skip(&place.path, cause);
        }
    }

    /// Emits an entry: its contents if it is a container, otherwise the entry itself.
    ///
    /// # Errors
    /// If it cannot be read or is too large.
    pub(super) fn entry(&self, place: &Place, stream: &mut dyn Read) -> Result<(), SkipCause> {
        self.identify(stream, |_| Cow::Borrowed(place))
    }

    /// Emits what was compressed. An archive keeps the name of the compressed file: `a.tar.gz » file`.
    fn unpacked(&self, place: &Place, name: &[u8], stream: &mut dyn Read) -> Result<(), SkipCause> {
        self.identify(stream, |format| {
            let inner = place.within(name);
            let is_archive = format.is_some_and(|format| !format.is_compression());
            Cow::Owned(if is_archive { Place { path: place.path.clone(), ..inner } } else { inner })
        })
    }

    /// Emits an entry at a place that depends on its format.
    fn identify<'p>(
        &self,
        stream: &mut dyn Read,
        place: impl FnOnce(Option<Format>) -> Cow<'p, Place>,
    ) -> Result<(), SkipCause> {
        let mut stream = Tolerant::new(stream);
        let mut head = Vec::with_capacity(HEAD);
        let mut read = |most: usize, head: &mut Vec<u8>| {
            let left = (most - head.len()) as u64;
            (&mut stream).take(left).read_to_end(head).map_err(|error| self.budget.cause(&error))
        };
        read(HEAD, &mut head)?;
        if Format::needs_more(&head) {
            read(MAX_FIELDS, &mut head)?;
        }
        let format = Format::from_head(&head);
        let place = place(format.filter(|format| self.opens(*format)));
        let mut whole = Cursor::new(&head[..]).chain(&mut stream);
        match format {
            Some(format) if self.opens(format) => self.open(format, &place, Content::Stream(&mut whole)),
            None => self.entry_of_any_size(&place, &mut whole)?,
            Some(_) => self.entry_bytes(&place, &self.read_all(&mut whole)?),
        }
        stream.error.map_or(Ok(()), |error| Err(self.budget.cause(&error)))
    }

    /// An entry that is no container. Without a limit of the user's, one that is too large for memory is read in pieces.
    fn entry_of_any_size(&self, place: &Place, stream: &mut dyn Read) -> Result<(), SkipCause> {
        let failed = |error: io::Error| self.budget.cause(&error);
        let mut bytes = Vec::new();
        stream.take(self.size.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 <= self.size.bytes || self.size.is_chosen {
            self.size.check(bytes.len() as u64)?;
            self.entry_bytes(place, &bytes);
            return Ok(());
        }
        let mut whole = Cursor::new(bytes).chain(stream);
        let sizes = pieces::Sizes::default();
        pieces::read(&mut whole, &place.path, place.context.as_ref(), sizes, self.sink).map(|_| ()).map_err(failed)
    }

    /// The same for an entry in memory.
    pub(super) fn entry_bytes(&self, place: &Place, bytes: &[u8]) {
        match Format::from_named_blob(place.path.innermost(), bytes) {
            Some(format) if self.opens(format) => return self.open(format, place, Content::Bytes(bytes)),
            Some(_) => self.skip(&place.path, SkipCause::NotOpened),
            None => {
                if let Some(cause) = Format::problem(place.path.innermost(), bytes) {
                    self.skip(&place.path, cause);
                }
            }
        }
        self.leaf(place, bytes);
    }

    /// Emits the raw bytes of a container, unless they are scanned as part of an outer one, so that nothing is lost
    /// that its parser ignores.
    pub(super) fn whole(&self, place: &Place, bytes: &[u8]) {
        if !place.is_seen {
            (self.sink)(Item::Whole(Blob { path: place.path.clone(), bytes, context: place.context.clone() }));
        }
    }

    /// Emits a blob.
    pub(super) fn leaf(&self, place: &Place, bytes: &[u8]) {
        (self.sink)(Item::Blob(Blob { path: place.path.clone(), bytes, context: place.context.clone() }));
    }

    /// Reports that something was not read.
    pub(super) fn skip(&self, path: &BlobPath, cause: SkipCause) {
        (self.sink)(Item::Skip(Skip { path: path.clone(), cause }));
    }

    /// The limits, and how much of them is used up.
    pub(super) fn budget(&self) -> &Budget<'a> {
        &self.budget
    }

    /// The maximum size of a blob.
    pub(super) fn size(&self) -> SizeLimit {
        self.size
    }

    /// The rest of a stream, up to the limit for one blob.
    fn read_all(&self, stream: &mut dyn Read) -> Result<Vec<u8>, SkipCause> {
        let mut bytes = Vec::new();
        let read = stream.take(self.size.bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| self.budget.cause(&error))?;
        self.size.check(bytes.len() as u64)?;
        Ok(bytes)
    }
}
