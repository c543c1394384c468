//! Git's index: what `git commit` would record.
//!
//! Decoding 100,000 entries would take longer than everything else a hook does, and hardly any of them matters. One
//! pass therefore records where the entries start, and each is read in place when needed. All entries are decoded only
//! if the index has prefix-compressed paths (version 4) or is split into two files.
//!
//! Only [`Index::open_verified`] verifies the checksum: it takes longer than all the rest, and git does not do it
//! either.
//!
//! Source: [gitformat-index](https://git-scm.com/docs/gitformat-index).

use super::error::GitError;
use super::map::Map;
use super::repository::Repository;
use crate::finding::object::Oid;
use gix_bitmap::ewah;
use sha1::{Digest, Sha1};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The index of a repository.
pub struct Index {
    entries: Entries,
    cached: Option<CachedTree>,
}

enum Entries {
    /// Read in place, with the offset of each in the file.
    InPlace(Map, Vec<u32>),
    Decoded(Decoded),
}

/// Decoded entries.
#[derive(Default)]
struct Decoded {
    /// All paths, concatenated.
    paths: Vec<u8>,
    /// For each entry, the range of its path in `paths`, and its other fields.
    entries: Vec<(Range<usize>, Facts)>,
}

/// An entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path from the top of the working tree; that of a directory ends with `/`.
    pub path: &'a [u8],
    /// Its other fields.
    pub facts: Facts,
}

/// The fields of an entry besides its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The object.
    pub oid: Oid,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// True if it is one side of a conflict.
    pub is_conflicted: bool,
    /// True if it was only added with `git add --intent-to-add`, and will not be committed.
    pub is_announced: bool,
}

/// Kind of an index entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file or a symbolic link.
    File,
    /// A whole directory, in a sparse index.
    Directory,
    /// A submodule: a commit of another repository.
    Submodule,
}

/// A directory of the index and, if known, the tree object that it equals (git's "cache tree").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedTree {
    /// The tree that it equals; `None` if it has changed since that was written.
    pub oid: Option<Oid>,
    /// Number of entries below it; 0 if it has changed.
    pub entry_count: usize,
    name: Vec<u8>,
    children: Vec<Self>,
}

/// Maximum depth of a cache tree, which is read recursively. A deeper one, which no real repository has, is ignored.
const MAX_CACHED_DEPTH: usize = 256;

impl CachedTree {
    /// Its subdirectory of this name.
    pub fn child(&self, name: &[u8]) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Reads the extension `TREE`: `NAME NUL ENTRIES SP SUBTREES LF [OID]` for the directory, then its subtrees likewise.
    fn read(data: &[u8]) -> Option<Self> {
        Some(Self::read_one(data, 0)?.0)
    }

    fn read_one(data: &[u8], depth: usize) -> Option<(Self, &[u8])> {
        let (name, data) = split_once(data, 0)?;
        let (counts, data) = split_once(data, b'\n')?;
        let (entries, subtrees) = std::str::from_utf8(counts).ok()?.split_once(' ')?;
        // A negative count means that the directory has changed; no object id follows.
        let (entries, subtrees): (i64, usize) = (entries.parse().ok()?, subtrees.parse().ok()?);
        let (oid, mut data) = data.split_at_checked(if entries < 0 { 0 } else { Oid::LENGTH })?;
        let mut children = Vec::new();
        for _ in 0..subtrees {
            let (child, rest) = (depth < MAX_CACHED_DEPTH).then(|| Self::read_one(data, depth + 1))??;
            children.push(child);
            data = rest;
        }
        let entry_count = usize::try_from(entries).unwrap_or(0);
        Some((Self { oid: Oid::read(oid), entry_count, name: name.to_vec(), children }, data))
    }
}

impl Index {
    /// Reads the index that git would use now; during a hook, `GIT_INDEX_FILE` names it. There need not be one.
    ///
    /// # Errors
    /// A message that names the file, if it cannot be read.
    pub fn read(repository: &Repository) -> Result<Self, GitError> {
        match named_index(repository) {
            Some(path) if path.exists() => Self::open(&path),
            Some(path) => Err(failed(&path, GitError::Invalid("GIT_INDEX_FILE names it, but it does not exist"))),
            None => Self::open(&repository.git_dir().join("index")),
        }
    }

