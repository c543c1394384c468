//! A message in which a blob or a part of it stands: who wrote it to whom, where and when.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// Of a subject, name or address no more is kept, in characters.
const MAX_TEXT: usize = 1000;

/// So many people are kept of those that a message went to, or came from, in one way; after them, one for each further
/// domain, since it counts whether a message left the organisation.
const MAX_PARTIES: usize = 200;

/// What kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Medium {
    /// Mail that was sent, or was to be.
    Mail,
    /// A patch as `git format-patch` writes it, without an addressee: nobody has mailed it yet.
    Patch,
    /// Chat.
    Chat,
    /// An issue, ticket or page with authors.
    Ticket,
}

impl Medium {
    /// A word for machines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Patch => "patch",
            Self::Chat => "chat",
            Self::Ticket => "ticket",
        }
    }
}

/// Somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// As shown to people; empty if not given.
    pub name: String,
    /// A mail address, or what names a user of a chat; empty if not given.
    pub address: String,
}

/// Where messages are exchanged that are not mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// True if people of other organisations take part in it, so far as the export tells.
    pub is_external: bool,
}

/// One message. Texts are as they were written, with encodings undone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// What kind.
    pub medium: Medium,
    /// Who wrote it.
    pub from: Vec<Party>,
    /// Who sent it, if somebody else.
    pub sender: Vec<Party>,
    /// Who gets the answers.
    pub reply_to: Vec<Party>,
    /// To whom.
    pub to: Vec<Party>,
    /// To whom else.
    pub cc: Vec<Party>,
    /// To whom unseen by the others.
    pub bcc: Vec<Party>,
    /// The mailing list it went through.
    pub list_id: String,
    /// When, as RFC 3339 where it could be told; empty if not given.
    pub date: String,
    /// What about.
    pub subject: String,
    /// Its own name.
    pub id: String,
    /// The channel or project.
    pub channel: Option<Channel>,
    /// True if the author is not one of the organisation's own, so far as the export tells.
    pub is_from_outside: bool,
    /// The message that this one is attached to or forwarded in.
    pub outer: Option<Arc<Message>>,
}

impl Message {
    /// A message of which nothing is known yet.
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
            outer: None,
        }
    }

    /// Everyone it went to.
    pub fn addressees(&self) -> impl Iterator<Item = &Party> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// The same with no more of each text, and no more people, than a report shows: whoever writes a message may write
    /// megabytes of them.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for list in [&mut self.from, &mut self.sender, &mut self.reply_to, &mut self.to, &mut self.cc, &mut self.bcc] {
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

    /// What it takes in memory, in bytes, without the messages that it is in.
    pub fn weight(&self) -> usize {
        let parties = [&self.from, &self.sender, &self.reply_to, &self.to, &self.cc, &self.bcc];
        let party = |party: &Party| size_of::<Party>() + party.name.len() + party.address.len();
        let texts = self.list_id.len() + self.date.len() + self.subject.len() + self.id.len();
        size_of::<Self>() + texts + parties.into_iter().flatten().map(party).sum::<usize>()
    }

    /// The same with every text passed through `hide`; but for the message that it is in.
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
            outer: self.outer.clone(),
        }
    }
}

/// A text without its end if it is longer than [`MAX_TEXT`].
fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        // A copy, so that the rest is not kept.
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn domain_of(address: &str) -> &str {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    &domain[..domain.floor_char_boundary(MAX_TEXT)]
}

/// A message around a blob: as it is, and as it may be shown. All that is found in it shares both.
#[derive(Debug)]
pub struct Enclosing {
    message: Message,
    outer: Option<Arc<Self>>,
    shown: OnceLock<Arc<Message>>,
}

impl Enclosing {
    /// A message that may itself be in another one.
    pub fn new(message: Message, outer: Option<Arc<Self>>) -> Self {
        Self { message: message.bounded(), outer, shown: OnceLock::new() }
    }

    /// What `show` makes of the message, and of those that it is in. It is asked once.
    pub fn shown(&self, show: &impl Fn(&Message) -> Message) -> &Arc<Message> {
        self.shown.get_or_init(|| {
            let outer = self.outer.as_ref().map(|outer| outer.shown(show).clone());
            Arc::new(Message { outer, ..show(&self.message) })
        })
    }
}

impl Party {
    /// As people write it: `Ann <ann@example.com>`.
    pub fn to_text(&self) -> String {
        match (self.name.as_str(), self.address.as_str()) {
            (name, "") => name.to_owned(),
            ("", address) => address.to_owned(),
            (name, address) => format!("{name} <{address}>"),
        }
    }
}
