//! Single Outlook messages ([MS-OXMSG]): a compound file with a stream for each long property and a table of the short
//! ones. Other compound files, such as old office documents, are scanned as raw bytes.
//!
//! <https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxmsg/>

use super::mapi::{ATTACH_DATA, Attachment, MapiMessage, Properties, Value};
use crate::source::SkipCause;
use crate::source::unpack::{Place, Unpacker};
use cfb::CompoundFile;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

type File<'a> = CompoundFile<Cursor<&'a [u8]>>;

const PROPERTIES: &str = "__properties_version1.0";

/// The maximum depth of messages attached to messages.
const DEEPEST: usize = 8;

/// Lengths in bytes of the header before the table of properties: of a message, an attached message, anything else.
const PREFIXES: [usize; 3] = [32, 24, 8];

/// Emits the parts of a message.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) -> Result<(), SkipCause> {
    // Old office documents and other programs use such files, too: an unreadable one need not be a message.
    let opened = CompoundFile::open(Cursor::new(bytes));
    let mut file = opened.map_err(|error| {
        unpacker.whole(place, bytes);
        SkipCause::NoText(if error.kind() == std::io::ErrorKind::UnexpectedEof {
            "it ends early"
        } else {
            "it is not a valid compound file"
        })
    })?;
    if file.exists(Path::new("/").join(PROPERTIES)) {
        let most = unpacker.size().bytes;
        item(&mut file, Path::new("/"), PREFIXES[0], 0, most).hand_over(unpacker, place);
    } else {
        unpacker.whole(place, bytes);
    }
    Ok(())
}

fn item(file: &mut File, storage: &Path, prefix: usize, depth: usize, most: u64) -> MapiMessage {
    let mut item = MapiMessage { properties: properties(file, storage, prefix, most), ..MapiMessage::default() };
    let children: Vec<_> = file
        .read_storage(storage)
        .map(|entries| entries.filter(cfb::Entry::is_storage).map(|entry| entry.name().to_owned()).collect())
        .unwrap_or_default();
    for name in children {
        let child = storage.join(&name);
        if name.starts_with("__recip_version1.0_#") {
            item.recipients.push(properties(file, &child, PREFIXES[2], most));
        } else if name.starts_with("__attach_version1.0_#") {
            let embedded = child.join(stream_name(ATTACH_DATA, 0x000d));
            let message = (depth < DEEPEST && file.is_storage(&embedded))
                .then(|| Box::new(self::item(file, &embedded, PREFIXES[1], depth + 1, most)));
            item.attachments.push(Attachment { properties: properties(file, &child, PREFIXES[2], most), message });
        }
    }
    item
}

fn stream_name(id: u16, kind: u16) -> String {
    format!("__substg1.0_{id:04X}{kind:04X}")
}

fn properties(file: &mut File, storage: &Path, prefix: usize, most: u64) -> Properties {
    let mut properties = Properties::default();
    let table = read(file, &storage.join(PROPERTIES), most).unwrap_or_default();
    for entry in table.get(prefix..).unwrap_or_default().as_chunks::<16>().0 {
        let number = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let (id, kind) = ((number >> 16) as u16, number as u16);
        let value =
            i64::from_le_bytes([entry[8], entry[9], entry[10], entry[11], entry[12], entry[13], entry[14], entry[15]]);
        let path: PathBuf = storage.join(stream_name(id, kind));
        let value = match kind {
            0x0002 => Some(Value::Number(i64::from(value as i16))),
            0x0003 | 0x000b => Some(Value::Number(i64::from(value as i32))),
            0x0014 => Some(Value::Number(value)),
            0x0040 => Some(Value::Time(value)),
            // Text of one byte per character is in a code page that the message names; ASCII is the same in all.
            0x001e => read(file, &path, most).map(|text| Value::Text(String::from_utf8_lossy(&text).into_owned())),
            0x001f => read(file, &path, most).map(|text| {
                let units = text.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
                Value::Text(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
            }),
            0x0102 => read(file, &path, most).map(Value::Bytes),
            _ => None,
        };
        properties.0.extend(value.map(|value| (id, value)));
    }
    properties
}

fn read(file: &mut File, path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.open_stream(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
