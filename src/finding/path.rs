//! Names of blobs.

use super::limited::at_most;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Separates a container from its content where both are shown.
pub const INSIDE: &str = " » ";

/// A blob's name in reports: the file's path, starting as given on the command line, with `/` as separator; and, if the
/// blob is in a container, the names inside. Names need not be valid UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct BlobPath {
    file: Arc<[u8]>,
    #[serde(deserialize_with = "at_most::<1000, _, _>")]
    inside: Vec<Arc<[u8]>>,
}

/// The maximum length in bytes of a name inside a container; longer ones are truncated. File systems allow 255.
const MAX_NAME: usize = 4096;

impl BlobPath {
    /// From a file system path. A leading `./` is dropped.
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

    /// From bytes, with `/` as separator.
    pub fn from_bytes(file: &[u8]) -> Self {
        Self { file: file.into(), inside: Vec::new() }
    }

    /// The name of something below this one, with `/` as separator, as in git.
    #[must_use]
    pub fn join(mut self, below: &[u8]) -> Self {
        let dir = if *self.file == *b"." { &[] } else { &self.file[..] };
        let slash = if dir.is_empty() || dir.ends_with(b"/") { &b""[..] } else { b"/" };
        self.file = [dir, slash, below].concat().into();
        self
    }

    /// The name of something inside this one, such as an archive entry or a message in a mailbox.
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

    /// The same in another file.
    #[must_use]
    pub fn in_file(&self, other: &Self) -> Self {
        Self { file: other.file.clone(), inside: self.inside.clone() }
    }

    /// The names from the file down to the blob; empty if the blob is the file itself.
    pub fn inside(&self) -> &[Arc<[u8]>] {
        &self.inside
    }

    /// The same as text.
    pub fn inside_text(&self) -> String {
        let names: Vec<_> = self.inside.iter().map(|name| String::from_utf8_lossy(name)).collect();
        names.join(INSIDE)
    }

    /// The length of its text in a report, in bytes.
    pub fn weight(&self) -> usize {
        self.file.len() + self.inside.iter().map(|name| INSIDE.len() + name.len()).sum::<usize>()
    }

    /// A copy in which every name of at least `length` bytes is changed; `None` if there are none.
    pub fn map_long(&self, length: usize, change: impl Fn(&[u8]) -> Vec<u8>) -> Option<Self> {
        let is_long = |name: &Arc<[u8]>| name.len() >= length;
        if !is_long(&self.file) && !self.inside.iter().any(is_long) {
            return None;
        }
        let change = |name: &Arc<[u8]>| if is_long(name) { change(name).into() } else { name.clone() };
        Some(Self { file: change(&self.file), inside: self.inside.iter().map(change).collect() })
    }

    /// The last component of the innermost name: the file name without directories.
    pub fn last_name(&self) -> &[u8] {
        let name = self.innermost();
        memchr::memrchr(b'/', name).map_or(name, |slash| &name[slash + 1..])
    }

    /// The innermost path, which path-specific rules match against.
    pub fn innermost(&self) -> &[u8] {
        self.inside.last().unwrap_or(&self.file)
    }

    /// The complete name as text, as in `backup.tar.gz » etc/app.env`; invalid UTF-8 is replaced.
    pub fn to_text(&self) -> Cow<'_, str> {
        let file = String::from_utf8_lossy(&self.file);
        self.inside.iter().fold(file, |text, name| text + INSIDE + String::from_utf8_lossy(name))
    }
}

/// The path in the file system of the file that is the blob or contains it.
#[cfg(unix)]
pub fn to_path(path: &BlobPath) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(path.file()))
}

/// The path in the file system of the file that is the blob or contains it.
#[cfg(not(unix))]
pub fn to_path(path: &BlobPath) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(path.file()).into_owned())
}
