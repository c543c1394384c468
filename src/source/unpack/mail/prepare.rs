//! Changes to a message before it is parsed, which keep all offsets.
//!
//! The parser follows nested messages to any depth, copies what it follows, and frees it recursively: a small mail
//! could abort the process. So the type of nested messages is replaced by an unknown one, and they are opened one by
//! one, with a limit on depth. The parser also treats an encoding with a comment as unknown.

use memchr::memmem;
use std::borrow::Cow;
use std::ops::Range;

/// Subtypes of `message` that contain a message (RFC 2046, RFC 6532), and of `multipart` whose parts are messages by
/// default (RFC 2046, 5.1.5), each with its replacement.
const FOLLOWED: [(&[u8], &[u8]); 3] = [(b"rfc822", b"rfc82_"), (b"global", b"globa_"), (b"digest", b"diges_")];

/// True for the type, as replaced here, of a part that is a message.
pub(super) fn is_message(kind: &str, subtype: &str) -> bool {
    kind == "message" && matches!(subtype, "rfc82_" | "globa_")
}

/// True for the type, as replaced here, of a part whose own parts are messages by default.
pub(super) fn is_digest(kind: &str, subtype: &str) -> bool {
    kind == "multipart" && subtype == "diges_"
}

/// The message for the parser, with the same length and offsets.
pub(super) fn prepared(message: &[u8]) -> Cow<'_, [u8]> {
    let mut prepared = Cow::Borrowed(message);
    for (name, change) in
        [(&b"content-type"[..], hide_messages as Change), (b"content-transfer-encoding", clean_encoding)]
    {
        for field in fields(message, name) {
            change(&message[field.clone()], field.start, &mut prepared);
        }
    }
    prepared
}

/// Changes the value of a field that starts at the given offset of the message.
type Change = fn(&[u8], usize, &mut Cow<[u8]>);

fn hide_messages(value: &[u8], start: usize, prepared: &mut Cow<[u8]>) {
    let lower = value.to_ascii_lowercase();
    for (subtype, other) in FOLLOWED {
        for at in memmem::find_iter(&lower, subtype) {
            prepared.to_mut()[start + at..start + at + other.len()].copy_from_slice(other);
        }
    }
}

/// Reduces an encoding to its name: comments (RFC 2045, 6.1), quotes and anything else around it become blanks.
fn clean_encoding(value: &[u8], start: usize, prepared: &mut Cow<[u8]>) {
    let mut comments = 0usize;
    for (at, b) in value.iter().enumerate() {
        comments += usize::from(*b == b'(');
        let is_part = b.is_ascii_alphanumeric() || *b == b'-' || b.is_ascii_whitespace();
        if comments > 0 && !b.is_ascii_whitespace() || !is_part {
            prepared.to_mut()[start + at] = b' ';
        }
        comments -= usize::from(*b == b')' && comments > 0);
    }
}

/// The ranges in a text of message parts in base64 or quoted-printable, each from its first field up to the next part.
pub(super) fn encoded_parts(text: &[u8]) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = vec![];
    for value in fields(text, b"content-transfer-encoding") {
        let name = text[value.clone()].trim_ascii();
        let is_encoding = [&b"base64"[..], b"quoted-printable"]
            .iter()
            .any(|known| name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known)));
        let start = first_field(text, value.start);
        if is_encoding && starts.last().is_none_or(|last| *last < start) {
            starts.push(start);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end_of_part(text, start, end)).collect()
}

/// The end of a part whose fields start at `start`: the next delimiter line, if a delimiter line precedes the fields.
fn end_of_part(text: &[u8], start: usize, end: usize) -> usize {
    /// A boundary has at most 70 characters (RFC 2046, 5.1.1).
    const MAX_DELIMITER: usize = 72;
    let before = text[..start].trim_ascii_end();
    let before = &before[before.len().saturating_sub(MAX_DELIMITER + 1)..];
    let delimiter = memchr::memrchr(b'\n', before).map_or(before, |newline| &before[newline + 1..]);
    if !delimiter.starts_with(b"--") || delimiter.len() <= 2 {
        return end;
    }
    let mut ends = memmem::find_iter(&text[start..end], delimiter).map(|at| start + at);
    ends.find(|at| text[at - 1] == b'\n').unwrap_or(end)
}

