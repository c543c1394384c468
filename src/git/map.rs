//! Memory-mapped files: packs and their indexes, of which a large part is read in no particular order, and git's index,
//! of which hardly anything is read.

use crate::file;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A file's bytes.
#[derive(Debug)]
pub struct Map(Option<memmap2::Mmap>);

impl Map {
    /// Maps a file.
    ///
    /// # Errors
    /// The system's error, if it cannot be opened or mapped.
    #[allow(unsafe_code, reason = "measured: reading the file takes its time and its size in memory")]
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = file::open(path)?;
        // Mapping nothing is an error on some systems.
        if file.metadata()?.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the bytes must not change while they are mapped. git writes packs and all indexes under temporary
        // names, renames them and never writes to them again (it deletes them, which a mapping survives), and maps them
        // itself for the same reason. Another process that writes to such a file meanwhile could make a read fail
        // (SIGBUS) or return two values for one byte; every value is checked where it is used, and no check relies on
        // reading a byte twice. Measured against reading the file: see `benches/README.md`.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(Some(map)))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_is_the_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
        assert_eq!(*Map::open(&path).expect("it is mapped"), *std::fs::read(&path).expect("it is read"));
        let empty = tempfile::NamedTempFile::new().expect("a file");
        assert!(Map::open(empty.path()).expect("it is mapped").is_empty());
        assert!(Map::open(Path::new(env!("CARGO_MANIFEST_DIR"))).is_err());
    }
}
