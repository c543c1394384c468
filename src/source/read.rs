//! Reading one file, or standard input, in one piece.

use super::{BlobPath, Item, Sink, SizeLimit, Skip, SkipCause};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A buffer that is kept from file to file grows no larger than this, in bytes.
const KEPT_CAPACITY: usize = 4 << 20;

/// Reads files one after another into the same memory. Files are read, not mapped: a mapped file that is truncated
/// meanwhile kills the process.
#[derive(Debug)]
pub struct Reader {
    limit: SizeLimit,
    buffer: Vec<u8>,
}

impl Reader {
    /// A reader that refuses files over `limit`.
    pub fn new(limit: SizeLimit) -> Self {
        Self { limit, buffer: Vec::new() }
    }

    /// Hands the file at `path` to `sink`, under the name `name`.
    pub fn file(&mut self, path: &Path, name: BlobPath, sink: Sink) {
        match self.read_file(path) {
            Ok(bytes) => sink(Item::Blob(name, bytes)),
            Err(cause) => sink(Item::Skip(Skip { path: name, cause })),
        }
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<&[u8], SkipCause> {
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(SkipCause::Unreadable("is a directory".into()));
        }
        if metadata.is_file() && metadata.len() > 0 {
            self.limit.check(metadata.len())?;
            let length = usize::try_from(metadata.len()).map_err(|_| SkipCause::TooLarge {
                size: metadata.len(),
                limit: self.limit.bytes,
                is_chosen: self.limit.is_chosen,
            })?;
            return self.read_known(file, length).map_err(unreadable);
        }
        // A pipe named on the command line, or a file of /proc: their size is not known beforehand.
        self.read_stream(file)
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

    /// Reads to the end, or to the limit.
    fn read_stream(&mut self, stream: impl Read) -> Result<&[u8], SkipCause> {
        self.buffer.clear();
        stream.take(self.limit.bytes.saturating_add(1)).read_to_end(&mut self.buffer).map_err(unreadable)?;
        self.limit.check(self.buffer.len() as u64)?;
        Ok(&self.buffer)
    }

    /// Hands standard input to `sink`, under the name `name`.
    pub fn stdin(&mut self, name: BlobPath, sink: Sink) {
        match self.read_stream(io::stdin().lock()) {
            Ok(bytes) => sink(Item::Blob(name, bytes)),
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
