//! Reading one file, or standard input: in one piece, unless it is too large.

use super::pieces::{self, Sizes};
use super::unpack::Content;
use super::unpack::format::{Format, HEAD};
use super::{Blob, BlobPath, Item, Sink, SizeLimit, Skip, SkipCause};
use crate::file::{self, describe};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

/// The maximum capacity, in bytes, of a buffer that is reused from file to file.
const KEPT_CAPACITY: usize = 4 << 20;

/// Reads files one after another into the same buffer. Files are read, not memory-mapped: truncating a mapped file
/// while it is scanned kills the process.
#[derive(Debug)]
pub struct Reader {
    limit: SizeLimit,
    /// Whether archives are opened.
    archives: bool,
    /// Containers larger than this, in bytes, are read in pieces; their raw bytes are then not scanned in addition.
    whole: u64,
    sizes: Sizes,
    buffer: Vec<u8>,
}

impl Reader {
    /// A reader that rejects files over `limit`. If the user did not set the limit, they are read in pieces instead, and
    /// containers as streams if their format allows it (archives only with `archives`).
    pub fn new(limit: SizeLimit, archives: bool) -> Self {
        Self { limit, archives, whole: limit.bytes, sizes: Sizes::default(), buffer: Vec::new() }
    }

    /// Hands the file at `path` to `sink`, under the name `name`.
    pub fn file(&mut self, path: &Path, name: BlobPath, sink: Sink) {
        // It was a regular file when the walk found it.
        self.opened(file::open_unchecked(path), true, name, sink);
    }

    /// The same for a path named by the user. It may be a pipe, as with a shell's `<(command)`.
    pub fn named(&mut self, path: &Path, name: BlobPath, sink: Sink) {
        self.opened(File::open(path), false, name, sink);
    }

    fn opened(&mut self, file: io::Result<File>, must_be_regular: bool, name: BlobPath, sink: Sink) {
        match file.map_err(unreadable).and_then(|file| self.read_file(file, must_be_regular, &name, sink)) {
            Ok(Some(bytes)) => sink(Item::Blob(Blob { path: name, bytes, context: None })),
            Ok(None) => {}
            Err(cause) => sink(Item::Skip(Skip { path: name, cause })),
        }
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
    }

