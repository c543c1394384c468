//! Git's index: what `git commit` would record.
//!
//! To decode 100,000 entries takes longer than all else that a hook does, and hardly any of them matters. So they are read in
//! place, each when it is asked for, after one pass that notes where they start. What needs more than that, prefixed paths
//! (version 4) and an index in two files, is decoded by `gix-index`.
//!
//! Source: [gitformat-index](https://git-scm.com/docs/gitformat-index).

use super::map::Map;
use super::oid::Oid;
use super::repository::Repository;
use gix_index::entry::{Flags, Mode, Stage};
use gix_index::extension::{self, Iter};
use gix_index::hash::Kind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The index of a repository.
pub struct Index {
    entries: Entries,
    cached: Option<CachedTree>,
}

enum Entries {
    InPlace(InPlace<Map>),
    Decoded(Box<gix_index::State>),
}

/// What the index says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// From the top of the working tree; that of a directory ends with `/`.
    pub path: &'a [u8],
    /// Its content.
    pub oid: Oid,
    /// What it is.
    pub kind: EntryKind,
    /// True if it is one side of a conflict.
    pub is_conflicted: bool,
    /// True if it is only announced (`git add --intent-to-add`), and will not be committed.
    pub is_announced: bool,
}

/// What an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file or a symbolic link.
    File,
    /// A directory as a whole, of a sparse index.
    Directory,
    /// A commit of another repository.
    Submodule,
}

/// A directory of the index that is as in a tree, so far as that is known ("cache tree").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedTree {
    /// The tree that it is as in, if it has not changed since that was written.
    pub oid: Option<Oid>,
    /// How many entries are below it; 0 if it has changed.
    pub entry_count: usize,
    name: Vec<u8>,
    children: Vec<Self>,
}

/// Why a cached tree is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    Damaged,
    TooDeep,
}

/// Where directories are nested deeper, all are compared as if nothing were known of them: it is read by recursion, and
/// nobody nests them so deep.
const MOST_CACHED_DEPTH: usize = 256;

impl CachedTree {
    /// The directory of this name in it.
    pub fn child(&self, name: &[u8]) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Reads the extension `TREE`: `NAME NUL ENTRIES SP SUBTREES LF [OID]` for the directory, then its subtrees likewise.
    fn read(data: &[u8]) -> Result<Self, Unread> {
        Ok(Self::read_one(data, 0)?.0)
    }

    fn read_one(data: &[u8], depth: usize) -> Result<(Self, &[u8]), Unread> {
        if depth > MOST_CACHED_DEPTH {
            return Err(Unread::TooDeep);
        }
        let head = |data| {
            let (name, data) = split_once(data, 0)?;
            let (counts, data) = split_once(data, b'\n')?;
            let (entries, subtrees) = std::str::from_utf8(counts).ok()?.split_once(' ')?;
            // A negative one says that the directory has changed, and then no object is named.
            let entries: i64 = entries.parse().ok()?;
            let (oid, data) = data.split_at_checked(if entries < 0 { 0 } else { Oid::LENGTH })?;
            Some((name, entries, subtrees.parse::<usize>().ok()?, Oid::read(oid), data))
        };
        let (name, entries, subtrees, oid, mut data) = head(data).ok_or(Unread::Damaged)?;
        let mut children = Vec::new();
        for _ in 0..subtrees {
            let (child, rest) = Self::read_one(data, depth + 1)?;
            children.push(child);
            data = rest;
        }
        let entry_count = usize::try_from(entries).unwrap_or(0);
        Ok((Self { oid, entry_count, name: name.to_vec(), children }, data))
    }

    fn of(tree: &extension::Tree) -> Self {
        let oid = tree.num_entries.and_then(|_| Oid::read(tree.id.as_bytes()));
        let children = tree.children.iter().map(Self::of).collect();
        Self { oid, entry_count: tree.num_entries.unwrap_or(0) as usize, name: tree.name.to_vec(), children }
    }
}

impl Index {
    /// Reads the index that git would use now: while a hook runs, `GIT_INDEX_FILE` names it. There need not be one.
    ///
    /// # Errors
    /// If it cannot be read; in words that name the file.
    pub fn read(repository: &Repository) -> Result<Self, String> {
        match named_index(repository) {
            Some(path) if path.exists() => Self::open(&path),
            Some(path) => Err(failed(&path, &"GIT_INDEX_FILE names it, and it is not there")),
            None => Self::open(&repository.git_dir().join("index")),
        }
    }

