//! Chat and tickets, as their services export them: JSON or XML in which every text stands beside who wrote it when.
//!
//! The files are scanned like any other, so that places are exact; this tells, of a place, in whose message it is.

mod record;
pub mod slack;
mod xml;

use crate::finding::message::Message;
use crate::text::json;

/// Takes the message in which the offset of that number stands.
pub type Visit<'a> = &'a mut dyn FnMut(usize, Message);

/// Calls `visit` for each of `offsets`, in ascending order, that stands in a message.
pub fn messages(text: &[u8], offsets: &[usize], visit: Visit) {
    match text.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(text.trim_ascii_start()).first() {
        Some(b'{' | b'[') => json::around(text, offsets, &mut |number, around| {
            if let Some(message) = record::message(around) {
                visit(number, message.bounded());
            }
        }),
        Some(b'<') => xml::around(text, offsets, visit),
        _ => {}
    }
}
