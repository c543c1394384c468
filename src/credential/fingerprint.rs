//! A name for a secret that does not give it away and does not change when the secret moves.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// Identifies a value, not its place: the same key has the same fingerprint in every file, line and commit.
///
/// Version 1 is the SHA-256 of the value's UTF-8 bytes, in hex: of the secret or the id if alone, of `ID:SECRET` for a
/// pair. So the owner of a key can check which one is meant: `printf %s "$SECRET" | sha256sum`. A secret access key has
/// 240 random bits and cannot be found from its hash.
///
/// A keyed fingerprint is the HMAC-SHA-256 of these 32 bytes: whoever has a report, but not the key of its fingerprints,
/// cannot try guesses on them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    digest: [u8; 32],
    is_keyed: bool,
}

/// What precedes the digits of fingerprints, by whether they are keyed.
const VERSIONS: [(&str, bool); 2] = [("sha256-v1:", false), ("hmac-v1:", true)];

impl Fingerprint {
    /// The fingerprint of an id, a secret or both.
    pub fn new(id: Option<&str>, secret: Option<&str>) -> Self {
        let colon = if id.is_some() && secret.is_some() { ":" } else { "" };
        let hash = Sha256::new()
            .chain_update(id.unwrap_or_default())
            .chain_update(colon)
            .chain_update(secret.unwrap_or_default())
            .finalize();
        Self { digest: hash.into(), is_keyed: false }
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let read = |(version, is_keyed)| Some((text.strip_prefix(version)?, is_keyed));
        let (digits, is_keyed) = VERSIONS.into_iter().find_map(read)?;
        let digest = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { digest, is_keyed })
    }

    /// The same, keyed; unchanged if it is already.
    #[must_use]
    pub fn keyed(self, key: &[u8]) -> Self {
        if self.is_keyed {
            return self;
        }
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        hmac.update(&self.digest);
        Self { digest: hmac.finalize().into_bytes().into(), is_keyed: true }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, _) = VERSIONS[usize::from(self.is_keyed)];
        write!(f, "{version}{}", data_encoding::HEXLOWER.encode(&self.digest))
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
        let keyed = Fingerprint::new(None, Some("abc")).keyed(b"key");
        assert_eq!(keyed.to_string(), "hmac-v1:1ceb3bc9d775085e9166a8f29ad47ac214cb2f76e21a5a1716a1042108f7a2a1");
        assert_eq!(Fingerprint::parse(&keyed.to_string()), Some(keyed));
        assert_eq!(keyed.keyed(b"other"), keyed);
        assert_eq!(Fingerprint::new(Some("a"), Some("b")), Fingerprint::new(None, Some("a:b")));
    }
}
