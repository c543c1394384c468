//! Text of office documents: Office Open XML (ECMA-376) and Open Document (ISO 26300), which are XML in zip archives.
//!
//! Editors split text into runs anywhere, even in the middle of a key. Here runs are joined again: an element ends a
//! word unless it is known to occur within one.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Elements whose end is a line break. Local names: the two families have different prefixes.
const LINES: [&str; 10] = ["p", "h", "si", "row", "tr", "table-row", "list-item", "comment", "br", "line-break"];

/// Elements that occur within a word: runs and their texts, links, revision marks and bookmarks.
const WITHIN: [&str; 19] = [
    "r",
    "t",
    "span",
    "a",
    "hyperlink",
    "ins",
    "del",
    "smartTag",
    "proofErr",
    "bookmarkStart",
    "bookmarkEnd",
    "bookmark-start",
    "bookmark-end",
    "lastRenderedPageBreak",
    "softHyphen",
    "permStart",
    "permEnd",
    "change-start",
    "change-end",
];

/// Elements that, with everything in them, only describe how a run looks.
const LOOKS: [&str; 2] = ["rPr", "rPh"];

/// The minimum length of attribute values that are emitted.
const MIN_ATTRIBUTE: usize = 16;

/// True for XML of an office document: by its name or, as the name may be damaged or different, by the namespaces that
/// its first element declares.
pub(super) fn is_text(name: &[u8], xml: &[u8]) -> bool {
    let is_in = |dir: &[u8]| name.starts_with(dir);
    if is_in(b"word/")
        || is_in(b"xl/")
        || is_in(b"ppt/")
        || matches!(name, b"content.xml" | b"styles.xml" | b"meta.xml")
    {
        return true;
    }
    const NAMESPACES: [&[u8]; 3] =
        [b"schemas.openxmlformats.org/", b"purl.oclc.org/ooxml/", b"urn:oasis:names:tc:opendocument:"];
    let head = &xml[..xml.len().min(4096)];
    NAMESPACES.iter().any(|namespace| memchr::memmem::find(head, namespace).is_some())
}

/// The text of such a part, followed by its comments and attributes, such as the targets of links. Anything that is not
/// XML is returned unchanged.
pub(super) fn text(xml: &[u8]) -> Vec<u8> {
    let source = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&source);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut text = String::new();
    let mut attributes = String::new();
    // Number of open elements that only describe looks.
    let mut looks = 0usize;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(Event::Start(start)) => {
                note_attributes(&start, &mut attributes);
                looks += usize::from(looks > 0 || LOOKS.contains(&start.local_name().as_ref()));
                if looks == 0 {
                    separate(start.local_name().as_ref(), false, &mut text);
                }
            }
            Ok(Event::Empty(start)) => {
                note_attributes(&start, &mut attributes);
                if looks == 0 && !LOOKS.contains(&start.local_name().as_ref()) {
                    separate(start.local_name().as_ref(), true, &mut text);
                }
            }
            Ok(Event::End(_)) if looks > 0 => looks -= 1,
            Ok(Event::End(end)) => separate(end.local_name().as_ref(), true, &mut text),
            Ok(Event::Text(content)) => text.push_str(&content),
            Ok(Event::CData(content)) => text.push_str(&content),
            Ok(Event::Comment(content)) => attributes.push_str(&format!("{}\n", &*content)),
            Ok(Event::GeneralRef(reference)) => {
                match (resolve_predefined_entity(&reference), reference.resolve_char_ref()) {
                    (Some(known), _) => text.push_str(known),
                    (None, Ok(Some(character))) => text.push(character),
                    _ => {}
                }
            }
            Ok(_) => {}
            // Not XML, or not to its end: nothing of it may be lost.
            Err(_) => return xml.to_vec(),
        }
    }
    text.push('\n');
    (text + &attributes).into_bytes()
}

/// Ends a line or a word where an element starts or ends.
fn separate(name: &str, is_end: bool, text: &mut String) {
    if is_end && LINES.contains(&name) {
        text.push('\n');
    } else if !WITHIN.contains(&name) && !text.is_empty() && !text.ends_with(char::is_whitespace) {
        text.push('\t');
    }
}

fn note_attributes(element: &BytesStart, attributes: &mut String) {
    for attribute in element.attributes().with_checks(false).flatten() {
        if attribute.value.len() >= MIN_ATTRIBUTE && !attribute.key.as_ref().starts_with("xmlns") {
            attributes.push_str(&format!("{}={}\n", attribute.key.as_ref(), attribute.value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_and_paragraphs_are_not() {
        let xml = br#"<w:p><w:r><w:t>AK</w:t></w:r><w:r><w:rPr/><w:t>IA &amp;&#x41;</w:t></w:r></w:p><w:p><w:hyperlink w:target="https://example.com/x"/>b<w:tab/>c</w:p>"#;
        assert_eq!(text(xml), b"AKIA &A\nb\tc\n\nw:target=https://example.com/x\n");
        assert_eq!(text(b"<a <<"), b"<a <<");
    }
}
