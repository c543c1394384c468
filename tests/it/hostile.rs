//! Broken or malicious repositories: never a panic, a hang or a silent gap.

use crate::support::{Run, Sandbox, expand};
use serde_json::Value;
use sirocco::{Format, deflate::Level};
use std::path::Path;

const BLOB: u8 = 3;
const TREE: u8 = 2;
const COMMIT: u8 = 1;
const TAG: u8 = 4;
const OFFSET_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// The name of a made-up object: it is never verified.
fn oid(number: u32) -> [u8; 20] {
    let mut oid = [0x5a; 20];
    oid[..4].copy_from_slice(&number.to_be_bytes());
    oid[4..8].copy_from_slice(&number.to_le_bytes());
    oid
}

fn hex(oid: [u8; 20]) -> String {
    data_encoding::HEXLOWER.encode(&oid)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    sirocco::compress(Format::Zlib, Level::DEFAULT, bytes)
}

/// A pack with arbitrary content.
struct Pack {
    bytes: Vec<u8>,
    entries: Vec<([u8; 20], u64)>,
}

impl Pack {
    fn new() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), entries: Vec::new() }
    }

    /// Adds an entry whose header declares `size`, followed by `base` and `data` as they are.
    fn raw(&mut self, oid: [u8; 20], kind: u8, mut size: u64, base: &[u8], data: &[u8]) -> u64 {
        let offset = self.bytes.len() as u64;
        self.entries.push((oid, offset));
        let mut byte = kind << 4 | (size & 0x0f) as u8;
        size >>= 4;
        while size > 0 {
            self.bytes.push(byte | 0x80);
            byte = (size & 0x7f) as u8;
            size >>= 7;
        }
        self.bytes.push(byte);
        self.bytes.extend_from_slice(base);
        self.bytes.extend_from_slice(data);
        offset
    }

    fn whole(&mut self, oid: [u8; 20], kind: u8, content: &[u8]) -> u64 {
        self.raw(oid, kind, content.len() as u64, b"", &deflate(content))
    }

    /// Adds a delta against a base given by name.
    fn ref_delta(&mut self, oid: [u8; 20], base: [u8; 20], delta: &[u8]) {
        self.raw(oid, REF_DELTA, delta.len() as u64, &base, &deflate(delta));
    }

    /// Adds a blob with a key, which must be found whatever else is in the pack.
    fn key(&mut self) {
        self.whole(oid(0xffff), BLOB, expand("{{akia}}\n").text.as_bytes());
    }

    fn index(&self) -> Vec<u8> {
        let mut entries = self.entries.clone();
        entries.sort_unstable();
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        for byte in 0..=255u8 {
            let count = entries.iter().filter(|(oid, _)| oid[0] <= byte).count() as u32;
            index.extend(count.to_be_bytes());
        }
        entries.iter().for_each(|(oid, _)| index.extend(oid));
        entries.iter().for_each(|_| index.extend([0; 4]));
        entries.iter().for_each(|(_, offset)| index.extend((*offset as u32).to_be_bytes()));
        index.extend([0; 40]);
        index
    }

    fn data(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[8..12].copy_from_slice(&(self.entries.len() as u32).to_be_bytes());
        bytes.extend([0; 20]);
        bytes
    }

    fn write(&self, repository: &Path) {
        write_pack(repository, &self.data(), &self.index());
    }
}

fn write_pack(repository: &Path, data: &[u8], index: &[u8]) {
    let dir = repository.join(".git/objects/pack");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("pack-1.pack"), data).expect("a pack");
    std::fs::write(dir.join("pack-1.idx"), index).expect("an index");
}

/// An empty repository with this pack.
fn repository(pack: &Pack) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.init();
    pack.write(sandbox.path());
    sandbox
}

/// Scans, and checks that the key of [`Pack::key`] is found and the scan is reported as incomplete.
fn incomplete(sandbox: &Sandbox) -> (Run, Value) {
    let run = sandbox.run(&["scan", "--history", "--format", "json"]);
    assert!(!run.stderr.contains("internal error"), "{}", run.stderr);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("a report");
    let path = format!("blob {}", hex(oid(0xffff)));
    assert_eq!(crate::support::findings_in(&report, &path).len(), 1, "{report:#}");
    (run, report)
}

