//! The message that contains a blob or a part of it: who wrote it to whom, where and when.

use super::limited::at_most;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// The maximum number of characters kept of a subject, name or address.
const MAX_TEXT: usize = 1000;

/// The maximum number of people kept in each role (author, recipient, …). Beyond it, one is kept for each further
/// domain, because it matters whether a message left the organisation.
const MAX_PARTIES: usize = 200;

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Medium {
    /// Mail, sent or to be sent.
    Mail,
    /// A patch written by `git format-patch`, without a recipient: it has not been mailed yet.
    Patch,
    /// Chat.
    Chat,
    /// An issue, ticket or page with authors.
    Ticket,
}

impl Medium {
    /// A machine-readable identifier.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Patch => "patch",
            Self::Chat => "chat",
            Self::Ticket => "ticket",
        }
    }
}

/// A sender or recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Party {
    /// The display name; empty if not given.
    pub name: String,
    /// A mail address or a chat user's id; empty if not given.
    pub address: String,
}

/// Where messages other than mail are exchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// True if people from other organisations take part, as far as the export says.
    pub is_external: bool,
}

/// One message. Texts are as written, with encodings decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Its kind.
    pub medium: Medium,
    /// Who wrote it.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub from: Vec<Party>,
    /// Who sent it, if not the author.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub sender: Vec<Party>,
    /// Who receives replies.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub reply_to: Vec<Party>,
    /// The recipients.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub to: Vec<Party>,
    /// Recipients of copies.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub cc: Vec<Party>,
    /// Recipients of blind copies.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub bcc: Vec<Party>,
    /// The mailing list it went through.
    pub list_id: String,
    /// Its date, in RFC 3339 format if it could be parsed; empty if not given.
    pub date: String,
    /// Its subject or title.
    pub subject: String,
    /// Its identifier.
    pub id: String,
    /// The channel or project.
    pub channel: Option<Channel>,
    /// True if the author is from outside the organisation, as far as the export says.
    pub is_from_outside: bool,
    /// Others who take part and are from outside, as far as the export says.
    #[serde(deserialize_with = "at_most::<2000, _, _>")]
    pub guests: Vec<Party>,
    /// The message that this one is attached to or forwarded in.
    pub outer: Option<Arc<Message>>,
}

impl Message {
    /// A message about which nothing is known yet.
    pub fn new(medium: Medium) -> Self {
        Self {
            medium,
            from: vec![],
            sender: vec![],
            reply_to: vec![],
            to: vec![],
            cc: vec![],
            bcc: vec![],
            list_id: String::new(),
            date: String::new(),
            subject: String::new(),
            id: String::new(),
            channel: None,
            is_from_outside: false,
            guests: vec![],
            outer: None,
        }
    }

    /// Everyone it went to.
    pub fn addressees(&self) -> impl Iterator<Item = &Party> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// The message with texts and lists of people cut to what a report shows: the author of a message can put megabytes
    /// into them.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let Self { from, sender, reply_to, to, cc, bcc, guests, .. } = &mut self;
        for list in [from, sender, reply_to, to, cc, bcc, guests] {
            let mut domains = HashSet::new();
            let mut count = 0;
            list.retain(|party| {
                count += 1;
                let is_new = domains.len() < MAX_PARTIES && domains.insert(domain_of(&party.address).to_owned());
                count <= MAX_PARTIES || is_new
            });
            list.shrink_to_fit();
            for party in list {
                *party = Party {
                    name: cut(std::mem::take(&mut party.name)),
                    address: cut(std::mem::take(&mut party.address)),
                };
            }
        }
        for text in [&mut self.list_id, &mut self.date, &mut self.subject, &mut self.id] {
            *text = cut(std::mem::take(text));
        }
        if let Some(channel) = &mut self.channel {
            channel.name = cut(std::mem::take(&mut channel.name));
        }
        self
    }

    /// Its size in memory in bytes, excluding enclosing messages.
    pub fn weight(&self) -> usize {
        let parties = [&self.from, &self.sender, &self.reply_to, &self.to, &self.cc, &self.bcc, &self.guests];
        let party = |party: &Party| size_of::<Party>() + party.name.len() + party.address.len();
        let texts = self.list_id.len() + self.date.len() + self.subject.len() + self.id.len();
        size_of::<Self>() + texts + parties.into_iter().flatten().map(party).sum::<usize>()
    }

    /// A copy with every text passed through `hide`, except those of the enclosing message.
    #[must_use]
    pub fn hide(&self, hide: &impl Fn(&str) -> String) -> Self {
        let text = |text: &String| if text.is_empty() { String::new() } else { hide(text) };
        let text = |whole: &String| {
            let shown = text(whole);
            cut(shown)
        };
        let parties = |parties: &Vec<Party>| {
            let hidden = parties.iter().map(|party| Party { name: text(&party.name), address: text(&party.address) });
            hidden.collect()
        };
        Self {
            medium: self.medium,
            from: parties(&self.from),
            sender: parties(&self.sender),
            reply_to: parties(&self.reply_to),
            to: parties(&self.to),
            cc: parties(&self.cc),
            bcc: parties(&self.bcc),
            list_id: text(&self.list_id),
            date: text(&self.date),
            subject: text(&self.subject),
            id: text(&self.id),
            channel: self
                .channel
                .as_ref()
                .map(|channel| Channel { name: text(&channel.name), is_external: channel.is_external }),
            is_from_outside: self.is_from_outside,
            guests: parties(&self.guests),
            outer: self.outer.clone(),
        }
    }
}

/// A text truncated to [`MAX_TEXT`] characters.
fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        // A copy, so that the rest is freed.
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn domain_of(address: &str) -> &str {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    &domain[..domain.floor_char_boundary(MAX_TEXT)]
}

/// A message around a blob, in its original form and as it may be shown. All findings in the message share both.
#[derive(Debug)]
pub struct Enclosing {
    message: Message,
    outer: Option<Arc<Self>>,
    shown: OnceLock<Arc<Message>>,
}

impl Enclosing {
    /// A message, possibly inside another one.
    pub fn new(message: Message, outer: Option<Arc<Self>>) -> Self {
        Self { message: message.bounded(), outer, shown: OnceLock::new() }
    }

    /// The message and its enclosing messages as returned by `show`, which is called once for each.
    pub fn shown(&self, show: &impl Fn(&Message) -> Message) -> &Arc<Message> {
        self.shown.get_or_init(|| {
            let outer = self.outer.as_ref().map(|outer| outer.shown(show).clone());
            Arc::new(Message { outer, ..show(&self.message) })
        })
    }
}

impl Party {
    /// In the usual form: `Ann <ann@example.com>`.
    pub fn to_text(&self) -> String {
        match (self.name.as_str(), self.address.as_str()) {
            (name, "") => name.to_owned(),
            ("", address) => address.to_owned(),
            (name, address) => format!("{name} <{address}>"),
        }
    }
}
