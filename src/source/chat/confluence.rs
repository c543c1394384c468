//! Spaces of Confluence exported as XML: `entities.xml`, a list of objects that refer to each other by their ids. The text of
//! a page or comment is an object of its own, whose author and title are found through others.

use super::xml::{attributes, lenient, name};
use super::{Visit, time};
use crate::finding::message::{Channel, Medium, Message, Party};
use memchr::memmem;
use quick_xml::events::Event;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// How much of a file is searched for its root element, in bytes.
const MAX_HEAD: usize = 4096;

/// The maximum length of a property's value in bytes; longer ones are texts of pages.
const MAX_VALUE: usize = 1024;

/// The maximum size of the properties that are kept of a file, in bytes; later ones are not.
const MAX_KEPT: usize = 64 << 20;

/// The maximum number of people told of a page.
const MAX_PEOPLE: usize = 10;

/// The properties that matter.
const PROPERTIES: [&str; 12] = [
    "containerContent",
    "content",
    "creationDate",
    "creator",
    "email",
    "lastModificationDate",
    "lastModifier",
    "name",
    "owner",
    "space",
    "title",
    "username",
];

/// An object, and where it ends.
#[derive(Default)]
struct Object {
    class: String,
    id: String,
    properties: Vec<(&'static str, String)>,
    start: usize,
    end: usize,
}

/// True if a file is such an export.
pub(super) fn is_known(text: &[u8]) -> bool {
    memmem::find(&text[..text.len().min(MAX_HEAD)], b"<hibernate-generic").is_some()
}

/// Calls `visit` for each of `offsets` (in ascending order) that is in a page or comment.
pub(super) fn messages(text: &[u8], offsets: &[usize], visit: Visit) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let space = Space::read(text);
    for (number, &offset) in offsets.iter().enumerate() {
        if let Some(message) = space.message(offset) {
            visit(number, message.bounded());
        }
    }
}

/// What an export holds.
struct Space {
    /// In the order of the file.
    objects: Vec<Object>,
    by_id: HashMap<String, usize>,
    /// Who wrote a page, or a comment on it, by the id of the page.
    people: HashMap<String, BTreeSet<Party>>,
}

impl Space {
    fn read(text: &str) -> Self {
        let objects = objects(text);
        // The ids of users are of another kind, and belong to nothing else.
        let by_id = objects.iter().enumerate().map(|(index, object)| (object.id.clone(), index)).collect();
        let mut space = Self { objects, by_id, people: HashMap::new() };
        let mut people: HashMap<String, BTreeSet<Party>> = HashMap::new();
        for object in space.objects.iter().filter(|object| object.is_content()) {
            let page = space.page(object).unwrap_or(object).id.clone();
            let known = people.entry(page).or_default();
            if known.len() <= MAX_PEOPLE {
                known.extend(space.author(object));
            }
        }
        space.people = people;
        space
    }

    /// The object that a property refers to.
    fn referred(&self, object: &Object, property: &str) -> Option<&Object> {
        self.objects.get(*self.by_id.get(object.property(property)?)?)
    }

    /// The page that a comment stands below.
    fn page(&self, object: &Object) -> Option<&Object> {
        self.referred(object, "containerContent").or_else(|| self.referred(object, "owner"))
    }

    /// Who wrote this version.
    fn author(&self, object: &Object) -> Option<Party> {
        let property = ["lastModifier", "creator"].into_iter().find(|name| object.property(name).is_some())?;
        let Some(user) = self.referred(object, property) else {
            return Some(Party { name: object.property(property)?.to_owned(), address: String::new() });
        };
        let name = user.property("name").or_else(|| user.property("username")).unwrap_or(&user.id);
        let address = user.property("email").or(Some(name).filter(|name| name.contains('@'))).unwrap_or_default();
        Some(Party { name: name.to_owned(), address: address.to_owned() })
    }

    /// The page or comment around an offset.
    fn message(&self, offset: usize) -> Option<Message> {
        let index = self.objects.partition_point(|object| object.end <= offset);
        let around = self.objects.get(index).filter(|object| object.start <= offset)?;
        let content = if around.is_content() { around } else { self.referred(around, "content")? };
        let page = self.page(content).unwrap_or(content);
        let author = self.author(content)?;
        let date = content.property("lastModificationDate").or_else(|| content.property("creationDate"));
        let space = self.referred(page, "space").and_then(|space| space.property("name"));
        let others = self.people.get(&page.id).into_iter().flatten().filter(|party| **party != author);
        Some(Message {
            to: others.take(MAX_PEOPLE).cloned().collect(),
            from: vec![author],
            date: date.map(time::written).unwrap_or_default(),
            subject: page.property("title").unwrap_or_default().to_owned(),
            id: content.id.clone(),
            channel: space.map(|name| Channel { name: name.to_owned(), is_external: false }),
            ..Message::new(Medium::Ticket)
        })
    }
}

impl Object {
    /// True for what somebody wrote.
    fn is_content(&self) -> bool {
        ["Page", "BlogPost", "Comment"].contains(&self.class.as_str())
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The approximate number of bytes that it takes.
    fn size(&self) -> usize {
        let texts = self.properties.iter().map(|(_, value)| 64 + value.len()).sum::<usize>();
        2 * size_of::<Self>() + self.class.len() + 2 * self.id.len() + texts
    }
}

/// The objects of an export. Its elements are `object`, in that `id` and `property`, and in that the `id` of another object.
fn objects(text: &str) -> Vec<Object> {
    let mut reader = lenient(text);
    let mut objects = Vec::new();
    let mut object = Object::default();
    let mut depth = 0usize;
    let mut kept = 0usize;
    let mut property = None;
    let mut is_id = false;
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = match reader.read_event() {
            Ok(Event::Eof) | Err(_) => return objects,
            Ok(event) => event,
        };
        let value = match event {
            Event::Start(start) => {
                depth += 1;
                let attribute = |wanted: &str| match attributes(&start).remove(wanted) {
                    Some(Value::String(text)) => text,
                    _ => String::new(),
                };
                match depth {
                    2 => object = Object { class: attribute("class"), start: at, ..Object::default() },
                    3 => {
                        is_id = name(&start) == "id";
                        let own = attribute("name");
                        property = PROPERTIES.iter().find(|known| **known == own).filter(|_| !is_id).copied();
                    }
                    _ => {}
                }
                continue;
            }
            Event::End(_) => {
                if depth == 2 {
                    object.end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
                    kept += object.size();
                    if kept > MAX_KEPT {
                        return objects;
                    }
                    objects.push(std::mem::take(&mut object));
                }
                depth = depth.saturating_sub(1);
                continue;
            }
            Event::CData(text) => text.trim().to_owned(),
            Event::Text(text) => text.trim().to_owned(),
            _ => continue,
        };
        if value.is_empty() || value.len() > MAX_VALUE {
            continue;
        }
        match (depth, property) {
            (3, _) if is_id => object.id = value,
            (3 | 4, Some(name)) if object.property(name).is_none() => object.properties.push((name, value)),
            _ => {}
        }
    }
}
