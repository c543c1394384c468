//! Chat and tickets, as their services export them: JSON or XML in which every text stands beside who wrote it when.
//!
//! The files are scanned like any other, so that places are exact; this tells, of a place, in whose message it is.

mod record;
pub mod slack;
mod xml;

use super::message::Message;
use crate::json;

/// The messages in which `offsets`, in ascending order, stand; `None` for those that stand in none. Nothing at all, if
/// `text` is none that has messages.
pub fn messages(text: &[u8], offsets: &[usize]) -> Vec<Option<Message>> {
    match text.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(text.trim_ascii_start()).first() {
        Some(b'{' | b'[') => {
            let mut read = record::message;
            json::around(text, offsets, &mut read)
        }
        Some(b'<') => xml::around(text, offsets),
        _ => vec![],
    }
}
