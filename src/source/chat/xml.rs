//! The elements around a place in XML, as Jira and Confluence export it.

use super::Visit;
use super::people::Directory;
use super::record::Records;
use crate::finding::message::Message;
use crate::text::json::{Around, MAX_AROUND, MAX_KEY, MAX_OBJECT, ParseBudget};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Deeper nesting is not followed, only counted.
const MAX_DEPTH: usize = 256;

/// The maximum number of attributes read of an element.
const MAX_ATTRIBUTES: usize = 32;

/// The maximum length of an attribute's value in bytes; longer ones are ignored: names, times and addresses are short.
const MAX_VALUE: usize = 4096;

struct Open {
    name: String,
    attributes: Map<String, Value>,
    /// Raw offset of its content.
    start: usize,
}

/// Calls `visit` for each of `offsets` (in ascending order) that is in a message. An element is treated as an object:
/// its attributes and the texts of its children are its fields.
pub(super) fn around(text: &[u8], offsets: &[usize], visit: Visit) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut wanted = offsets.iter().copied().enumerate().peekable();
    let mut reader = lenient(text);
    let mut open: Vec<Open> = Vec::new();
    // Number of open elements beyond [`MAX_DEPTH`].
    let mut deeper = 0usize;
    let mut known = KnownNames {
        records: Records::new(text.as_bytes(), Directory::default()),
        objects: vec![],
        budget: ParseBudget::new(text.len()),
    };
    while wanted.peek().is_some() {
        let event = reader.read_event();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        while let Some((number, offset)) = wanted.next_if(|(_, offset)| *offset < at) {
            if let Some(message) = message(text, offset, &open, &mut known) {
                visit(number, message.bounded());
            }
        }
        match event {
            Ok(Event::Start(start)) if open.len() < MAX_DEPTH => {
                open.push(Open { name: name(&start), attributes: attributes(&start), start: at });
            }
            Ok(Event::Start(_)) => deeper += 1,
            Ok(Event::End(_)) if deeper > 0 => deeper -= 1,
            Ok(Event::End(_)) => _ = open.pop(),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
}

/// The fields of the elements around the last place, by the offset where their content starts.
struct KnownNames<'a> {
    records: Records<'a>,
    objects: Vec<(usize, Rc<Map<String, Value>>)>,
    budget: ParseBudget,
}

fn message(text: &str, offset: usize, open: &[Open], known: &mut KnownNames) -> Option<Message> {
    let mut inner = "text".to_owned();
    let mut objects = Vec::new();
    let mut used = Vec::new();
    for element in open.iter().rev().take(MAX_AROUND) {
        let object = match known.objects.iter().find(|(start, _)| *start == element.start) {
            Some((_, object)) => object.clone(),
            None => {
                let (mut object, length) =
                    if known.budget.is_exhausted() { Default::default() } else { fields(&text[element.start..]) };
                _ = known.budget.take(length);
                object.extend(element.attributes.clone());
                Rc::new(object)
            }
        };
        used.push((element.start, object.clone()));
        objects.push(Around { object, key: std::mem::replace(&mut inner, element.name.clone()) });
    }
    known.objects = used;
    known.records.message(&objects.iter().collect::<Vec<_>>(), offset)
}

/// The texts of the elements at the start of `content`, up to their parent's end; and the number of bytes read.
fn fields(content: &str) -> (Map<String, Value>, usize) {
    let mut fields = Map::new();
    let mut reader = lenient(&content[..content.floor_char_boundary(MAX_OBJECT)]);
    let mut depth = 0usize;
    let mut child = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                if depth == 0 {
                    child = name(&start);
                    let who = attributes(&start);
                    // `<reporter username="ann">Ann</reporter>`
                    if !who.is_empty() {
                        fields.entry(child.clone()).or_insert(Value::Object(who));
                    }
                }
                depth += 1;
            }
            Ok(Event::End(_)) if depth == 0 => break,
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Text(text)) if depth == 1 => {
                let text = text.trim().to_owned();
                match fields.get_mut(&child) {
                    Some(Value::Object(who)) => _ = who.entry("name").or_insert(Value::String(text)),
                    Some(_) => {}
                    None if text.is_empty() => {}
                    None => _ = fields.insert(child.clone(), Value::String(text)),
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    (fields, usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX))
}

pub(super) fn lenient(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

pub(super) fn name(element: &BytesStart) -> String {
    short(element.local_name().as_ref())
}

/// A name, or an empty string if it is longer than any known name.
fn short(name: &str) -> String {
    if name.len() <= MAX_KEY { name.to_owned() } else { String::new() }
}

pub(super) fn attributes(element: &BytesStart) -> Map<String, Value> {
    let mut attributes = element.attributes();
    let attributes = attributes.with_checks(false).flatten().take(MAX_ATTRIBUTES);
    let short_ones = attributes.filter(|attribute| attribute.value.len() <= MAX_VALUE);
    short_ones
        .map(|attribute| (short(attribute.key.local_name().as_ref()), Value::String(attribute.value.into_owned())))
        .collect()
}
