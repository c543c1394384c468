//! Mail as the programming interfaces of mail services hand it out: Microsoft Graph, Gmail, JMAP (RFC 8621), Amazon SES,
//! Mailgun, SendGrid.

use super::fields::first;
use super::people::{Directory, named, scalar};
use super::time;
use crate::finding::message::{Medium, Message, Party};
use crate::foreign::guarded;
use crate::source::unpack::mail::mime;
use mail_parser::MessageParser;
use serde_json::{Map, Value};

/// How much of a mail in base64 is read for its header, in characters.
const MAX_HEAD: usize = 64 << 10;

/// Fields that only mail has.
const OF_MAIL: [&str; 10] = [
    "toRecipients",
    "internetMessageId",
    "mailboxIds",
    "bodyValues",
    "commonHeaders",
    "body-plain",
    "stripped-text",
    "message-headers",
    "historyId",
    "SPF",
];

/// Fields of a mail in which its text is.
pub(super) const TEXTS: [&str; 22] = [
    "Body",
    "Message",
    "body",
    "bodyPreview",
    "bodyValues",
    "body-html",
    "body-plain",
    "content",
    "data",
    "email",
    "html",
    "mail",
    "parts",
    "payload",
    "preview",
    "raw",
    "snippet",
    "stripped-html",
    "stripped-text",
    "subject",
    "text",
    "value",
];

/// How many services may have put a mail into an envelope of theirs, one in another's: SNS in SQS.
const MAX_ENVELOPES: usize = 3;

/// The mail in the text of an object: what Amazon SES hands to SNS, and SNS to SQS, is JSON in a string.
fn enclosed(object: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut inner = text_of_mail(object)?;
    for _ in 0..MAX_ENVELOPES {
        if is_mail_itself(&inner) {
            return Some(inner);
        }
        inner = text_of_mail(&inner)?;
    }
    None
}

fn text_of_mail(object: &Map<String, Value>) -> Option<Map<String, Value>> {
    let texts = ["Message", "Body", "body"].into_iter().filter_map(|name| object.get(name)?.as_str());
    let mut objects = texts.filter(|text| text.starts_with('{') && text.contains("commonHeaders"));
    serde_json::from_str(objects.next()?).ok()
}

/// True if an object is a mail, or holds one.
pub(super) fn is_mail(object: &Map<String, Value>) -> bool {
    is_mail_itself(object) || enclosed(object).is_some()
}

fn is_mail_itself(object: &Map<String, Value>) -> bool {
    OF_MAIL.iter().any(|field| object.contains_key(*field))
        || object.get("mail").and_then(Value::as_object).is_some_and(is_mail_itself)
}

/// The header fields of a mail, wherever a service puts them, with their names in lower case.
fn fields(object: &Map<String, Value>) -> Map<String, Value> {
    let inner = object.get("mail").and_then(Value::as_object).unwrap_or(object);
    let mut fields = Map::new();
    let mut add =
        |name: &str, value: &Value| _ = fields.entry(name.to_ascii_lowercase()).or_insert_with(|| value.clone());
    for (name, value) in inner.get("commonHeaders").and_then(Value::as_object).into_iter().flatten() {
        add(name, value);
    }
    // `{"name": …, "value": …}` or `[name, value]`.
    let lists =
        [inner.get("headers"), inner.get("message-headers"), inner.get("payload").and_then(|part| part.get("headers"))];
    for header in lists.into_iter().flatten().filter_map(Value::as_array).flatten().take(1000) {
        let pair = match header {
            Value::Array(pair) => pair.first().zip(pair.get(1)),
            _ => header.get("name").zip(header.get("value")),
        };
        if let Some((name, value)) = pair {
            add(&scalar(name), value);
        }
    }
    for (name, value) in inner {
        add(name, value);
    }
    fields
}

/// The header of a mail that is there as a whole, in base64: Gmail's `format=raw`.
fn raw(object: &Map<String, Value>) -> Option<Message> {
    let raw = object.get("raw")?.as_str().filter(|_| !object.contains_key("payload"))?;
    let head: String = raw.chars().take(MAX_HEAD).filter(|char| *char != '=').collect();
    let head = &head[..head.len() / 4 * 4];
    let bytes = data_encoding::BASE64URL_NOPAD.decode(head.as_bytes()).ok()?;
    guarded(|| MessageParser::new().parse_headers(&bytes[..]).map(|parsed| mime::read(&parsed))).flatten()
}

/// The header of a mail, as text.
pub(super) fn header(text: &Value) -> Option<Message> {
    let text = text.as_str()?.to_owned() + "\r\n\r\n";
    guarded(|| MessageParser::new().parse_headers(text.as_bytes()).map(|parsed| mime::read(&parsed))).flatten()
}

/// The message that an object is.
pub(super) fn message(object: &Map<String, Value>) -> Message {
    if let Some(message) = raw(object) {
        return message;
    }
    let enclosed = enclosed(object).filter(|_| !is_mail_itself(object));
    let fields = fields(enclosed.as_ref().unwrap_or(object));
    let people = |names: &[&str]| -> Vec<Party> {
        match first(&fields, names) {
            Some(Value::String(text)) => named(text),
            Some(other) => Directory::default().parties(other),
            None => vec![],
        }
    };
    let text = |names: &[&str]| first(&fields, names).map(scalar).unwrap_or_default();
    // SendGrid hands it out as one text.
    let header = fields.get("headers").and_then(header);
    let or_header = |own: String, of: fn(&Message) -> &String| {
        if own.is_empty() { header.as_ref().map(of).cloned().unwrap_or_default() } else { own }
    };
    Message {
        from: people(&["from", "sender"]),
        to: people(&["to", "torecipients", "recipient"]),
        cc: people(&["cc", "ccrecipients"]),
        bcc: people(&["bcc", "bccrecipients"]),
        date: or_header(
            first(&fields, &["date", "sentdatetime", "sentat", "receiveddatetime", "internaldate", "timestamp"])
                .map(time::moment)
                .unwrap_or_default(),
            |header| &header.date,
        ),
        subject: text(&["subject"]),
        id: or_header(text(&["message-id", "internetmessageid", "messageid", "id"]), |header| &header.id),
        ..Message::new(Medium::Mail)
    }
}
