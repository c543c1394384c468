//! Loose objects: one compressed file each.
//!
//! Source: [gitrepository-layout](https://git-scm.com/docs/gitrepository-layout); the format is `KIND SIZE\0CONTENT`,
//! compressed with zlib.

use super::error::GitError;
use super::pack::Damage;
use super::pack::inflate::{self, Inflater};
use crate::file;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum length of a header, in bytes.
const HEADER_LENGTH: usize = 32;

/// Names of all loose objects in an object directory, in no particular order.
///
/// # Errors
/// The system's error, if a directory cannot be read.
pub fn list(objects: &Path) -> io::Result<Vec<Oid>> {
    let mut oids = Vec::new();
    for entry in fs::read_dir(objects)? {
        let entry = entry?;
        let name = entry.file_name();
        let prefix = name.as_encoded_bytes();
        if prefix.len() != 2 || !prefix.iter().all(u8::is_ascii_hexdigit) || !entry.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            oids.extend(Oid::from_hex(&[prefix, file?.file_name().as_encoded_bytes()].concat()));
        }
    }
    Ok(oids)
}

/// Path of an object's file.
pub fn path(objects: &Path, oid: Oid) -> PathBuf {
    let hex = oid.to_string();
    objects.join(&hex[..2]).join(&hex[2..])
}

/// Reads an object of at most `limit` bytes.
///
/// # Errors
/// A message, if the file cannot be read or is damaged, or the object is larger.
pub fn read(objects: &Path, oid: Oid, limit: u64) -> Result<(ObjectKind, Vec<u8>), GitError> {
    let path = path(objects, oid);
    let opened = file::open(&path)?;
    let metadata = opened.metadata()?;
    // Incompressible data grows a little.
    let most = limit.saturating_add(limit / 1000 + 1024);
    if metadata.len() > most {
        return Err(Damage::TooLarge(metadata.len()).into());
    }
    let mut packed = Vec::new();
    opened.take(most).read_to_end(&mut packed)?;
    Ok(unpack(&packed, limit)?)
}

/// Inflates a loose object.
fn unpack(file: &[u8], limit: u64) -> Result<(ObjectKind, Vec<u8>), Damage> {
    let mut inflater = Inflater::new();
    let mut start = [0; HEADER_LENGTH];
    let filled = inflater.inflate_start(file, &mut start)?;
    let header = start[..filled].split(|&b| b == 0).next().unwrap_or_default();
    let space = memchr::memchr(b' ', header).ok_or(Damage::Kind)?;
    let kind = ObjectKind::from_name(&header[..space]).ok_or(Damage::Kind)?;
    let size = std::str::from_utf8(&header[space + 1..]).ok().and_then(|text| text.parse().ok()).ok_or(Damage::Size)?;
    if size > limit {
        return Err(Damage::TooLarge(size));
    }
    if !inflate::is_possible(size, file.len()) {
        return Err(Damage::Size);
    }
    let mut object = vec![0; header.len() + 1 + size as usize];
    inflater.inflate(file, &mut object)?;
    object.drain(..=header.len());
    Ok((kind, object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sirocco::{Format, deflate::Level};

    fn pack(text: &[u8]) -> Vec<u8> {
        sirocco::compress(Format::Zlib, Level::DEFAULT, text)
    }

    #[test]
    fn objects_are_unpacked() {
        assert_eq!(unpack(&pack(b"blob 5\0hello"), 100), Ok((ObjectKind::Blob, b"hello".to_vec())));
        let long = [&b"tree 5000\0"[..], &[7; 5000]].concat();
        assert_eq!(unpack(&pack(&long), 5000), Ok((ObjectKind::Tree, vec![7; 5000])));
        assert_eq!(unpack(&pack(b"blob 0\0"), 0), Ok((ObjectKind::Blob, vec![])));
    }

    #[test]
    fn lies_are_found_out() {
        assert_eq!(unpack(&pack(b"blob 6\0hello"), 100), Err(Damage::Size));
        assert_eq!(unpack(&pack(b"blob 4\0hello"), 100), Err(Damage::Size));
        assert_eq!(unpack(&pack(b"blob 107374182400\0hello"), u64::MAX), Err(Damage::Size));
        assert_eq!(unpack(&pack(b"blob 101\0hello"), 100), Err(Damage::TooLarge(101)));
        assert_eq!(unpack(&pack(b"blob x\0hello"), 100), Err(Damage::Size));
        assert_eq!(unpack(&pack(b"blub 5\0hello"), 100), Err(Damage::Kind));
        assert_eq!(unpack(&pack(b""), 100), Err(Damage::Kind));
        assert_eq!(unpack(b"", 100), Err(Damage::Deflate));
        assert_eq!(unpack(b"no zlib", 100), Err(Damage::Deflate));
    }
}
