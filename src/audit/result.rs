//! Result files: what was found in one unit, sorted by key, so that any number of them can be joined in little memory.
//!
//! ```text
//! magic ─ block ─ block ─ … ─ index ─ offset of the index ─ SHA-256 of everything before
//! ```
//!
//! A block is a zstd frame of some tens of kilobytes of records, in the order of their names; the index is one that holds
//! the [`Header`], what must be known of all files before any record is judged ([`Facts`]), and where the blocks are. So a
//! reader has one block of each file in memory. A file that was cut or changed anywhere is refused before anything of it
//! is used.

use super::record::Record;
use crate::credential::Fingerprint;
use crate::file::describe;
use crate::finding::limited::at_most;
use crate::finding::location::Location;
use crate::finding::{BlobPath, Finding, Times};
use crate::rule::described::Described;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The first bytes, with the version of the format. It changes whenever a record does.
const MAGIC: &[u8] = b"keyspill result 2\n";

/// The name that result files end in.
pub const EXTENSION: &str = "result";

/// A block is written when it holds as many bytes, unpacked.
const BLOCK: usize = 32 << 10;

/// The maximum sizes of an unpacked block, in which one record may be large, and of the index, which has some hundred bytes
/// for each pair.
const MAX_BLOCK: usize = 1 << 28;
/// The maximum size of a record, in bytes: its lists of people are bounded where they are made.
const MAX_RECORD: usize = 8 << 20;
/// See [`MAX_BLOCK`].
const MAX_INDEX: usize = 1 << 28;

/// How many times as long as in the file an unpacked part may be, beyond [`FREE`] bytes: no honest one comes near.
const MAX_RATIO: usize = 100;
const FREE: usize = 1 << 20;

const HASH: usize = 32;
const TRAILER: usize = size_of::<u64>() + HASH;

/// Fast, and small enough: what repeats is near.
const LEVEL: i32 = 3;

/// What records are sorted by: those of one key have the same. The order is that in which they must be judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Name {
    /// Evidence without a key.
    Observation,
    /// A secret beside which no id was found. Another unit may know it.
    Secret(Fingerprint),
    /// The id of a key, or what stands for one.
    Id(String),
}

impl Name {
    /// The name of a finding.
    pub fn from_finding(finding: &Finding) -> Self {
        if finding.observation().is_some() {
            return Self::Observation;
        }
        match (finding.id(), finding.secret_fingerprint()) {
            (Some(id), _) => Self::Id(id.text.to_string()),
            (None, Some(print)) => Self::Secret(print),
            (None, None) => Self::Id(finding.fingerprint.to_string()),
        }
    }
}

/// What a result file is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The keyspill that wrote it.
    pub version: String,
    /// A hash of the rules.
    pub rules: String,
    /// What judging needs of the configuration, in its own syntax.
    pub settings: String,
    /// Identifies the fingerprint key without revealing it; empty if fingerprints are not keyed.
    pub key_check: String,
    /// The unit.
    pub unit: UnitRecord,
}

/// What was scanned as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Identifies it among all audits.
    pub name: String,
    /// The state it was in, as a hash.
    pub state: String,
    /// When it was scanned, in seconds since 1970.
    pub moment: i64,
    /// As of which moments the result is the same: until then an entry of the configuration is valid, or since then
    /// temporary keys have expired.
    pub times: Times,
    /// Its targets, in order of their names.
    #[serde(deserialize_with = "at_most::<100000, _, _>")]
    pub targets: Vec<TargetRecord>,
    /// What was read.
    pub coverage: CoverageRecord,
    /// How many findings do not count, by reason.
    pub suppressed: [usize; 5],
    /// The rules of its findings that are not built in.
    #[serde(deserialize_with = "at_most::<10000, _, _>")]
    pub rules: Vec<Described>,
    /// Why nothing of it could be scanned, if nothing could.
    pub error: Option<String>,
    /// True if scanning it again may help, although it did not change.
    pub is_retryable: bool,
}

/// Something that was asked for, or found in a folder that was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetRecord {
    /// As given, or below what was given. Paths of findings begin with it.
    pub name: String,
    /// True if it is a repository.
    pub is_repository: bool,
    /// Where it was cloned from, without user and password.
    pub url: Option<String>,
    /// The commit at HEAD.
    pub head: Option<String>,
    /// The branch at HEAD.
    pub branch: Option<String>,
}