/// The start of the fields around an offset, at most `MAX_FIELDS` lines before it.
fn first_field(text: &[u8], at: usize) -> usize {
    const MAX_FIELDS: usize = 20;
    let line_start = |at: usize| memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
    let mut start = line_start(at);
    for _ in 0..MAX_FIELDS {
        let Some(end) = start.checked_sub(1) else { break };
        let line = &text[line_start(end)..end];
        let is_name = |b: &u8| b.is_ascii_graphic() && *b != b':';
        let name = line.iter().take_while(|b| is_name(b)).count();
        let is_continued = matches!(line.first(), Some(b' ' | b'\t')) && !line.trim_ascii().is_empty();
        if !is_continued && (name == 0 || line.get(name) != Some(&b':')) {
            break;
        }
        start = line_start(end);
    }
    start
}

/// The values of all fields with this lower-case name, including continuation lines, in the message and in anything
/// that looks like a part of it.
fn fields<'a>(message: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut end = 0;
    memchr::memchr2_iter(name[0], name[0].to_ascii_uppercase(), message).filter_map(move |at| {
        let rest = &message[at..];
        let is_at_start = at == 0 || matches!(message[at - 1], b'\n' | b'\r');
        if at < end || !is_at_start || !rest.get(..name.len())?.eq_ignore_ascii_case(name) {
            return None;
        }
        let blanks = rest[name.len()..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let start = at + name.len() + blanks;
        if message.get(start) != Some(&b':') {
            return None;
        }
        end = start + 1;
        while let Some(newline) = memchr::memchr(b'\n', &message[end..]) {
            end += newline + 1;
            if !matches!(message.get(end), Some(b' ' | b'\t')) {
                return Some(start + 1..end);
            }
        }
        end = message.len();
        Some(start + 1..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &str) -> String {
        String::from_utf8(prepared(message.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn types_that_are_followed_are_renamed_wherever_the_parser_could_see_them() {
        assert_eq!(text("Content-Type: message/rfc822\n\nx"), "Content-Type: message/rfc82_\n\nx");
        assert_eq!(
            text("A: b\ncontent-TYPE :(c)\n\tMessage/\n RFC822; a=b\n"),
            "A: b\ncontent-TYPE :(c)\n\tMessage/\n rfc82_; a=b\n"
        );
        assert_eq!(text("Content-Type: multipart/digest; boundary=x"), "Content-Type: multipart/diges_; boundary=x");
        for same in
            ["Content-Type: text/plain\n\nmessage/rfc822", "X-Content-Type: message/rfc822", "a global digest", ""]
        {
            assert!(matches!(prepared(same.as_bytes()), Cow::Borrowed(_)), "{same}");
        }
    }

    #[test]
    fn encoded_parts_are_found_in_text() {
        let first = "Content-Type: text/plain;\n charset=x\nContent-Transfer-Encoding: BASE64\n\nAAAA\n";
        let second = "content-transfer-encoding: quoted-printable\nX: y\n\na=3Db\n";
        let text = format!("Content-Transfer-Encoding: 7bit\n\nreturned:\n\n--b\n{first}--b\n{second}");
        let parts: Vec<_> = encoded_parts(text.as_bytes()).into_iter().map(|range| &text[range]).collect();
        assert_eq!(parts, [first, second]);
        let many = "Content-Transfer-Encoding: base64\n".repeat(1000);
        assert!(encoded_parts(many.as_bytes()).len() <= 1000);
    }

    #[test]
    fn encodings_lose_what_is_around_them() {
        let message = "Content-Transfer-Encoding: (a (b) c) \"base64\" (x)\n (y)\n\n(kept)";
        let expected = "Content-Transfer-Encoding:           base64     \n    \n\n(kept)";
        let got = text(message);
        assert_eq!(got.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(got.len(), message.len());
    }
}