    /// Reads the index in a file. It is empty if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read; in words that name the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        // git itself does not verify the checksum of a whole index either: it takes longer than all the rest.
        if let Some((entries, cached)) = Map::open(path).ok().and_then(InPlace::new) {
            return Ok(Self { entries: Entries::InPlace(entries), cached });
        }
        check(path).map_err(|words| failed(path, &words))?;
        let options = gix_index::decode::Options { thread_limit: Some(1), ..Default::default() };
        let file =
            gix_index::File::at_or_default(path, Kind::Sha1, true, options).map_err(|error| failed(path, &error))?;
        let (state, _) = file.into_parts();
        let cached = state.tree().map(CachedTree::of);
        Ok(Self { entries: Entries::Decoded(Box::new(state)), cached })
    }

    /// How many entries there are.
    pub fn entry_count(&self) -> usize {
        match &self.entries {
            Entries::InPlace(entries) => entries.offsets.len(),
            Entries::Decoded(state) => state.entries().len(),
        }
    }

    /// An entry. They are in the order of their paths.
    pub fn entry(&self, number: usize) -> Entry<'_> {
        match &self.entries {
            Entries::InPlace(entries) => entries.entry(number),
            Entries::Decoded(state) => decoded(state, number),
        }
    }

    /// The first of the entries of `range` whose path does not start with `prefix`, if those that do come first.
    pub fn end_of(&self, range: Range<usize>, prefix: &[u8]) -> usize {
        let Range { mut start, mut end } = range;
        while start < end {
            let middle = start.midpoint(end);
            if self.entry(middle).path.starts_with(prefix) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }

    /// The top directory, if git noted which directories have not changed.
    pub fn cached_tree(&self) -> Option<&CachedTree> {
        self.cached.as_ref()
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("entry_count", &self.entry_count()).finish_non_exhaustive()
    }
}

fn failed(path: &Path, words: &dyn std::fmt::Display) -> String {
    format!("the index {} cannot be read: {words}", path.display())
}

/// Refuses what `gix-index` should not be given: trees of directories that it would follow, by recursion, until there is no
/// stack left; in the index or in one that it may share.
fn check(path: &Path) -> Result<(), &'static str> {
    let siblings = path.parent().and_then(|dir| dir.read_dir().ok()).into_iter().flatten().flatten();
    let is_shared = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"sharedindex.");
    let shared = siblings.filter(is_shared).map(|entry| entry.path());
    let files = std::iter::once(path.to_owned()).chain(shared).filter_map(|path| Map::open(&path).ok());
    for bytes in files {
        // Other versions it refuses by itself.
        let Some((version, count)) = header(&bytes).filter(|(version, _)| matches!(version, 2..=4)) else { continue };
        let end = (0..count).try_fold(HEADER, |at, _| next_entry(&bytes, at, version));
        let end = end.ok_or("its entries are damaged")?;
        // Extensions are where the entries end, and where one of them says that entries end.
        let told = extension::end_of_index_entry::decode(&bytes, Kind::Sha1).ok().flatten();
        for start in [Some(end), told].into_iter().flatten() {
            let mut extensions = bytes.get(start..).and_then(extensions).into_iter().flatten();
            let is_too_deep =
                |(signature, data): (_, &[u8])| signature == *TREE && CachedTree::read(data) == Err(Unread::TooDeep);
            if extensions.any(is_too_deep) {
                return Err("its directories are nested too deep");
            }
        }
    }
    Ok(())
}

/// The index that git names to its hooks, if this is the repository that the hook is of. A relative path starts at the top
/// of the working tree, wherever the hook has gone since.
fn named_index(repository: &Repository) -> Option<PathBuf> {
    let top = repository.work_dir()?.canonicalize().ok()?;
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    std::env::var_os("GIT_INDEX_FILE").filter(|_| here.starts_with(&top)).map(|path| top.join(path))
}

fn decoded(state: &gix_index::State, number: usize) -> Entry<'_> {
    let entry = &state.entries()[number];
    let kind = match entry.mode {
        Mode::DIR => EntryKind::Directory,
        Mode::COMMIT => EntryKind::Submodule,
        _ => EntryKind::File,
    };
    Entry {
        path: entry.path(state),
        oid: Oid::read(entry.id.as_bytes()).expect("SHA-1 was asked for"),
        kind,
        is_conflicted: entry.stage() != Stage::Unconflicted,
        is_announced: entry.flags.contains(Flags::INTENT_TO_ADD),
    }
}

/// Entries of version 2 or 3 in a file.
struct InPlace<B> {
    bytes: B,
    /// Where each starts.
    offsets: Vec<u32>,
}

/// The extension that holds the cached tree.
const TREE: &[u8; 4] = b"TREE";

/// `DIRC`, the version, the number of entries.
const HEADER: usize = 12;

