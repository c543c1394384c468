//! Single messages in RFC 5322 and MIME format, parsed by `mail-parser`.

use super::{calendar, prepare, uuencode};
use crate::finding::message::{Medium, Message, Party};
use crate::foreign::guarded;
use crate::source::SkipCause;
use crate::source::chat::people::parties;
use crate::source::unpack::format::Format;
use crate::source::unpack::{Content, Place, Unpacker};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, Encoding, HeaderName, HeaderValue, MessageParser, MessagePart, MimeHeaders, PartType};
use regex::bytes::Regex;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Fields of which every message has at least one.
const TELLING: [&str; 8] =
    ["from", "to", "date", "received", "return-path", "message-id", "delivered-to", "mime-version"];

/// Other fields, with which text other than mail rarely starts.
const OTHERS: [&str; 10] = [
    "subject",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "dkim-signature",
    "in-reply-to",
];

/// A message with more parts is not parsed: parts may be nested, and the parser recurses into them.
const MAX_PARTS: usize = 2000;

/// True if a message has at most [`MAX_PARTS`] parts, counting those that state their type, as all but plain text do.
fn has_few_parts(message: &[u8]) -> bool {
    const NAME: &[u8] = b"content-type";
    let names = memchr::memchr2_iter(b'C', b'c', message);
    let is_name = |at: &usize| message[*at..].get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    names.filter(is_name).nth(MAX_PARTS).is_none()
}

/// The number of bytes searched for two known fields: services put dozens of long fields before the familiar ones.
pub(crate) const MAX_FIELDS: usize = 256 << 10;

/// Whether a blob is a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recognition {
    Message,
    /// It does not have, or does not continue with, the fields of a message.
    Other,
    /// So far there are only fields; more bytes are needed.
    Open,
}

/// A message without any byte order mark and empty lines before its fields, and without the length that Apple Mail puts
/// before it (`.emlx`: a number on a line of its own; a property list follows the message, which is scanned as its end).
pub(crate) fn without_prefix(mut message: &[u8]) -> &[u8] {
    message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    let digits = message.iter().take(12).take_while(|b| b.is_ascii_digit()).count();
    let blanks = message[digits..].iter().take(12).take_while(|b| matches!(b, b' ' | b'\r')).count();
    if digits > 0 && message[digits + blanks..].starts_with(b"\n") {
        message = &message[digits + blanks + 1..];
    }
    while let [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] = message {
        message = rest;
    }
    message
}

/// Recognises the fields at the start of a message: two known ones, at least one of them from [`TELLING`].
pub(crate) fn recognize(head: &[u8]) -> Recognition {
    let head = without_prefix(head);
    let head = &head[..head.len().min(MAX_FIELDS)];
    let is_name = |b: &u8| b.is_ascii_graphic() && *b != b':';
    // Field names are short, so most text is ruled out by its first few bytes.
    let name = head.iter().take(80).position(|b| !is_name(b)).unwrap_or_default();
    if name == 0 || head[name] != b':' || !head[0].is_ascii_alphabetic() {
        return Recognition::Other;
    }
    let (mut known, mut has_telling) = ([""; 2], false);
    let has_address = LazyCell::new(|| has_address(head));
    for line in head.split_inclusive(|&b| b == b'\n') {
        match line.first() {
            // A continuation of the previous field.
            Some(b' ' | b'\t') if !line.trim_ascii().is_empty() => continue,
            Some(b) if is_name(b) => {}
            _ => return Recognition::Other,
        }
        let Some(colon) = line.iter().position(|b| !is_name(b)).filter(|at| line[*at] == b':') else {
            let is_cut = !line.ends_with(b"\n") && line.iter().all(is_name);
            return if is_cut { Recognition::Open } else { Recognition::Other };
        };
        let find = |names: &[&'static str]| {
            names.iter().find(|name| line[..colon].eq_ignore_ascii_case(name.as_bytes())).copied()
        };
        let telling = find(&TELLING);
        has_telling |= telling.is_some();
        match (telling.or_else(|| find(&OTHERS)), known) {
            (Some(name), ["", _]) => known[0] = name,
            (Some(name), [first, _]) if name != first => known[1] = name,
            _ => {}
        }
        // `from:` and `to:` alone may be anything: a route, a range of dates.
        let is_of_mail = || !known.iter().all(|name| ["from", "to", "date"].contains(name)) || *has_address;
        if !known[1].is_empty() && has_telling && is_of_mail() {
            return Recognition::Message;
        }
    }
    Recognition::Open
}

