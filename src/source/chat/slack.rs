//! Slack exports: tables of users and channels, and one file per day of each conversation.
//!
//! <https://slack.com/help/articles/220556107-How-to-read-Slack-data-exports>

use super::{Visit, json, time};
use crate::finding::message::{Channel, Medium, Message, Party};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    /// The workspace of most users.
    team: String,
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
    team_id: String,
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

/// The workspace of most users.
fn most_frequent<'a>(users: impl Iterator<Item = &'a User>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    users.filter(|user| !user.team_id.is_empty()).for_each(|user| *counts.entry(&user.team_id).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(team, _)| team.to_owned()).unwrap_or_default()
}

impl Export {
    /// From the tables that `file` returns by name; `None` without one of users.
    pub fn read(mut file: impl FnMut(&str) -> Option<Vec<u8>>) -> Option<Self> {
        let user = |user: User| (user.id.clone(), user);
        let channel = |mut channel: Conversation| {
            channel.members.truncate(MAX_MEMBERS);
            channel.members.shrink_to_fit();
            (if channel.name.is_empty() { channel.id.clone() } else { channel.name.clone() }, channel)
        };
        let users = table(Some(file("users.json")?), user);
        let mut export = Self { team: most_frequent(users.values()), users, channels: BTreeMap::new() };
        for name in CONVERSATIONS {
            export.channels.extend(table(file(name), channel));
        }
        Some(export)
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
        // An edit holds what it changes.
        let edited = ["previous_message", "original", "message"].iter().find_map(|name| object.get(*name)?.as_object());
        let object = edited.unwrap_or(object);
        let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let id = [text("user"), text("bot_id"), text("username")].into_iter().find(|id| !id.is_empty());
        let id = id.unwrap_or_default();
        let conversation = self.channels.get(dir);
        let name = match conversation {
            Some(known) if known.name.is_empty() => dir.to_owned(),
            _ => format!("#{dir}"),
        };
        let members = || conversation.iter().flat_map(|known| &known.members).filter(|member| *member != id);
        let is_guest = |id: &str| self.users.get(id).is_some_and(|user| self.is_guest(user));
        let is_external = conversation
            .is_some_and(|known| known.is_ext_shared || known.is_shared && !known.is_org_shared)
            || members().any(|member| is_guest(member));
        // The members of a direct or group conversation are its recipients. Of a channel, guests are told: they may
        // read it although nobody writes to them.
        let is_small = conversation.is_some_and(|known| known.name.is_empty() || known.name.starts_with("mpdm-"));
        let recipients = members().filter(|member| is_small || is_guest(member));
        let guests = members().filter(|member| is_guest(member)).map(|member| self.party(member)).collect();
        Message {
            from: vec![self.author(id, object)],
            to: recipients.map(|member| self.party(member)).collect(),
            date: object.get("ts").map(time::moment).unwrap_or_default(),
            channel: Some(Channel { name, is_external }),
            is_from_outside: is_guest(id),
            guests,
            ..Message::new(Medium::Chat)
        }
    }

    /// True for people of other organisations, and for those who may see some channels only.
    fn is_guest(&self, user: &User) -> bool {
        user.is_restricted
            || user.is_ultra_restricted
            || user.is_stranger
            || !self.team.is_empty() && !user.team_id.is_empty() && user.team_id != self.team
    }

    /// Who wrote a message: bots say their names in it.
    fn author(&self, id: &str, message: &serde_json::Map<String, serde_json::Value>) -> Party {
        let known = self.party(id);
        let profile =
            |name: &str| message.get("bot_profile").or(message.get("user_profile")).and_then(|bot| bot.get(name));
        let name = profile("name").or_else(|| profile("real_name")).or(message.get("username"));
        match name.and_then(serde_json::Value::as_str) {
            Some(name) if known.name.is_empty() => Party { name: name.to_owned(), ..known },
            _ => known,
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
