//! Messages in Outlook's model: a table of numbered properties for the message, each recipient and each attachment.
//!
//! The numbers are those of [MS-OXPROPS]: <https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxprops/>.

use super::mime;
use crate::finding::message::{Channel, Medium, Message, Party};
use crate::foreign::guarded;
use crate::source::SkipCause;
use crate::source::unpack::{Place, Unpacker};
use mail_parser::MessageParser;
use std::borrow::Cow;
use std::collections::BTreeMap;

const MESSAGE_CLASS: u16 = 0x001a;
const SUBJECT: u16 = 0x0037;
const CLIENT_SUBMIT_TIME: u16 = 0x0039;
const SENT_REPRESENTING_NAME: u16 = 0x0042;
const SENT_REPRESENTING_ADDRESS: u16 = 0x0065;
const TRANSPORT_HEADERS: u16 = 0x007d;
const RECIPIENT_TYPE: u16 = 0x0c15;
const SENDER_NAME: u16 = 0x0c1a;
const SENDER_ADDRESS: u16 = 0x0c1f;
const DELIVERY_TIME: u16 = 0x0e06;
const BODY: u16 = 0x1000;
const COMPRESSED_RTF: u16 = 0x1009;
const HTML: u16 = 0x1013;
const INTERNET_MESSAGE_ID: u16 = 0x1035;
const DISPLAY_NAME: u16 = 0x3001;
const EMAIL_ADDRESS: u16 = 0x3003;
/// The content of an attachment.
pub(super) const ATTACH_DATA: u16 = 0x3701;
/// The name of an attachment, of eight characters and an extension.
pub(super) const ATTACH_FILENAME: u16 = 0x3704;
const ATTACH_LONG_FILENAME: u16 = 0x3707;
const SMTP_ADDRESS: u16 = 0x39fe;
const SENDER_SMTP_ADDRESS: u16 = 0x5d01;
const SENT_REPRESENTING_SMTP_ADDRESS: u16 = 0x5d02;

/// How the class of a message of Teams begins: <https://learn.microsoft.com/purview/edisc-search-teams>.
const OF_TEAMS: &str = "IPM.SkypeTeams";

/// A property's value, of the types that matter here.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Bytes(Vec<u8>),
    Number(i64),
    /// In hundreds of nanoseconds since 1601.
    Time(i64),
}

/// Properties by number.
#[derive(Debug, Default)]
pub(super) struct Properties(pub BTreeMap<u16, Value>);

impl Properties {
    fn text(&self, id: u16) -> &str {
        match self.0.get(&id) {
            Some(Value::Text(text)) => text.trim_end_matches('\0'),
            _ => "",
        }
    }

    /// The first of several text properties that is not empty.
    fn first(&self, ids: &[u16]) -> String {
        ids.iter().map(|id| self.text(*id)).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    }

    fn moment(&self, id: u16) -> Option<jiff::Timestamp> {
        let Some(Value::Time(ticks)) = self.0.get(&id) else { return None };
        jiff::Timestamp::from_second(ticks / 10_000_000 - 11_644_473_600).ok()
    }

    fn bytes(&self, id: u16) -> Option<&[u8]> {
        match self.0.get(&id)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }
}

impl Properties {
    /// True if something is attached by value or embedded ([MS-OXCMSG] 2.2.2.9), so that there must be data.
    pub fn holds_attachment(&self) -> bool {
        const ATTACH_METHOD: u16 = 0x3705;
        matches!(self.0.get(&ATTACH_METHOD), Some(Value::Number(1 | 5)))
    }
}

/// Decompresses rich text ([MS-OXRTFCP]). The library trusts the sizes in the header, so they are checked first.
fn rich_text(packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    const HEADER: usize = 16;
    /// Two bytes expand to at most seventeen.
    const MAX_TIMES: usize = 9;
    let header = packed.get(..HEADER)?;
    let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    match &header[8..12] {
        b"MELA" => Some(Cow::Borrowed(&packed[HEADER..])),
        b"LZFu" if size <= packed.len() * MAX_TIMES => {
            let unpacked = guarded(|| compressed_rtf::decompress_rtf(packed));
            Some(Cow::Owned(unpacked?.ok()?.into_bytes()))
        }
        _ => None,
    }
}

/// An attachment of a message.
#[derive(Debug)]
pub(super) struct Attachment {
    pub properties: Properties,
    /// The attached message, if it is one.
    pub message: Option<Box<MapiMessage>>,
}

/// One message.
#[derive(Debug, Default)]
pub(super) struct MapiMessage {
    pub properties: Properties,
    pub recipients: Vec<Properties>,
    pub attachments: Vec<Attachment>,
    /// The text, if it is not among the properties.
    pub body: Vec<u8>,
}

