//! `winmail.dat`: what Outlook sends of a message besides its plain text, attachments among them.
//!
//! [MS-OXTNEF]: <https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxtnef/>

use super::mapi::{ATTACH_DATA, ATTACH_FILENAME, Attachment, MapiMessage, Properties, Value};
use crate::source::SkipCause;
use crate::source::unpack::{Place, Unpacker};

/// Bytes before the first attribute: the magic number and a key.
const HEADER: usize = 6;

/// Attributes, as in 2.1.2.
mod attribute {
    pub const MESSAGE_BODY: u32 = 0x0002_800c;
    pub const ATTACHMENT_START: u32 = 0x0006_9002;
    pub const ATTACHMENT_TITLE: u32 = 0x0001_8010;
    pub const ATTACHMENT_DATA: u32 = 0x0006_800f;
    pub const ATTACHMENT_PROPERTIES: u32 = 0x0006_9005;
    pub const MESSAGE_PROPERTIES: u32 = 0x0006_9003;
    pub const RECIPIENTS: u32 = 0x0006_9004;
}

/// Emits the parts of a message.
///
/// # Errors
/// If it ends in the middle of an attribute; what stands before it is emitted all the same.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) -> Result<(), SkipCause> {
    let (item, is_whole) = read(bytes);
    unpacker.whole(place, bytes);
    match place.context {
        // It was sent with a message, which says more about who wrote to whom.
        Some(_) => item.hand_over_parts(unpacker, place),
        None => item.hand_over(unpacker, place),
    }
    if is_whole { Ok(()) } else { Err(SkipCause::Damaged("it ends in the middle of an attribute")) }
}

fn read(bytes: &[u8]) -> (MapiMessage, bool) {
    let mut item = MapiMessage::default();
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while let Some((id, data, after)) = attribute(rest) {
        rest = after;
        let last = item.attachments.last_mut().map(|attachment| &mut attachment.properties);
        match (id, last) {
            (attribute::ATTACHMENT_START, _) => {
                item.attachments.push(Attachment { properties: Properties::default(), message: None });
            }
            (attribute::ATTACHMENT_TITLE, Some(last)) => {
                _ = last.0.insert(ATTACH_FILENAME, Value::Text(String::from_utf8_lossy(data).into_owned()));
            }
            (attribute::ATTACHMENT_DATA, Some(last)) => {
                _ = last.0.entry(ATTACH_DATA).or_insert_with(|| Value::Bytes(data.to_vec()));
            }
            // An attached message is only among the properties; otherwise they repeat the data.
            (attribute::ATTACHMENT_PROPERTIES, Some(last)) => last.0.extend(properties(&mut Fields(data))),
            (attribute::MESSAGE_PROPERTIES, _) => item.properties.0.extend(properties(&mut Fields(data))),
            (attribute::RECIPIENTS, _) => item.recipients = recipients(data),
            (attribute::MESSAGE_BODY, _) => item.body = data.to_vec(),
            _ => {}
        }
    }
    (item, rest.is_empty())
}

/// The number and data of the first attribute, and what follows it.
fn attribute(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    const CHECKSUM: usize = 2;
    let mut fields = Fields(bytes);
    fields.take(1)?;
    let (id, length) = (fields.u32()?, fields.u32()?);
    let data = fields.take(length as usize)?;
    fields.take(CHECKSUM)?;
    Some((id, data, fields.0))
}

/// Fields in order, from the start of what is left.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// A field of a length that is rounded up to four bytes.
    fn padded(&mut self, length: usize) -> Option<&'a [u8]> {
        let field = self.take(length)?;
        self.0 = self.0.get(length.next_multiple_of(4) - length..).unwrap_or_default();
        Some(field)
    }
}

/// The rows of a table of recipients (2.1.3.5.2).
fn recipients(table: &[u8]) -> Vec<Properties> {
    let mut fields = Fields(table);
    let count = fields.u32().unwrap_or_default();
    let rows = (0..count).map_while(|_| (!fields.0.is_empty()).then(|| properties(&mut fields)));
    rows.filter(|row| !row.is_empty()).map(|row| Properties(row.into_iter().collect())).collect()
}

