//! Opens files that may be anything: the contents of a scanned directory are untrusted.
//!
//! Files that are read whole are read through here, so that a pipe cannot block keyspill forever and a device cannot
//! fill its memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Maximum size of a settings file, in bytes: a baseline may accept a million findings.
pub const MAX_SETTINGS: u64 = 256 << 20;

/// Opens a regular file for reading. A symbolic link to one is followed.
///
/// # Errors
/// The system's, and a [`Reason`] for a directory, pipe, socket or device; never blocks.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_unchecked(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(NOT_REGULAR.into()) }
}

/// Why [`open`] refuses a file.
pub const NOT_REGULAR: Reason = Reason("not a regular file");

/// The same for callers that read the metadata anyway and must check there that the file is a regular one.
///
/// # Errors
/// The system's.
pub fn open_unchecked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Otherwise opening a pipe would block until it has a writer. Regular files are not affected.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options.open(path)
}

/// Reads all of a regular file of at most `max` bytes.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::FileTooLarge`] for a larger one.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let size = file.metadata()?.len();
    let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
    if size > max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // The file may grow meanwhile, and files in /proc report a size of 0.
    file.by_ref().take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(too_large()) } else { Ok(bytes) }
}

/// The same for a text file.
///
/// # Errors
/// As [`read`], and a [`Reason`] if it is not UTF-8.
pub fn read_text(path: &Path, max: u64) -> io::Result<String> {
    String::from_utf8(read(path, max)?).map_err(|_| Reason("not UTF-8 text").into())
}

/// A custom reason for an [`io::Error`], the only kind that [`describe`] passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub &'static str);

impl From<Reason> for io::Error {
    fn from(reason: Reason) -> Self {
        Self::other(reason)
    }
}

/// Describes an error as the rest of a sentence: a system error in the system's words. Messages of libraries are never
/// passed on, since they may quote what was read.
pub fn describe(error: &io::Error) -> String {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Reason>());
    let text = match (reason, error.raw_os_error()) {
        (Some(reason), _) => reason.0.to_owned(),
        (None, Some(_)) => error.to_string(),
        // As the system says it.
        (None, None) if error.kind() == io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        (None, None) => error.kind().to_string(),
    };
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    // System messages may be in any language.
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Removes `.` and `..` lexically, without accessing the file system.
pub fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = out.pop(),
            part => out.push(part),
        }
    }
    out
}

/// The root of the repository that contains the directory `dir`: the nearest directory with an entry `.git`.
pub fn repository_root(dir: &Path) -> Option<&Path> {
    dir.ancestors().find(|dir| dir.join(".git").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_no_more_of_them_than_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(describe(&read(dir.path(), 9).unwrap_err()), "not a regular file");
        assert_eq!(read(&dir.path().join("none"), 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        {
            let pipe = dir.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            assert_eq!(describe(&open(&pipe).unwrap_err()), "not a regular file");
            assert_eq!(describe(&read(Path::new("/dev/zero"), 9).unwrap_err()), "not a regular file");
        }
    }

    #[test]
    fn words_of_libraries_are_not_passed_on_and_any_language_is() {
        assert_eq!(describe(&io::Error::other("AKIA")), "other error");
        assert_eq!(describe(&io::Error::from_raw_os_error(2)), "no such file or directory");
    }
}
