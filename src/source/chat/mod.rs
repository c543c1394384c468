//! Chats, tickets and mail as exported by their services: text, JSON, XML, HTML or tables in which each text is next to
//! its author and time.
//!
//! The files are scanned like any other, so that locations are exact. This module finds the message around a location.

mod confluence;
pub mod export;
mod fields;
mod form;
mod html;
mod journal;
mod lines;
mod mail;
pub(crate) mod people;
mod record;
mod slack;
mod table;
mod time;
mod xml;

use self::export::Export;
use self::people::Directory;
use crate::finding::BlobPath;
use crate::finding::message::Message;
use crate::text::json;

/// Receives the index of an offset, and the message around it.
pub type Visit<'a> = &'a mut dyn FnMut(usize, Message);

/// A time as RFC 3339, or unchanged if its form is unknown.
pub(crate) fn moment_of(text: &str) -> String {
    time::written(text)
}

/// Calls `visit` for each of `offsets` (in ascending order) that is in a message, in the file at `path` of an export.
pub fn messages(path: &BlobPath, text: &[u8], offsets: &[usize], export: Option<&Export>, visit: Visit) {
    if offsets.is_empty() {
        return;
    }
    let in_export = path.innermost();
    if let Some(slack) = export.and_then(|export| export.slack(in_export)) {
        return slack.messages(in_export, text, offsets, visit);
    }
    let path = path.to_text();
    let path = path.as_bytes();
    match text.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(text.trim_ascii_start()).first() {
        Some(b'[') if lines::is_known(path, text) => lines::messages(path, text, offsets, visit),
        Some(b'{' | b'[') => {
            let people = export.map(Export::people).unwrap_or_default();
            let mut records = record::Records::new(text, Directory::new(people));
            json::around(text, offsets, &mut |number, around| {
                let offset = offsets.get(number).copied().unwrap_or_default();
                if let Some(message) = records.message(around, offset) {
                    let message = match export {
                        Some(export) => export.complete(in_export, message),
                        None => message,
                    };
                    visit(number, message.bounded());
                }
            });
        }
        Some(b'<') if html::is_known(text) => html::messages(text, offsets, visit),
        Some(b'<') if confluence::is_known(text) => confluence::messages(text, offsets, visit),
        Some(b'<') => xml::around(text, offsets, visit),
        Some(b'-') if form::is_known(text) => form::messages(text, offsets, visit),
        _ if table::is_known(text) => table::messages(path, text, offsets, visit),
        _ => lines::messages(path, text, offsets, visit),
    }
}
