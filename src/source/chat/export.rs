//! What lies beside the messages in an export and says who wrote them: tables of people, and of conversations.

use super::fields::{DIRECTORIES, first};
use super::people::{People, party, scalar};
use super::slack;
use crate::finding::message::{Channel, Message, Party};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The maximum number of bytes read of a table.
pub const MAX_TABLE: u64 = 16 << 20;

/// The maximum number of people kept of an export; further ones go by their ids.
const MAX_PEOPLE: usize = 100_000;

/// The maximum size of a table of conversations, in bytes.
const MAX_CHANNELS: usize = 1 << 20;

/// The maximum number of tables of people read of an export.
const MAX_TABLES: usize = 4;

/// The maximum number of fields read of a row, and of bytes of each.
const MAX_FIELDS: usize = 200;
/// See [`MAX_FIELDS`].
const MAX_FIELD: usize = 1000;

/// How the names of tables of people begin.
const TABLES: [&str; 9] =
    ["users", "agents", "contacts", "requesters", "people", "members", "accounts", "customers", "end-users"];

/// Where a table has its people, beside the names of [`DIRECTORIES`].
const LISTS: [&str; 10] =
    ["user", "agent", "agents", "contact", "contacts", "requesters", "results", "data", "value", "rows"];

/// Discord's package says here whose messages it holds, and how the conversations are called.
/// <https://support.discord.com/hc/articles/360004957991-Your-Discord-Data-Package>
const DISCORD: (&str, &str) = ("account/user.json", "messages/index.json");

/// The tables of an export.
#[derive(Debug, Default)]
pub struct Export {
    slack: Option<slack::Export>,
    people: Arc<People>,
    /// Who wrote all messages that name no author.
    owner: Option<Party>,
    /// Names of conversations by id.
    channels: BTreeMap<String, String>,
}

/// The exports in an archive: what is in one folder has nothing to do with another's.
#[derive(Debug, Default)]
pub struct Exports(Vec<(Root, Export)>);

/// Where an export begins, as a prefix of names, and how many folders above its files of messages that is.
type Root = (usize, String);

/// The maximum number of exports in an archive whose tables are read.
const MAX_EXPORTS: usize = 64;

impl Exports {
    /// From the names of all files in an archive, and what `file` returns of them; `None` if there is nothing of use.
    pub fn read<'a>(
        names: impl Iterator<Item = &'a [u8]>,
        mut file: impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> Option<Self> {
        let mut tables: BTreeMap<Root, (String, Vec<String>)> = BTreeMap::new();
        for name in names.filter(|name| KINDS.iter().any(|is_of| is_of(name))) {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let root = (steps_up(name.as_bytes()), root_of(name));
            if tables.len() < MAX_EXPORTS || tables.contains_key(&root) {
                let (_, tables) = tables.entry(root).or_insert_with(|| (name.to_owned(), vec![]));
                if is_table(name.as_bytes()) {
                    tables.push(name.to_owned());
                }
            }
        }
        let read = tables
            .into_iter()
            .filter_map(|(root, (path, tables))| Some((root, Export::read(path.as_bytes(), tables, &mut file)?)));
        Some(Self(read.collect())).filter(|exports| !exports.0.is_empty())
    }

    /// The export that a file belongs to.
    pub fn of(&self, path: &[u8]) -> Option<&Export> {
        let path = String::from_utf8_lossy(path);
        let root = (steps_up(path.as_bytes()), root_of(&path));
        self.0.iter().find(|(known, _)| *known == root).map(|(_, export)| export)
    }
}

/// What the names in the export of a file begin with.
fn root_of(path: &str) -> String {
    let steps = steps_up(path.as_bytes());
    path.rsplitn(steps + 1, '/').nth(steps).map(|root| format!("{root}/")).unwrap_or_default()
}

/// True for the name of a file that lists people: `users.json`, `agents-2026.jsonl`.
pub fn is_table(path: &[u8]) -> bool {
    let name = path.rsplit(|b| matches!(b, b'/' | b'\\')).next().unwrap_or_default().to_ascii_lowercase();
    let stem = [".json", ".jsonl", ".ndjson"].iter().find_map(|end| name.strip_suffix(end.as_bytes()));
    stem.is_some_and(|stem| {
        TABLES
            .iter()
            .filter_map(|table| stem.strip_prefix(table.as_bytes()))
            .any(|rest| rest.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'T' | b't' | b'z')))
    })
}

/// What shows that an archive is an export, the surest first.
const KINDS: [fn(&[u8]) -> bool; 3] = [slack::is_day, is_of_discord, is_table];

/// True for the name of a file that may hold messages whose authors are listed in another one.
pub fn is_of_messages(path: &[u8]) -> bool {
    let name = path.to_ascii_lowercase();
    [&b".json"[..], b".jsonl", b".ndjson"].iter().any(|end| name.ends_with(end))
}

/// How many folders up from a file of messages its export begins.
pub fn steps_up(path: &[u8]) -> usize {
    match path {
        _ if slack::is_day(path) => 2,
        _ if is_of_discord(path) => 3,
        _ => 1,
    }
}

/// True for a file of messages in a package of Discord's: `messages/c1345000000007822216/messages.json`.
fn is_of_discord(path: &[u8]) -> bool {
    path.ends_with(b"/messages.json") && conversation(path).is_some()
}