/// What was read, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageRecord {
    /// Number of files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Number of blobs in containers.
    pub inner_blobs: u64,
    /// Their size in bytes.
    pub inner_bytes: u64,
    /// Number of commits.
    pub commits: u64,
    /// Number of objects.
    pub objects: u64,
    /// Their size in bytes.
    pub object_bytes: u64,
    /// What should have been scanned and was not: its name, and why. Only the first.
    #[serde(deserialize_with = "at_most::<1000, _, _>")]
    pub failures: Vec<(String, String)>,
    /// How many of these there are.
    pub failure_count: u64,
    /// Everything that was not scanned, by cause.
    pub skips: BTreeMap<String, u64>,
}

/// What is known from one unit and matters for records of others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Secrets that stand beside the id of an AWS key, the id, and where: each once.
    pub pairs: BTreeMap<Fingerprint, PairPlace>,
    /// Secrets that stand beside the id of another store, and whose, if known.
    pub of_stores: BTreeMap<Fingerprint, Option<String>>,
}

/// Where an id and a secret were found together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PairPlace {
    /// The file.
    pub path: BlobPath,
    /// The place in it.
    pub location: Location,
    /// The id.
    pub id: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    header: Header,
    facts: Facts,
    /// Where each block starts and how many bytes it has.
    #[serde(deserialize_with = "at_most::<10000000, _, _>")]
    blocks: Vec<(u64, u64)>,
    /// The number of records.
    count: u64,
}

/// A result file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct ResultError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// Writes a result file.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut (impl Write + ?Sized),
    header: Header,
    facts: Facts,
    mut records: Vec<(Name, Record)>,
) -> io::Result<()> {
    // The order within a name is that of the report.
    records.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut out = Hashed { out, hash: Sha256::new(), written: 0 };
    out.write_all(MAGIC)?;
    let mut index = Index { header, facts, blocks: vec![], count: records.len() as u64 };
    let mut block = Vec::with_capacity(BLOCK * 2);
    let mut flush = |block: &mut Vec<u8>, out: &mut Hashed<_>| -> io::Result<()> {
        let start = out.written;
        out.write_all(&zstd::bulk::compress(block, LEVEL)?)?;
        index.blocks.push((start, out.written - start));
        block.clear();
        Ok(())
    };
    for (name, record) in &records {
        let record = postcard::to_stdvec(record).map_err(io::Error::other)?;
        block = postcard::to_extend(name, block).map_err(io::Error::other)?;
        block.extend_from_slice(&(record.len() as u32).to_le_bytes());
        block.extend_from_slice(&record);
        if block.len() >= BLOCK {
            flush(&mut block, &mut out)?;
        }
    }
    if !block.is_empty() {
        flush(&mut block, &mut out)?;
    }
    let start = out.written;
    let index = postcard::to_stdvec(&index).map_err(io::Error::other)?;
    out.write_all(&zstd::bulk::compress(&index, LEVEL)?)?;
    out.write_all(&start.to_le_bytes())?;
    let hash = out.hash.finalize();
    out.out.write_all(&hash)
}

struct Hashed<'a, W: ?Sized> {
    out: &'a mut W,
    hash: Sha256,
    written: u64,
}

impl<W: Write + ?Sized> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.hash.update(&bytes[..length]);
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A result file that is whole, and what is known of it without reading its records.
#[derive(Debug)]
pub struct ResultFile {
    /// The file.
    pub path: PathBuf,
    /// What it is about.
    pub header: Header,
    /// The hash of everything in it.
    pub hash: [u8; HASH],
    blocks: Vec<(u64, u64)>,
}

impl ResultFile {
    /// Opens a file after checking that it is whole.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or of another version.
    pub fn open(path: &Path) -> Result<(Self, Facts), ResultError> {
        let (index, hash) = read_index(path).map_err(|problem| ResultError { file: path.to_owned(), problem })?;
        let Index { header, facts, blocks, count: _ } = index;
        Ok((Self { path: path.to_owned(), header, hash, blocks }, facts))
    }

    /// Reads its records in order.
    pub fn records(&self) -> Records<'_> {
        Records { file: self, next: 0, block: vec![], at: 0, last: Name::Observation }
    }

    fn block(&self, number: usize) -> Result<Vec<u8>, ResultError> {
        let refused = |problem: String| ResultError { file: self.path.clone(), problem };
        let (start, length) = self.blocks[number];
        if length as usize > MAX_BLOCK {
            return Err(refused(DAMAGED.to_owned()));
        }
        let mut packed = vec![0; length as usize];
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut packed)
        });
        read.map_err(|error| refused(describe(&error)))?;
        unpack(&packed, MAX_BLOCK).map_err(|_| refused(DAMAGED.to_owned()))
    }
}

const DAMAGED: &str = "damaged or truncated; delete it and audit again";

