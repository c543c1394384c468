//! Parsing git objects.
//!
//! Source: [gitformat-pack](https://git-scm.com/docs/gitformat-pack) and `git cat-file`.

use crate::finding::object::Oid;

/// Commits larger than this, in bytes, are not read.
pub const MAX_COMMIT: u64 = 64 << 20;

/// Directories nested deeper than this are not followed; git's own limit is 2048.
pub const MAX_DEPTH: usize = 2048;

/// Trees larger than this, in bytes, are not read. git reaches its own limits long before (a million files with names
/// of 40 bytes).
pub const MAX_TREE: u64 = 64 << 20;

/// An entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// Kind of the entry.
    pub mode: Mode,
    /// Its name: any bytes except NUL and `/`.
    pub name: &'a [u8],
    /// The object it refers to.
    pub oid: Oid,
    /// Length of the entry in bytes.
    pub length: usize,
}

/// Kind of a tree entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A file or symbolic link.
    Blob,
    /// A directory.
    Tree,
    /// A submodule: the object is a commit of another repository.
    Submodule,
}

impl<'a> TreeEntry<'a> {
    /// Reads the entry at the start of `bytes`; `None` if there is no valid one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        // A mode has five or six octal digits; older software wrote a leading zero.
        let space = bytes.iter().take(8).position(|&b| b == b' ')?;
        let mode = bytes[..space].iter().try_fold(0u32, |mode, &digit| match digit {
            b'0'..=b'7' => Some(mode * 8 + u32::from(digit - b'0')),
            _ => None,
        })?;
        let mode = match mode & 0o170_000 {
            0o040_000 => Mode::Tree,
            0o160_000 => Mode::Submodule,
            _ => Mode::Blob,
        };
        let zero = space + 1 + memchr::memchr(0, &bytes[space + 1..])?;
        let oid = Oid::read(&bytes[zero + 1..])?;
        Some(Self { mode, name: &bytes[space + 1..zero], oid, length: zero + 1 + Oid::LENGTH })
    }
}

/// What history needs of a commit: its tree, parents and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitLinks<'a> {
    /// The root directory.
    pub tree: Oid,
    /// When it was committed, in seconds since 1970; 0 if that cannot be read.
    pub time: i64,
    parents: &'a [u8],
}

/// Length of a line `parent HEX`, in bytes.
const PARENT_LENGTH: usize = b"parent ".len() + Oid::HEX_LENGTH + 1;

impl<'a> CommitLinks<'a> {
    /// Parses the header of a commit; `None` if it is not valid.
    pub fn read(commit: &'a [u8]) -> Option<Self> {
        let rest = commit.strip_prefix(b"tree ")?;
        let (tree, rest) = rest.split_at_checked(Oid::HEX_LENGTH)?;
        let mut rest = rest.strip_prefix(b"\n")?;
        let parents = rest;
        while rest.starts_with(b"parent ") {
            rest = rest.get(PARENT_LENGTH..)?;
        }
        let parents = &parents[..parents.len() - rest.len()];
        let time = Person::read(header(rest, b"committer ").unwrap_or_default()).time;
        Some(Self { tree: Oid::from_hex(tree)?, time, parents })
    }

    /// Its parents: several for a merge, none for a root commit.
    pub fn parents(&self) -> impl Iterator<Item = Oid> + use<'a> {
        self.parents.chunks(PARENT_LENGTH).filter_map(|line| Oid::from_hex(line.get(7..7 + Oid::HEX_LENGTH)?))
    }
}

/// The object that an annotated tag points to.
pub fn tag_target(tag: &[u8]) -> Option<Oid> {
    Oid::from_hex(tag.strip_prefix(b"object ")?.get(..Oid::HEX_LENGTH)?)
}

/// The rest of the first header line of a commit or tag that starts with `name`.
pub fn header<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut lines = object.split(|&b| b == b'\n');
    lines.by_ref().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name))
}

