//! Damaged containers: every case written by another program, mutated in many ways, in a child process with little
//! memory, stack and time. Nothing may crash, hang or exhaust memory; if a finding is lost, a skip must be reported.
//!
//! `KEYSPILL_MUTANTS=10000 cargo test --release mutations` tries more mutants of each case than usual, and
//! `KEYSPILL_CASES=pst` only cases whose names contain a word.

#![cfg(unix)]

use crate::support::{MEMORY, SECONDS, STACK};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The default number of mutants of each case.
const MUTANTS: usize = 200;

/// Fewer bytes do not suffice to recognise a format.
const MIN_LENGTH: usize = 16;

/// The number of mutants scanned in one child process.
const BATCH: usize = 25;

/// The key in all cases, from AWS's documentation.
const ID: &str = concat!("AKIAIOSFODNN7", "EXAMPLE");
const SECRET: &str = concat!("wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "EXAMPLEKEY");

/// Pseudo-random numbers that are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A file, and the ranges of it that must stay: those with the key, or an encoding that a change would corrupt.
struct Case {
    name: String,
    bytes: Vec<u8>,
    kept: Vec<Range<usize>>,
    /// Where it must not be cut: the rest would be a complete file of another kind, or lack only its last part.
    whole: Vec<usize>,
}

impl Case {
    fn new(name: String, bytes: Vec<u8>) -> Self {
        // The words around a key identify it.
        const AROUND: usize = 150;
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let mut kept = vec![];
        for value in [ID, SECRET] {
            let mut spellings = vec![value.as_bytes().to_vec(), wide(value)];
            // In base64 at any offset in a group of four, without the characters that other bytes contribute to.
            for before in 0..3 {
                let encoded = data_encoding::BASE64.encode(&[&b"xx"[..before], value.as_bytes()].concat());
                spellings.push(encoded.as_bytes()[4..encoded.len() - 6].to_vec());
            }
            let lines = |at: usize| at.saturating_sub(AROUND)..bytes.len().min(at + AROUND + 2 * value.len());
            for spelling in spellings {
                kept.extend(memchr::memmem::find_iter(&bytes, &spelling).map(lines));
                // Split over several lines, as in mail.
                kept.extend(memchr::memmem::find_iter(&bytes, &spelling[..12.min(spelling.len())]).map(lines));
            }
        }
        // The first bytes, if the name does not state the format: an unrecognised file cannot be seen to lack anything.
        if !name.contains('.') {
            kept.push(0..16);
        }
        // Files in an image have no names that state their format.
        if name.starts_with("image-") {
            kept.extend(memchr::memmem::find_iter(&bytes, b"\x1f\x8b\x08").map(|at| at..at + 3));
        }
        // Mail has no checksums to protect lines of base64, which may hold the key.
        if [".eml", ".mbox", ".patch"].iter().any(|end| name.ends_with(end)) {
            let mut at = 0;
            for line in bytes.split_inclusive(|&b| b == b'\n') {
                let text = line.trim_ascii_end();
                if text.len() >= 60 && text.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b)) {
                    kept.push(at..at + line.len());
                }
                at += line.len();
            }
        }
        // A file of two streams may end after the first, and a script may end before its archive.
        let mut whole: Vec<usize> = memchr::memmem::find_iter(&bytes, b"\x1f\x8b\x08").collect();
        whole.extend(0..MIN_LENGTH);
        if bytes.starts_with(b"#!") {
            whole.extend(0..memchr::memmem::find(&bytes, b"PK\x03\x04").expect("an archive") + MIN_LENGTH);
        }
        Self { name, bytes, kept, whole }
    }

    /// True if nothing in a range must stay.
    fn is_free(&self, range: &Range<usize>) -> bool {
        self.kept.iter().all(|kept| range.end <= kept.start || kept.end <= range.start)
    }

    /// A mutated copy of the file.
    fn mutant(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(self.bytes.len());
            let length = 1 + random.below(16);
            let end = self.bytes.len().min(at + length);
            if !self.is_free(&(at..end)) {
                continue;
            }
            match random.below(10) {
                0..=3 => bytes[at] ^= 1 << random.below(8),
                4 => bytes[at] = [0, 0xff, 0x7f, 0x80, b'\n', b'/'][random.below(6)],
                5 => bytes[at..end].fill([0, 0xff][random.below(2)]),
                6 => bytes[at..end].iter_mut().for_each(|b| *b = random.next() as u8),
                7 => {
                    let from = random.below(self.bytes.len() - length.min(self.bytes.len() - 1));
                    let source = self.bytes[from..(from + end - at).min(self.bytes.len())].to_vec();
                    bytes[at..at + source.len()].copy_from_slice(&source);
                }
                // Changes that move or cut the rest come last.
                8 => {
                    bytes.splice(at..at, vec![0; length]);
                    break;
                }
                _ if self.is_free(&(at..self.bytes.len())) && !self.whole.contains(&at) => {
                    bytes.truncate(at);
                    break;
                }
                _ => {}
            }
        }
        repaired(&self.name, bytes)
    }
}

