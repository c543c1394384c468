//! A commit as reports show it.

use crate::finding::history::{Commit, Person};
use crate::finding::object::Oid;
use crate::git::object::{Person as RawPerson, header, subject};
use crate::text::mask;
use crate::text::sanitize::one_line;

/// Reads a commit's text.
pub fn read(oid: Oid, text: &[u8], show_secrets: bool) -> Commit {
    let shown = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if !show_secrets {
            mask::hide_secrets_in_name(&mut bytes);
        }
        one_line(&String::from_utf8_lossy(&bytes))
    };
    let person = |name: &[u8]| {
        let RawPerson { name, email, time } = RawPerson::read(header(text, name).unwrap_or_default());
        Person { name: shown(name), email: shown(email), time }
    };
    Commit {
        oid,
        author: person(b"author "),
        committer: person(b"committer "),
        subject: if show_secrets { shown(subject(text)) } else { one_line(&mask::without_key_material(subject(text))) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    #[test]
    fn secrets_in_a_subject_are_masked() {
        let secret = expand("{{secret}}").text;
        let text = format!("tree x\nauthor A <a@b> 1 +0000\n\nuse {secret} \u{1b}[31m\nmore");
        let commit = read(Oid::new([1; 20]), text.as_bytes(), false);
        assert_eq!(commit.subject, format!("use {} \u{fffd}[31m", "*".repeat(40)));
        assert_eq!(commit.author, Person { name: "A".into(), email: "a@b".into(), time: 1 });
    }
}