    /// Reads an index file. The index is empty if there is no such file.
    ///
    /// # Errors
    /// A message that names the file, if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        Self::open_checked(path, |_| true)
    }

    /// Like [`Self::open`], but verifies the checksum; for callers that rely on a file not being in the index.
    ///
    /// # Errors
    /// As [`Self::open`], and if the checksum is wrong.
    pub fn open_verified(path: &Path) -> Result<Self, GitError> {
        Self::open_checked(path, has_checksum)
    }

    fn open_checked(path: &Path, is_sound: fn(&[u8]) -> bool) -> Result<Self, GitError> {
        match Map::open(path) {
            Ok(bytes) => Self::from_map(bytes, path, is_sound).map_err(|error| failed(path, error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { entries: Entries::Decoded(Decoded::default()), cached: None })
            }
            Err(error) => Err(failed(path, error.into())),
        }
    }

    fn from_map(bytes: Map, path: &Path, is_sound: fn(&[u8]) -> bool) -> Result<Self, GitError> {
        let layout =
            Layout::parse(&bytes).and_then(|layout| if is_sound(&bytes) { Ok(layout) } else { Err(DAMAGED) })?;
        let entries = match layout.link {
            None if layout.version < 4 => {
                let Layout { starts, cached, .. } = layout;
                return Ok(Self { entries: Entries::InPlace(bytes, starts), cached });
            }
            None => layout.decode(&bytes).ok_or(DAMAGED)?,
            Some(link) => {
                let (base, bitmaps) = link.split_at_checked(Oid::LENGTH).ok_or(DAMAGED)?;
                let base = Oid::read(base).ok_or(DAMAGED)?;
                let shared = path.with_file_name(format!("sharedindex.{base}"));
                let of_shared = |error: GitError| error.of(format!("its shared index {}", shared.display()));
                let shared_bytes = Map::open(&shared).map_err(|error| of_shared(error.into()))?;
                let shared_layout = Layout::parse(&shared_bytes).map_err(of_shared)?;
                if !is_sound(&shared_bytes) {
                    return Err(of_shared(DAMAGED));
                }
                if shared_layout.link.is_some() || !shared_bytes.ends_with(base.as_bytes()) {
                    return Err(of_shared(GitError::Invalid("it does not match the index")));
                }
                let shared = shared_layout.decode(&shared_bytes).ok_or_else(|| of_shared(DAMAGED))?;
                merge(shared, layout.decode(&bytes).ok_or(DAMAGED)?, bitmaps).ok_or(DAMAGED)?
            }
        };
        Ok(Self { entries: Entries::Decoded(entries), cached: layout.cached })
    }

    /// How many entries there are.
    pub fn entry_count(&self) -> usize {
        match &self.entries {
            Entries::InPlace(_, starts) => starts.len(),
            Entries::Decoded(decoded) => decoded.entries.len(),
        }
    }

    /// An entry. Entries are sorted by path.
    pub fn entry(&self, number: usize) -> Entry<'_> {
        match &self.entries {
            Entries::InPlace(bytes, starts) => {
                let start = starts[number] as usize;
                // `Layout` has checked that it is there.
                let path = path_at(bytes, start).and_then(|path| bytes.get(path)).unwrap_or_default();
                Entry { path, facts: Facts::at(bytes, start) }
            }
            Entries::Decoded(decoded) => {
                let (path, facts) = &decoded.entries[number];
                Entry { path: &decoded.paths[path.clone()], facts: *facts }
            }
        }
    }

    /// The first entry in `range` whose path does not start with `prefix`, provided that all those that do come first.
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

    /// The cache tree of the top directory, if git recorded one.
    pub fn cached_tree(&self) -> Option<&CachedTree> {
        self.cached.as_ref()
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("entry_count", &self.entry_count()).finish_non_exhaustive()
    }
}

fn failed(path: &Path, error: GitError) -> GitError {
    error.of(format!("the index {}", path.display()))
}

const DAMAGED: GitError = GitError::Invalid("it is damaged");

/// True if the file ends with the checksum of its content, or with zeros, as git writes it with `index.skipHash`.
fn has_checksum(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<{ Oid::LENGTH }>()
        .is_some_and(|(content, checksum)| *checksum == [0; Oid::LENGTH] || Sha1::digest(content)[..] == checksum[..])
}

