//! `.mailmap`: which names and addresses in commits are the same person.
//!
//! Source: [gitmailmap](https://git-scm.com/docs/gitmailmap).

use super::object::Person;
use gix_actor::SignatureRef;
use gix_mailmap::Snapshot;

/// Maximum size of a `.mailmap`, in bytes: a larger one is not read.
pub const MAX_BYTES: u64 = 4 << 20;

/// The names and addresses that people are known by.
#[derive(Debug, Default)]
pub struct Mailmap(Snapshot);

impl Mailmap {
    /// Reads the text of a `.mailmap`; lines that are not understood are passed over, as git does.
    pub fn read(text: &[u8]) -> Self {
        Self(Snapshot::from_bytes(text))
    }

    /// A person's proper name and address.
    pub fn resolve(&self, person: Person) -> (Vec<u8>, Vec<u8>) {
        let signature = SignatureRef { name: person.name.into(), email: person.email.into(), time: "" };
        let known = self.0.try_resolve_ref(signature);
        let proper = |name: Option<&[u8]>, own: &[u8]| name.unwrap_or(own).to_vec();
        (
            proper(known.as_ref().and_then(|known| known.name).map(AsRef::as_ref), person.name),
            proper(known.as_ref().and_then(|known| known.email).map(AsRef::as_ref), person.email),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_their_proper_names() {
        let map = Mailmap::read(
            b"# people\nAnn A <ann@example.com> <ANN@old.example>\nnot a line\n<bob@example.com> <b@x>\n",
        );
        let of = |name: &str, email: &str| {
            let (name, email) = map.resolve(Person { name: name.as_bytes(), email: email.as_bytes(), time: 0 });
            format!("{} <{}>", String::from_utf8_lossy(&name), String::from_utf8_lossy(&email))
        };
        assert_eq!(of("a", "ann@old.example"), "Ann A <ann@example.com>");
        assert_eq!(of("Bob", "b@x"), "Bob <bob@example.com>");
        assert_eq!(of("Eve", "eve@x"), "Eve <eve@x>");
    }
}
