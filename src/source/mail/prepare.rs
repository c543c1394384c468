//! What is changed in a message before it is parsed, without moving a byte.
//!
//! The parser follows messages in messages, however deep they lie, with copies of what it follows, and frees them by
//! recursion: a small mail could end the process. So their type is made one that it does not know, and they are opened one
//! by one, with their depth counted. And it takes an encoding with a comment beside it for an unknown one.

use memchr::memmem;
use std::borrow::Cow;
use std::ops::Range;

/// Subtypes of `message` that hold a message (RFC 2046, RFC 6532), and of `multipart` whose parts are messages unless they
/// say otherwise (RFC 2046, 5.1.5); and as what each is written instead.
const FOLLOWED: [(&[u8], &[u8]); 3] = [(b"rfc822", b"rfc82_"), (b"global", b"globa_"), (b"digest", b"diges_")];

/// True for the type of a part that is a message, as it is written here.
pub(super) fn is_message(kind: &str, subtype: &str) -> bool {
    kind == "message" && matches!(subtype, "rfc82_" | "globa_")
}

/// True for the type of a part whose own parts are messages unless they say otherwise.
pub(super) fn is_digest(kind: &str, subtype: &str) -> bool {
    kind == "multipart" && subtype == "diges_"
}

/// The message for the parser: with the same length, and every place where it was.
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

/// Changes the value of a field, which starts at an offset of the message.
type Change = fn(&[u8], usize, &mut Cow<[u8]>);

fn hide_messages(value: &[u8], start: usize, prepared: &mut Cow<[u8]>) {
    let lower = value.to_ascii_lowercase();
    for (subtype, other) in FOLLOWED {
        for at in memmem::find_iter(&lower, subtype) {
            prepared.to_mut()[start + at..start + at + other.len()].copy_from_slice(other);
        }
    }
}

/// Leaves of an encoding its name: comments (RFC 2045, 6.1), quotes and what else is around it become blanks.
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

/// The values of all fields of that name, in lower case, with their continued lines: of the message and of everything that
/// looks like a part of it.
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
    fn encodings_lose_what_is_around_them() {
        let message = "Content-Transfer-Encoding: (a (b) c) \"base64\" (x)\n (y)\n\n(kept)";
        let expected = "Content-Transfer-Encoding:           base64     \n    \n\n(kept)";
        let got = text(message);
        assert_eq!(got.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(got.len(), message.len());
    }
}
