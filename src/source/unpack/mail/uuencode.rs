//! Files in text, encoded by `uuencode` (IEEE 1003.1).

use super::super::{Place, Unpacker};
use regex::bytes::Regex;
use std::sync::LazyLock;

/// The maximum number of files read from one text.
const MAX_FILES: usize = 1000;

/// Emits the files in a text.
pub(super) fn open(unpacker: &Unpacker, place: &Place, text: &[u8]) {
    static BEGIN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m-u)^begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n").expect("a valid regex"));
    if memchr::memmem::find(text, b"begin ").is_none() {
        return;
    }
    for found in BEGIN.captures_iter(text).take(MAX_FILES) {
        let (Some(begin), Some(name)) = (found.get(0), found.get(1)) else { continue };
        let place = place.within(&[b"attachment ", name.as_bytes()].concat());
        if let Err(cause) = unpacker.budget().descend(place.depth).and_then(|()| unpacker.budget().enter()) {
            return unpacker.skip(&place.path, cause);
        }
        let file = decoded(text.get(begin.end()..).unwrap_or_default());
        if !file.is_empty() {
            unpacker.entry_bytes(&place, &file);
        }
    }
}

/// What the lines up to `end` stand for.
fn decoded(lines: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let value = |byte: u8| byte.wrapping_sub(b' ') & 63;
        let Some((&length, groups)) = line.split_first().filter(|_| line != b"end") else { break };
        if !(b' '..=b'`').contains(&length) {
            break;
        }
        let mut bytes = Vec::with_capacity(64);
        for group in groups.chunks(4) {
            let bits = (0..4)
                .fold(0_u32, |bits, index| bits << 6 | group.get(index).map_or(0, |byte| u32::from(value(*byte))));
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        bytes.truncate(usize::from(value(length)));
        file.extend_from_slice(&bytes);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_decoded() {
        assert_eq!(decoded(b"#0V%T\n`\nend\n"), b"Cat");
        assert_eq!(decoded(b"#0V%T\r\n \r\nend\r\nmore"), b"Cat");
        assert_eq!(decoded(b"#0V"), [b'C', b'`', 0]);
        assert_eq!(decoded(b"\x7fnot"), b"");
    }
}
