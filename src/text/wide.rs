//! Telling UTF-16 and UTF-32 from other bytes, and reading their characters.

use std::borrow::Cow;

/// Order of the bytes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Low byte first.
    Little,
    /// High byte first.
    Big,
}

/// The encoding of wide text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// In one or two units of two bytes.
    Utf16(ByteOrder),
    /// In four bytes.
    Utf32(ByteOrder),
}

impl ByteOrder {
    /// The unit in two bytes.
    pub fn unit(self, pair: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(pair),
            Self::Big => u16::from_be_bytes(pair),
        }
    }
}

impl Wide {
    /// The encoding of a blob that is wide text as a whole: it has a byte order mark, or most of its first characters
    /// are ASCII with zero bytes.
    pub fn detect(blob: &[u8]) -> Option<Self> {
        match blob {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
                return Some(Self::Utf32(if blob[0] == 0 { ByteOrder::Big } else { ByteOrder::Little }));
            }
            [0xff, 0xfe, ..] => return Some(Self::Utf16(ByteOrder::Little)),
            [0xfe, 0xff, ..] => return Some(Self::Utf16(ByteOrder::Big)),
            [0, ..] | [_, 0, ..] => {}
            _ => return None,
        }
        let start = &blob[..blob.len().min(64)];
        let reads_as = |wide: &Self| {
            let units = start.len() / wide.unit_length();
            let is_ascii = |(character, _): &(char, usize)| matches!(character, '\t' | '\n' | '\r' | ' '..='~');
            units >= 4 && characters(start, *wide).filter(is_ascii).count() * 4 >= units * 3
        };
        let orders = [ByteOrder::Little, ByteOrder::Big];
        orders.map(Self::Utf16).into_iter().chain(orders.map(Self::Utf32)).find(reads_as)
    }

    /// Bytes of a unit.
    pub fn unit_length(self) -> usize {
        match self {
            Self::Utf16(_) => 2,
            Self::Utf32(_) => 4,
        }
    }

    /// Length in bytes of the byte order mark of a blob in this encoding.
    pub fn mark_length(self, blob: &[u8]) -> usize {
        let length = self.unit_length();
        let is_mark = characters(&blob[..blob.len().min(length)], self).next() == Some(('\u{feff}', length));
        if is_mark { length } else { 0 }
    }
}

/// The characters of wide text and how many raw bytes each takes; an invalid one becomes U+FFFD.
pub fn characters(raw: &[u8], wide: Wide) -> impl Iterator<Item = (char, usize)> {
    let (narrow, four) = match wide {
        Wide::Utf16(order) => (Some((raw.as_chunks::<2>().0, order)), None),
        Wide::Utf32(order) => (None, Some((raw.as_chunks::<4>().0, order))),
    };
    let units = narrow.into_iter().flat_map(|(pairs, order)| pairs.iter().map(move |pair| order.unit(*pair)));
    let narrow = char::decode_utf16(units).map(|decoded| {
        let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        (character, 2 * character.len_utf16())
    });
    let four = four.into_iter().flat_map(|(units, order)| {
        units.iter().map(move |unit| {
            let number = if order == ByteOrder::Little { u32::from_le_bytes(*unit) } else { u32::from_be_bytes(*unit) };
            (char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
        })
    });
    narrow.chain(four)
}

/// UTF-8 with newlines for its byte order mark, if it has one: its first line begins where a line does, and offsets stay.
pub fn without_mark(text: &[u8]) -> Cow<'_, [u8]> {
    match text.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => Cow::Owned([b"\n\n\n", rest].concat()),
        None => Cow::Borrowed(text),
    }
}