/// Like [`incomplete`], and checks that exactly these objects are listed, with these words.
fn lost(pack: &Pack, expected: &[(u32, &str)]) {
    let (run, report) = incomplete(&repository(pack));
    let skipped = report["skipped"].as_array().expect("skips");
    let paths: Vec<_> = skipped.iter().map(|skip| skip["path"].as_str().expect("a path").to_owned()).collect();
    let wanted: Vec<_> = expected.iter().map(|(number, _)| format!("object {}", hex(oid(*number)))).collect();
    assert_eq!(paths, wanted, "{report:#}");
    for ((number, words), skip) in expected.iter().zip(skipped) {
        let message = skip["message"].as_str().expect("a message");
        assert!(message.contains(words), "{number}: {message}");
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
}

#[test]
fn corrupt_entries_and_lying_sizes_lose_only_themselves() {
    let mut pack = Pack::new();
    let text = deflate(b"some text that is long enough");
    pack.raw(oid(1), BLOB, 29, b"", &[&text[..2], &[0xff; 8], &text[10..]].concat());
    pack.raw(oid(2), BLOB, 28, b"", &text);
    pack.raw(oid(3), BLOB, 30, b"", &text);
    pack.raw(oid(4), BLOB, 29, b"", &text[..text.len() - 3]);
    pack.raw(oid(5), 5, 29, b"", &text);
    pack.raw(oid(6), BLOB, 29, b"", b"no zlib at all");
    pack.key();
    lost(
        &pack,
        &[
            (1, "compressed data is damaged"),
            (2, "declared size is wrong"),
            (3, "declared size is wrong"),
            (4, "compressed data is damaged"),
            (5, "its kind is unknown"),
            (6, "compressed data is damaged"),
        ],
    );
}

#[test]
fn huge_declared_sizes_cost_nothing() {
    let mut pack = Pack::new();
    pack.raw(oid(1), BLOB, 100 << 30, b"", &deflate(b"x"));
    pack.raw(oid(2), BLOB, 1 << 29, b"", &deflate(b"x"));
    pack.raw(oid(3), BLOB, u64::MAX >> 3, b"", &deflate(b"x"));
    // A delta that declares a result of 800 GiB.
    pack.whole(oid(4), BLOB, b"base");
    pack.ref_delta(oid(5), oid(4), &[4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x19, 0x90, 4]);
    pack.ref_delta(oid(6), oid(5), &[4, 4, 0x90, 4]);
    pack.key();
    lost(
        &pack,
        &[
            (1, "more than the limit for one object"),
            (2, "declared size is wrong"),
            (3, "declared size is wrong"),
            (5, "more than the limit for one object"),
            (6, "cannot be read"),
        ],
    );
}

#[test]
fn a_pack_that_unfolds_without_measure_is_left() {
    const SIZE: usize = 15 << 20;
    let mut pack = Pack::new();
    pack.key();
    pack.whole(oid(1), BLOB, &vec![0; SIZE]);
    let size: Vec<u8> = (0..4).map(|n| (SIZE >> (7 * n)) as u8 & 0x7f | if n < 3 { 0x80 } else { 0 }).collect();
    let copy = [0xf0, SIZE as u8, (SIZE >> 8) as u8, (SIZE >> 16) as u8];
    let delta = [&size[..], &size, &copy].concat();
    for number in 2..802 {
        pack.ref_delta(oid(number), oid(1), &delta);
    }
    // 12 GB from 200 kB.
    let (run, _) = incomplete(&repository(&pack));
    assert!(run.stderr.contains("it looks like a decompression bomb"), "{}", &run.stderr[..500]);
}

#[test]
fn deltas_without_end_or_base_are_lost() {
    let copy = [4, 4, 0x90, 4];
    let mut pack = Pack::new();
    pack.ref_delta(oid(1), oid(2), &copy);
    pack.ref_delta(oid(2), oid(1), &copy);
    pack.ref_delta(oid(3), oid(3), &copy);
    pack.ref_delta(oid(4), oid(99), &copy);
    pack.ref_delta(oid(5), oid(4), &copy);
    pack.raw(oid(6), OFFSET_DELTA, 4, &[0xff, 0xff, 0x7f], &deflate(&copy));
    pack.raw(oid(7), OFFSET_DELTA, 4, &[0x01], &deflate(&copy));
    // A base after its delta is unusual, but valid.
    pack.ref_delta(oid(8), oid(9), &copy);
    pack.whole(oid(9), BLOB, b"base");
    pack.ref_delta(oid(10), oid(9), &[9, 4, 0x90, 4]);
    pack.key();
    let (never, missing) = ("never reaches a whole object", "its delta base is missing");
    lost(
        &pack,
        &[
            (1, never),
            (2, never),
            (3, never),
            (4, missing),
            (5, missing),
            (6, missing),
            // It points into the middle of an entry, at arbitrary bytes.
            (7, "cannot be read"),
            (10, "delta is damaged"),
        ],
    );
}

#[test]
fn long_chains_of_deltas_are_followed() {
    let mut pack = Pack::new();
    pack.whole(oid(0), BLOB, b"base");
    for number in 1..20_000 {
        pack.ref_delta(oid(number), oid(number - 1), &[4, 4, 0x90, 4]);
    }
    pack.key();
    let sandbox = repository(&pack);
    let report = sandbox.json(&["--history"]);
    assert_eq!(report["summary"]["history"]["objects"], 20_001);
    assert_eq!(report["summary"]["complete"], true, "{report:#}");
}

#[test]
fn indexes_that_are_wrong_are_told() {
    let mut pack = Pack::new();
    pack.whole(oid(1), BLOB, b"text");
    pack.key();
    let (data, index) = (pack.data(), pack.index());
    let at = index.len() - 40;
    let mut beyond = index.clone();
    beyond[at - 8..at - 4].copy_from_slice(&0x7fff_ffffu32.to_be_bytes());
    let mut long = index.clone();
    long[at - 8..at - 4].copy_from_slice(&0x8fff_ffffu32.to_be_bytes());
    let mut middle = index.clone();
    middle[at - 5] += 3;
    let mut same = index.clone();
    same.copy_within(at - 4..at, at - 8);
    for (case, index) in [("beyond", beyond), ("long", long), ("middle", middle), ("same", same)] {
        let sandbox = Sandbox::new();
        sandbox.init();
        write_pack(sandbox.path(), &data, &index);
        let run = sandbox.run(&["scan", "--history"]);
        assert_eq!(run.code, Some(2), "{case}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("object "), "{case}: {}", run.stderr);
    }
    let mut unsorted = index.clone();
    unsorted[8] = 0xff;
    let mut version = index.clone();
    version[7] = 9;
    let mut count = data.clone();
    count[11] += 1;
    let mut magic = data.clone();
    magic[0] = b'X';
    for (case, data, index, words) in [
        ("truncated", &data, &index[..index.len() / 2], "too short"),
        ("cut", &data, &index[..index.len() - 1], "too short"),
        ("empty", &data, &[][..], "too short"),
        ("unsorted", &data, &unsorted, "not sorted"),
        ("version", &data, &version, "version of the pack index is not supported"),
        ("count", &count, &index, "the pack and its index have different numbers of objects"),
        ("magic", &magic, &index, "an unknown version"),
        ("short", &data[..20].to_vec(), &index, "too short"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.init();
        write_pack(sandbox.path(), data, index);
        let run = sandbox.run(&["scan", "--history"]);
        assert_eq!(run.code, Some(2), "{case}: {}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("pack-1.idx: cannot be read: ") && run.stderr.contains(words),
            "{case}: {}",
            run.stderr
        );
    }
    let sandbox = repository(&pack);
    std::fs::remove_file(sandbox.path().join(".git/objects/pack/pack-1.idx")).expect("removed");
    assert_eq!(sandbox.run(&["scan", "--history"]).code, Some(2), "a pack without an index");
}

#[test]
fn old_indexes_are_read() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, "add");
    sandbox.git(&["-c", "pack.indexVersion=1", "repack", "-q", "-a", "-d"]);
    let report = sandbox.json(&["--history", "--no-tree"]);
    assert_eq!(
        (&report["summary"]["complete"], crate::support::findings_in(&report, "a.txt").len()),
        (&true.into(), 1)
    );
}

#[test]
fn what_is_damaged_in_one_place_and_whole_in_another_is_not_lost() {
    let mut pack = Pack::new();
    pack.raw(oid(1), BLOB, 29, b"", b"no zlib at all");
    pack.key();
    let sandbox = repository(&pack);
    let hex = hex(oid(1));
    let dir = sandbox.path().join(".git/objects").join(&hex[..2]);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join(&hex[2..]), deflate(b"blob 4\0text")).expect("an object");
    assert_eq!(sandbox.json(&["--history"])["summary"]["complete"], true);
    std::fs::write(dir.join(&hex[2..]), b"damaged, too").expect("an object");
    incomplete(&sandbox);
}