/// True if the fields at the start of a text have a mail address.
fn has_address(head: &[u8]) -> bool {
    let fields = head.split(|&b| b == b'\n').take_while(|line| !line.trim_ascii().is_empty()).take(50);
    fields.into_iter().any(|line| {
        let at = memchr::memchr(b'@', line).filter(|at| *at > 0);
        at.is_some_and(|at| {
            line[at - 1].is_ascii_alphanumeric() && line.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
        })
    })
}

/// Emits the parts of a message.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) {
    open_one(unpacker, place, bytes, false);
}

/// The same for a message that may only be a patch.
pub(super) fn open_one(unpacker: &Unpacker, place: &Place, bytes: &[u8], is_patch: bool) {
    if !has_few_parts(bytes) {
        let words = format!("a message has more than {MAX_PARTS} parts; its raw bytes were scanned");
        unpacker.skip(&place.path, SkipCause::OverLimit { words, is_chosen: false });
        return unpacker.leaf(place, bytes);
    }
    unpacker.whole(place, bytes);
    let bytes = without_prefix(bytes);
    let prepared = prepare::prepared(bytes);
    // A message on which the parser panics must not stop the rest of the mailbox.
    let Some(parsed) = guarded(|| MessageParser::default().parse(&prepared[..])) else {
        unpacker.skip(&place.path, SkipCause::Damaged("it is not valid mail"));
        return unpacker.leaf(place, bytes);
    };
    let Some(parsed) = parsed else { return unpacker.leaf(place, bytes) };
    let mut message = read(&parsed);
    let is_mailed = message.addressees().next().is_some() || !message.id.is_empty() || !message.list_id.is_empty();
    if is_patch && !is_mailed {
        message.medium = Medium::Patch;
    }
    let place = place.clone().with_message(message);
    unpacker.leaf(&place.within(b"headers"), headers(&parsed, bytes).as_bytes());
    hand_over(unpacker, &place, &parsed);
}

/// Emits the parts of a parsed message and opens the messages in it.
fn hand_over(unpacker: &Unpacker, place: &Place, parsed: &mail_parser::Message) {
    let is_digest = |part: &&MessagePart| part.content_type().is_some_and(|kind| is_of(kind, prepare::is_digest));
    let of_digests = |part: &MessagePart| match &part.body {
        PartType::Multipart(numbers) => numbers.clone(),
        _ => vec![],
    };
    let in_digests: BTreeSet<u32> = parsed.parts.iter().filter(is_digest).flat_map(of_digests).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, part) in parsed.parts.iter().enumerate() {
        if let Err(cause) = unpacker.budget().enter() {
            return unpacker.skip(&place.path, cause);
        }
        let mut name = |kind: &'static str| {
            if let Some(name) = part.attachment_name() {
                return format!("attachment {name}");
            }
            let number = counts.entry(kind).or_default();
            *number += 1;
            if *number > 1 { format!("{kind} {number}") } else { kind.to_owned() }
        };
        if let Some(cause) = problem(parsed, part) {
            unpacker.skip(&place.path, cause);
        }
        let kind = part.content_type();
        let is_message = kind.map_or(in_digests.contains(&(number as u32)), |kind| is_of(kind, prepare::is_message));
        match &part.body {
            PartType::Multipart(_) => {}
            // The type was replaced by one that the parser does not follow.
            PartType::Message(_) => unpacker.skip(&place.path, SkipCause::Damaged("it is not valid mail")),
            PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) if is_message => {
                let inner = place.within(name("attached message").as_bytes());
                // An unencoded message is part of the bytes of the message around it.
                let is_seen = place.is_seen && part.encoding == Encoding::None;
                unpacker.open(Format::Mail, &Place { is_seen, ..inner }, Content::Bytes(part.contents()));
            }
            PartType::Text(text) | PartType::Html(text) => {
                let (place, text) = (place.within(name("body").as_bytes()), text.as_bytes());
                let joined = joined(part, text);
                let text = joined.as_deref().unwrap_or(text);
                // An attached text may be a message or a table; a body is only text.
                if part.attachment_name().is_some() {
                    let bytes =
                        undecoded(parsed, part).filter(|_| memchr::memmem::find(text, "\u{fffd}".as_bytes()).is_some());
                    unpacker.entry_bytes(&place, bytes.as_deref().unwrap_or(text));
                } else {
                    // In an unknown charset: the bytes may show what it is.
                    let bytes =
                        undecoded(parsed, part).filter(|_| memchr::memmem::find(text, "\u{fffd}".as_bytes()).is_some());
                    let text = bytes.as_deref().unwrap_or(text);
                    unpacker.leaf(&place, text);
                    parts_in_text(unpacker, &place, text);
                    uuencode::open(unpacker, &place, text);
                }
            }
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                let place = place.within(name("attachment").as_bytes());
                unpacker.entry_bytes(&place, bytes);
                // A part with a damaged type may be anything.
                if Format::from_blob(bytes).is_none() {
                    parts_in_text(unpacker, &place, bytes);
                    uuencode::open(unpacker, &place, bytes);
                }
            }
        }
    }
}