/// The index that git names to its hooks, if the hook runs for this repository. A relative path starts at the top of
/// the working tree, even if the hook has changed directory.
fn named_index(repository: &Repository) -> Option<PathBuf> {
    let top = repository.work_dir()?.canonicalize().ok()?;
    let environment = repository.environment();
    let here = environment.working_dir.canonicalize().ok()?;
    environment.variable("GIT_INDEX_FILE").filter(|_| here.starts_with(&top)).map(|path| top.join(path))
}

/// Maximum total length of decoded paths, in bytes: prefix compression can store a long path in two bytes.
const MAX_PATHS: usize = 1 << 30;

/// Length of the header: `DIRC`, the version, the number of entries.
const HEADER: usize = 12;

/// Offsets in an entry: of its mode, object id and flags, and of its path, which in version 3 may follow more flags.
const MODE: usize = 24;
const OBJECT: usize = 40;
const FLAGS: usize = 60;
const MORE_FLAGS: usize = 62;

const EXTENDED: u16 = 1 << 14;
const STAGE: u16 = 3 << 12;
const PATH_LENGTH: u16 = 0xfff;
const INTENT_TO_ADD: u16 = 1 << 13;

/// The layout of an index file.
struct Layout<'a> {
    version: u32,
    /// Offsets of the entries.
    starts: Vec<u32>,
    cached: Option<CachedTree>,
    /// The `link` extension, which names the shared index.
    link: Option<&'a [u8]>,
}

impl<'a> Layout<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, GitError> {
        let version = u32_at(bytes, 4)
            .filter(|_| bytes.starts_with(b"DIRC"))
            .ok_or(GitError::Invalid("it is not a git index"))?;
        let count = u32_at(bytes, 8).ok_or(DAMAGED)? as usize;
        if !matches!(version, 2..=4) {
            return Err(GitError::Invalid("its version is not supported; versions 2 to 4 are"));
        }
        // Offsets are kept in 32 bits, and no entry is shorter than `MORE_FLAGS`.
        if bytes.len() > u32::MAX as usize || count > bytes.len() / MORE_FLAGS {
            return Err(DAMAGED);
        }
        let mut starts = Vec::with_capacity(count);
        let mut at = HEADER;
        for _ in 0..count {
            starts.push(at as u32);
            at = next_entry(bytes, at, version).ok_or(DAMAGED)?;
        }
        let mut layout = Self { version, starts, cached: None, link: None };
        let end = bytes.len().checked_sub(Oid::LENGTH).ok_or(DAMAGED)?;
        let mut rest = bytes.get(at..end).ok_or(DAMAGED)?;
        while let Some((signature, after)) = rest.split_first_chunk::<4>() {
            let size = u32_at(after, 0).ok_or(DAMAGED)? as usize;
            let (data, next) = after[4..].split_at_checked(size).ok_or(DAMAGED)?;
            match signature {
                b"TREE" => layout.cached = CachedTree::read(data),
                // Some versions of git write a base of zeros if nothing is shared any more.
                b"link" => layout.link = Some(data).filter(|data| !data.starts_with(&[0; Oid::LENGTH])),
                // Directory entries are recognised by their mode.
                b"sdir" => {}
                // A reader must understand every extension whose name starts with a lowercase letter.
                [first, ..] if first.is_ascii_lowercase() => {
                    return Err(GitError::Invalid("it has an extension that is not supported"));
                }
                _ => {}
            }
            rest = next;
        }
        Ok(layout)
    }

    /// All entries, in the order of the file.
    fn decode(&self, bytes: &[u8]) -> Option<Decoded> {
        let mut paths = Vec::new();
        let mut last = 0..0usize;
        let decode = |start: &u32| {
            let start = *start as usize;
            let from = paths.len();
            if self.version < 4 {
                paths.extend_from_slice(bytes.get(path_at(bytes, start)?)?);
            } else {
                let (taken, added) = taken_at(bytes, path_start(bytes, start)?)?;
                let kept = last.len().checked_sub(taken)?;
                paths.extend_from_within(last.start..last.start + kept);
                paths.extend_from_slice(split_once(bytes.get(added..)?, 0)?.0);
            }
            last = from..paths.len();
            (paths.len() <= MAX_PATHS).then(|| (last.clone(), Facts::at(bytes, start)))
        };
        let entries = self.starts.iter().map(decode).collect::<Option<_>>()?;
        Some(Decoded { paths, entries })
    }
}