/// The properties in a list of them (2.1.3.4), as far as it can be read.
fn properties(fields: &mut Fields) -> Vec<(u16, Value)> {
    let mut all = Vec::new();
    let count = fields.u32().unwrap_or_default();
    for _ in 0..count {
        let Some((id, value)) = property(fields) else { break };
        all.extend(value.map(|value| (id, value)));
    }
    all
}

/// The number of the next property, and its value if it is of a kind that matters; nothing if the list ends early.
fn property(fields: &mut Fields) -> Option<(u16, Option<Value>)> {
    const IS_LIST: u16 = 0x1000;
    const FIRST_NAMED: u16 = 0x8000;
    /// The interface that is named before an object's data.
    const INTERFACE: usize = 16;
    let number = fields.u32()?;
    let (id, kind) = ((number >> 16) as u16, number as u16);
    if id >= FIRST_NAMED {
        fields.take(16)?;
        // The name is a number or a text.
        if fields.u32()? == 0 {
            fields.u32()?;
        } else {
            let length = fields.u32()? as usize;
            fields.padded(length)?;
        }
    }
    let is_long = matches!(kind & !IS_LIST, 0x000d | 0x001e | 0x001f | 0x0102);
    let count = if is_long || kind & IS_LIST != 0 { fields.u32()? } else { 1 };
    let mut value = None;
    for _ in 0..count {
        let data = match kind & !IS_LIST {
            _ if is_long => {
                let length = fields.u32()? as usize;
                fields.padded(length)?
            }
            0x0005..=0x0007 | 0x0014 | 0x0040 => fields.take(8)?,
            0x0048 => fields.take(16)?,
            _ => fields.take(4)?,
        };
        value = match kind & !IS_LIST {
            0x000d => data.get(INTERFACE..).map(|object| Value::Bytes(object.to_vec())),
            0x001e => Some(Value::Text(String::from_utf8_lossy(data).into_owned())),
            0x001f => Some(Value::Text(utf16(data))),
            0x0102 => Some(Value::Bytes(data.to_vec())),
            0x0002 | 0x0003 | 0x000b => data.try_into().ok().map(|n| Value::Number(i64::from(i32::from_le_bytes(n)))),
            0x0040 => data.try_into().ok().map(|ticks| Value::Time(i64::from_le_bytes(ticks))),
            _ => None,
        };
    }
    Some((id, value))
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attribute, with a checksum that nobody reads.
    fn attribute(id: u32, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).expect("a short attribute");
        [&[1][..], &id.to_le_bytes(), &length.to_le_bytes(), data, &[0, 0]].concat()
    }

    #[test]
    fn attributes_and_properties_are_read() {
        // A number, a named text of five bytes and its padding, and a list of numbers.
        let list = [
            &3_u32.to_le_bytes()[..],
            b"\x03\0\x15\x0c\x02\0\0\0",
            b"\x1e\0\x01\x80................\0\0\0\0\x07\0\0\0\x01\0\0\0\x05\0\0\0hello...",
            b"\x03\x10\x02\x30\x02\0\0\0\x01\0\0\0\x02\0\0\0",
        ];
        let read: Vec<_> = properties(&mut Fields(&list.concat()))
            .into_iter()
            .map(|(id, value)| format!("{id:x} {value:?}"))
            .collect();
        assert_eq!(read, ["c15 Number(2)", "8001 Text(\"hello\")", "3002 Number(2)"]);

        let file = [
            &b"\x78\x9f\x3e\x22\x01\x02"[..],
            &attribute(attribute::ATTACHMENT_START, &[0; 14]),
            &attribute(attribute::ATTACHMENT_TITLE, b"a.txt\0"),
            &attribute(attribute::ATTACHMENT_DATA, b"data"),
        ];
        let (item, is_whole) = super::read(&file.concat());
        assert!(is_whole);
        let Some(Value::Bytes(data)) = item.attachments[0].properties.0.get(&ATTACH_DATA) else { panic!("no data") };
        assert_eq!(data, b"data");
        for end in 0..file.concat().len() {
            let (_, is_whole) = super::read(&file.concat()[..end]);
            let ends_between = end <= HEADER || [25 + HEADER, 25 + HEADER + 17].contains(&end);
            assert_eq!(is_whole, ends_between, "{end}");
        }
    }
}
