//! Chats and tickets as exported by their services: JSON or XML in which each text is next to its author and time.
//!
//! The files are scanned like any other, so that locations are exact. This module finds the message around a location.

mod record;
pub mod slack;
mod xml;

use crate::finding::message::Message;
use crate::text::json;

/// Receives the index of an offset, and the message around it.
pub type Visit<'a> = &'a mut dyn FnMut(usize, Message);

/// Calls `visit` for each of `offsets` (in ascending order) that is in a message.
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
