//! Messages in objects: chats and tickets as JSON, or as XML read as if it were JSON.

use super::fields::{
    AUTHORS, CHANNELS, CONVERSATION_IDS, MESSAGES, NAMES_OF_CONVERSATIONS, OF_TICKETS, PARTICIPANTS, RECIPIENTS, TEXTS,
    TIMES, TITLES, first,
};
use super::journal::{self, Journal, is_journal};
use super::people::{Directory, is_guest, scalar};
use super::{mail, time};
use crate::finding::message::{Channel, Medium, Message, Party};
use crate::text::json::Around;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;

type Object = Rc<Map<String, Value>>;

/// The maximum number of messages of a conversation whose authors are looked at.
const MAX_MESSAGES: usize = 10_000;

/// Fewer participants than this are told of a message: with addresses, and without.
const MAX_TOLD: (usize, usize) = (50, 10);

/// Of how many participants they are chosen.
const MAX_LOOKED_AT: usize = 500;

/// Who takes part in the conversation around a message.
#[derive(Default)]
struct Conversation {
    directory: Rc<Directory>,
    people: BTreeSet<Party>,
    guests: BTreeSet<Party>,
}

/// Finds messages in a text, and remembers what it read of the objects around the last one.
pub(super) struct Records<'a> {
    text: &'a [u8],
    /// The people who are listed in other files.
    directory: Rc<Directory>,
    journal: OnceCell<Journal>,
    /// The conversation around the last message, and what the message itself says of it.
    around: Option<(Vec<Object>, Rc<Conversation>)>,
    own: Option<(Object, Rc<Conversation>)>,
    mail: Option<(Object, Message)>,
    /// Whether each of the objects around the last place is a mail.
    are_mail: Vec<(Object, bool)>,
}

impl<'a> Records<'a> {
    pub fn new(text: &'a [u8], directory: Directory) -> Self {
        let directory = Rc::new(directory);
        Self { text, directory, journal: OnceCell::new(), around: None, own: None, mail: None, are_mail: vec![] }
    }

    /// The message around an offset: the innermost object that has an author and a time, if the place is in its text.
    pub fn message(&mut self, around: &[&Around], offset: usize) -> Option<Message> {
        let outwards: Vec<&Object> = around.iter().map(|around| &around.object).collect();
        let is_in = |at: usize, texts: &[&str]| around[..=at].iter().any(|object| texts.contains(&object.key.as_str()));
        if let Some(at) = self.first_mail(&outwards).filter(|at| is_in(*at, &mail::TEXTS)) {
            return Some(self.mail(outwards[at]));
        }
        let at = outwards.iter().position(|object| is_message(object))?;
        if !is_in(at, &TEXTS) {
            return None;
        }
        let message = self.read(&outwards[at..]);
        // A ticket may have all its comments in one text.
        let journal = || self.journal.get_or_init(|| Journal::new(self.text, &journal::SERVICE_NOW));
        let entry = around.first().filter(|around| is_journal(&around.key)).and_then(|_| journal().entry(offset));
        match entry {
            Some((date, author)) => {
                let to = message.to.into_iter().chain(message.from).filter(|party| party.name != author).collect();
                let from = vec![Party { name: author, address: String::new() }];
                Some(Message { from, to, date, ..message })
            }
            None => Some(message),
        }
    }

    /// The index of the first object that is a mail. What was found out of the last ones is not looked for again: one may be
    /// around thousands of places.
    fn first_mail(&mut self, objects: &[&Object]) -> Option<usize> {
        let known = std::mem::take(&mut self.are_mail);
        let is_mail = |object: &Object| {
            let known = known.iter().find(|(last, _)| Rc::ptr_eq(last, object));
            known.map_or_else(|| mail::is_mail(object), |(_, is_mail)| *is_mail)
        };
        self.are_mail = objects.iter().map(|object| (Rc::clone(object), is_mail(object))).collect();
        self.are_mail.iter().position(|(_, is_mail)| *is_mail)
    }

    fn mail(&mut self, object: &Object) -> Message {
        if let Some((_, known)) = self.mail.as_ref().filter(|(last, _)| Rc::ptr_eq(last, object)) {
            return known.clone();
        }
        let message = mail::message(object).bounded();
        self.mail = Some((Rc::clone(object), message.clone()));
        message
    }

    /// The message that the first of these objects is.
    fn read(&mut self, outwards: &[&Object]) -> Message {
        let (object, rest) = outwards.split_first().expect("a message is an object");
        let tenant = rest.iter().rev().find_map(|object| object.get("tenantId")).and_then(Value::as_str);
        let is_same = |last: &[Object]| {
            last.len() == rest.len() && last.iter().zip(rest).all(|(one, other)| Rc::ptr_eq(one, other))
        };
        let around = match &self.around {
            Some((last, known)) if is_same(last) => known.clone(),
            _ => {
                let known = Rc::new(Conversation::new(rest, &self.directory, tenant));
                self.around = Some((rest.iter().map(|object| Rc::clone(object)).collect(), known.clone()));
                known
            }
        };
        let own = match &self.own {
            Some((last, known)) if Rc::ptr_eq(last, object) => known.clone(),
            _ => {
                let known = Rc::new(Conversation::new(&[*object], &around.directory, tenant));
                self.own = Some((Rc::clone(object), known.clone()));
                known
            }
        };
        message_of(outwards, &around, &own)
    }
}