/// Applies a split index to the shared entries: two bitmaps say which of them were removed and which were replaced. The
/// replacements come first among its `own` entries, without paths; the others are new.
fn merge(shared: Decoded, own: Decoded, bitmaps: &[u8]) -> Option<Decoded> {
    let mut paths = shared.paths;
    let mut shared: Vec<_> = shared.entries.into_iter().map(Some).collect();
    let before = paths.len();
    paths.extend_from_slice(&own.paths);
    let mut own = own.entries.into_iter().map(|(path, facts)| (before + path.start..before + path.end, facts));
    if !bitmaps.is_empty() {
        let (gone, rest) = ewah::decode(bitmaps).ok()?;
        let (changed, _) = ewah::decode(rest).ok()?;
        changed.for_each_set_bit(|number| {
            shared.get_mut(number)?.as_mut()?.1 = own.next().filter(|(path, _)| path.is_empty())?.1;
            Some(())
        })?;
        gone.for_each_set_bit(|number| {
            *shared.get_mut(number)? = None;
            Some(())
        })?;
    }
    let mut entries: Vec<_> = shared.into_iter().flatten().chain(own).collect();
    entries.sort_by(|(a, _), (b, _)| paths[a.clone()].cmp(&paths[b.clone()]));
    Some(Decoded { paths, entries })
}

impl Facts {
    /// The fields of the entry that starts `at`, which must exist.
    fn at(bytes: &[u8], at: usize) -> Self {
        let flags = u16_at(bytes, at + FLAGS).unwrap_or(0);
        let more = if flags & EXTENDED == 0 { 0 } else { u16_at(bytes, at + MORE_FLAGS).unwrap_or(0) };
        let kind = match u32_at(bytes, at + MODE).unwrap_or(0) >> 12 {
            0o04 => EntryKind::Directory,
            0o16 => EntryKind::Submodule,
            _ => EntryKind::File,
        };
        Self {
            oid: bytes.get(at + OBJECT..at + FLAGS).and_then(Oid::read).unwrap_or(Oid::new([0; Oid::LENGTH])),
            kind,
            is_conflicted: flags & STAGE != 0,
            is_announced: more & INTENT_TO_ADD != 0,
        }
    }

    /// True if it is a file that would be committed.
    pub fn is_committed_file(&self) -> bool {
        self.kind != EntryKind::Submodule && !self.is_announced
    }
}

/// The end of the entry that starts `at`; `None` if it is malformed.
fn next_entry(bytes: &[u8], at: usize, version: u32) -> Option<usize> {
    if version < 4 {
        // One to eight NUL bytes follow the path, so that the length of the entry is divisible by eight.
        return Some(at + ((path_at(bytes, at)?.end - at + 8) & !7));
    }
    let (_, added) = taken_at(bytes, path_start(bytes, at)?)?;
    Some(added + memchr::memchr(0, bytes.get(added..)?)? + 1)
}

/// For an entry of version 4: how many bytes to cut from the end of the previous path, and where the NUL-terminated
/// suffix to append starts. The number is encoded like the offset of an offset delta in a pack.
fn taken_at(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut taken = 0usize;
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        taken = taken.checked_shl(7).filter(|shifted| shifted >> 7 == taken)? | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((taken, at));
        }
        taken = taken.checked_add(1)?;
    }
}

/// The range of the path of the entry that starts `at`, in versions 2 and 3; `None` if no NUL follows it.
fn path_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = path_start(bytes, at)?;
    // The field is too small for the length of longer paths.
    let length = match u16_at(bytes, at + FLAGS)? & PATH_LENGTH {
        PATH_LENGTH => memchr::memchr(0, bytes.get(start..)?)?,
        length => usize::from(length),
    };
    (bytes.get(start + length) == Some(&0)).then_some(start..start + length)
}

/// Offset of what follows the flags of the entry that starts `at`.
fn path_start(bytes: &[u8], at: usize) -> Option<usize> {
    let is_extended = u16_at(bytes, at + FLAGS)? & EXTENDED != 0;
    Some(at + if is_extended { MORE_FLAGS + 2 } else { MORE_FLAGS })
}