    /// The content of a file; `None` if it was emitted as a container.
    fn read_file(
        &mut self,
        mut file: File,
        must_be_regular: bool,
        name: &BlobPath,
        sink: Sink,
    ) -> Result<Option<&[u8]>, SkipCause> {
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(SkipCause::Unreadable("is a directory".into()));
        }
        if must_be_regular && !metadata.is_file() {
            return Err(unreadable(file::NOT_REGULAR.into()));
        }
        let size = metadata.len();
        if metadata.is_file() && size > 0 {
            if size > self.whole && !self.limit.is_chosen {
                let mut head = Vec::with_capacity(HEAD);
                (&file).take(HEAD as u64).read_to_end(&mut head).and_then(|_| file.rewind()).map_err(unreadable)?;
                if let Some(format) = self.format_in_pieces(&head) {
                    sink(Item::Container(name.clone(), format, Content::File(&file), Some(size)));
                    return Ok(None);
                }
                self.read_pieces(&mut file, &head, name, sink)?;
                return Ok(None);
            }
            self.limit.check(size)?;
            let limit = SizeLimit { bytes: usize::MAX as u64, is_chosen: false };
            limit.check(size)?;
            return self.read_known(file, size as usize).map(Some).map_err(unreadable);
        }
        // A pipe named on the command line, or a file in /proc: the size is not known in advance.
        self.read_stream(&mut file, name, sink)
    }

    /// The format of a container that starts with `head`, if it can be read in pieces.
    fn format_in_pieces(&self, head: &[u8]) -> Option<Format> {
        Format::from_head(head).filter(|format| format.streams() && (self.archives || format.is_mail()))
    }

    /// Reads up to `length` bytes; fewer if the file was truncated in the meantime.
    fn read_known(&mut self, mut file: File, length: usize) -> io::Result<&[u8]> {
        if self.buffer.len() < length {
            // The old content is not needed, so it is not copied.
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

    /// Reads to the end or to the limit; `None` if it was emitted as a container.
    fn read_stream(&mut self, stream: &mut dyn Read, name: &BlobPath, sink: Sink) -> Result<Option<&[u8]>, SkipCause> {
        self.buffer.clear();
        let most = self.limit.bytes.saturating_add(1);
        stream.take(most.min(self.whole.saturating_add(1))).read_to_end(&mut self.buffer).map_err(unreadable)?;
        if self.buffer.len() as u64 > self.whole {
            let head = &self.buffer[..HEAD.min(self.buffer.len())];
            if let Some(format) = self.format_in_pieces(head).filter(|_| !self.limit.is_chosen) {
                let mut whole = Cursor::new(&self.buffer).chain(stream);
                sink(Item::Container(name.clone(), format, Content::Stream(&mut whole), None));
                return Ok(None);
            }
            if !self.limit.is_chosen {
                let read = std::mem::take(&mut self.buffer);
                let head = read[..HEAD.min(read.len())].to_vec();
                self.read_pieces(&mut Cursor::new(read).chain(stream), &head, name, sink)?;
                return Ok(None);
            }
            let left = most.saturating_sub(self.buffer.len() as u64);
            stream.take(left).read_to_end(&mut self.buffer).map_err(unreadable)?;
        }
        self.limit.check(self.buffer.len() as u64)?;
        Ok(Some(&self.buffer))
    }

    /// Hands over a stream piece by piece. What is in a container that would have to be in memory is not scanned.
    fn read_pieces(&self, stream: &mut dyn Read, head: &[u8], name: &BlobPath, sink: Sink) -> Result<(), SkipCause> {
        let size = pieces::read(stream, name, None, self.sizes, sink).map_err(unreadable)?;
        let is_container = Format::from_head(head).is_some_and(|format| self.archives || format.is_mail());
        if is_container { self.limit.check(size) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// What a reader that treats more than 64 bytes as large emits for a file and a stream of these bytes: whether it
    /// is a container to be read in pieces, and the bytes.
    fn read(bytes: &[u8], limit: SizeLimit) -> Vec<(bool, Vec<u8>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let all = Mutex::new(Vec::new());
        let sink = |item: Item| match item {
            Item::Blob(blob) => all.lock().unwrap().push((false, blob.bytes.to_vec())),
            Item::Container(_, format, content, _) => {
                assert_eq!(format, Format::Mbox);
                let mut read = Vec::new();
                content.reader().read_to_end(&mut read).unwrap();
                all.lock().unwrap().push((true, read));
            }
            Item::Piece(piece) => all.lock().unwrap().push((true, piece.blob.bytes[piece.own].to_vec())),
            Item::Skip(_) | Item::Whole(_) | Item::Directory(_) => {}
        };
        let sizes = Sizes { piece: 128, overlap: 16 };
        let mut reader = Reader { whole: 64, sizes, ..Reader::new(limit, true) };
        reader.file(&path, BlobPath::new(&path), &sink);
        let stream = reader.read_stream(&mut &bytes[..], &BlobPath::new(Path::new("-")), &sink);
        if let Ok(Some(bytes)) = stream {
            let bytes = bytes.to_vec();
            all.lock().unwrap().push((false, bytes));
        }
        all.into_inner().unwrap()
    }

    #[test]
    fn large_containers_are_handed_over_to_be_read_in_pieces() {
        let mailbox = format!("From a@x Thu Jan  1 10:00:00 2026\nFrom: a\n\n{}", "x".repeat(100)).into_bytes();
        let usual = SizeLimit::default();
        assert_eq!(read(&mailbox, usual), [(true, mailbox.clone()), (true, mailbox.clone())]);
        assert_eq!(read(&mailbox[..64], usual), [(false, mailbox[..64].to_vec()), (false, mailbox[..64].to_vec())]);
        let text = "x".repeat(200).into_bytes();
        let pieces = [(true, text[..120].to_vec()), (true, text[120..].to_vec())];
        assert_eq!(read(&text, usual), [&pieces[..], &pieces[..]].concat());
        let chosen = SizeLimit { bytes: 1000, is_chosen: true };
        assert_eq!(read(&mailbox, chosen), [(false, mailbox.clone()), (false, mailbox.clone())]);
        let chosen = SizeLimit { bytes: 100, is_chosen: true };
        assert_eq!(read(&mailbox, chosen), [], "who sets a limit means it");
    }
}
