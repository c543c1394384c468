//! The owner of a key, according to its file: a profile in a credentials file, or a user in a table or IAM response.

use crate::finding::evidence::Owner;
use crate::text::ini;
use crate::text::json;
use crate::text::mask::hide_long_words;
use std::ops::Range;

/// Maximum length of a name, in characters.
const MAX_LENGTH: usize = 100;

/// How far before a value the start of its row is searched for, in bytes.
const MAX_ROW: usize = 8 << 10;

/// The owner of each value at `spans` of `text`, which has no byte order mark; they are in ascending order.
pub fn owners(text: &[u8], spans: &[Range<usize>]) -> Vec<Option<Owner>> {
    let start = text.trim_ascii_start();
    match start.first() {
        Some(b'{') => in_json(text, spans),
        _ if is_table_of_users(start) => spans.iter().map(|span| in_row(text, span)).collect(),
        _ => spans.iter().map(|span| in_section(text, span)).collect(),
    }
}

/// A name with anything that may be a secret hidden.
pub(super) fn shown(name: &str) -> String {
    hide_long_words(name.trim()).chars().take(MAX_LENGTH).collect()
}

fn named(name: &str) -> Option<Owner> {
    let name = shown(name);
    (!name.is_empty()).then_some(Owner { name, is_profile: false, has_token: true })
}

/// JSON as printed by `aws iam create-access-key`.
fn in_json(text: &[u8], spans: &[Range<usize>]) -> Vec<Option<Owner>> {
    let offsets: Vec<usize> = spans.iter().map(|span| span.start).collect();
    let mut owners = vec![None; spans.len()];
    json::around(text, &offsets, &mut |number, around| {
        let name = around.first().and_then(|around| around.object.get("UserName")?.as_str());
        owners[number] = name.and_then(named);
    });
    owners
}

/// The console's `credentials.csv`, whose first column is the user's name.
fn is_table_of_users(text: &[u8]) -> bool {
    text.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"User name,"))
}

fn in_row(text: &[u8], span: &Range<usize>) -> Option<Owner> {
    let before = &text[span.start.saturating_sub(MAX_ROW)..span.start];
    let cell = before[memchr::memrchr(b'\n', before)? + 1..].split(|&b| b == b',').next()?;
    named(String::from_utf8_lossy(cell).trim_matches('"'))
}

/// `~/.aws/credentials` and similar files. Other INI files have sections too; only these use these setting names for
/// keys.
fn in_section(text: &[u8], span: &Range<usize>) -> Option<Owner> {
    let section = ini::section(text, span.start)?;
    let is_profile = section.sets("aws_access_key_id") || section.sets("aws_secret_access_key");
    let has_token = section.sets("aws_session_token") || section.sets("aws_security_token");
    let name = shown(&section.name());
    (is_profile && !name.is_empty()).then_some(Owner { name, is_profile, has_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(text: &str) -> Option<(String, bool, bool)> {
        let at = text.find("KEY!").unwrap();
        let owner = owners(text.as_bytes(), &[at..at + 4]).remove(0)?;
        Some((owner.name, owner.is_profile, owner.has_token))
    }

    #[test]
    fn profiles_rows_and_answers() {
        let told = |name: &str, is_profile, has_token| Some((name.to_owned(), is_profile, has_token));
        assert_eq!(owner("[default]\naws_access_key_id = KEY!\n"), told("default", true, false));
        let session = "[profile a b]\naws_access_key_id=KEY!\naws_session_token=x\n";
        assert_eq!(owner(session), told("a b", true, true));
        assert_eq!(owner("[server]\nport = KEY!\n"), None);
        assert_eq!(owner("User Name,Access Key Id,Secret Access Key\r\n\"ann\",KEY!,x\r\n"), told("ann", false, true));
        assert_eq!(owner(r#"{"AccessKey": {"UserName": "ann", "AccessKeyId": "KEY!"}}"#), told("ann", false, true));
        assert_eq!(owner(r#"{"AccessKeyId": "KEY!"}"#), None);
        assert_eq!(owner("KEY!"), None);
    }
}
