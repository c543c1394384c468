//! Names of objects.

use std::fmt;

/// The name of a git object: the SHA-1 of its kind, size and content. It is taken from where git wrote it and not
/// computed again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid([u8; Self::LENGTH]);

impl Oid {
    /// Bytes of a name.
    pub const LENGTH: usize = 20;

    /// Hexadecimal digits of a name.
    pub const HEX_LENGTH: usize = 2 * Self::LENGTH;

    /// From raw bytes, as in indexes and trees.
    pub fn new(raw: [u8; Self::LENGTH]) -> Self {
        Self(raw)
    }

    /// From the raw bytes at the start of `bytes`; `None` if there are too few.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }

    /// From hexadecimal digits, as in commits and refs; `None` if they are not exactly that.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let mut raw = [0; Self::LENGTH];
        let is_right = digits.len() == Self::HEX_LENGTH;
        (is_right && data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, &mut raw).is_ok()).then_some(Self(raw))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The first digits, as many as people usually quote.
    pub fn short(self) -> String {
        let mut hex = self.to_string();
        hex.truncate(10);
        hex
    }

    /// True for the name of nothing, which reflogs use.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; Self::LENGTH]
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
