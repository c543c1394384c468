//! Names and kinds of git objects.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// The id of a git object: the SHA-1 of its kind, size and content. It is read where git wrote it, and not recomputed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Oid([u8; Self::LENGTH]);

impl Oid {
    /// Length of an id, in bytes.
    pub const LENGTH: usize = 20;

    /// Number of hexadecimal digits of an id.
    pub const HEX_LENGTH: usize = 2 * Self::LENGTH;

    /// From raw bytes, as in indexes and trees.
    pub fn new(raw: [u8; Self::LENGTH]) -> Self {
        Self(raw)
    }

    /// From the raw bytes at the start of `bytes`; `None` if there are too few.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }

    /// From hexadecimal digits, as in commits and refs; `None` if they are anything else.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let mut raw = [0; Self::LENGTH];
        let is_right = digits.len() == Self::HEX_LENGTH;
        (is_right && data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, &mut raw).is_ok()).then_some(Self(raw))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The first digits, as many as are usually quoted.
    pub fn short(self) -> String {
        let mut hex = self.to_string();
        hex.truncate(10);
        hex
    }

    /// Number of bits in a prefix.
    pub const PREFIX_BITS: u32 = 16;

    /// Number of prefixes.
    pub const PREFIXES: usize = 1 << Self::PREFIX_BITS;

    /// The first 16 bits.
    pub fn prefix(&self) -> usize {
        usize::from(u16::from_be_bytes([self.0[0], self.0[1]]))
    }

    /// The first 64 bits, as a number that sorts as ids do.
    fn leading(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("a name is longer"))
    }

    /// The last 128 bits, likewise.
    fn trailing(&self) -> u128 {
        u128::from_be_bytes(*self.0.last_chunk().expect("a name is longer"))
    }

    /// True for the all-zero id, which reflogs use for no object.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; Self::LENGTH]
    }
}

/// Finds `wanted` among ids in ascending order; `at` returns the one at a position.
///
/// Ids are evenly distributed, so that an id's own digits tell where it is: three or four probes, each of which waits
/// for memory, instead of the twenty of a binary search.
///
/// The first `shared` bits are the same in all of them.
pub fn search(positions: Range<usize>, shared: u32, wanted: &Oid, at: impl Fn(usize) -> Oid) -> Option<usize> {
    /// Maximum number of guesses. If they do not suffice, the ids are not evenly distributed, which takes a forged
    /// index.
    const MAX_GUESSES: usize = 8;
    let Range { start: mut low, end: mut high } = positions;
    let mut guesses = 0;
    // Bounds of the ids on both sides.
    let open = u64::MAX >> shared;
    let (mut least, mut most) = (wanted.leading() & !open, wanted.leading() | open);
    while low < high {
        let middle = if guesses < MAX_GUESSES {
            let part = wanted.leading().saturating_sub(least) as f64 / (most.saturating_sub(least) as f64 + 1.0);
            low + ((part * (high - low) as f64) as usize).min(high - low - 1)
        } else {
            low.midpoint(high)
        };
        guesses += 1;
        let found = at(middle);
        match found.cmp(wanted) {
            Ordering::Less => (low, least) = (middle + 1, found.leading()),
            Ordering::Greater => (high, most) = (middle, found.leading()),
            Ordering::Equal => return Some(middle),
        }
    }
    None
}

impl Ord for Oid {
    /// Compares like the bytes, but as two overlapping numbers: this is called millions of times.
    fn cmp(&self, other: &Self) -> Ordering {
        self.leading().cmp(&other.leading()).then_with(|| self.trailing().cmp(&other.trailing()))
    }
}

impl PartialOrd for Oid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<git2::Oid> for Oid {
    fn from(oid: git2::Oid) -> Self {
        Self::read(oid.as_bytes()).expect("git2 is built for SHA-1")
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The four kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum ObjectKind {
    /// A version of the whole tree, with a message.
    Commit,
    /// A directory.
    Tree,
    /// A file's content, or a symbolic link's target.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectKind {
    /// git's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    /// Parses git's name for a kind.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Commit, Self::Tree, Self::Blob, Self::Tag].into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn oids() -> impl Strategy<Value = Oid> {
        // Some evenly distributed, some clustered.
        prop_oneof![
            any::<[u8; 20]>().prop_map(Oid::new),
            any::<(bool, u8)>().prop_map(|(low, last)| {
                let mut raw = [if low { 0 } else { 0xff }; 20];
                raw[19] = last;
                Oid::new(raw)
            }),
        ]
    }

    proptest! {
        #[test]
        fn names_are_found(known in prop::collection::btree_set(oids(), 0..300), others in prop::collection::vec(oids(), 0..50)) {
            let names: Vec<Oid> = known.iter().copied().collect();
            for wanted in names.iter().chain(&others) {
                let all = search(0..names.len(), 0, wanted, |position| names[position]);
                prop_assert_eq!(all, names.binary_search(wanted).ok());
                let group = names.partition_point(|name| name.prefix() < wanted.prefix())
                    ..names.partition_point(|name| name.prefix() <= wanted.prefix());
                prop_assert_eq!(search(group, Oid::PREFIX_BITS, wanted, |position| names[position]), all);
                prop_assert!(names.iter().all(|name| name.cmp(wanted) == name.0.cmp(&wanted.0)));
            }
        }
    }

    #[test]
    fn hexadecimal_digits_are_read() {
        let hex = "00ff".repeat(10);
        assert_eq!(Oid::from_hex(hex.as_bytes()).map(|oid| oid.to_string()), Some(hex.clone()));
        assert_eq!(Oid::from_hex(&hex.as_bytes()[1..]), None);
        assert_eq!(Oid::from_hex("xx".repeat(20).as_bytes()), None);
    }
}