/// The text of a commit.
fn commit(tree: [u8; 20], parents: &[[u8; 20]]) -> Vec<u8> {
    let parents: String = parents.iter().map(|parent| format!("parent {}\n", hex(*parent))).collect();
    format!("tree {}\n{parents}author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n", hex(tree)).into_bytes()
}

fn entry(mode: &str, name: &str, oid: [u8; 20]) -> Vec<u8> {
    [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &oid].concat()
}

#[test]
fn what_is_missing_is_listed() {
    let mut pack = Pack::new();
    pack.whole(
        oid(1),
        TREE,
        &[entry("100644", "there", oid(0xffff)), entry("100644", "gone", oid(100)), entry("160000", "sub", oid(103))]
            .concat(),
    );
    pack.whole(oid(2), COMMIT, &commit(oid(1), &[]));
    pack.whole(oid(3), COMMIT, &commit(oid(101), &[oid(102), oid(2)]));
    pack.whole(oid(4), TAG, format!("object {}\ntype commit\ntag x\n\nx\n", hex(oid(104))).as_bytes());
    pack.whole(oid(5), TAG, format!("object {}\ntype tag\ntag self\n\nx\n", hex(oid(5))).as_bytes());
    pack.whole(oid(6), COMMIT, b"no commit");
    pack.whole(oid(7), TREE, b"no tree");
    pack.key();
    let sandbox = repository(&pack);
    std::fs::write(sandbox.path().join(".git/refs/heads/nowhere"), hex(oid(105)) + "\n").expect("a ref");
    std::fs::write(sandbox.path().join(".git/refs/heads/here"), hex(oid(3)) + "\n").expect("a ref");
    std::fs::write(sandbox.path().join(".git/refs/heads/loop"), hex(oid(5)) + "\n").expect("a ref");
    let run = sandbox.run(&["scan", "--history", "--no-tree", "--format", "json"]);
    assert_eq!(run.code, Some(2));
    let report: Value = serde_json::from_str(&run.stdout).expect("a report");
    let skipped = report["skipped"].as_array().expect("skips");
    let paths: Vec<_> = skipped.iter().map(|skip| skip["path"].as_str().expect("a path")).collect();
    let object = |number| format!("object {}", hex(oid(number)));
    let mut expected = vec![object(6), object(7), object(100), object(101), object(102), object(104)];
    expected.push("refs/heads/nowhere".into());
    assert_eq!(paths, expected, "{report:#}");
    assert_eq!(crate::support::findings_in(&report, "there").len(), 1);
}

