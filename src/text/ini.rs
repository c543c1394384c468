//! Sections of INI files, in which the CLI and the SDKs keep profiles: `[prod]`, `[profile prod]`.
//!
//! Source: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>.

use std::borrow::Cow;

/// How far the start and the end of a section are searched for, in bytes.
const MAX_LENGTH: usize = 4096;

/// A section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    name: &'a [u8],
    /// Everything after the header line.
    pub body: &'a [u8],
}

impl Section<'_> {
    /// Its name, without the word `profile`.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.name)
    }

    /// True if it sets `name`.
    pub fn sets(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// What it sets `name` to.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.body.split(|&b| b == b'\n').find_map(|line| {
            let rest = line.trim_ascii_start().strip_prefix(name.as_bytes())?;
            Some(rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii())
        })
    }
}

/// The section of that name.
#[cfg(feature = "verify")]
pub fn named<'a>(text: &'a [u8], name: &str) -> Option<Section<'a>> {
    let headers = memchr::memchr_iter(b'[', text).filter(|start| *start == 0 || text[start - 1] == b'\n');
    headers.filter_map(|start| section(text, start + 1)).find(|section| section.name == name.as_bytes())
}

/// The section around offset `at` of `text`.
pub fn section(text: &[u8], at: usize) -> Option<Section<'_>> {
    let from = at.saturating_sub(MAX_LENGTH);
    let starts_line = |start: &usize| *start == 0 || text[start - 1] == b'\n';
    let start = memchr::memrchr_iter(b'[', &text[from..at]).map(|start| from + start).find(starts_line)?;
    let line_end = start + memchr::memchr(b'\n', &text[start..])?;
    let header = text[start..line_end].trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
    let name = header.strip_prefix(b"profile ").unwrap_or(header).trim_ascii();
    // In a long header line, `at` may be before its end.
    let rest = &text[line_end..text.len().min(at.max(line_end) + MAX_LENGTH)];
    let end = memchr::memmem::find(rest, b"\n[").unwrap_or(rest.len());
    Some(Section { name, body: &rest[..end] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_around_a_place() {
        let text = b"[default]\nregion = a\n\n[profile prod]\naws_access_key_id = x\n  y_z= 1\n[next]\n";
        let at = memchr::memmem::find(text, b"x\n").unwrap();
        let found = section(text, at).unwrap();
        assert_eq!(found.name(), "prod");
        assert!(found.sets("aws_access_key_id") && found.sets("y_z") && !found.sets("region"));
        assert_eq!(found.value("y_z"), Some(&b"1"[..]));
        #[cfg(feature = "verify")]
        assert!(named(text, "prod") == Some(found) && named(text, "pro").is_none());
        assert_eq!(section(b"x = 1", 2), None);
        let long = format!("[{}]\n", "x".repeat(9000));
        assert!(section(long.as_bytes(), 10).is_some(), "a place in a long name");
        assert_eq!(section(b"a = [1]\nx = 1", 9), None);
    }
}
