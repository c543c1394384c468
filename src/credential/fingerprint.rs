//! A name for a secret that does not give it away and does not change when the secret moves.

use sha2::{Digest, Sha256};
use std::fmt;

/// Identifies a value, not its place: the same key has the same fingerprint in every file, line and commit.
///
/// Version 1 is the SHA-256 of the value's UTF-8 bytes, in hex: of the secret or the id if alone, of `ID:SECRET` for a
/// pair. So the owner of a key can check which one is meant: `printf %s "$SECRET" | sha256sum`. A secret access key has
/// 240 random bits and cannot be found from its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of an id, a secret or both.
    pub fn new(id: Option<&str>, secret: Option<&str>) -> Self {
        let colon = if id.is_some() && secret.is_some() { ":" } else { "" };
        let hash = Sha256::new()
            .chain_update(id.unwrap_or_default())
            .chain_update(colon)
            .chain_update(secret.unwrap_or_default())
            .finalize();
        Self(hash.into())
    }
}

impl Fingerprint {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.strip_prefix("sha256-v1:")?.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-v1:{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sha256_of_the_value() {
        let hash = "sha256-v1:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Fingerprint::new(None, Some("abc")).to_string(), hash);
        assert_eq!(Fingerprint::parse(hash), Some(Fingerprint::new(None, Some("abc"))));
        assert_eq!(Fingerprint::parse("sha256-v1:00"), None);
        assert_eq!(Fingerprint::new(Some("abc"), None).to_string(), hash);
        assert_eq!(Fingerprint::new(Some("a"), Some("b")), Fingerprint::new(None, Some("a:b")));
    }
}