impl MapiMessage {
    /// Emits the parts of the message.
    pub fn hand_over(&self, unpacker: &Unpacker, place: &Place) {
        if let Err(cause) = unpacker.budget().descend(place.depth) {
            return unpacker.skip(&place.path, cause);
        }
        self.hand_over_parts(unpacker, &place.clone().with_message(self.message()));
    }

    /// The same, as parts of the message that they came with.
    pub fn hand_over_parts(&self, unpacker: &Unpacker, place: &Place) {
        let headers = [self.properties.text(TRANSPORT_HEADERS), self.properties.text(SUBJECT)].join("\n");
        unpacker.leaf(&place.within(b"headers"), headers.as_bytes());
        if !self.body.is_empty() {
            unpacker.leaf(&place.within(b"body"), &self.body);
        }
        for (id, name) in [(BODY, "body"), (HTML, "html body")] {
            if let Some(body) = self.properties.bytes(id) {
                unpacker.leaf(&place.within(name.as_bytes()), body);
            }
        }
        if let Some(Value::Bytes(rtf)) = self.properties.0.get(&COMPRESSED_RTF) {
            let place = place.within(b"rtf body");
            match rich_text(rtf) {
                Some(text) => unpacker.leaf(&place, &text),
                None => unpacker.skip(&place.path, SkipCause::Damaged("it is not valid compressed rich text")),
            }
        }
        for attachment in &self.attachments {
            if let Err(cause) = unpacker.budget().enter() {
                return unpacker.skip(&place.path, cause);
            }
            let name = attachment.properties.first(&[ATTACH_LONG_FILENAME, ATTACH_FILENAME, DISPLAY_NAME]);
            let place = place.within(format!("attachment {name}").trim_end().as_bytes());
            match (&attachment.message, attachment.properties.bytes(ATTACH_DATA)) {
                (Some(message), _) => message.hand_over(unpacker, &place),
                (None, Some(bytes)) => unpacker.entry_bytes(&place, bytes),
                (None, None) => {}
            }
        }
    }

    fn message(&self) -> Message {
        let own = &self.properties;
        // Mail received over the internet has all header fields; mail that never left the server has only properties.
        let headers = own.text(TRANSPORT_HEADERS);
        let parsed = MessageParser::default().parse_headers(headers.as_bytes()).map(|parsed| mime::read(&parsed));
        let mut message = parsed.filter(|_| !headers.is_empty()).unwrap_or_else(|| Message::new(Medium::Mail));
        let party = |name: &[u16], address: &[u16]| Party { name: own.first(name), address: own.first(address) };
        let keep = |party: Party| if party == Party::default() { vec![] } else { vec![party] };
        if message.from.is_empty() {
            let addresses =
                [SENT_REPRESENTING_SMTP_ADDRESS, SENT_REPRESENTING_ADDRESS, SENDER_SMTP_ADDRESS, SENDER_ADDRESS];
            message.from = keep(party(&[SENT_REPRESENTING_NAME, SENDER_NAME], &addresses));
            message.sender = keep(party(&[SENDER_NAME], &[SENDER_SMTP_ADDRESS, SENDER_ADDRESS]));
        }
        for recipient in &self.recipients {
            let party = Party {
                name: recipient.first(&[DISPLAY_NAME]),
                address: recipient.first(&[SMTP_ADDRESS, EMAIL_ADDRESS]),
            };
            let list = match recipient.0.get(&RECIPIENT_TYPE) {
                Some(Value::Number(2)) => &mut message.cc,
                Some(Value::Number(3)) => &mut message.bcc,
                _ => &mut message.to,
            };
            if !list.iter().any(|known| known.address.eq_ignore_ascii_case(&party.address)) {
                list.push(party);
            }
        }
        if message.subject.is_empty() {
            // The first two characters may tell where a prefix such as `RE:` ends.
            own.text(SUBJECT).trim_start_matches('\u{1}').clone_into(&mut message.subject);
        }
        if message.id.is_empty() {
            own.text(INTERNET_MESSAGE_ID).trim_matches(['<', '>']).clone_into(&mut message.id);
        }
        if message.date.is_empty() {
            let moment = own.moment(CLIENT_SUBMIT_TIME).or_else(|| own.moment(DELIVERY_TIME));
            message.date = moment.map(|moment| moment.to_string()).unwrap_or_default();
        }
        if own.text(MESSAGE_CLASS).starts_with(OF_TEAMS) {
            // Nobody mailed it: a copy of what was said is kept as an item in a mailbox.
            message.medium = Medium::Chat;
            let name = std::mem::take(&mut message.subject);
            message.channel = (!name.is_empty()).then_some(Channel { name, is_external: false });
        }
        message
    }
}
