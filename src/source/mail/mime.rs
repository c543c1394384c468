//! One message as it is sent, RFC 5322 and MIME. It is parsed by `mail-parser`.

use crate::source::container::{Place, Unpacker};
use crate::source::message::{Medium, Message, Party};
use crate::source::{Context, SkipCause};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::parsers::MessageStream;
use mail_parser::{Address, Encoding, HeaderName, HeaderValue, MessageParser, MessagePart, MimeHeaders, PartType};
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Arc;

/// Fields of which one at least is in every message.
const TELLING: [&[u8]; 8] =
    [b"from", b"to", b"date", b"received", b"return-path", b"message-id", b"delivered-to", b"mime-version"];

/// Others that text which is no message rarely starts with.
const OTHERS: [&[u8]; 10] = [
    b"subject",
    b"cc",
    b"bcc",
    b"sender",
    b"reply-to",
    b"content-type",
    b"content-transfer-encoding",
    b"list-id",
    b"dkim-signature",
    b"in-reply-to",
];

/// A message with more parts is not taken apart: they may lie in each other, and the parser follows them on the stack.
const MOST_PARTS: usize = 2000;

/// True if a message has no more than [`MOST_PARTS`]: each that is more than text says what it is.
fn has_few_parts(message: &[u8]) -> bool {
    const NAME: &[u8] = b"content-type";
    let names = memchr::memchr2_iter(b'C', b'c', message);
    let is_name = |at: &usize| message[*at..].get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    names.filter(is_name).nth(MOST_PARTS).is_none()
}

/// True for what starts with the fields of a message: two that are known, one of them telling.
pub(crate) fn is_message(head: &[u8]) -> bool {
    let is_name = |b: &u8| b.is_ascii_graphic() && *b != b':';
    // Names of fields are short, so that most text is ruled out by its first few bytes.
    let name = head.iter().take(80).position(|b| !is_name(b)).unwrap_or_default();
    if name == 0 || head[name] != b':' || !head[0].is_ascii_alphabetic() {
        return false;
    }
    let mut known = Vec::new();
    for line in head.split(|&b| b == b'\n').take(100) {
        match line.first() {
            // The rest of the field before.
            Some(b' ' | b'\t') if !line.trim_ascii().is_empty() => continue,
            Some(b) if is_name(b) => {}
            _ => break,
        }
        let Some(colon) = memchr::memchr(b':', line) else { break };
        if !line[..colon].iter().all(is_name) {
            break;
        }
        let name = line[..colon].to_ascii_lowercase();
        let is_known = TELLING.iter().chain(&OTHERS).any(|known| *known == name);
        if is_known && !known.contains(&name) {
            known.push(name);
        }
    }
    known.len() >= 2 && known.iter().any(|name| TELLING.contains(&name.as_slice()))
}

/// Hands over the parts of a message.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) {
    open_one(unpacker, place, bytes, false);
}

/// The same for a message that may be no more than a patch.
pub(super) fn open_one(unpacker: &Unpacker, place: &Place, bytes: &[u8], is_patch: bool) {
    if !has_few_parts(bytes) {
        let words = format!("a message has more than {MOST_PARTS} parts; they were scanned as they are");
        unpacker.skip(&place.path, SkipCause::OverLimit { words, is_chosen: false });
        return unpacker.leaf(place, bytes);
    }
    unpacker.whole(place, bytes);
    // One message that the parser fails on must not cost the mailbox.
    let Ok(parsed) = catch_unwind(|| MessageParser::default().parse(bytes)) else {
        unpacker.skip(&place.path, SkipCause::Damaged("not as mail is written".into()));
        return unpacker.leaf(place, bytes);
    };
    let Some(parsed) = parsed else { return unpacker.leaf(place, bytes) };
    let mut message = read(&parsed);
    let is_mailed = message.addressees().next().is_some() || !message.id.is_empty() || !message.list_id.is_empty();
    if is_patch && !is_mailed {
        message.medium = Medium::Patch;
    }
    hand_over(unpacker, place, &parsed, message);
}

