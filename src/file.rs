//! Opening files that may be anything: what lies in a scanned directory was put there by somebody else.
//!
//! Whoever reads a file in one piece reads it through here, so that a pipe cannot make keyspill wait for ever and a device
//! cannot fill its memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The largest file of settings that is read, in bytes: a baseline may accept a million findings.
pub const MAX_SETTINGS: u64 = 256 << 20;

/// Opens a regular file to read it. A symbolic link to one is followed.
///
/// # Errors
/// The system's, and a [`Reason`] for a directory, pipe, socket or device: none is waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_unchecked(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(NOT_REGULAR.into()) }
}

/// What is wrong with what [`open`] refuses.
pub const NOT_REGULAR: Reason = Reason("not a regular file");

/// The same for who looks at the metadata anyway, and must see there that the file is a regular one.
///
/// # Errors
/// The system's.
pub fn open_unchecked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without it, to open a pipe waits until somebody writes to it. Regular files are not affected.
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
    // It may grow meanwhile, and files of /proc say that they are empty.
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

/// A reason of our own for an [`io::Error`], the only one that [`describe`] passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub &'static str);

impl From<Reason> for io::Error {
    fn from(reason: Reason) -> Self {
        Self::other(reason)
    }
}

/// What went wrong, as the rest of a sentence: the system's words for a system's error. The words of a library are never
/// passed on, since they may quote what was read.
pub fn describe(error: &io::Error) -> String {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Reason>());
    let text = match (reason, error.raw_os_error()) {
        (Some(reason), _) => reason.0.to_owned(),
        (None, Some(_)) => error.to_string(),
        (None, None) => error.kind().to_string(),
    };
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    // The system may speak any language.
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Without `.` and `..`, by the text alone.
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