fn unpack(packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let most = most.min(packed.len().saturating_mul(MAX_RATIO).max(FREE));
    let mut unpacked = Vec::new();
    let read = zstd::stream::read::Decoder::with_buffer(packed)?.take(most as u64 + 1).read_to_end(&mut unpacked)?;
    if read > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(unpacked) }
}

fn read_index(path: &Path) -> Result<(Index, [u8; HASH]), String> {
    let words = |error: io::Error| describe(&error);
    let damaged = || DAMAGED.to_owned();
    let mut file = crate::file::open(path).map_err(words)?;
    let length = file.metadata().map_err(words)?.len();
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(words(error)),
        Ok(()) if magic.starts_with(b"keyspill result ") => {
            return Err("it was written by another version of keyspill; audit again with this one".into());
        }
        _ if length == 0 => return Err(damaged()),
        Ok(()) | Err(_) if MAGIC.starts_with(&magic[..magic.len().min(length as usize)]) => return Err(damaged()),
        Ok(()) | Err(_) => return Err("it is not a result file of keyspill".into()),
    }
    let end = length.checked_sub(TRAILER as u64).ok_or_else(damaged)?;
    let mut hashed = Hashed { out: &mut io::sink(), hash: Sha256::new(), written: 0 };
    file.seek(SeekFrom::Start(0)).map_err(words)?;
    io::copy(&mut (&mut file).take(end + 8), &mut hashed).map_err(words)?;
    let mut expected = [0; HASH];
    file.read_exact(&mut expected).map_err(|_| damaged())?;
    if hashed.written != end + 8 || hashed.hash.finalize()[..] != expected {
        return Err(damaged());
    }
    let mut start = [0; 8];
    file.seek(SeekFrom::Start(end)).and_then(|_| file.read_exact(&mut start)).map_err(words)?;
    let start = u64::from_le_bytes(start);
    let size = end.checked_sub(start).and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX_INDEX);
    let mut packed = vec![0; size.ok_or_else(damaged)?];
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut packed)).map_err(words)?;
    let unpacked = unpack(&packed, MAX_INDEX).map_err(|_| damaged())?;
    let (index, rest): (Index, _) = postcard::take_from_bytes(&unpacked).map_err(|_| damaged())?;
    // Blocks follow one another, from the magic number to the index.
    let end = index.blocks.iter().try_fold(MAGIC.len() as u64, |end, &(at, size)| {
        (at == end && size > 0).then(|| at.checked_add(size)).flatten()
    });
    let is_name = |target: &TargetRecord| !target.name.is_empty() && !target.name.contains(char::is_control);
    let targets = &index.header.unit.targets;
    let is_right = rest.is_empty() && end == Some(start) && !targets.is_empty() && targets.iter().all(is_name);
    if is_right { Ok((index, expected)) } else { Err(damaged()) }
}

/// The records of a file, in order.
#[derive(Debug)]
pub struct Records<'a> {
    file: &'a ResultFile,
    next: usize,
    block: Vec<u8>,
    at: usize,
    /// The name of the record before.
    last: Name,
}

impl Records<'_> {
    /// The next record and its name; none at the end.
    ///
    /// # Errors
    /// If the file changed since it was opened.
    pub fn read(&mut self) -> Result<Option<(Name, Packed)>, ResultError> {
        while self.at == self.block.len() {
            if self.next == self.file.blocks.len() {
                return Ok(None);
            }
            self.block = self.file.block(self.next)?;
            (self.next, self.at) = (self.next + 1, 0);
        }
        let read = || {
            let (name, rest) = postcard::take_from_bytes(&self.block[self.at..]).ok()?;
            let (length, rest) = rest.split_first_chunk()?;
            let length = Some(u32::from_le_bytes(*length) as usize).filter(|length| *length <= MAX_RECORD)?;
            let (record, rest) = rest.split_at_checked(length)?;
            Some((name, Packed(record.into()), self.block.len() - rest.len()))
        };
        let problem = || ResultError { file: self.file.path.clone(), problem: DAMAGED.to_owned() };
        let (name, record, end) = read().filter(|(name, ..)| *name >= self.last).ok_or_else(problem)?;
        self.at = end;
        self.last.clone_from(&name);
        Ok(Some((name, record)))
    }
}

/// A record as it is kept, which takes little memory.
#[derive(Debug, Clone)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl Packed {
    /// The record; none if it is damaged, which [`ResultFile::open`] rules out.
    pub fn unpack(&self) -> Option<Record> {
        postcard::from_bytes(&self.0).ok()
    }
}
