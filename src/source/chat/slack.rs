//! Slack exports: tables of users and channels, and one file per day of each conversation.
//!
//! <https://slack.com/help/articles/220556107-How-to-read-Slack-data-exports>

use super::{Visit, json, record};
use crate::finding::message::{Channel, Medium, Message, Party};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The maximum number of bytes read of a table of users or channels.
pub const MAX_TABLE: u64 = 16 << 20;

/// The maximum number of rows kept of a table; further users and conversations go by their ids.
const MAX_ROWS: usize = 100_000;

/// The maximum number of members kept of a conversation.
const MAX_MEMBERS: usize = 200;

/// Tables of conversations of each kind: public, private, group messages, direct messages.
const CONVERSATIONS: [&str; 4] = ["channels.json", "groups.json", "mpims.json", "dms.json"];

/// An export's tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    users: BTreeMap<String, User>,
    /// By name, or by id where there is none.
    channels: BTreeMap<String, Conversation>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    name: String,
    real_name: String,
    profile: Profile,
    is_restricted: bool,
    is_ultra_restricted: bool,
    is_stranger: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Profile {
    real_name: String,
    email: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Conversation {
    id: String,
    name: String,
    members: Vec<String>,
    is_ext_shared: bool,
    is_shared: bool,
    is_org_shared: bool,
}

/// True for the name of a day's file: `CONVERSATION/YYYY-MM-DD.json`.
pub fn is_day(path: &[u8]) -> bool {
    let mut parts = path.rsplit(|&b| b == b'/');
    let name = parts.next().unwrap_or_default();
    let fits = |(b, kind): (&u8, &u8)| if *kind == b'0' { b.is_ascii_digit() } else { b == kind };
    const SHAPE: &[u8] = b"0000-00-00.json";
    name.len() == SHAPE.len() && name.iter().zip(SHAPE).all(fits) && parts.next().is_some()
}

/// A table as a map, with the keys that `entry` returns; rows with an empty key are left out. It is read row by row, so
/// that a long table of empty rows takes no memory.
fn table<T: serde::de::DeserializeOwned>(
    bytes: Option<Vec<u8>>,
    entry: impl Fn(T) -> (String, T),
) -> BTreeMap<String, T> {
    struct Rows<'a, T, F>(&'a mut BTreeMap<String, T>, F);

    impl<'de, T: Deserialize<'de>, F: Fn(T) -> (String, T)> serde::de::Visitor<'de> for Rows<'_, T, F> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a table")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
            while let Some(row) = rows.next_element::<T>()? {
                let (name, row) = (self.1)(row);
                if !name.is_empty() && self.0.len() < MAX_ROWS {
                    self.0.insert(name, row);
                }
            }
            Ok(())
        }
    }

    let mut known = BTreeMap::new();
    let bytes = bytes.unwrap_or_default();
    // Rows before an error are kept.
    _ = serde::Deserializer::deserialize_seq(
        &mut serde_json::Deserializer::from_slice(&bytes),
        Rows(&mut known, entry),
    );
    known
}

impl Export {
    /// From the tables that `file` returns by name.
    pub fn read(mut file: impl FnMut(&str) -> Option<Vec<u8>>) -> Self {
        let user = |user: User| (user.id.clone(), user);
        let channel = |mut channel: Conversation| {
            channel.members.truncate(MAX_MEMBERS);
            channel.members.shrink_to_fit();
            (if channel.name.is_empty() { channel.id.clone() } else { channel.name.clone() }, channel)
        };
        let mut export = Self { users: table(file("users.json"), user), channels: BTreeMap::new() };
        for name in CONVERSATIONS {
            export.channels.extend(table(file(name), channel));
        }
        export
    }

    /// Calls `visit` for each of `offsets` (in ascending order) in the day's file at `path` that is in a message.
    pub fn messages(&self, path: &[u8], text: &[u8], offsets: &[usize], visit: Visit) {
        let dir = path.rsplit(|&b| b == b'/').nth(1).unwrap_or_default();
        let dir = String::from_utf8_lossy(dir).into_owned();
        json::around(text, offsets, &mut |number, around| {
            // The outermost object is the message, whatever blocks and quotes it contains.
            if let Some(around) = around.last().filter(|around| around.object.contains_key("ts")) {
                visit(number, self.message(&around.object, &dir).bounded());
            }
        });
    }

    fn message(&self, object: &serde_json::Map<String, serde_json::Value>, dir: &str) -> Message {
        let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let id = [text("user"), text("bot_id"), text("username")].into_iter().find(|id| !id.is_empty());
        let id = id.unwrap_or_default();
        let conversation = self.channels.get(dir);
        let name = match conversation {
            Some(known) if known.name.is_empty() => dir.to_owned(),
            _ => format!("#{dir}"),
        };
        let is_external =
            conversation.is_some_and(|known| known.is_ext_shared || known.is_shared && !known.is_org_shared);
        let user = self.users.get(id);
        let is_guest = |user: &User| user.is_restricted || user.is_ultra_restricted || user.is_stranger;
        // The members of a direct or group conversation are its recipients.
        let members = conversation.filter(|known| known.name.is_empty() || known.name.starts_with("mpdm-"));
        let members = members.iter().flat_map(|known| &known.members).filter(|member| *member != id);
        Message {
            from: vec![self.party(id)],
            to: members.map(|member| self.party(member)).collect(),
            date: object.get("ts").map(record::moment).unwrap_or_default(),
            channel: Some(Channel { name, is_external }),
            is_from_outside: user.is_some_and(is_guest),
            ..Message::new(Medium::Chat)
        }
    }

    fn party(&self, id: &str) -> Party {
        let user = self.users.get(id);
        let name = user.map(|user| [&user.profile.real_name, &user.real_name, &user.name]);
        let name = name.and_then(|names| names.into_iter().find(|name| !name.is_empty())).cloned();
        let email = user.and_then(|user| user.profile.email.clone());
        Party { name: name.unwrap_or_default(), address: email.unwrap_or_else(|| id.to_owned()) }
    }
}
