//! Text that is safe to show: scanned files, paths and comments are hostile input for a terminal.

use std::borrow::Cow;

/// `text` with every character replaced that could steer a terminal or reorder what is shown: control characters
/// (tab excepted), bidirectional and zero-width format characters, line and paragraph separators.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| matches!(b, b' '..=b'~');
    if text.bytes().all(is_plain) || text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn is_harmless(c: char) -> bool {
    match c {
        '\t' => true,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => false,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
        c => !c.is_control(),
    }
}

/// As [`sanitize`], on one line: tabs become blanks too.
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
}
