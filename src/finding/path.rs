//! How a blob is called.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stands between a container and what is in it where both are shown.
pub const INSIDE: &str = " » ";

/// A blob's name in reports: a file, by the path as given on the command line and what was found under it, with `/`
/// between parts; and, if the blob is in a container, the names in there. They need not be valid UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlobPath {
    file: Arc<[u8]>,
    inside: Vec<Arc<[u8]>>,
}

/// Of a longer name of something in a container only the start is kept, in bytes: file systems allow 255.
const MAX_NAME: usize = 4096;

impl BlobPath {
    /// From a path of the file system. A leading `./` is left out.
    pub fn new(path: &Path) -> Self {
        let bytes = path.as_os_str().as_encoded_bytes();
        let bytes = if std::path::MAIN_SEPARATOR == '/' {
            bytes.to_vec()
        } else {
            bytes.iter().map(|&b| if b == std::path::MAIN_SEPARATOR as u8 { b'/' } else { b }).collect()
        };
        let file = match bytes.strip_prefix(b"./") {
            Some(rest) if !rest.is_empty() => rest.into(),
            _ => bytes.into(),
        };
        Self { file, inside: Vec::new() }
    }

    /// The name of something under this one, given as git does: with `/`.
    #[must_use]
    pub fn join(mut self, below: &[u8]) -> Self {
        let dir = if *self.file == *b"." { &[] } else { &self.file[..] };
        let slash = if dir.is_empty() || dir.ends_with(b"/") { &b""[..] } else { b"/" };
        self.file = [dir, slash, below].concat().into();
        self
    }

    /// The name of something in this one: of an archive's entry, a mailbox' message.
    #[must_use]
    pub fn within(&self, name: &[u8]) -> Self {
        let mut inner = self.clone();
        inner.inside.push(match name.get(..MAX_NAME) {
            Some(start) if name.len() > MAX_NAME => [start, "…".as_bytes()].concat().into(),
            _ => name.into(),
        });
        inner
    }

    /// The bytes of the file's path.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// The names on the way from the file to the blob; none if the blob is the file.
    pub fn inside(&self) -> &[Arc<[u8]>] {
        &self.inside
    }

    /// What a report tells of it, in bytes.
    pub fn weight(&self) -> usize {
        self.file.len() + self.inside.iter().map(|name| INSIDE.len() + name.len()).sum::<usize>()
    }

    /// The same with every name of at least `length` bytes changed; `None` if there is none.
    pub fn map_long(&self, length: usize, change: impl Fn(&[u8]) -> Vec<u8>) -> Option<Self> {
        let is_long = |name: &Arc<[u8]>| name.len() >= length;
        if !is_long(&self.file) && !self.inside.iter().any(is_long) {
            return None;
        }
        let change = |name: &Arc<[u8]>| if is_long(name) { change(name).into() } else { name.clone() };
        Some(Self { file: change(&self.file), inside: self.inside.iter().map(change).collect() })
    }

    /// The last part of the innermost name: that of a file without its directories.
    pub fn last_name(&self) -> &[u8] {
        let name = self.innermost();
        memchr::memrchr(b'/', name).map_or(name, |slash| &name[slash + 1..])
    }

    /// The path of the innermost: what the rules for some paths look at.
    pub fn innermost(&self) -> &[u8] {
        self.inside.last().unwrap_or(&self.file)
    }

    /// All of it as text, as in `backup.tar.gz » etc/app.env`; what is not UTF-8 is replaced.
    pub fn to_text(&self) -> Cow<'_, str> {
        let file = String::from_utf8_lossy(&self.file);
        self.inside.iter().fold(file, |text, name| text + INSIDE + String::from_utf8_lossy(name))
    }
}

/// The file of the file system that a blob is, or is in.
#[cfg(unix)]
pub fn to_path(path: &BlobPath) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(path.file()))
}

/// The file of the file system that a blob is, or is in.
#[cfg(not(unix))]
pub fn to_path(path: &BlobPath) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(path.file()).into_owned())
}
