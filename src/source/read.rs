//! Reading one file, or standard input, in one piece.

use super::container::Content;
use super::container::format::{Format, HEAD};
use super::{Blob, BlobPath, Item, Sink, SizeLimit, Skip, SkipCause};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

/// A buffer that is kept from file to file grows no larger than this, in bytes.
const KEPT_CAPACITY: usize = 4 << 20;

/// A container larger than this, in bytes, is read in pieces.
const WHOLE: u64 = 64 << 20;

/// Reads files one after another into the same memory. Files are read, not mapped: a mapped file that is truncated
/// meanwhile kills the process.
#[derive(Debug)]
pub struct Reader {
    limit: SizeLimit,
    /// Archives are looked into.
    archives: bool,
    buffer: Vec<u8>,
}

impl Reader {
    /// A reader that refuses files over `limit`; with `archives` only where they cannot be read in pieces.
    pub fn new(limit: SizeLimit, archives: bool) -> Self {
        Self { limit, archives, buffer: Vec::new() }
    }

    /// Hands the file at `path` to `sink`, under the name `name`.
    pub fn file(&mut self, path: &Path, name: BlobPath, sink: Sink) {
        match File::open(path).map_err(unreadable).and_then(|file| self.read_file(file, &name, sink)) {
            Ok(Some(bytes)) => sink(Item::Blob(Blob { path: name, bytes, context: None })),
            Ok(None) => {}
            Err(cause) => sink(Item::Skip(Skip { path: name, cause })),
        }
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
    }

    /// The content of a file; `None` if it is a container that was handed over as such.
    fn read_file(&mut self, mut file: File, name: &BlobPath, sink: Sink) -> Result<Option<&[u8]>, SkipCause> {
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(SkipCause::Unreadable("is a directory".into()));
        }
        let size = metadata.len();
        if metadata.is_file() && size > 0 {
            if size > WHOLE && !(self.limit.is_chosen && size > self.limit.bytes) {
                let mut head = Vec::with_capacity(HEAD);
                (&file).take(HEAD as u64).read_to_end(&mut head).and_then(|_| file.rewind()).map_err(unreadable)?;
                if let Some(format) = self.format_in_pieces(&head) {
                    sink(Item::Container(name.clone(), format, Content::File(&file), Some(size)));
                    return Ok(None);
                }
            }
            self.limit.check(size)?;
            let limit = SizeLimit { bytes: usize::MAX as u64, is_chosen: false };
            limit.check(size)?;
            return self.read_known(file, size as usize).map(Some).map_err(unreadable);
        }
        // A pipe named on the command line, or a file of /proc: their size is not known beforehand.
        self.read_stream(&mut file, name, sink)
    }

    /// The format of a container that starts with `head` and can be read in pieces.
    fn format_in_pieces(&self, head: &[u8]) -> Option<Format> {
        Format::of(head).filter(|format| format.streams() && (self.archives || format.is_mail()))
    }

    /// Reads up to `length` bytes; less if the file was cut short meanwhile.
    fn read_known(&mut self, mut file: File, length: usize) -> io::Result<&[u8]> {
        if self.buffer.len() < length {
            // Nothing of the old content is wanted, so it need not be copied.
            self.buffer.clear();
            self.buffer.resize(length, 0);
        }
        let mut filled = 0;
        while filled < length {
            match file.read(&mut self.buffer[filled..length]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[..filled])
    }

    /// Reads to the end, or to the limit; `None` if it is a container that was handed over as such.
    fn read_stream(&mut self, stream: &mut dyn Read, name: &BlobPath, sink: Sink) -> Result<Option<&[u8]>, SkipCause> {
        self.buffer.clear();
        let most = self.limit.bytes.saturating_add(1);
        stream.take(most.min(WHOLE)).read_to_end(&mut self.buffer).map_err(unreadable)?;
        if self.buffer.len() as u64 == WHOLE {
            let head = &self.buffer[..HEAD];
            if let Some(format) = self.format_in_pieces(head).filter(|_| !self.limit.is_chosen) {
                let mut whole = Cursor::new(&self.buffer).chain(stream);
                sink(Item::Container(name.clone(), format, Content::Stream(&mut whole), None));
                return Ok(None);
            }
            stream.take(most - WHOLE.min(most)).read_to_end(&mut self.buffer).map_err(unreadable)?;
        }
        self.limit.check(self.buffer.len() as u64)?;
        Ok(Some(&self.buffer))
    }

    /// Hands standard input to `sink`, under the name `name`.
    pub fn stdin(&mut self, name: BlobPath, sink: Sink) {
        match self.read_stream(&mut io::stdin().lock(), &name, sink) {
            Ok(Some(bytes)) => sink(Item::Blob(Blob { path: name, bytes, context: None })),
            Ok(None) => {}
            Err(cause) => sink(Item::Skip(Skip { path: name, cause })),
        }
    }
}

fn unreadable(error: io::Error) -> SkipCause {
    if error.kind() == io::ErrorKind::NotFound { SkipCause::Missing } else { SkipCause::Unreadable(describe(&error)) }
}

/// The system's words for an error, without its number.
pub(crate) fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text[..1].to_lowercase() + &text[1..]
}