impl Conversation {
    /// What objects say of a conversation, beside the people that are known already.
    fn new(objects: &[&Object], known: &Rc<Directory>, tenant: Option<&str>) -> Self {
        let mut directory = known.clone();
        for object in objects.iter().filter(|object| Directory::is_in(object)) {
            Rc::make_mut(&mut directory).extend(object);
        }
        let mut conversation = Self { directory, ..Self::default() };
        for object in objects {
            for value in PARTICIPANTS.iter().filter_map(|name| object.get(*name)) {
                conversation.add(value, tenant);
            }
            for messages in MESSAGES.iter().filter_map(|name| object.get(*name)?.as_array()) {
                for message in messages.iter().take(MAX_MESSAGES).filter_map(Value::as_object) {
                    if let Some(author) = first(message, &AUTHORS).or_else(|| first(history(message)?, &AUTHORS)) {
                        conversation.add(author, tenant);
                    }
                    // Matrix says so who is in a room.
                    if let Some(member) = message.get("state_key").filter(|key| scalar(key).starts_with('@')) {
                        conversation.add(member, tenant);
                    }
                }
            }
        }
        conversation
    }

    /// Adds the people that a value names.
    fn add(&mut self, value: &Value, tenant: Option<&str>) {
        if let Value::Array(values) = value {
            return values.iter().take(MAX_MESSAGES).for_each(|value| self.add(value, tenant));
        }
        let is_guest = has_guest(value, tenant);
        for party in self.directory.parties(value) {
            if self.people.len() < MAX_MESSAGES {
                if is_guest {
                    self.guests.insert(party.clone());
                }
                self.people.insert(party);
            }
        }
    }
}

/// True for an object that has an author and a time. Discord hands its users what they wrote, without saying so again.
fn is_message(object: &Map<String, Value>) -> bool {
    let has_both = |object: &Map<String, Value>| first(object, &AUTHORS).is_some() && first(object, &TIMES).is_some();
    has_both(object)
        || history(object).is_some_and(has_both)
        || object.contains_key("Contents") && object.contains_key("Timestamp")
}

/// Confluence keeps author and time of a page in an object of their own.
fn history(object: &Map<String, Value>) -> Option<&Map<String, Value>> {
    object.get("history")?.as_object()
}

fn has_guest(value: &Value, tenant: Option<&str>) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| has_guest(value, tenant)),
        Value::Object(object) => {
            is_guest(object, tenant) || object.get("user").is_some_and(|user| has_guest(user, tenant))
        }
        _ => false,
    }
}

/// The message in the first of these objects, which also names some of the people in its conversation.
fn message_of(outwards: &[&Object], around: &Conversation, said: &Conversation) -> Message {
    let own: &Map<String, Value> = outwards[0];
    let any = |names: &[&str]| outwards.iter().find_map(|object| first(object, names).cloned());
    let is_ticket = outwards.iter().any(|object| OF_TICKETS.iter().any(|name| object.contains_key(*name)));
    // A conversation is named beside its messages.
    let title = || {
        let around = outwards.iter().skip(1).find(|object| MESSAGES.iter().any(|name| object.contains_key(*name)))?;
        first(around, &NAMES_OF_CONVERSATIONS).cloned()
    };
    let channel = any(&CHANNELS).or_else(title).or_else(|| any(&CONVERSATION_IDS));
    let channel = Channel {
        name: channel.map(|value| label(&value)).unwrap_or_default(),
        is_external: !(around.guests.is_empty() && said.guests.is_empty()),
    };
    let origin = if first(own, &AUTHORS).is_some() { own } else { history(own).unwrap_or(own) };
    let from = authors(origin, &said.directory);
    let is_author = |party: &Party| {
        from.iter().any(|author| *author == *party || !author.address.is_empty() && author.address == party.address)
    };
    let recipients = first(own, &RECIPIENTS).map(|value| said.directory.parties(value)).unwrap_or_default();
    // Addresses show who is from outside; of names, some are enough.
    let (mut addresses, mut names) = (MAX_TOLD.0, MAX_TOLD.1);
    let mut is_told = |party: &&Party| {
        let left = if party.address.is_empty() { &mut names } else { &mut addresses };
        *left = left.saturating_sub(1);
        *left > 0
    };
    let people = around.people.union(&said.people).take(MAX_LOOKED_AT);
    let people = people.filter(|party| !recipients.contains(party) && !is_author(party));
    let people: Vec<Party> = people.filter(&mut is_told).cloned().collect();
    let to = recipients.iter().filter(|party| !is_author(party)).cloned().chain(people).collect();
    Message {
        is_from_outside: first(origin, &AUTHORS).is_some_and(|author| has_guest(author, None)),
        guests: around.guests.union(&said.guests).filter(|party| !is_author(party)).take(MAX_TOLD.0).cloned().collect(),
        from,
        to,
        date: first(origin, &TIMES).map(time::moment).unwrap_or_default(),
        subject: any(&TITLES).map(|value| label(&value)).unwrap_or_default(),
        id: own.get("id").or(own.get("key")).map(label).unwrap_or_default(),
        channel: (!channel.name.is_empty()).then_some(channel),
        ..Message::new(if is_ticket { Medium::Ticket } else { Medium::Chat })
    }
}

/// Who wrote a message. Some services have the name and the address in fields of their own.
fn authors(message: &Map<String, Value>, directory: &Directory) -> Vec<Party> {
    let mut authors = first(message, &AUTHORS).map(|value| directory.parties(value)).unwrap_or_default();
    let address = first(message, &["sender_email", "personEmail", "from_email"]).map(scalar).unwrap_or_default();
    if let [author] = authors.as_mut_slice()
        && author.address.is_empty()
    {
        author.address = address;
    }
    authors
}

/// The name of a value.
fn label(value: &Value) -> String {
    match value {
        Value::Object(object) => first(object, &["name", "displayName", "key", "title", "channelId", "id"]).map(scalar),
        other => Some(scalar(other)),
    }
    .unwrap_or_default()
}