/// The first line of a commit's or tag's message.
pub fn subject(object: &[u8]) -> &[u8] {
    let message = memchr::memmem::find(object, b"\n\n").map_or(&b""[..], |at| &object[at + 2..]);
    let start = message.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(message.len());
    message[start..].split(|&b| b == b'\n').next().unwrap_or_default()
}

/// The people in `Co-authored-by:` lines of a commit's message, in order.
pub fn co_authors(commit: &[u8]) -> impl Iterator<Item = Person<'_>> {
    const TRAILER: &[u8] = b"co-authored-by:";
    let message = memchr::memmem::find(commit, b"\n\n").map_or(&b""[..], |at| &commit[at + 2..]);
    let lines = message.split(|&b| b == b'\n');
    let trailers =
        lines.filter(|line| line.get(..TRAILER.len()).is_some_and(|start| start.eq_ignore_ascii_case(TRAILER)));
    trailers.map(|line| Person::read(&line[TRAILER.len()..]))
}

/// Name, address and time from an `author` or `committer` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person<'a> {
    /// Any bytes.
    pub name: &'a [u8],
    /// Mail address; any bytes.
    pub email: &'a [u8],
    /// Seconds since 1970, whatever the time zone; 0 if it cannot be read.
    pub time: i64,
}

impl<'a> Person<'a> {
    /// Reads `NAME <EMAIL> SECONDS ZONE`.
    pub fn read(line: &'a [u8]) -> Self {
        let open = memchr::memchr(b'<', line).unwrap_or(line.len());
        let close = memchr::memrchr(b'>', line).filter(|&close| close > open).unwrap_or(line.len());
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        let time = line.get(close + 1..).unwrap_or_default().split(|&b| b == b' ').find(|part| !part.is_empty());
        Self {
            name: line[..open].trim_ascii(),
            email: line.get(open + 1..close).unwrap_or_default(),
            time: time.and_then(text).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_entries_are_read() {
        let bytes = [&b"40000 src dir\0"[..], &[9; 20], b"100644 x"].concat();
        let entry = TreeEntry::read(&bytes).expect("an entry");
        assert_eq!((entry.mode, entry.name, entry.length), (Mode::Tree, &b"src dir"[..], 34));
        assert_eq!(TreeEntry::read(&bytes[34..]), None);
        assert_eq!(TreeEntry::read(b"9 x\0"), None);
        let link = [&b"160000 sub\0"[..], &[9; 20]].concat();
        assert_eq!(TreeEntry::read(&link).map(|entry| entry.mode), Some(Mode::Submodule));
    }

    #[test]
    fn commits_are_read() {
        let hex = |digit: &str| digit.repeat(40);
        let commit = format!(
            "tree {}\nparent {}\nparent {}\nauthor A U Thor <a@example.com> 100 +0100\ncommitter C <c@example.com> 200 -0700\n\n\nSubject\nbody\n",
            hex("1"),
            hex("2"),
            hex("3")
        );
        let links = CommitLinks::read(commit.as_bytes()).expect("a commit");
        assert_eq!((links.tree.to_string(), links.time), (hex("1"), 200));
        assert_eq!(links.parents().map(|oid| oid.to_string()).collect::<Vec<_>>(), [hex("2"), hex("3")]);
        assert_eq!(subject(commit.as_bytes()), b"Subject");
        let author = Person::read(header(commit.as_bytes(), b"author ").expect("an author"));
        assert_eq!(author, Person { name: b"A U Thor", email: b"a@example.com", time: 100 });
        assert_eq!(CommitLinks::read(&commit.as_bytes()[..60]), None);
    }

    #[test]
    fn odd_people_are_read_as_far_as_possible() {
        assert_eq!(Person::read(b""), Person { name: b"", email: b"", time: 0 });
        assert_eq!(Person::read(b"x <a>b> 7"), Person { name: b"x", email: b"a>b", time: 7 });
        assert_eq!(Person::read(b">x< -5 +0000").time, 0);
        assert_eq!(Person::read(b"<> -5 +0000").time, -5);
    }
}