/// Places in an entry: of its mode, object and flags, and of its path, before which version 3 may have more flags.
const MODE: usize = 24;
const OBJECT: usize = 40;
const FLAGS: usize = 60;
const MORE_FLAGS: usize = 62;

const EXTENDED: u16 = 1 << 14;
const STAGE: u16 = 3 << 12;
const PATH_LENGTH: u16 = 0xfff;
const INTENT_TO_ADD: u16 = 1 << 13;

impl<B: std::ops::Deref<Target = [u8]>> InPlace<B> {
    /// Notes where the entries are, and reads the tree of the directories. `None` if this is no index that can be read in
    /// place.
    fn new(bytes: B) -> Option<(Self, Option<CachedTree>)> {
        let (version, count) = header(&bytes)?;
        // Offsets are kept in 32 bits, and no entry is shorter than this.
        if !matches!(version, 2 | 3) || bytes.len() > u32::MAX as usize || count > bytes.len() / (MORE_FLAGS + 2) {
            return None;
        }
        let mut offsets = Vec::with_capacity(count);
        let mut at = HEADER;
        for _ in 0..count {
            offsets.push(at as u32);
            at = next_entry(&bytes, at, version)?;
        }
        let mut cached = None;
        for (signature, data) in extensions(bytes.get(at..)?)? {
            match &signature {
                TREE => cached = CachedTree::read(data).ok(),
                // That there are directories among the entries is seen from them.
                b"sdir" => {}
                // What others change, must be known to who reads them.
                [first, ..] if first.is_ascii_lowercase() => return None,
                _ => {}
            }
        }
        Some((Self { bytes, offsets }, cached))
    }

    fn entry(&self, number: usize) -> Entry<'_> {
        let at = self.offsets[number] as usize;
        let flags = u16_at(&self.bytes, at + FLAGS).unwrap_or(0);
        let more = if flags & EXTENDED == 0 { 0 } else { u16_at(&self.bytes, at + MORE_FLAGS).unwrap_or(0) };
        let kind = match u32_at(&self.bytes, at + MODE).unwrap_or(0) >> 12 {
            0o04 => EntryKind::Directory,
            0o16 => EntryKind::Submodule,
            _ => EntryKind::File,
        };
        Entry {
            path: path_at(&self.bytes, at).and_then(|path| self.bytes.get(path)).unwrap_or_default(),
            oid: self.bytes.get(at + OBJECT..at + FLAGS).and_then(Oid::read).unwrap_or(Oid::new([0; Oid::LENGTH])),
            kind,
            is_conflicted: flags & STAGE != 0,
            is_announced: more & INTENT_TO_ADD != 0,
        }
    }
}

/// The version and the number of entries.
fn header(bytes: &[u8]) -> Option<(u32, usize)> {
    let version = u32_at(bytes, 4).filter(|_| bytes.starts_with(b"DIRC"))?;
    Some((version, u32_at(bytes, 8)? as usize))
}

/// The extensions that start `bytes`, of which the last is the checksum of the file.
fn extensions(bytes: &[u8]) -> Option<Iter<'_>> {
    Iter::new_without_checksum(bytes, Kind::Sha1)
}

/// Where the entry ends that starts `at`; `None` if it does not end where it should.
fn next_entry(bytes: &[u8], at: usize, version: u32) -> Option<usize> {
    if version < 4 {
        // Its path ends with one to eight bytes of nothing, so that the length of all is divisible by eight.
        return Some(at + ((path_at(bytes, at)?.end - at + 8) & !7));
    }
    // How much to take from the end of the path before, in bytes of which all but the last have their highest bit set; then
    // what to add to it, up to a byte of nothing.
    let start = path_start(bytes, at)?;
    let added = start + bytes.get(start..)?.iter().position(|b| b & 0x80 == 0)? + 1;
    Some(added + memchr::memchr(0, bytes.get(added..)?)? + 1)
}

/// What comes before the first `separator`, and what after it.
fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Where the path is of the entry that starts `at`; `None` if it does not end where it should.
fn path_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let flags = u16_at(bytes, at + FLAGS)?;
    let start = path_start(bytes, at)?;
    // Of a longer one only its end tells how long it is.
    let length = match flags & PATH_LENGTH {
        PATH_LENGTH => memchr::memchr(0, bytes.get(start..)?)?,
        length => usize::from(length),
    };
    (bytes.get(start + length) == Some(&0)).then_some(start..start + length)
}