/// The text as its reader sees it, if what wrote it broke words in two: marks for spelling and line breaks within a word
/// in HTML, flowed lines whose blanks are deleted (RFC 3676, `DelSp`), folded lines of calendars (RFC 5545, 3.1).
fn joined(part: &MessagePart, text: &[u8]) -> Option<Vec<u8>> {
    let kind = part.content_type();
    let is_subtype =
        |wanted: &str| kind.and_then(ContentType::subtype).is_some_and(|own| own.eq_ignore_ascii_case(wanted));
    let has = |words: &[u8]| memchr::memmem::find(text, words).is_some();
    if matches!(part.body, PartType::Html(_)) && (has(b"SpellE") || has(b"GramE") || has(b"<wbr")) {
        static MARKS: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#"(?-u)<span class="?(?:SpellE|GramE)"?>([^<]*)</span>|<wbr ?/?>"#).expect("a valid regex")
        });
        return Some(MARKS.replace_all(text, &b"$1"[..]).into_owned());
    }
    let is_set = |name: &str, wanted: &str| {
        kind.and_then(|kind| kind.attribute(name)).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    if is_set("format", "flowed") && is_set("delsp", "yes") {
        static FLOWED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?-u) \r?\n").expect("a valid regex"));
        return Some(FLOWED.replace_all(text, &b""[..]).into_owned());
    }
    if is_subtype("calendar") {
        return Some(calendar::unfolded(text));
    }
    None
}

/// Emits the encoded parts of messages that are quoted in a text: a bounce message quotes the original, and after a
/// damaged header everything is text.
fn parts_in_text(unpacker: &Unpacker, place: &Place, text: &[u8]) {
    for (number, range) in prepare::encoded_parts(text).into_iter().enumerate() {
        let place = place.within(format!("part {}", number + 1).as_bytes());
        if let Err(cause) = unpacker.budget().descend(place.depth) {
            return unpacker.skip(&place.path, cause);
        }
        let part = prepare::prepared(&text[range]);
        match guarded(|| MessageParser::default().parse(&part[..])) {
            Some(Some(parsed)) => hand_over(unpacker, &place, &parsed),
            Some(None) => {}
            None => unpacker.skip(&place.path, SkipCause::Damaged("it is not valid mail")),
        }
    }
}

fn is_of(kind: &ContentType, is_one: fn(&str, &str) -> bool) -> bool {
    is_one(kind.ctype(), kind.subtype().unwrap_or_default())
}

/// The fields of a message, whose bytes are `message`, as text with encoded words decoded.
fn headers(parsed: &mail_parser::Message, message: &[u8]) -> String {
    let mut text = String::new();
    for header in parsed.headers() {
        let range = header.offset_start as usize..header.offset_end as usize;
        let raw = message.get(range).unwrap_or_default();
        let decoded = memchr::memmem::find(raw, b"=?").map(|_| MessageStream::new(raw).parse_unstructured());
        let value = match decoded.as_ref().and_then(HeaderValue::as_text) {
            Some(decoded) => decoded.into(),
            None => String::from_utf8_lossy(raw.trim_ascii()),
        };
        text += &format!("{}: {value}\n", header.name.as_str());
    }
    text
}

