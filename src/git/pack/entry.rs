//! The header of a pack entry.
//!
//! Source: [gitformat-pack](https://git-scm.com/docs/gitformat-pack).

use super::Damage;
use crate::finding::object::ObjectKind;
use crate::finding::object::Oid;

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A whole object.
    Whole(ObjectKind),
    /// A delta against the entry this many bytes before it; at least 1.
    OffsetDelta(u64),
    /// A delta against the object of this name.
    RefDelta(Oid),
}

/// The header of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the entry holds.
    pub content: Content,
    /// Declared size in bytes of the inflated object or delta; it may be wrong.
    pub size: u64,
    /// Length of the header, in bytes.
    pub length: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// If there is no valid one.
    pub fn read(bytes: &[u8]) -> Result<Self, Damage> {
        let mut at = 0;
        let mut next = || {
            let byte = bytes.get(at).copied().ok_or(Damage::Truncated);
            at += 1;
            byte
        };
        let first = next()?;
        let mut size = u64::from(first & 0x0f);
        let mut shift = 4;
        let mut byte = first;
        while byte & 0x80 != 0 {
            byte = next()?;
            let part = u64::from(byte & 0x7f);
            if shift > 57 {
                return Err(Damage::Size);
            }
            size |= part << shift;
            shift += 7;
        }
        let content = match first >> 4 & 7 {
            1 => Content::Whole(ObjectKind::Commit),
            2 => Content::Whole(ObjectKind::Tree),
            3 => Content::Whole(ObjectKind::Blob),
            4 => Content::Whole(ObjectKind::Tag),
            6 => {
                let mut byte = next()?;
                let mut distance = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next()?;
                    let more = distance.checked_add(1).and_then(|n| n.checked_mul(128)).ok_or(Damage::Base)?;
                    distance = more | u64::from(byte & 0x7f);
                }
                if distance == 0 {
                    return Err(Damage::Base);
                }
                Content::OffsetDelta(distance)
            }
            7 => {
                let base = Oid::read(&bytes[at..]).ok_or(Damage::Truncated)?;
                at += Oid::LENGTH;
                Content::RefDelta(base)
            }
            _ => return Err(Damage::Kind),
        };
        Ok(Self { content, size, length: at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_bases_are_read() {
        let whole = |kind, size, length| Ok(Header { content: Content::Whole(kind), size, length });
        assert_eq!(Header::read(&[0x35]), whole(ObjectKind::Blob, 5, 1));
        assert_eq!(Header::read(&[0x95, 0x0a, 0x00]), whole(ObjectKind::Commit, 165, 2));
        let near = Header { content: Content::OffsetDelta(3), size: 1, length: 2 };
        assert_eq!(Header::read(&[0x61, 0x03]), Ok(near));
        // Every number has exactly one encoding: 0x80 0x00 is 128.
        let far = Header { content: Content::OffsetDelta(128), size: 1, length: 3 };
        assert_eq!(Header::read(&[0x61, 0x80, 0x00]), Ok(far));
        let by_name = [&[0x71][..], &[7; 20]].concat();
        let header = Header { content: Content::RefDelta(Oid::new([7; 20])), size: 1, length: 21 };
        assert_eq!(Header::read(&by_name), Ok(header));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Header::read(&[]), Err(Damage::Truncated));
        assert_eq!(Header::read(&[0xb5]), Err(Damage::Truncated));
        assert_eq!(Header::read(&[0x05]), Err(Damage::Kind));
        assert_eq!(Header::read(&[0x61, 0x00]), Err(Damage::Base));
        assert_eq!(Header::read(&[0x71, 1, 2]), Err(Damage::Truncated));
        assert_eq!(Header::read(&[0xff; 12]), Err(Damage::Size));
        assert_eq!(Header::read(&[&[0x61][..], &[0xff; 12]].concat()), Err(Damage::Base));
    }
}