#[test]
fn trees_that_stand_for_billions_of_files_are_not_unfolded() {
    let mut pack = Pack::new();
    pack.key();
    let names: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let level = |mode, below| names.iter().flat_map(|name| entry(mode, name, below)).collect::<Vec<u8>>();
    pack.whole(oid(100), TREE, &level("100644", oid(0xffff)));
    for number in 101..110 {
        pack.whole(oid(number), TREE, &level("40000", oid(number - 1)));
    }
    pack.whole(oid(200), COMMIT, &commit(oid(109), &[]));
    let run = repository(&pack).run(&["scan", "--history"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("too many paths"), "{}", run.stderr);
    assert!(run.stdout.contains("found 1 "), "{}", &run.stdout[run.stdout.len() - 300..]);
}

#[test]
fn deep_and_circular_trees_end() {
    let mut pack = Pack::new();
    pack.key();
    pack.whole(oid(1000), TREE, &entry("100644", "key", oid(0xffff)));
    for number in 1001..6000 {
        pack.whole(oid(number), TREE, &entry("40000", "d", oid(number - 1)));
    }
    pack.whole(oid(1), COMMIT, &commit(oid(5999), &[]));
    // Only a false index can name a tree that contains itself.
    pack.whole(oid(2), TREE, &[entry("40000", "self", oid(2)), entry("100644", "key", oid(0xffff))].concat());
    pack.whole(oid(3), COMMIT, &commit(oid(2), &[oid(4)]));
    pack.whole(oid(4), COMMIT, &commit(oid(2), &[oid(3)]));
    let sandbox = repository(&pack);
    std::fs::write(sandbox.path().join(".git/refs/heads/main"), hex(oid(3)) + "\n").expect("a ref");
    let run = sandbox.run(&["scan", "--history", "--no-tree"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("too many paths"), "{}", run.stderr);
    for args in [&["--range", "main"][..], &["--staged"]] {
        let run = sandbox.run(&[&["scan"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn alternates_that_lead_in_circles_or_nowhere() {
    let mut pack = Pack::new();
    pack.key();
    let sandbox = repository(&pack);
    std::fs::create_dir_all(sandbox.path().join(".git/objects/info")).expect("a directory");
    let alternates = sandbox.path().join(".git/objects/info/alternates");
    std::fs::write(&alternates, "../objects\n.\n# a comment\n\n").expect("alternates");
    assert_eq!(sandbox.json(&["--history"])["summary"]["complete"], true);
    std::fs::write(&alternates, "../../no/such/objects\n").expect("alternates");
    let (run, _) = incomplete(&sandbox);
    assert!(run.stderr.contains("no/such/objects"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_linked_git_directory_is_followed_and_loops_are_not() {
    use std::os::unix::fs::symlink;
    let mut pack = Pack::new();
    pack.key();
    let sandbox = repository(&pack);
    std::fs::rename(sandbox.path().join(".git"), sandbox.path().join("real")).expect("renamed");
    symlink("real", sandbox.path().join(".git")).expect("a link");
    let report = sandbox.json(&["--history", "--no-tree"]);
    assert_eq!((&report["summary"]["complete"], &report["summary"]["findings"]["warning"]), (&true.into(), &1.into()));
    std::fs::remove_file(sandbox.path().join(".git")).expect("removed");
    symlink(".git", sandbox.path().join(".git")).expect("a link");
    assert_eq!(sandbox.run(&["scan", "--history"]).code, Some(2));
}

#[test]
fn loose_objects_that_lie_are_lost() {
    let mut pack = Pack::new();
    pack.key();
    let sandbox = repository(&pack);
    let texts = [&b"blob 100000000000\0x"[..], b"blob 3\0x", b"blob 1\0xyz", b"blub 1\0x", b"blob x\0x", b""];
    for (number, text) in texts.iter().enumerate() {
        let hex = hex(oid(number as u32));
        let dir = sandbox.path().join(".git/objects").join(&hex[..2]);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join(&hex[2..]), deflate(text)).expect("an object");
    }
    let (_, report) = incomplete(&sandbox);
    assert_eq!(report["skipped"].as_array().expect("skips").len(), texts.len(), "{report:#}");
}

#[test]
fn formats_that_cannot_be_read_are_told() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "--object-format=sha256", "."]);
    sandbox.write("a.txt", "{{akia}}\n");
    for args in [&["--history"][..], &["--staged"], &["--range", "HEAD"]] {
        let run = sandbox.run(&[&["scan"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stderr.contains(".: the repository cannot be opened: "), "{}", run.stderr);
    }
}

#[cfg(unix)]
#[test]
fn other_peoples_repositories_need_to_be_declared_safe() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "theirs"]);
    let given_away = |path: &str| std::os::unix::fs::chown(sandbox.path().join(path), Some(12345), Some(12345)).is_ok();
    // Only root can give files away.
    if !given_away("theirs") || !given_away("theirs/.git") {
        crate::support::skipped("only root can give files away");
        return;
    }
    let run = sandbox.run(&["scan", "--history", "theirs"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stderr.contains("belongs to another user") && run.stderr.contains("safe.directory"), "{}", run.stderr);
    let dir = sandbox.path().join("theirs").canonicalize().expect("a path");
    sandbox.git(&["config", "--global", "--add", "safe.directory", &dir.display().to_string()]);
    assert_eq!(sandbox.run(&["scan", "--history", "theirs"]).code, Some(0));
}

#[test]
fn deltas_before_their_bases_do_not_fill_memory() {
    // Each link of the chain has a larger sibling, and all are stored before their bases.
    const SIZE: usize = 15 << 20;
    let mut pack = Pack::new();
    pack.key();
    let size: Vec<u8> = (0..4).map(|n| (SIZE >> (7 * n)) as u8 & 0x7f | if n < 3 { 0x80 } else { 0 }).collect();
    let copy = [0xf0, SIZE as u8, (SIZE >> 8) as u8, (SIZE >> 16) as u8];
    let delta = [&size[..], &size, &copy].concat();
    for number in (2..42).rev() {
        pack.ref_delta(oid(number), oid(number - 1), &delta);
        pack.raw(
            oid(number + 100),
            REF_DELTA,
            (delta.len() + 1) as u64,
            &oid(number - 1),
            &deflate(&[&delta[..], &[0]].concat()),
        );
    }
    pack.whole(oid(1), BLOB, &vec![0; SIZE]);
    let sandbox = repository(&pack);
    let run = std::process::Command::new("sh")
        .current_dir(sandbox.path())
        .arg("-c")
        .arg(format!("ulimit -v 600000; exec '{}' scan --history --threads 1", env!("CARGO_BIN_EXE_keyspill")))
        .output()
        .expect("sh is there");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "the siblings' deltas are damaged: {stderr}");
    assert!(String::from_utf8_lossy(&run.stdout).contains("found 1 "), "{stderr}");
}

#[test]
fn an_old_version_that_cannot_be_is_not_made() {
    let mut pack = Pack::new();
    pack.whole(oid(1), BLOB, b"base");
    // A delta that declares a result of 16 TiB.
    pack.ref_delta(oid(2), oid(1), &[4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x04, 0x90, 4]);
    pack.whole(oid(3), TREE, &entry("100644", "a.txt", oid(2)));
    pack.whole(oid(4), COMMIT, &commit(oid(3), &[]));
    let sandbox = repository(&pack);
    std::fs::write(sandbox.path().join(".git/refs/heads/main"), hex(oid(4)) + "\n").expect("a ref");
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.git(&["update-index", "--add", "a.txt"]);
    let run = sandbox.run(&["scan", "--staged"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let run = sandbox.run(&["scan", "--range", "main"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn loose_objects_that_are_no_files_are_lost() {
    let mut pack = Pack::new();
    pack.key();
    let sandbox = repository(&pack);
    let dir = sandbox.path().join(".git/objects/ab");
    std::fs::create_dir_all(&dir).expect("a directory");
    let made = std::process::Command::new("mkfifo").arg(dir.join("c".repeat(38))).status().expect("mkfifo is there");
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", dir.join("d".repeat(38))).expect("a link");
    let (_, report) = incomplete(&sandbox);
    assert_eq!(report["skipped"].as_array().expect("skips").len(), 2);
}

#[test]
fn commits_in_a_circle_hide_nothing() {
    let mut pack = Pack::new();
    pack.key();
    pack.whole(oid(1), TREE, &entry("100644", "f", oid(0xffff)));
    pack.whole(oid(2), COMMIT, &commit(oid(1), &[oid(3)]));
    pack.whole(oid(3), COMMIT, &commit(oid(1), &[oid(2)]));
    let sandbox = repository(&pack);
    assert_eq!(sandbox.run(&["scan", "--history"]).code, Some(1), "nothing leads there");
    std::fs::write(sandbox.path().join(".git/refs/heads/main"), hex(oid(2)) + "\n").expect("a ref");
    let report = sandbox.json(&["--history", "--no-tree"]);
    assert_eq!(crate::support::findings_in(&report, "f").len(), 1, "{report:#}");
}

/// A few small trees expand to 10^31 paths; a push must not be able to exhaust a server's memory.
#[cfg(unix)]
#[test]
fn trees_that_stand_for_more_paths_than_atoms_are_cut_in_changes_too() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let base = sandbox.commit(0, "Base");
    sandbox.write("k", "{{akia}} {{secret}}\n");
    let mut below = format!("100644 blob {}\tk\n", sandbox.git(&["hash-object", "-w", "k"]));
    std::fs::remove_file(sandbox.path().join("k")).expect("it is ours");
    for _ in 0..31 {
        let tree = sandbox.make_tree(&below);
        below = (0..10).map(|n| format!("040000 tree {tree}\tn{n}\n")).collect();
    }
    let tree = sandbox.make_tree(&below);
    let bomb = sandbox.git(&["commit-tree", "-p", "HEAD", "-m", "x", &tree]);
    sandbox.git(&["update-ref", "refs/heads/bomb", &bomb]);
    let run = |args: &[&str]| {
        let run = sandbox.run_limited(&[&["scan"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("too many paths"), "{args:?}: {}", run.stderr);
    };
    run(&["--range", &format!("{base}..{bomb}")]);
    run(&["--branch", "bomb"]);
    run(&["--since", "1970-01-01"]);
    // As on a server, which has no ref for it yet.
    sandbox.git(&["update-ref", "-d", "refs/heads/bomb"]);
    let push = format!("{base} {bomb} refs/heads/main\n");
    let received = sandbox.run_with_input(&["hook", "run", "pre-receive"], push.as_bytes());
    assert!(received.code == Some(2) && received.stderr.contains("too many paths"), "{:.300}", received.stderr);
    sandbox.git(&["update-ref", "refs/heads/bomb", &bomb]);
    sandbox.git(&["symbolic-ref", "HEAD", "refs/heads/bomb"]);
    run(&["--staged"]);
}

/// A pipe in place of any file of a repository.
#[cfg(unix)]
#[test]
fn pipes_in_a_repository_are_not_waited_for() {
    let pack = "objects/pack/pack-0123456789012345678901234567890123456789.idx";
    let object = "objects/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let files = [
        "HEAD",
        "config",
        "config.worktree",
        "commondir",
        "index",
        "packed-refs",
        "shallow",
        "info/attributes",
        "info/exclude",
        "info/grafts",
        "objects/info/alternates",
        "refs/heads/x",
        "logs/HEAD",
        "ORIG_HEAD",
        pack,
        object,
    ];
    for file in files {
        let sandbox = Sandbox::new();
        sandbox.init();
        sandbox.write("a.txt", "x\n");
        sandbox.commit(0, "First");
        sandbox.write("b.env", "{{akia}} {{secret}}\n");
        sandbox.commit(1, "Second");
        let path = sandbox.path().join(".git").join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
        for args in
            [&["scan", "."][..], &["scan", "--history"], &["scan", "--staged"], &["scan", "--range", "HEAD~..HEAD"]]
        {
            let run = sandbox.run_limited(args);
            assert!(matches!(run.code, Some(0..=2)), "{file} {args:?}: {:?} {}", run.code, run.stderr);
            // Nothing is staged; all other scans must find the key or report that something was not read.
            assert!(run.code != Some(0) || args == ["scan", "--staged"], "{file} {args:?}");
        }
    }
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "x\n");
    sandbox.commit(0, "First");
    assert!(std::process::Command::new("mkfifo").arg(sandbox.path().join("pipe")).status().expect("it runs").success());
    for line in ["path = ../pipe", "path = \"../pi\\\npe\"", "Path=/dev/zero"] {
        sandbox.write_bytes(".git/config", format!("[core]\n\tbare = false\n[include]\n\t{line}\n").as_bytes());
        let run = sandbox.run_limited(&["scan", "--history"]);
        assert!(run.code == Some(2) && run.stderr.contains("not a regular file"), "{line}: {}", run.stderr);
    }
}
