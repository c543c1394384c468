//! Text of office documents: Office Open XML (ECMA-376) and Open Document (ISO 26300), which are XML in zip archives.
//!
//! Editors split text into runs anywhere, even in the middle of a key. Here runs are joined again: an element ends a
//! word unless it is known to occur within one.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

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

/// Where a workbook keeps the texts of its cells.
pub(super) const STRINGS: &str = "xl/sharedStrings.xml";

/// Where it keeps its sheets.
pub(super) const SHEETS: &[u8] = b"xl/worksheets/";

/// The maximum length of the XML of strings that are put into sheets, in bytes.
pub(super) const MAX_STRINGS: u64 = 4 << 20;

/// The maximum length of a sheet with its strings, in bytes: a few cells may show the same long text many times.
const MAX_SHEET: usize = 16 << 20;

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

/// True if a workbook's strings, or a sheet that has them itself, may be IAM's credential report.
pub(super) fn is_credential_report(xml: &[u8]) -> bool {
    memchr::memmem::find(xml, b"user_creation_time").is_some()
}

/// The texts that cells refer to by their number.
pub(super) fn strings(xml: &[u8]) -> Vec<String> {
    // Each `<si>` is a line; one with a line break in it would move those after it.
    let text = text(&xml.iter().map(|&b| if b == b'\n' { b' ' } else { b }).collect::<Vec<u8>>());
    String::from_utf8_lossy(&text).lines().map(|line| line.trim().to_owned()).collect()
}

/// The text of a sheet, with `strings` in the cells that refer to them: a line for each row, tabs between cells. Without
/// them if it would be too long.
pub(super) fn sheet(xml: &[u8], strings: &[String]) -> Vec<u8> {
    let source = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&source);
    let mut sheet = String::new();
    // What a cell holds: `s` for a reference, `b` for a truth value (ECMA-376, part 1, 18.18.11).
    let (mut kind, mut is_value) = (String::new(), false);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => match start.local_name().as_ref() {
                "c" => {
                    kind =
                        start.try_get_attribute("t").ok().flatten().map(|kind| kind.value.into()).unwrap_or_default();
                    if !sheet.is_empty() && !sheet.ends_with('\n') {
                        sheet.push('\t');
                    }
                }
                "v" | "t" => is_value = true,
                _ => {}
            },
            Ok(Event::Empty(start)) if start.local_name().as_ref() == "c" => sheet.push('\t'),
            Ok(Event::Text(content)) if is_value => sheet.push_str(match (kind.as_str(), content.parse::<usize>()) {
                ("s", Ok(number)) => strings.get(number).map_or("", String::as_str),
                ("b", Ok(value)) => {
                    if value == 0 {
                        "FALSE"
                    } else {
                        "TRUE"
                    }
                }
                _ => &content,
            }),
            Ok(Event::GeneralRef(reference)) if is_value => sheet.push_str(&resolve(&reference)),
            Ok(Event::End(end)) => match end.local_name().as_ref() {
                "v" | "t" => is_value = false,
                "row" => sheet.push('\n'),
                _ => {}
            },
            Ok(Event::Eof) => return sheet.into_bytes(),
            Ok(_) => {}
            Err(_) => return text(xml),
        }
        if sheet.len() > MAX_SHEET {
            return text(xml);
        }
    }
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
            Ok(Event::GeneralRef(reference)) => text.push_str(&resolve(&reference)),
            Ok(_) => {}
            // Not XML, or not to its end: nothing of it may be lost.
            Err(_) => return xml.to_vec(),
        }
    }
    text.push('\n');
    (text + &attributes).into_bytes()
}

/// The text of `&amp;`, `&#65;` and the like; nothing of an unknown one.
fn resolve(reference: &BytesRef) -> String {
    match (resolve_predefined_entity(reference), reference.resolve_char_ref()) {
        (Some(known), _) => known.to_owned(),
        (None, Ok(Some(character))) => character.to_string(),
        _ => String::new(),
    }
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
    fn cells_show_the_strings_they_refer_to() {
        let strings = strings(b"<sst><si><t>user</t></si><si><t>a </t><t>b\nc</t></si></sst>");
        assert_eq!(strings[..2], ["user", "a b c"]);
        let xml = br#"<row><c r="A1" t="s"><v>0</v></c><c/><c t="s"><v>9</v></c><c t="inlineStr"><is><t>&lt;x&#62;</t></is></c></row><row><c t="s"><v>1</v></c><c><v>7</v></c><c t="b"><v>1</v></c></row>"#;
        assert_eq!(sheet(xml, &strings), b"user\t\t\t<x>\na b c\t7\tTRUE\n");
    }

    #[test]
    fn runs_are_joined_and_paragraphs_are_not() {
        let xml = br#"<w:p><w:r><w:t>AK</w:t></w:r><w:r><w:rPr/><w:t>IA &amp;&#x41;</w:t></w:r></w:p><w:p><w:hyperlink w:target="https://example.com/x"/>b<w:tab/>c</w:p>"#;
        assert_eq!(text(xml), b"AKIA &A\nb\tc\n\nw:target=https://example.com/x\n");
        assert_eq!(text(b"<a <<"), b"<a <<");
    }
}
