//! Whom the values in an export name.

use super::fields::{ADDRESSES, DIRECTORIES, NAMES, first};
use crate::finding::message::Party;
use crate::foreign::guarded;
use mail_parser::{Address, HeaderName, MessageParser};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The maximum number of people read from a list.
const MAX_PEOPLE: usize = 1000;

/// The maximum length of a list of mail addresses, in bytes.
const MAX_LIST: usize = 64 << 10;

/// People by their ids.
pub(super) type People = HashMap<String, Party>;

/// The people that an export lists: around the messages, and in files of their own.
#[derive(Clone, Default)]
pub(super) struct Directory {
    around: People,
    beside: Arc<People>,
}

impl Directory {
    /// The people of files beside the messages.
    pub fn new(beside: Arc<People>) -> Self {
        Self { around: People::new(), beside }
    }

    /// True if an object lists or describes people.
    pub fn is_in(object: &Map<String, Value>) -> bool {
        DIRECTORIES.iter().any(|name| object.contains_key(*name))
    }

    /// The people that an object lists or describes.
    pub fn extend(&mut self, object: &Map<String, Value>) {
        for value in DIRECTORIES.iter().filter_map(|name| object.get(*name)) {
            let rows = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for row in rows.iter().take(MAX_PEOPLE).filter_map(Value::as_object) {
                let id = first(row, &["id", "user_id", "userId"]).map(scalar).unwrap_or_default();
                if !id.is_empty() && self.around.len() < MAX_PEOPLE {
                    self.around.entry(id).or_insert_with(|| party(row));
                }
            }
        }
    }

    /// The person with this id, or as given.
    fn known(&self, party: Party) -> Party {
        match self.around.get(&party.name).or_else(|| self.beside.get(&party.name)) {
            Some(known) if party.address.is_empty() => known.clone(),
            _ => party,
        }
    }

    /// The people that a value names: a string, an object that describes a person, or a list of either.
    pub fn parties(&self, value: &Value) -> Vec<Party> {
        match value {
            Value::Array(values) => {
                values.iter().take(MAX_PEOPLE).flat_map(|value| self.parties(value)).take(MAX_PEOPLE).collect()
            }
            Value::Object(object) => {
                let inner = || first(object, &["user", "application", "emailAddress", "author"]);
                let is_person = first(object, &NAMES).is_some()
                    || first(object, &ADDRESSES).is_some_and(|address| !address.is_object());
                match inner().filter(|_| !is_person) {
                    Some(inner) => self.parties(inner),
                    None => {
                        Some(self.known(party(object))).filter(|party| *party != Party::default()).into_iter().collect()
                    }
                }
            }
            other => named(&scalar(other)).into_iter().map(|party| self.known(party)).collect(),
        }
    }
}

/// The person whom an object describes.
pub(super) fn party(object: &Map<String, Value>) -> Party {
    let text = |names: &[&str]| first(object, names).map(scalar).unwrap_or_default();
    let (name, id) = (text(&NAMES), text(&["id"]));
    let address = text(&ADDRESSES);
    // Other ids say nothing to a reader.
    let login = text(&["username", "name", "login"]);
    let address = [address, id.clone(), login].into_iter().find(|address| address.contains('@')).unwrap_or_default();
    Party { name: if name.is_empty() && address.is_empty() { id } else { name }, address }
}

/// The people in a text: mail addresses with or without names, or one name.
pub(super) fn named(text: &str) -> Vec<Party> {
    let text = text.trim();
    if text.is_empty() {
        return vec![];
    }
    if !text.contains('@') || text.starts_with('@') || text.len() > MAX_LIST {
        let is_address = text.starts_with('@') && text.contains(':') && !text.contains(' ');
        let (name, address) = if is_address { (String::new(), text) } else { (text.to_owned(), "") };
        return vec![Party { name, address: address.to_owned() }];
    }
    // Outlook separates addresses by semicolons.
    let list = text.replace(';', ",").replace(['\r', '\n'], " ");
    let header = format!("To: {list}\r\n\r\n");
    let parsed = guarded(|| {
        MessageParser::new()
            .with_mime_headers()
            .with_address_headers()
            .parse(header.as_bytes())
            .map(|parsed| parties(parsed.header(HeaderName::To).and_then(mail_parser::HeaderValue::as_address)))
    });
    parsed.flatten().unwrap_or_default()
}

/// The people in an address header of a mail.
pub(crate) fn parties(address: Option<&Address>) -> Vec<Party> {
    let party = |addr: &mail_parser::Addr| Party {
        name: addr.name.as_deref().unwrap_or_default().to_owned(),
        address: addr.address.as_deref().unwrap_or_default().to_owned(),
    };
    address.into_iter().flat_map(Address::iter).map(party).collect()
}

pub(super) fn scalar(value: &Value) -> String {
    match value {
        // As databases write times.
        Value::Object(object) => object.get("$date").map(scalar).unwrap_or_default(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// True if the export says that a person is from another organisation.
pub(super) fn is_guest(object: &Map<String, Value>, tenant: Option<&str>) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    // Microsoft Graph, `teamworkUserIdentityType`.
    let is_foreign = text("userIdentityType")
        .is_some_and(|kind| ["federatedUser", "anonymousGuest", "emailUser", "skypeUser", "phoneUser"].contains(&kind));
    let has_role = object.get("roles").and_then(Value::as_array);
    let has_role = has_role.is_some_and(|roles| roles.iter().any(|role| role.as_str() == Some("guest")));
    is_foreign || has_role || tenant.zip(text("tenantId")).is_some_and(|(own, other)| own != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_from_text() {
        let told = |text: &str| named(text).iter().map(Party::to_text).collect::<Vec<_>>();
        assert_eq!(told("Ann"), ["Ann"]);
        assert_eq!(told("ann@corp.example"), ["ann@corp.example"]);
        assert_eq!(
            told("\"Ann, Ops\" <ann@corp.example>; bob@x.example"),
            ["Ann, Ops <ann@corp.example>", "bob@x.example"]
        );
        assert_eq!(told("@ann:corp.example"), ["@ann:corp.example"]);
        assert_eq!(told(" "), Vec::<String>::new());
    }
}
