//! What is wrong with a TOML file, without quoting it.

use super::mask::{hide_long_words, name_shown};

/// Describes a syntax error and its position, without quoting the text: it may be a secret from another file.
pub fn explain(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {}", expected(error.message()))
}

/// The parts of the library's message that do not quote the file: which field is missing, and what was expected.
fn expected(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("missing field {}", name_shown(field));
    }
    // The quoted part comes first.
    match message.rsplit_once(", expected ") {
        Some((before, expected)) if before.starts_with("unknown variant") => {
            format!("unknown value, expected {}", hide_long_words(expected))
        }
        Some((before, expected)) if before.starts_with("unknown field") => {
            format!("unknown key, expected {}", hide_long_words(expected))
        }
        Some((_, expected)) => format!("expected {}", hide_long_words(expected)),
        None => "not valid TOML".into(),
    }
}
