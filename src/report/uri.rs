//! File names as URIs, relative to the root of the scan.

use crate::file::{normalise, repository_root};
use crate::finding::BlobPath;
use crate::finding::path::to_path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::path::{Path, PathBuf};

/// The bytes to encode in a URI's path: all but RFC 3986's unreserved characters and `/`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The base of relative URIs: the root of the repository, as code hosts expect.
#[derive(Debug, Clone, Default)]
pub struct UriBase {
    working_dir: PathBuf,
    root: PathBuf,
}

impl UriBase {
    /// The base for a scan of `paths`, from the working directory `working_dir` (absolute).
    pub fn new(working_dir: &Path, paths: &[PathBuf]) -> Self {
        let first = paths.first().map_or(working_dir.to_owned(), |path| normalise(&working_dir.join(path)));
        let dir = if first.is_dir() { first.as_path() } else { first.parent().unwrap_or(working_dir) };
        let root = repository_root(dir).unwrap_or(dir).to_owned();
        Self { working_dir: working_dir.to_owned(), root }
    }

    /// The URI of a scanned file, and whether it is relative to the base; files outside the base have absolute URIs.
    pub fn uri(&self, path: &BlobPath) -> (String, bool) {
        let absolute = normalise(&self.working_dir.join(to_path(path)));
        match absolute.strip_prefix(&self.root) {
            Ok(relative) => (encode(relative), true),
            Err(_) => (file_uri(&absolute), false),
        }
    }

    /// The path of a scanned file relative to the base, as people write it; absolute for files outside the base.
    pub fn relative_text(&self, path: &BlobPath) -> String {
        let absolute = normalise(&self.working_dir.join(to_path(path)));
        let shown = absolute.strip_prefix(&self.root).unwrap_or(&absolute);
        String::from_utf8_lossy(BlobPath::new(shown).file()).into_owned()
    }

    /// The absolute URI of a scanned file or directory.
    pub fn absolute_uri(&self, path: &BlobPath) -> String {
        file_uri(&normalise(&self.working_dir.join(to_path(path))))
    }
}

/// The URI of an absolute path.
pub fn file_uri(absolute: &Path) -> String {
    format!("file://{}", encode(absolute))
}

fn encode(path: &Path) -> String {
    percent_encode(BlobPath::new(path).file(), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_relative_and_encoded() {
        let base = UriBase { working_dir: "/r/sub".into(), root: "/r".into() };
        let uri = |path: &str| base.uri(&BlobPath::new(Path::new(path)));
        assert_eq!(uri("a b#c%.txt"), ("sub/a%20b%23c%25.txt".into(), true));
        assert_eq!(uri("../ñ"), ("%C3%B1".into(), true));
        assert_eq!(uri("../../etc/x"), ("file:///etc/x".into(), false));
        assert_eq!(uri("/r/x:y"), ("x%3Ay".into(), true));
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_kept() {
        use std::os::unix::ffi::OsStrExt;
        let base = UriBase { working_dir: "/r".into(), root: "/r".into() };
        let path = BlobPath::new(Path::new(std::ffi::OsStr::from_bytes(b"a\xffb")));
        assert_eq!(base.uri(&path).0, "a%FFb");
    }
}