/// The file with corrected checksums, so that the code behind them is tested, too. Only sometimes, as the code that
/// verifies them is also tested.
fn repaired(name: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let is_even = bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)) & 1 == 0;
    if is_even {
        return bytes;
    }
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("tar") => repair_tar(&mut bytes),
        Some("7z") => repair_seven_zip(&mut bytes),
        Some("pst") => repair_pst(&mut bytes),
        _ => {}
    }
    bytes
}

fn repair_tar(bytes: &mut [u8]) {
    for header in bytes.chunks_exact_mut(512).filter(|header| &header[257..262] == b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

/// Corrects the checksums of the header at the end, and of the one at the start.
fn repair_seven_zip(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).map_or(0, |number| u64::from_le_bytes(number.try_into().expect("eight bytes")) as usize)
    };
    let (offset, length) = (number(bytes, 12), number(bytes, 20));
    let start = 32usize.saturating_add(offset);
    if let Some(header) = bytes.get(start..start.saturating_add(length)) {
        let sum = crc32(header);
        bytes[28..32].copy_from_slice(&sum.to_le_bytes());
        let sum = crc32(&bytes[12..32]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Corrects the checksums of the header, and of all pages and blocks that are recognised by their trailers.
fn repair_pst(bytes: &mut [u8]) {
    const PAGE: usize = 512;
    const HEADER: usize = 564;
    if bytes.len() < HEADER {
        return;
    }
    let sum = pst_crc(&bytes[8..479]);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    if bytes[10] >= 23 {
        let sum = pst_crc(&bytes[8..524]);
        bytes[524..528].copy_from_slice(&sum.to_le_bytes());
        // A page ends with its type, twice, a signature, its checksum and its number.
        for start in (0..bytes.len().saturating_sub(PAGE)).step_by(PAGE) {
            let page = &mut bytes[start..start + PAGE];
            if page[496] >= 0x80 && page[496] <= 0x86 && page[496] == page[497] {
                let sum = pst_crc(&page[..496]);
                page[500..504].copy_from_slice(&sum.to_le_bytes());
            }
        }
        // A block ends at a multiple of 64 with its length, a signature, its checksum and its number.
        for end in (64..bytes.len()).step_by(64) {
            let length = usize::from(u16::from_le_bytes([bytes[end - 16], bytes[end - 15]]));
            let size = (length + 16).next_multiple_of(64);
            let Some(start) = end.checked_sub(size).filter(|_| length > 0 && length <= 8176) else { continue };
            let signature = u16::from_le_bytes([bytes[end - 14], bytes[end - 13]]);
            let number = u64::from_le_bytes(bytes[end - 8..end].try_into().expect("eight bytes"));
            let expected = (start as u64 ^ number) as u32;
            if signature == (expected >> 16) as u16 ^ expected as u16 {
                let sum = pst_crc(&bytes[start..start + length]);
                bytes[end - 12..end - 8].copy_from_slice(&sum.to_le_bytes());
            }
        }
    }
}

/// CRC-32 with initial value zero and without inversion ([MS-PST] 5.3).
fn pst_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = (crc >> 1) ^ ((crc & 1) * 0xedb8_8320));
        crc
    })
}