/// What comes after the flags of the entry that starts `at`.
fn path_start(bytes: &[u8], at: usize) -> Option<usize> {
    let is_extended = u16_at(bytes, at + FLAGS)? & EXTENDED != 0;
    Some(at + if is_extended { MORE_FLAGS + 2 } else { MORE_FLAGS })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gix_index::entry::Stat;
    use proptest::prelude::*;

    /// The bytes of an index with these files, as `gix-index` writes it.
    fn written(files: &[(String, Mode, Flags, u8)]) -> Vec<u8> {
        let mut state = gix_index::State::new(Kind::Sha1);
        for (path, mode, flags, object) in files {
            let id = gix_index::hash::ObjectId::from_bytes_or_panic(&[*object; Oid::LENGTH]);
            state.dangerously_push_entry(Stat::default(), id, *flags, *mode, path.as_bytes().into());
        }
        state.sort_entries();
        let mut bytes = Vec::new();
        state.write_to(&mut bytes, gix_index::write::Options::default()).expect("it is written to memory");
        // The checksum, which `State` leaves to `File`.
        bytes.extend([0; Oid::LENGTH]);
        bytes
    }

    fn any_file() -> impl Strategy<Value = (String, Mode, Flags, u8)> {
        let mode = prop_oneof![Just(Mode::FILE), Just(Mode::SYMLINK), Just(Mode::COMMIT)];
        let announced = Flags::EXTENDED | Flags::INTENT_TO_ADD;
        let flags = prop_oneof![Just(Flags::empty()), Just(announced), Just(Flags::from_stage(Stage::Ours))];
        ("[a-c]{1,3}(/[a-c]{1,9}){0,3}", mode, flags, any::<u8>())
    }

    proptest! {
        #[test]
        fn what_is_read_in_place_is_what_is_decoded(files in proptest::collection::vec(any_file(), 0..40)) {
            let bytes = written(&files);
            let (entries, _) = InPlace::new(&bytes[..]).expect("an index of version 2 or 3");
            let state = gix_index::State::from_bytes(
                &bytes,
                std::time::SystemTime::UNIX_EPOCH.into(),
                Kind::Sha1,
                gix_index::decode::Options::default(),
            );
            let (state, _) = state.expect("an index");
            prop_assert_eq!(entries.offsets.len(), state.entries().len());
            for number in 0..entries.offsets.len() {
                prop_assert_eq!(entries.entry(number), decoded(&state, number));
            }
        }

        #[test]
        fn a_damaged_index_is_read_or_refused(files in proptest::collection::vec(any_file(), 1..9), at: usize, value: u8) {
            let mut bytes = written(&files);
            let at = at % bytes.len();
            bytes[at] = value;
            if let Some((entries, _)) = InPlace::new(&bytes[..]) {
                (0..entries.offsets.len()).for_each(|number| _ = entries.entry(number));
            }
        }
    }

    #[test]
    fn paths_of_any_length_are_read() {
        for length in [1, 7, 8, 9, 4094, 4095, 4096, 10_000] {
            let bytes = written(&[
                ("x".repeat(length), Mode::FILE, Flags::empty(), 1),
                ("y".into(), Mode::FILE, Flags::empty(), 2),
            ]);
            let (entries, _) = InPlace::new(&bytes[..]).expect("an index");
            assert_eq!((entries.entry(0).path.len(), entries.entry(1).path), (length, &b"y"[..]));
        }
    }

    #[test]
    fn cached_trees_are_read() {
        let oid = [7; Oid::LENGTH];
        let data = [&b"\0-1 2\n"[..], b"a\x003 0\n", &oid, b"b\0-1 0\n"].concat();
        let tree = CachedTree::read(&data).expect("a tree");
        assert_eq!((tree.oid, tree.entry_count), (None, 0));
        let child = tree.child(b"a").expect("a subtree");
        assert_eq!((child.oid, child.entry_count), (Some(Oid::new(oid)), 3));
        assert_eq!(tree.child(b"b").and_then(|child| child.oid), None);
        assert_eq!(CachedTree::read(b"\x003 0\n too short"), Err(Unread::Damaged));
        let deep = b"\0-1 1\n".repeat(MOST_CACHED_DEPTH + 2);
        assert_eq!(CachedTree::read(&deep), Err(Unread::TooDeep));
    }

    #[test]
    fn what_would_exhaust_the_stack_is_refused() {
        let tree = b"\0-1 1\n".repeat(1_000_000);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("index");
        for version in 2..=4u8 {
            let header = [&b"DIRC\0\0\0"[..], &[version], &[0; 4]].concat();
            let extension = [&TREE[..], &(tree.len() as u32).to_be_bytes(), &tree].concat();
            std::fs::write(&path, [header, extension, vec![0; Oid::LENGTH]].concat()).expect("it is written");
            match Index::open(&path) {
                Ok(index) => assert_eq!((version < 4, index.cached_tree()), (true, None)),
                Err(words) => assert!(version == 4 && words.contains("nested too deep"), "{words}"),
            }
        }
    }
}
