//! How a blob is called.

use std::borrow::Cow;
use std::path::Path;

/// Stands between a container and what is in it where both are shown.
pub const INSIDE: &str = " » ";

/// A blob's name in reports: a file, by the path as given on the command line and what was found under it, with `/`
/// between parts; and, if the blob is in a container, the names in there. They need not be valid UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlobPath {
    file: Vec<u8>,
    inside: Vec<Vec<u8>>,
}

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
            Some(rest) if !rest.is_empty() => rest.to_vec(),
            _ => bytes,
        };
        Self { file, inside: Vec::new() }
    }

    /// The name of something under this one, given as git does: with `/`.
    #[must_use]
    pub fn join(mut self, below: &[u8]) -> Self {
        if self.file == b"." {
            self.file.clear();
        }
        if !self.file.is_empty() && !self.file.ends_with(b"/") {
            self.file.push(b'/');
        }
        self.file.extend_from_slice(below);
        self
    }

    /// The name of something in this one: of an archive's entry, a mailbox' message.
    #[must_use]
    pub fn within(&self, name: &[u8]) -> Self {
        let mut inner = self.clone();
        inner.inside.push(name.to_vec());
        inner
    }

    /// The bytes of the file's path.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// The names on the way from the file to the blob; none if the blob is the file.
    pub fn inside(&self) -> &[Vec<u8>] {
        &self.inside
    }

    /// The same with every name inside changed.
    #[must_use]
    pub fn map_inside(&self, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        Self { file: self.file.clone(), inside: self.inside.iter().map(|name| change(name)).collect() }
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