/// All cases that are read by a parser of their own.
fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/cases");
    let wanted = std::env::var("KEYSPILL_CASES").unwrap_or_default();
    let mut cases = vec![];
    for entry in ignore::Walk::new(&dir) {
        let path = entry.expect("an entry").into_path();
        let name = path.strip_prefix(&dir).expect("below").to_str().expect("a plain name").replace('/', "-");
        // LZMA and brotli have no checksum: damage to them may pass for other text.
        let is_unchecked = ["compressed-app.env.lzma", "compressed-app.env.br"].contains(&name.as_str());
        if !path.is_file() || is_unchecked || name.contains("Maildir") || name.starts_with("chat-slack-") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        if let Some(inner) = name.strip_suffix(".pst.gz") {
            let mut store = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut store).expect("a store");
            cases.push(Case::new(format!("{inner}.pst"), store));
        }
        cases.push(Case::new(name, bytes));
    }
    cases.retain(|case| case.name.contains(&wanted));
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// What a child process reported about each file: the fingerprints found, and the causes of skips.
type Told = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// Scans a directory, or one of the files in it.
fn scan(path: &Path) -> Result<Told, String> {
    let script = format!("ulimit -v {MEMORY}; ulimit -s {STACK}; exec timeout {SECONDS} \"$@\"");
    let output = Command::new("bash")
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_keyspill"), "scan", "--format", "jsonl", "--show-suppressed"])
        .args(["--no-ignore", "-q", "-j", "2"])
        .arg(path)
        .env("RUST_MIN_STACK", (STACK << 10).to_string())
        .env("GIT_CEILING_DIRECTORIES", "/")
        .output()
        .expect("bash runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !matches!(output.status.code(), Some(0..=2)) || errors.contains("internal error") {
        return Err(format!("{}: {}", output.status, errors.lines().take(5).collect::<Vec<_>>().join("\n")));
    }
    let mut told = Told::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Some(path) = line["path"].as_str() else { continue };
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let (found, causes) = told.entry(name).or_default();
        match line["type"].as_str() {
            Some("finding") => _ = found.insert(line["fingerprint"].as_str().unwrap_or_default().to_owned()),
            Some("skipped") => _ = causes.insert(line["cause"].as_str().unwrap_or_default().to_owned()),
            _ => {}
        }
    }
    Ok(told)
}

/// The problems with mutants of a case.
fn problems(case: &Case, count: usize) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let extension = case.name.split_once('.').map_or("", |(_, extension)| extension);
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let whole = write(&format!("whole.{extension}"), &case.bytes);
    let expected = match scan(&whole) {
        Ok(told) => told.into_values().next().unwrap_or_default().0,
        Err(words) => return vec![format!("{}: as it is: {words}", case.name)],
    };
    assert!(!expected.is_empty(), "{}: nothing is found in it as it is", case.name);
    std::fs::remove_file(whole).expect("it is ours");
    let mut random = Random(case.bytes.len() as u64);
    let mut problems = vec![];
    for first in (0..count).step_by(BATCH) {
        let names: Vec<_> = (first..count.min(first + BATCH)).map(|number| format!("{number}.{extension}")).collect();
        let paths: Vec<PathBuf> = names.iter().map(|name| write(name, &case.mutant(&mut random))).collect();
        let told = scan(dir.path()).or_else(|_| {
            // One of them caused it, or all together.
            let mut all = Told::new();
            for path in &paths {
                match scan(path) {
                    Ok(told) => all.extend(told),
                    Err(words) => problems.push(format!("{}: {words}", keep(path, &case.name))),
                }
            }
            Ok::<_, String>(all)
        });
        let told = told.unwrap_or_default();
        for (name, path) in names.iter().zip(&paths) {
            let (found, causes) = told.get(name).cloned().unwrap_or_default();
            if !expected.is_subset(&found) && causes.is_empty() {
                problems.push(format!("{}: lost a finding and said nothing", keep(path, &case.name)));
            }
            std::fs::remove_file(path).expect("it is ours");
        }
    }
    problems
}

/// Keeps a mutant for inspection; returns its path.
fn keep(path: &Path, case: &str) -> String {
    let dir = std::env::temp_dir().join("keyspill-mutants");
    std::fs::create_dir_all(&dir).expect("a directory");
    let kept = dir.join(format!("{case}-{}", path.file_name().expect("a name").to_string_lossy()));
    std::fs::copy(path, &kept).expect("a copy");
    kept.display().to_string()
}

#[test]
fn no_mutant_crashes_hangs_or_loses_a_finding_in_silence() {
    let count = std::env::var("KEYSPILL_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(MUTANTS);
    let cases = cases();
    let parts = cases.chunks(cases.len().div_ceil(2).max(1));
    let found: Vec<String> = std::thread::scope(|scope| {
        let run = |cases: &[Case]| cases.iter().flat_map(|case| problems(case, count)).collect::<Vec<_>>();
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it does not panic")).collect()
    });
    assert!(found.is_empty(), "{} of {count} mutants of {} cases:\n{}", found.len(), cases.len(), found.join("\n"));
}
