//! Authors, recipients, channels and times, by the field names in the services' exports.

use crate::finding::message::{Channel, Medium, Message, Party};
use crate::text::json::Around;
use serde_json::{Map, Value};

const AUTHORS: [&str; 24] = [
    "u",
    "sender_name",
    "senderName",
    "sender_full_name",
    "personEmail",
    "memberCreator",
    "sys_created_by",
    "from_email",
    "sender_email",
    "posted_by",
    "from",
    "author",
    "user",
    "sender",
    "creator",
    "reporter",
    "submitter",
    "created_by",
    "createdBy",
    "username",
    "user_profile",
    "requester",
    "author_id",
    "userId",
];
const RECIPIENTS: [&str; 8] =
    ["to", "recipient", "recipients", "assignee", "cc", "to_emails", "toPersonEmail", "participants"];
const CHANNELS: [&str; 15] = [
    "display_recipient",
    "stream",
    "room_name",
    "roomId",
    "rid",
    "board",
    "channel",
    "channel_name",
    "channelIdentity",
    "room",
    "conversation",
    "project",
    "space",
    "guild",
    "chatId",
];
const TIMES: [&str; 22] = [
    "create_at",
    "created_date",
    "origin_server_ts",
    "timestamp_ms",
    "date_sent",
    "sentDateTime",
    "sys_created_on",
    "created_on",
    "date_created",
    "dateCreated",
    "ts",
    "timestamp",
    "created",
    "created_at",
    "createdAt",
    "createdDateTime",
    "date",
    "sent",
    "sent_at",
    "time",
    "pubDate",
    "when",
];
const TITLES: [&str; 4] = ["subject", "summary", "title", "topic"];
const TEXTS: [&str; 24] = [
    "msg",
    "raw",
    "note",
    "notes",
    "body_text",
    "description_text",
    "formatted_body",
    "text",
    "body",
    "content",
    "message",
    "comment",
    "comments",
    "description",
    "plain_body",
    "html_body",
    "value",
    "blocks",
    "attachments",
    "fields",
    "summary",
    "subject",
    "embeds",
    "renderedBody",
];
/// Fields that only tickets and pages have.
const OF_TICKETS: [&str; 10] = [
    "summary",
    "issuetype",
    "ticket_id",
    "status",
    "priority",
    "reporter",
    "submitter",
    "resolution",
    "requester",
    "space",
];
const NAMES: [&str; 10] = [
    "fullName",
    "full_name",
    "displayName",
    "display_name",
    "real_name",
    "name",
    "nickname",
    "username",
    "login",
    "global_name",
];
const ADDRESSES: [&str; 6] = ["emailAddress", "email", "mail", "userPrincipalName", "address", "id"];

/// The message around a place: the innermost object that has an author and a time, if the place is in its text.
pub(super) fn message(around: &[&Around]) -> Option<Message> {
    let is_message =
        |around: &&&Around| first(&around.object, &AUTHORS).is_some() && first(&around.object, &TIMES).is_some();
    let at = around.iter().position(|object| is_message(&object))?;
    if !around[..=at].iter().any(|object| TEXTS.contains(&object.key.as_str())) {
        return None;
    }
    let outwards = || around[at..].iter().map(|around| &around.object);
    let any = |names: &[&str]| outwards().find_map(|object| first(object, names).cloned());
    let own = &around[at].object;
    let is_ticket = outwards().any(|object| OF_TICKETS.iter().any(|name| object.contains_key(*name)));
    // A conversation is named beside its messages.
    let conversation = || {
        let around = outwards().find(|object| object.contains_key("messages"))?;
        first(around, &["name", "title"]).cloned()
    };
    let channel = any(&CHANNELS).or_else(conversation);
    let channel = channel.map(|value| Channel { name: label(&value), is_external: false });
    Some(Message {
        from: authors(own),
        to: any(&RECIPIENTS).as_ref().map(parties).unwrap_or_default(),
        date: first(own, &TIMES).map(moment).unwrap_or_default(),
        subject: any(&TITLES).map(|value| label(&value)).unwrap_or_default(),
        id: own.get("id").or(own.get("key")).map(label).unwrap_or_default(),
        channel: channel.filter(|channel| !channel.name.is_empty()),
        ..Message::new(if is_ticket { Medium::Ticket } else { Medium::Chat })
    })
}

/// Who wrote a message. Some services have the name and the address in fields of their own.
fn authors(message: &Map<String, Value>) -> Vec<Party> {
    let mut authors = first(message, &AUTHORS).map(parties).unwrap_or_default();
    let address = first(message, &["sender_email", "personEmail", "from_email"]).map(scalar).unwrap_or_default();
    if let [author] = authors.as_mut_slice()
        && author.address.is_empty()
    {
        author.address = address;
    }
    authors
}

fn first<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().filter_map(|name| object.get(*name)).find(|value| !value.is_null())
}

/// The people that a value names: a string, an object that describes a person, or a list of either.
fn parties(value: &Value) -> Vec<Party> {
    match value {
        Value::Array(values) => values.iter().take(100).flat_map(parties).collect(),
        Value::Object(object) => {
            let text = |names: &[&str]| first(object, names).map(scalar).unwrap_or_default();
            let party = Party { name: text(&NAMES), address: text(&ADDRESSES) };
            let inner = || first(object, &["user", "application", "emailAddress", "author"]).map(parties);
            if party.name.is_empty() && first(object, &ADDRESSES[..5]).is_none_or(Value::is_object) {
                inner().unwrap_or_else(|| vec![party])
            } else {
                vec![party]
            }
        }
        other => {
            let text = scalar(other);
            let is_address = text.contains('@') && !text.contains(' ');
            let (name, address) = if is_address { (String::new(), text) } else { (text, String::new()) };
            vec![Party { name, address }]
        }
    }
}

/// The name of a value.
fn label(value: &Value) -> String {
    match value {
        Value::Object(object) => first(object, &["name", "displayName", "key", "title", "channelId", "id"]).map(scalar),
        other => Some(scalar(other)),
    }
    .unwrap_or_default()
}

fn scalar(value: &Value) -> String {
    match value {
        // As databases write times.
        Value::Object(object) => object.get("$date").map(scalar).unwrap_or_default(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A time in RFC 3339 format if it is in seconds or milliseconds since 1970, otherwise unchanged.
pub(super) fn moment(value: &Value) -> String {
    let text = scalar(value);
    let Ok(number) = text.split('.').next().unwrap_or_default().parse::<i64>() else { return text };
    // Seconds reach this number in the year 5138, milliseconds did in 1973.
    let seconds = if number > 100_000_000_000 { number / 1000 } else { number };
    jiff::Timestamp::from_second(seconds).map_or(text, |moment| moment.to_string())
}