/// Hands over the headers and parts of a parsed message; of messages in it, those of them.
fn hand_over(unpacker: &Unpacker, place: &Place, parsed: &mail_parser::Message, mut message: Message) {
    if let Err(cause) = unpacker.budget().descend(place.depth) {
        return unpacker.skip(&place.path, cause);
    }
    if let Some(Context::Message(outer)) = &place.context {
        message.outer = Some(outer.clone());
    }
    let place = place.clone().with(Context::Message(Arc::new(message)));
    unpacker.leaf(&place.within(b"headers"), headers(parsed).as_bytes());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for part in &parsed.parts {
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
        match &part.body {
            PartType::Multipart(_) => {}
            PartType::Message(inner) => {
                hand_over(unpacker, &place.within(name("attached message").as_bytes()), inner, read(inner));
            }
            PartType::Text(text) | PartType::Html(text) => {
                let (place, text) = (place.within(name("body").as_bytes()), text.as_bytes());
                // A text that was attached may be a message or a table; what was written is only text.
                if part.attachment_name().is_some() {
                    let bytes =
                        undecoded(parsed, part).filter(|_| memchr::memmem::find(text, "\u{fffd}".as_bytes()).is_some());
                    unpacker.entry_bytes(&place, bytes.as_deref().unwrap_or(text));
                } else {
                    unpacker.leaf(&place, text);
                }
            }
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                unpacker.entry_bytes(&place.within(name("attachment").as_bytes()), bytes);
            }
        }
    }
}

/// The fields of a message as text, with what is encoded in them decoded.
fn headers(parsed: &mail_parser::Message) -> String {
    let mut text = String::new();
    for header in parsed.headers() {
        let range = header.offset_start as usize..header.offset_end as usize;
        let raw = parsed.raw_message.get(range).unwrap_or_default();
        let decoded = memchr::memmem::find(raw, b"=?").map(|_| MessageStream::new(raw).parse_unstructured());
        let value = match decoded.as_ref().and_then(HeaderValue::as_text) {
            Some(decoded) => decoded.into(),
            None => String::from_utf8_lossy(raw.trim_ascii()),
        };
        text += &format!("{}: {value}\n", header.name.as_str());
    }
    text
}

/// The bytes of a part that was attached as text and is none.
fn undecoded(parsed: &mail_parser::Message, part: &MessagePart) -> Option<Vec<u8>> {
    let raw = parsed.raw_message.get(part.offset_body as usize..part.offset_end as usize)?;
    (part.encoding == Encoding::Base64).then(|| base64_decode(raw)).flatten()
}

/// What a message says of itself.
pub(super) fn read(parsed: &mail_parser::Message) -> Message {
    let text = |value: &HeaderValue| match value {
        HeaderValue::Text(text) => text.to_string(),
        HeaderValue::TextList(texts) => texts.join(", "),
        HeaderValue::Address(address) => {
            parties(Some(address)).iter().map(Party::to_text).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let raw = |name: &str| parsed.header_raw(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let all = |name: HeaderName| {
        let values = parsed.header_values(name).filter_map(HeaderValue::as_address);
        values.flat_map(|address| parties(Some(address))).collect()
    };
    Message {
        from: all(HeaderName::From),
        sender: parties(parsed.sender()),
        reply_to: parties(parsed.reply_to()),
        to: all(HeaderName::To),
        cc: all(HeaderName::Cc),
        bcc: all(HeaderName::Bcc),
        list_id: Some(text(parsed.list_id())).filter(|id| !id.is_empty()).unwrap_or_else(|| raw("List-Id")),
        date: parsed.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        subject: parsed.subject().unwrap_or_default().to_owned(),
        id: parsed.message_id().unwrap_or_default().to_owned(),
        ..Message::new(Medium::Mail)
    }
}

fn parties(address: Option<&Address>) -> Vec<Party> {
    let party = |addr: &mail_parser::Addr| Party {
        name: addr.name.as_deref().unwrap_or_default().to_owned(),
        address: addr.address.as_deref().unwrap_or_default().to_owned(),
    };
    address.into_iter().flat_map(Address::iter).map(party).collect()
}