/// The conversation of Discord's that a file belongs to.
fn conversation(path: &[u8]) -> Option<&str> {
    let folder = path.rsplit(|b| *b == b'/').nth(1)?;
    let id = std::str::from_utf8(folder).ok()?.trim_start_matches('c');
    (id.len() > 15 && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}

impl Export {
    /// From what `file` returns of the export's files. `path` is one of its messages or tables, `tables` those of people.
    /// `None` if they say nothing.
    pub fn read(path: &[u8], mut tables: Vec<String>, mut file: impl FnMut(&str) -> Option<Vec<u8>>) -> Option<Self> {
        let path = String::from_utf8_lossy(path);
        let root = root_of(&path);
        let mut in_root = |name: &str| file(&format!("{root}{name}"));
        if slack::is_day(path.as_bytes()) {
            return slack::Export::read(in_root).map(|slack| Self { slack: Some(slack), ..Self::default() });
        }
        let mut owner = None;
        let mut channels = BTreeMap::<String, String>::new();
        if let Some(table) = Some(DISCORD.0).filter(|_| is_of_discord(path.as_bytes())).and_then(&mut in_root) {
            rows(&table, &mut |row| {
                owner.get_or_insert_with(|| party(&row));
            });
            let names = in_root(DISCORD.1).filter(|table| table.len() <= MAX_CHANNELS).unwrap_or_default();
            channels = serde_json::from_slice(&names).unwrap_or_default();
        }
        let mut people = People::new();
        tables.sort();
        for table in tables.iter().take(MAX_TABLES).filter_map(|name| file(name)) {
            rows(&table, &mut |row| {
                let id = first(&row, &["id", "user_id", "userId"]).map(scalar).unwrap_or_default();
                if !id.is_empty() && people.len() < MAX_PEOPLE {
                    people.entry(id).or_insert_with(|| party(&row));
                }
            });
        }
        let is_of_use = !people.is_empty() || owner.is_some();
        is_of_use.then(|| Self { slack: None, people: Arc::new(people), owner, channels })
    }

    /// The tables of Slack, if the file at `path` holds a day of one of its conversations.
    pub(super) fn slack(&self, path: &[u8]) -> Option<&slack::Export> {
        self.slack.as_ref().filter(|_| slack::is_day(path))
    }

    /// How many people it lists.
    pub fn size(&self) -> usize {
        self.people.len() + self.channels.len()
    }

    /// The people that the export lists.
    pub(super) fn people(&self) -> Arc<People> {
        Arc::clone(&self.people)
    }

    /// Adds what only the export says to a message in the file at `path`.
    pub(super) fn complete(&self, path: &[u8], message: Message) -> Message {
        let mut message = message;
        if let Some(owner) = self.owner.as_ref().filter(|_| message.from.is_empty()) {
            message.from = vec![owner.clone()];
        }
        let name = conversation(path).and_then(|id| self.channels.get(id));
        if let Some(name) = name.filter(|_| message.channel.is_none()) {
            message.channel = Some(Channel { name: name.clone(), is_external: false });
        }
        message
    }
}

/// Calls `each` for every person in a table: a list, an object that has lists, or an object in each line. It is read row
/// by row, so that a long table of empty rows takes no memory.
fn rows(table: &[u8], each: &mut dyn FnMut(Map<String, Value>)) {
    let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
    let mut reader = serde_json::Deserializer::from_slice(table);
    // Rows before an error are kept; the end of the table is one.
    while Rows(each).deserialize(&mut reader).is_ok() {}
}

/// Reads the rows in a value.
struct Rows<'a>(&'a mut dyn FnMut(Map<String, Value>));

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("people")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Rows(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut row = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if DIRECTORIES.contains(&name.as_str()) || LISTS.contains(&name.as_str()) {
                object.next_value_seed(Rows(&mut *self.0))?;
            } else if let Some(value) = object.next_value_seed(Field)?
                && row.len() < MAX_FIELDS
            {
                row.insert(name, value);
            }
        }
        if !row.is_empty() {
            (self.0)(row);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a field of a row, if it is short text or a number.
struct Field;

impl<'de> DeserializeSeed<'de> for Field {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<Value>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Value>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Option<Value>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<Value>, E> {
        Ok(Some(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<Value>, E> {
        Ok(Some(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Value>, E> {
        Ok((text.len() <= MAX_FIELD).then(|| text.into()))
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_in_every_form() {
        let ann = r#"{"id": 1, "name": "Ann", "email": "ann@corp.example", "photo": {"id": 7}, "tags": [[]]}"#;
        for table in [
            format!("[{ann}]"),
            format!("{{\"users\": [{ann}], \"next_page\": null}}"),
            format!("[{{\"user\": {ann}}}]"),
            format!("{ann}\n{ann}\n"),
            format!("\u{feff}[{ann}, 5, \"x\", null, [[]]"),
        ] {
            let export = Export::read(b"tickets.json", vec!["users.json".to_owned()], |name| {
                (name == "users.json").then(|| table.clone().into_bytes())
            });
            let people = export.expect("people").people();
            let ann = people.get("1").expect("Ann");
            assert_eq!(ann.to_text(), "Ann <ann@corp.example>", "{table}");
        }
    }

    #[test]
    fn tables_go_by_their_names() {
        for name in ["users.json", "x/Agents.json", "contacts-2026-03-02T10.jsonl", "users_1.ndjson"] {
            assert!(is_table(name.as_bytes()), "{name}");
        }
        for name in ["users.rs", "userstory.json", "tickets.json", "users", "users-of-ours.json"] {
            assert!(!is_table(name.as_bytes()), "{name}");
        }
    }
}
