//! Calendars and address cards, iCalendar (RFC 5545) and vCard (RFC 6350): lines are folded anywhere, also in a key.

use super::super::{Place, Unpacker};
use crate::finding::message::{Medium, Message, Party};
use regex::bytes::Regex;
use std::sync::LazyLock;

/// The maximum number of events or cards that are read on their own.
const MAX_PARTS: usize = 10_000;

static END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u)END:(?:VEVENT|VTODO|VJOURNAL|VCARD)").expect("a valid regex"));

/// True for the start of a calendar or of cards.
pub(crate) fn is_calendar(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    [&b"BEGIN:VCALENDAR"[..], b"BEGIN:VCARD"]
        .iter()
        .any(|begin| head.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin)))
}

/// The text with its lines whole.
pub(super) fn unfolded(text: &[u8]) -> Vec<u8> {
    static FOLD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?-u)\r?\n[ \t]").expect("a valid regex"));
    FOLD.replace_all(text, &b""[..]).into_owned()
}

/// Emits each event or card with its lines whole, and who invites whom.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) {
    unpacker.whole(place, bytes);
    let whole = unfolded(bytes);
    let text = String::from_utf8_lossy(&whole);
    let mut start = 0;
    for part in 1..=MAX_PARTS {
        let rest = text.get(start..).unwrap_or_default();
        if rest.trim().is_empty() {
            return;
        }
        let end = END.find(rest.as_bytes()).map(|end| end.start());
        let length = end.map_or(rest.len(), |end| end + rest[end..].find('\n').map_or(rest.len() - end, |end| end + 1));
        let one = if part == MAX_PARTS { rest } else { &rest[..length] };
        if let Err(cause) = unpacker.budget().enter() {
            return unpacker.skip(&place.path, cause);
        }
        let within = place.within(format!("entry {part}").as_bytes());
        let message = invitation(one);
        // What is left over is no single event.
        let is_sent = part < MAX_PARTS && message.addressees().next().is_some();
        let within = if is_sent { within.with_message(message) } else { within };
        unpacker.leaf(&within, unescaped(one).as_bytes());
        start += length;
    }
}

/// An event as the message in which it is sent to those who attend.
fn invitation(event: &str) -> Message {
    let fields = |name: &'static str| {
        event.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([':', ';']).then_some(rest)
        })
    };
    let value = |name: &'static str| {
        let field = fields(name).next().and_then(|field| field.split_once(':'));
        field.map(|(_, value)| unescaped(value)).unwrap_or_default()
    };
    let parties = |name: &'static str| -> Vec<Party> { fields(name).take(1000).filter_map(party).collect() };
    let date = crate::source::chat::moment_of(&value("DTSTAMP"));
    Message {
        from: parties("ORGANIZER"),
        to: parties("ATTENDEE"),
        date,
        subject: value("SUMMARY"),
        id: value("UID"),
        ..Message::new(Medium::Mail)
    }
}

/// `;CN=Ann:mailto:ann@corp.example`
fn party(field: &str) -> Option<Party> {
    let at = field.to_ascii_lowercase().find(":mailto:")?;
    let name = field[..at].split(';').find_map(|parameter| parameter.strip_prefix("CN="));
    let name = name.unwrap_or_default().trim_matches('"').to_owned();
    Some(Party { name, address: field[at + 8..].trim().to_owned() })
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n' | 'N') => plain.push('\n'),
                Some(other @ (',' | ';' | '\\')) => plain.push(other),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            char => plain.push(char),
        }
    }
    plain
}