/// The problem because of which a part may not have been decoded correctly.
fn problem(parsed: &mail_parser::Message, part: &MessagePart) -> Option<SkipCause> {
    /// Names that people and programs use for no encoding.
    const PLAIN: [&str; 8] = ["7bit", "8bit", "binary", "7-bit", "8-bit", "none", "utf-8", "us-ascii"];
    if part.is_encoding_problem {
        return Some(SkipCause::Damaged("a part does not match its declared encoding"));
    }
    let raw = parsed.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    let is_base64 = |line: &[u8]| line.iter().all(|&b| crate::text::alphabet::is_base64(b) || b == b'=');
    let is_long = |line: &[u8]| line.len() >= 60;
    let header = parsed.raw_message.get(part.offset_header as usize..part.offset_body as usize).unwrap_or_default();
    if header.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end).any(|line| is_long(line) && is_base64(line)) {
        return Some(SkipCause::Damaged("the header of a part is not terminated"));
    }
    if let Some(kind) = part.content_type().filter(|kind| kind.ctype() == "multipart") {
        // Everything that follows belongs to the outermost part, whatever the parser made of it.
        let raw = parsed.raw_message.get(part.offset_body as usize..).unwrap_or_default();
        let boundary = kind.attribute("boundary");
        let delimiter = format!("--{}", boundary.unwrap_or_default());
        let count = memchr::memmem::find_iter(raw, delimiter.as_bytes()).take(2).count();
        return match (boundary, &part.body) {
            (Some(_), PartType::Multipart(_)) if count > 1 => {
                let last = format!("{delimiter}--");
                let has_end = memchr::memmem::find(raw, last.as_bytes()).is_some();
                (!has_end).then_some(SkipCause::Damaged("its last part is not terminated"))
            }
            _ => Some(SkipCause::Damaged("it has several parts that cannot be separated")),
        };
    }
    let named = part.content_transfer_encoding().map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
    let mut lines = raw.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).peekable();
    if part.encoding != Encoding::None || PLAIN.contains(&named.as_str()) {
        None
    } else if named.is_empty() {
        // Nobody writes like that by hand.
        let is_packed = lines.peek().is_some_and(|line| is_long(line)) && lines.all(is_base64);
        is_packed.then_some(SkipCause::NoText("a part looks like base64 but does not declare it"))
    } else {
        // Some programs put anything there and write plain text.
        let is_packed = lines.any(|line| is_long(line) && is_base64(line) || line.starts_with(b"begin "));
        is_packed.then_some(SkipCause::Damaged("a part has an unknown encoding"))
    }
}

/// The bytes of a base64 part that claims to be text but is not.
fn undecoded(parsed: &mail_parser::Message, part: &MessagePart) -> Option<Vec<u8>> {
    let raw = parsed.raw_message.get(part.offset_body as usize..part.offset_end as usize)?;
    (part.encoding == Encoding::Base64).then(|| base64_decode(raw)).flatten()
}

/// The metadata of a message.
pub(crate) fn read(parsed: &mail_parser::Message) -> Message {
    let text = |value: &HeaderValue| match value {
        HeaderValue::Text(text) => text.to_string(),
        HeaderValue::TextList(texts) => texts.join(", "),
        HeaderValue::Address(address) => {
            parties(Some(address)).iter().map(Party::to_text).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let raw = |name: &str| parsed.header_raw(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let all = |name: HeaderName| -> Vec<Party> {
        let values = parsed.header_values(name).filter_map(HeaderValue::as_address);
        values.flat_map(|address| parties(Some(address))).collect()
    };
    let (to, cc, mut bcc) = (all(HeaderName::To), all(HeaderName::Cc), all(HeaderName::Bcc));
    if to.is_empty() && cc.is_empty() && bcc.is_empty() {
        // The copy of somebody to whom it was sent blind says only where it was delivered.
        bcc = delivered_to(&raw);
    }
    let written = parsed
        .date()
        .map(mail_parser::DateTime::to_rfc3339)
        .filter(|_| parsed.date().is_some_and(mail_parser::DateTime::is_valid));
    Message {
        from: all(HeaderName::From),
        sender: parties(parsed.sender()),
        reply_to: parties(parsed.reply_to()),
        to,
        cc,
        bcc,
        list_id: Some(text(parsed.list_id())).filter(|id| !id.is_empty()).unwrap_or_else(|| raw("List-Id")),
        date: written.unwrap_or_else(|| raw("Date").chars().take(MAX_DATE).collect()),
        subject: parsed.subject().unwrap_or_default().to_owned(),
        id: parsed.message_id().unwrap_or_default().to_owned(),
        ..Message::new(Medium::Mail)
    }
}

/// Maximum length of a date that is shown as it is written, in characters.
const MAX_DATE: usize = 60;

/// Where a message was delivered, by the fields that mail servers add.
fn delivered_to(raw: &dyn Fn(&str) -> String) -> Vec<Party> {
    let named = ["Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To"].map(raw);
    let received = raw("Received");
    // `by mx.example.com for <bob@example.com>; Thu, 1 Jan 2026 …`
    let of_received = received.split_whitespace().skip_while(|word| *word != "for").nth(1);
    let of_received = of_received.map(|word| word.trim_end_matches(';'));
    let addresses = named.iter().map(String::as_str).chain(of_received);
    let clean = |address: &str| address.trim().trim_matches(['<', '>']).to_owned();
    let mut all: Vec<String> = addresses
        .map(clean)
        .filter(|address| address.contains('@') && !address.contains(char::is_whitespace))
        .collect();
    all.sort();
    all.dedup();
    all.into_iter().map(|address| Party { name: String::new(), address }).collect()
}
