//! The object database: all packs and loose objects of a repository and of those it borrows from.

use super::error::GitError;
use super::loose;
use super::object::{CommitLinks, MAX_COMMIT};
use super::pack::Pack;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;
use std::io;
use std::path::{Path, PathBuf};

/// Number of an object in a database. An object that is stored several times has a number for each copy; [`Odb::find`]
/// always returns the same one.
pub type Node = u32;

/// All objects.
#[derive(Debug)]
pub struct Odb {
    packs: Vec<PackFile>,
    /// Sorted by object id.
    loose: Vec<Loose>,
    loose_dirs: Vec<PathBuf>,
    /// Number of the first loose object.
    first_loose: Node,
    unreadable: Vec<(PathBuf, GitError)>,
}

/// A pack of the database.
#[derive(Debug)]
pub struct PackFile {
    /// The index file.
    pub path: PathBuf,
    /// The pack.
    pub pack: Pack,
    /// Number of its first object; the object at position `n` of the index has the number `first + n`.
    pub first: Node,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Loose {
    oid: Oid,
    dir: u16,
}

impl Odb {
    /// Opens all packs in `dirs`. Those that cannot be opened are in [`Self::unreadable`]. Loose objects can be read,
    /// but have no numbers.
    pub fn open(dirs: &[PathBuf]) -> Self {
        let mut odb =
            Self { packs: vec![], loose: vec![], loose_dirs: dirs.to_vec(), first_loose: 0, unreadable: vec![] };
        let mut count: u64 = 0;
        for index in dirs.iter().flat_map(|dir| odb.list(&dir.join("pack"), pack_indexes)).collect::<Vec<_>>() {
            match Pack::open(&index) {
                // Numbers have 32 bits, and some values are reserved.
                Ok(pack) if count + pack.index.len() as u64 <= u64::from(u32::MAX / 2) => {
                    let first = count as Node;
                    count += pack.index.len() as u64;
                    odb.packs.push(PackFile { path: index, pack, first });
                }
                Ok(_) => odb.unreadable.push((index, GitError::Invalid("the repository has too many objects"))),
                Err(error) => odb.unreadable.push((index, error.into())),
            }
        }
        odb.first_loose = count as Node;
        odb
    }

    /// Like [`Self::open`], but also lists all loose objects.
    pub fn open_all(dirs: &[PathBuf]) -> Self {
        let mut odb = Self::open(dirs);
        for (dir, path) in dirs.iter().enumerate() {
            let oids = odb.list(path, loose::list);
            odb.loose.extend(oids.into_iter().map(|oid| Loose { oid, dir: dir as u16 }));
        }
        odb.loose.sort_unstable();
        odb.loose.dedup_by_key(|loose| loose.oid);
        odb
    }

    fn list<T>(&mut self, dir: &Path, list: impl Fn(&Path) -> io::Result<Vec<T>>) -> Vec<T> {
        match list(dir) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => {
                self.unreadable.push((dir.to_owned(), error.into()));
                vec![]
            }
        }
    }

    /// Packs and directories that could not be opened, and why.
    pub fn unreadable(&self) -> &[(PathBuf, GitError)] {
        &self.unreadable
    }

    /// All packs.
    pub fn packs(&self) -> &[PackFile] {
        &self.packs
    }

    /// Numbers of the loose objects.
    pub fn loose(&self) -> std::ops::Range<Node> {
        self.first_loose..self.first_loose + self.loose.len() as Node
    }

    /// Number of objects that have a number.
    pub fn len(&self) -> usize {
        self.first_loose as usize + self.loose.len()
    }

    /// True if there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An object's number.
    pub fn find(&self, oid: &Oid) -> Option<Node> {
        self.copies(oid).next()
    }

    /// The directory of objects that an object is in.
    pub fn dir(&self, node: Node) -> Option<&Path> {
        match self.pack_of(node) {
            Some(file) => file.path.parent()?.parent(),
            None => {
                let Loose { dir, .. } = &self.loose[(node - self.first_loose) as usize];
                self.loose_dirs.get(usize::from(*dir)).map(PathBuf::as_path)
            }
        }
    }

    /// The numbers of all copies of an object.
    pub fn copies(&self, oid: &Oid) -> impl Iterator<Item = Node> {
        let packed = self.packs.iter().filter_map(|file| Some(file.first + file.pack.index.find(oid)? as Node));
        let loose = self.loose.binary_search_by_key(oid, |loose| loose.oid).ok();
        packed.chain(loose.map(|position| self.first_loose + position as Node))
    }

    /// An object's name.
    pub fn oid(&self, node: Node) -> Oid {
        match self.pack_of(node) {
            Some(file) => file.pack.index.oid((node - file.first) as usize),
            None => self.loose[(node - self.first_loose) as usize].oid,
        }
    }

    fn pack_of(&self, node: Node) -> Option<&PackFile> {
        if node >= self.first_loose {
            return None;
        }
        self.packs.get(self.packs.partition_point(|file| file.first <= node) - 1)
    }

    /// Reads one object of at most `limit` bytes; for callers that need only a few.
    ///
    /// # Errors
    /// A message, if no copy of it can be read, or it is larger.
    pub fn read(&self, oid: &Oid, limit: u64) -> Result<(ObjectKind, Vec<u8>), GitError> {
        let mut error = GitError::MissingObject;
        for file in &self.packs {
            if let Some(position) = file.pack.index.find(oid) {
                match file.pack.read(position, limit) {
                    Ok(object) => return Ok(object),
                    Err(damage) => error = damage.into(),
                }
            }
        }
        for dir in self.loose_dirs.iter().filter(|dir| loose::path(dir, *oid).exists()) {
            match loose::read(dir, *oid, limit) {
                Ok(object) => return Ok(object),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// A message, if the commit cannot be read.
    pub fn tree_of(&self, commit: Oid) -> Result<Oid, GitError> {
        let read = self.read(&commit, MAX_COMMIT);
        let (_, bytes) = read.map_err(|error| error.of(format!("commit {commit}")))?;
        let links = CommitLinks::read(&bytes);
        links
            .map(|links| links.tree)
            .ok_or_else(|| GitError::Invalid("it is not a valid commit").of(format!("commit {commit}")))
    }

    /// Reads this copy of an object.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_node(&self, node: Node, limit: u64) -> Result<(ObjectKind, Vec<u8>), GitError> {
        match self.pack_of(node) {
            Some(file) => Ok(file.pack.read((node - file.first) as usize, limit)?),
            None => {
                let Loose { oid, dir } = &self.loose[(node - self.first_loose) as usize];
                loose::read(&self.loose_dirs[usize::from(*dir)], *oid, limit)
            }
        }
    }
}

/// The indexes in a pack directory, sorted by path. A pack without an index is listed as if it had one: it is
/// unreadable.
fn pack_indexes(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_pack = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"pack-"));
        if is_pack && path.extension().is_some_and(|extension| extension == "pack" || extension == "idx") {
            paths.push(path.with_extension("idx"));
        }
    }
    paths.sort();
    paths.dedup();
    // git briefly leaves the index of a removed pack behind, and finds nothing there either.
    paths.retain(|index| index.with_extension("pack").exists());
    Ok(paths)
}
