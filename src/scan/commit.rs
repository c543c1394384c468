//! A commit as reports show it.

use crate::finding::history::{Commit, Person};
use crate::finding::object::Oid;
use crate::git::mailmap::Mailmap;
use crate::git::object::{CommitLinks, Person as RawPerson, co_authors, header, subject};
use crate::text::mask;
use crate::text::sanitize::one_line;

/// The maximum number of co-authors read.
const MAX_CO_AUTHORS: usize = 20;

/// Reads a commit's text.
pub fn read(oid: Oid, text: &[u8], people: &Mailmap, show_secrets: bool) -> Commit {
    let shown = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if !show_secrets {
            mask::hide_secrets_in_name(&mut bytes);
        }
        one_line(&String::from_utf8_lossy(&bytes))
    };
    let person = |person: RawPerson| {
        let (name, email) = people.resolve(person);
        Person { name: shown(&name), email: shown(&email), time: person.time }
    };
    let named = |name: &[u8]| person(RawPerson::read(header(text, name).unwrap_or_default()));
    Commit {
        oid,
        author: named(b"author "),
        committer: named(b"committer "),
        co_authors: co_authors(text).take(MAX_CO_AUTHORS).map(person).collect(),
        is_merge: CommitLinks::read(text).is_some_and(|links| links.parents().count() > 1),
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
        let commit = read(Oid::new([1; 20]), text.as_bytes(), &Mailmap::default(), false);
        assert_eq!(commit.subject, format!("use {} \u{fffd}[31m", "*".repeat(40)));
        assert_eq!(commit.author, Person { name: "A".into(), email: "a@b".into(), time: 1 });
    }
}
