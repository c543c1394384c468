//! The elements around a place in XML, as Jira and Confluence export it.

use super::record;
use crate::json::{Around, LONGEST, MOST_AROUND};
use crate::source::message::Message;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Deeper nesting is no longer followed.
const DEEPEST: usize = 256;

struct Open {
    name: String,
    attributes: Map<String, Value>,
    /// Raw offset of its content.
    start: usize,
}

/// For each of `offsets`, in ascending order, the message it stands in. An element is taken for an object: its
/// attributes and the texts of its children are its fields.
pub(super) fn around(text: &[u8], offsets: &[usize]) -> Vec<Option<Message>> {
    let Ok(text) = std::str::from_utf8(text) else { return vec![None; offsets.len()] };
    let mut messages = Vec::with_capacity(offsets.len());
    let mut wanted = offsets.iter().copied().peekable();
    let mut reader = lenient(text);
    let mut open: Vec<Open> = Vec::new();
    let mut known = BTreeMap::new();
    while wanted.peek().is_some() {
        let event = reader.read_event();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        while wanted.next_if(|offset| *offset < at).is_some() {
            messages.push(message(text, &open, &mut known));
        }
        match event {
            Ok(Event::Start(start)) if open.len() < DEEPEST => {
                open.push(Open { name: name(&start), attributes: attributes(&start), start: at });
            }
            Ok(Event::End(_)) => _ = open.pop(),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    messages.resize(offsets.len(), None);
    messages
}

/// The fields of elements, by where their content starts.
type Known = BTreeMap<usize, Rc<Map<String, Value>>>;

fn message(text: &str, open: &[Open], known: &mut Known) -> Option<Message> {
    let mut inner = "text".to_owned();
    let mut objects = Vec::new();
    for element in open.iter().rev().take(MOST_AROUND) {
        let object = known.entry(element.start).or_insert_with(|| {
            let mut object = fields(&text[element.start..]);
            object.extend(element.attributes.clone());
            Rc::new(object)
        });
        objects.push(Around { object: object.clone(), key: std::mem::replace(&mut inner, element.name.clone()) });
    }
    record::message(&objects.iter().collect::<Vec<_>>())
}

/// The texts of the elements that follow, up to the end of the one they are in.
fn fields(content: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut reader = lenient(&content[..content.floor_char_boundary(LONGEST)]);
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
            Ok(Event::End(_)) if depth == 0 => return fields,
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
            Ok(Event::Eof) | Err(_) => return fields,
            Ok(_) => {}
        }
    }
}

fn lenient(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

fn name(element: &BytesStart) -> String {
    element.local_name().as_ref().to_owned()
}

fn attributes(element: &BytesStart) -> Map<String, Value> {
    let mut attributes = element.attributes();
    let attributes = attributes.with_checks(false).flatten();
    attributes
        .map(|attribute| (attribute.key.local_name().as_ref().to_owned(), Value::String(attribute.value.into_owned())))
        .collect()
}
