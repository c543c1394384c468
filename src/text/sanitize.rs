//! Text that is safe to show: scanned files, paths and comments are hostile input for a terminal.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::borrow::Cow;
use std::io;

/// `text` with every character replaced that could control a terminal or reorder what is shown: control characters
/// (except tab), bidirectional and zero-width format characters, line and paragraph separators; and the prefixes that
/// CI servers interpret as commands in a log.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| matches!(b, b' '..=b'~');
    let text = without_commands(text);
    if text.bytes().all(is_plain) || text.chars().all(is_harmless) {
        return text;
    }
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect::<String>().into()
}

/// `text` with command prefixes disabled: `::` at its start, a command to GitHub Actions at the start of a line, and
/// `##[` and `##vso[`, commands to GitHub Actions and Azure Pipelines anywhere.
///
/// Sources: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>,
/// <https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands>.
fn without_commands(text: &str) -> Cow<'_, str> {
    let has_start = text.trim_start().starts_with("::");
    if !has_start && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let text = text.replace("##[", "#\u{fffd}[").replace("##vso[", "#\u{fffd}vso[");
    Cow::Owned(if has_start { text.replacen("::", "\u{fffd}:", 1) } else { text })
}

/// A value as JSON on one line, with every character escaped that [`sanitize`] would replace: JSON may be printed to a
/// terminal.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, Escaping(CompactFormatter)))?;
    Ok(String::from_utf8(json).expect("JSON is UTF-8"))
}

/// Writes a value as JSON on one line, with a line end.
///
/// # Errors
/// Those of `out`.
pub fn write_json(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    write_with(out, value, CompactFormatter)
}

/// The same, pretty-printed on several lines.
///
/// # Errors
/// Those of `out`.
pub fn write_json_pretty(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    write_with(out, value, PrettyFormatter::new())
}

fn write_with(out: &mut dyn io::Write, value: &impl Serialize, inner: impl Formatter) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Escaping(inner)))?;
    out.write_all(b"\n")
}

/// Wraps another formatter and escapes more characters.
struct Escaping<F>(F);

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !is_harmless(c)) {
            let (before, from) = rest.split_at(at);
            let length = from.chars().next().map_or(0, char::len_utf8);
            let (harmful, after) = from.split_at(length);
            self.0.write_string_fragment(writer, before)?;
            harmful.encode_utf16().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?;
            rest = after;
        }
        self.0.write_string_fragment(writer, rest)
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn end_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_key(writer)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

fn is_harmless(c: char) -> bool {
    match c {
        '\t' => true,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => false,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
        c => !c.is_control(),
    }
}

/// Like [`sanitize`], on one line: tabs become spaces too.
pub fn one_line(text: &str) -> String {
    sanitize(text).replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_reordering_are_replaced() {
        assert_eq!(sanitize("a\u{1b}[31mb\r\u{202e}c\u{9b}d"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c\u{fffd}d");
        assert!(matches!(sanitize("plain\tñ😀"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\tb\nc"), "a b\u{fffd}c");
    }

    #[test]
    fn what_ci_servers_obey_is_replaced() {
        assert_eq!(sanitize("::stop-commands::x"), "\u{fffd}:stop-commands::x");
        assert_eq!(sanitize("  ::error::x"), "  \u{fffd}:error::x");
        assert_eq!(sanitize("a ##vso[task.complete]b ##[error]"), "a #\u{fffd}vso[task.complete]b #\u{fffd}[error]");
        assert!(matches!(sanitize("std::vec ## title"), Cow::Owned(text) if text == "std::vec ## title"));
    }

    #[test]
    fn json_holds_no_raw_control_characters_and_is_the_same_value() {
        let value =
            serde_json::json!({ "a\u{202e}": ["\u{9b}31m \"quoted\" \n ñ😀 \u{2028} \u{e0041}", 1, {}], "b": null });
        let mut pretty = Vec::new();
        write_json_pretty(&mut pretty, &value).unwrap();
        let pretty = String::from_utf8(pretty).unwrap();
        for json in [&to_json(&value).unwrap(), &pretty] {
            assert_eq!(serde_json::from_str::<serde_json::Value>(json).unwrap(), value);
            assert!(json.chars().all(|c| c == '\n' || is_harmless(c)), "{json}");
            assert!(json.contains("ñ😀") && json.contains("\\u202e") && json.contains("\\udb40\\udc41"));
        }
        assert_eq!(pretty.lines().count(), serde_json::to_string_pretty(&value).unwrap().lines().count());
    }
}