/// The bytes before and after the first `separator`.
fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
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
    use gix_index::entry::{Flags, Mode, Stage, Stat};
    use gix_index::hash::{Kind, ObjectId};
    use proptest::prelude::*;

    /// An index of `files`, built by `gix-index`, and its bytes.
    fn written(files: &[(String, Mode, Flags, u8)]) -> (gix_index::State, Vec<u8>) {
        let mut state = gix_index::State::new(Kind::Sha1);
        for (path, mode, flags, object) in files {
            let id = ObjectId::from_bytes_or_panic(&[*object; Oid::LENGTH]);
            state.dangerously_push_entry(Stat::default(), id, *flags, *mode, path.as_bytes().into());
        }
        state.sort_entries();
        let mut bytes = Vec::new();
        state.write_to(&mut bytes, gix_index::write::Options::default()).expect("it is written to memory");
        // The checksum, which `State` leaves to `File`.
        bytes.extend([0; Oid::LENGTH]);
        (state, bytes)
    }

    fn read(bytes: &[u8]) -> Result<Index, GitError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("it is written");
        Index::open(file.path())
    }

    fn any_file() -> impl Strategy<Value = (String, Mode, Flags, u8)> {
        let mode = prop_oneof![Just(Mode::FILE), Just(Mode::SYMLINK), Just(Mode::COMMIT), Just(Mode::DIR)];
        let announced = Flags::EXTENDED | Flags::INTENT_TO_ADD;
        let flags = prop_oneof![Just(Flags::empty()), Just(announced), Just(Flags::from_stage(Stage::Ours))];
        ("[a-c]{1,3}(/[a-c]{1,9}){0,3}", mode, flags, any::<u8>())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(files in proptest::collection::vec(any_file(), 0..40)) {
            let (state, bytes) = written(&files);
            let index = read(&bytes).expect("an index");
            prop_assert_eq!(index.entry_count(), state.entries().len());
            for (number, expected) in state.entries().iter().enumerate() {
                let Entry { path, facts } = index.entry(number);
                let kind = match expected.mode {
                    Mode::DIR => EntryKind::Directory,
                    Mode::COMMIT => EntryKind::Submodule,
                    _ => EntryKind::File,
                };
                prop_assert_eq!(path, expected.path(&state));
                prop_assert_eq!((&facts.oid.as_bytes()[..], facts.kind), (expected.id.as_bytes(), kind));
                prop_assert_eq!(facts.is_conflicted, expected.stage() != Stage::Unconflicted);
                prop_assert_eq!(facts.is_announced, expected.flags.contains(Flags::INTENT_TO_ADD));
            }
        }

        #[test]
        fn a_damaged_index_is_read_or_refused(
            files in proptest::collection::vec(any_file(), 1..9),
            version in 2..=4u8,
            at: prop::sample::Index,
            value: u8,
        ) {
            let (_, mut bytes) = written(&files);
            bytes[7] = version;
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(index) = read(&bytes) {
                (0..index.entry_count()).for_each(|number| _ = index.entry(number));
            }
        }
    }

    #[test]
    fn paths_of_any_length_are_read() {
        for length in [1, 7, 8, 9, 4094, 4095, 4096, 10_000] {
            let file = |path: String| (path, Mode::FILE, Flags::empty(), 1);
            let (_, bytes) = written(&[file("x".repeat(length)), file("y".into())]);
            let index = read(&bytes).expect("an index");
            assert_eq!((index.entry(0).path.len(), index.entry(1).path), (length, &b"y"[..]));
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
        assert_eq!(CachedTree::read(b"\x003 0\n too short"), None);
        assert_eq!(CachedTree::read(&b"\0-1 1\n".repeat(1_000_000)), None, "it is nested too deeply");
    }

    #[test]
    fn an_index_that_shares_itself_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let oid = [0x11; Oid::LENGTH];
        let link = [&b"link"[..], &(Oid::LENGTH as u32).to_be_bytes(), &oid].concat();
        let bytes = [&b"DIRC\0\0\0\x02\0\0\0\0"[..], &link, &oid].concat();
        for name in ["index", &format!("sharedindex.{}", Oid::new(oid))] {
            std::fs::write(dir.path().join(name), &bytes).expect("it is written");
        }
        let words = Index::open(&dir.path().join("index")).map(|_| ()).expect_err("it has no end");
        assert!(words.to_words().contains("it does not match the index"), "{words:?}");
    }

    #[test]
    fn what_a_long_path_is_cut_by_may_take_more_than_a_byte() {
        assert_eq!(taken_at(&[0x7f], 0), Some((127, 1)));
        assert_eq!(taken_at(&[0x80, 0], 0), Some((128, 2)));
        assert_eq!(taken_at(&[0x81, 0x2c], 0), Some((300, 2)));
        assert_eq!(taken_at(&[0xff; 12], 0), None);
    }
}
