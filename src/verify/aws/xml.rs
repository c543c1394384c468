//! AWS's answers, which are small XML documents.

use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;

/// The text of the first element with this name; none if there is none, or the text is no XML.
pub fn text(xml: &[u8], name: &str) -> Option<String> {
    let mut reader = Reader::from_reader(xml);
    let mut is_inside = false;
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => is_inside = start.local_name().as_ref() == name,
            Event::Text(part) if is_inside => text.push_str(&part),
            Event::End(_) if is_inside => return Some(text.trim().to_owned()),
            Event::Eof => return None,
            // Part of the text would be missing.
            _ if is_inside => return None,
            _ => {}
        }
    }
}

/// The name of the document's element, if the whole document is well formed, as far as AWS writes it.
pub fn root(xml: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(xml);
    let (mut depth, mut root) = (0usize, None);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                depth += 1;
                root.get_or_insert_with(|| start.local_name().as_ref().to_owned());
            }
            Event::End(_) => depth = depth.checked_sub(1)?,
            Event::Eof => return root.filter(|_| depth == 0),
            Event::Text(_) | Event::Decl(_) | Event::Empty(_) => {}
            _ => return None,
        }
    }
}

/// What is in each element with this name: the texts of its children by their names. What is no XML ends the list.
pub fn records(xml: &[u8], name: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = Reader::from_reader(xml);
    let mut records = Vec::new();
    let mut open: Option<BTreeMap<String, String>> = None;
    let mut child = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) if start.local_name().as_ref() == name => open = Some(BTreeMap::new()),
            Ok(Event::Start(start)) => start.local_name().as_ref().clone_into(&mut child),
            Ok(Event::Text(part)) => {
                if let Some(record) = open.as_mut().filter(|_| !child.is_empty()) {
                    record.entry(child.clone()).or_default().push_str(&part);
                }
            }
            Ok(Event::End(end)) if end.local_name().as_ref() == name => records.extend(open.take()),
            Ok(Event::End(_)) => child.clear(),
            Ok(Event::Eof) | Err(_) => return records,
            _ => {}
        }
    }
}

/// True for what may be one of AWS's error codes.
pub fn is_plain(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
