//! Chats, tickets and mail exported as tables (CSV, RFC 4180): a row is a message, or a ticket with all its comments.

use super::journal::{self, Journal};
use super::people::named;
use super::{Visit, time};
use crate::finding::message::{Channel, Medium, Message, Party};
use csv::{ByteRecord, Reader, ReaderBuilder};
use regex::Regex;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The maximum number of people told of a row.
const MAX_PEOPLE: usize = 50;
/// The maximum length of a value that is told of a row, in bytes.
const MAX_VALUE: usize = 16 << 10;
/// The maximum number of columns.
const MAX_COLUMNS: usize = 2000;
/// The maximum length of the first line, in bytes.
const MAX_HEADER: usize = 64 << 10;

/// What the columns of a program's tables mean. Their names are in lower case.
struct Form {
    /// Columns that together only this program has.
    signs: &'static [&'static str],
    medium: Medium,
    author: &'static [&'static str],
    /// The same person's mail address.
    address: &'static [&'static str],
    date: &'static [&'static str],
    title: &'static [&'static str],
    channel: &'static [&'static str],
    to: &'static [&'static str],
    cc: &'static [&'static str],
}

const FORMS: [Form; 5] = [
    // DiscordChatExporter.
    Form {
        signs: &["authorid", "author", "date", "content"],
        medium: Medium::Chat,
        author: &["author"],
        address: &[],
        date: &["date"],
        title: &[],
        channel: &[],
        to: &[],
        cc: &[],
    },
    // What Discord hands to a user: all messages are that user's.
    Form {
        signs: &["id", "timestamp", "contents", "attachments"],
        medium: Medium::Chat,
        author: &[],
        address: &[],
        date: &["timestamp"],
        title: &[],
        channel: &[],
        to: &[],
        cc: &[],
    },
    // Jira.
    Form {
        signs: &["summary", "issue key", "reporter"],
        medium: Medium::Ticket,
        author: &["reporter", "creator"],
        address: &[],
        date: &["created"],
        title: &["summary"],
        channel: &["project name", "project key"],
        to: &[
            "assignee",
            "reporter",
            "creator",
            "watchers",
            "custom field (customer email)",
            "custom field (request participants)",
        ],
        cc: &[],
    },
    // ServiceNow.
    Form {
        signs: &["number", "short_description", "comments_and_work_notes"],
        medium: Medium::Ticket,
        author: &["opened_by", "caller_id", "sys_created_by"],
        address: &[],
        date: &["opened_at", "sys_created_on"],
        title: &["short_description"],
        channel: &[],
        to: &["caller_id", "caller_id.email", "opened_by", "assigned_to", "watch_list"],
        cc: &[],
    },
    // Outlook.
    Form {
        signs: &["subject", "body", "from: (name)", "from: (address)"],
        medium: Medium::Mail,
        author: &["from: (name)"],
        address: &["from: (address)"],
        date: &["date", "sent"],
        title: &["subject"],
        channel: &[],
        to: &["to: (address)"],
        cc: &["cc: (address)"],
    },
];

/// A row of ImportExportTools, which writes no header: subject, author, recipients, date.
static MAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^"(?:[^"]|"")*","[^"]*@[^"]*","[^"]*@[^"]*",\d{1,4}[./-]\d{1,2}[./-]\d{1,4} \d{1,2}:\d\d"#)
        .expect("a valid regex")
});

/// The names of the columns in the first line.
fn header(text: &[u8]) -> Vec<String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let line = text.get(..end).filter(|line| line.len() <= MAX_HEADER).unwrap_or_default();
    let mut record = ByteRecord::new();
    _ = reader(line).read_byte_record(&mut record);
    record.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect()
}

fn reader(text: &[u8]) -> Reader<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text)
}

fn form(columns: &[String]) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.signs.iter().all(|sign| columns.iter().any(|column| column == sign)))
}

fn has_no_header(text: &[u8]) -> bool {
    let head = text.get(..text.len().min(4096)).unwrap_or_default();
    head.starts_with(b"\"") && MAIL.is_match(&String::from_utf8_lossy(head))
}

/// True if a file is in one of these forms.
pub(super) fn is_known(text: &[u8]) -> bool {
    form(&header(text)).is_some() || has_no_header(text)
}

/// Calls `visit` for each of `offsets` (in ascending order) that is in a message.
pub(super) fn messages(path: &[u8], text: &[u8], offsets: &[usize], visit: Visit) {
    let columns = header(text);
    let form = form(&columns);
    let mut wanted = offsets.iter().copied().enumerate().peekable();
    let mut reader = reader(text);
    let mut row = ByteRecord::new();
    loop {
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        if wanted.peek().is_none() || !reader.read_byte_record(&mut row).unwrap_or(false) {
            return;
        }
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        if wanted.peek().is_none_or(|(_, offset)| *offset >= end) {
            continue;
        }
        let known = form.map(|form| Row::new(form, &columns, &row));
        let is_ticket = form.is_some_and(|form| form.medium == Medium::Ticket);
        let bytes = text.get(start..end.min(text.len())).filter(|_| is_ticket).unwrap_or_default();
        let journals = [&journal::JIRA, &journal::SERVICE_NOW].map(|head| Journal::new(bytes, head));
        let whole = match &known {
            Some(known) => known.message(path),
            None => mail_without_header(&row),
        };
        let whole = whole.bounded();
        while let Some((number, offset)) = wanted.next_if(|(_, offset)| *offset < end) {
            let comment = journals.iter().find_map(|journal| journal.entry(offset.saturating_sub(start)));
            let message = match (&known, comment) {
                (Some(known), Some(comment)) => known.comment(whole.clone(), comment),
                _ => whole.clone(),
            };
            visit(number, message.bounded());
        }
    }
}

fn text_of(row: &ByteRecord, index: usize) -> String {
    let text = row.get(index).unwrap_or_default();
    String::from_utf8_lossy(text.get(..text.len().min(MAX_VALUE)).unwrap_or_default()).into_owned()
}

fn mail_without_header(row: &ByteRecord) -> Message {
    let text = |index| text_of(row, index);
    Message {
        subject: text(0),
        from: named(&text(1)),
        to: named(&text(2)),
        date: time::written(&text(3)),
        ..Message::new(Medium::Mail)
    }
}

struct Row<'a> {
    form: &'static Form,
    /// Name and value of each column; several may have the same name.
    values: Vec<(&'a str, String)>,
}

impl<'a> Row<'a> {
    /// A comment in the ticket that `whole` tells of, with this time and author.
    fn comment(&self, whole: Message, (date, author): (String, String)) -> Message {
        let author = self.by_id().get(author.as_str()).copied().unwrap_or(&author).to_owned();
        let from = named(&author);
        let to = whole.from.iter().chain(&whole.to).filter(|party| !from.contains(party)).cloned();
        let mut people: Vec<Party> = Vec::new();
        for party in to {
            if !people.contains(&party) {
                people.push(party);
            }
        }
        Message { from, date, to: people, ..whole }
    }

    fn new(form: &'static Form, columns: &'a [String], row: &ByteRecord) -> Self {
        let columns = columns.iter().take(MAX_COLUMNS).enumerate();
        let values = columns.map(|(index, name)| (name.as_str(), text_of(row, index)));
        Self { form, values: values.filter(|(_, value)| !value.is_empty()).collect() }
    }

    fn all(&self, names: &'static [&'static str]) -> impl Iterator<Item = &str> {
        let of = |name: &&'static str| {
            let name = *name;
            self.values.iter().filter(move |(column, _)| *column == name).map(|(_, value)| value.as_str())
        };
        names.iter().flat_map(of)
    }

    fn first(&self, names: &'static [&'static str]) -> &str {
        self.all(names).next().unwrap_or_default()
    }

    /// People by the ids in their own columns: `Assignee` and `Assignee Id`.
    fn by_id(&self) -> HashMap<&str, &str> {
        let names: HashMap<_, _> = self.values.iter().map(|(column, value)| (*column, value.as_str())).collect();
        let ids =
            self.values.iter().filter_map(|(column, id)| Some((id.as_str(), *names.get(column.strip_suffix(" id")?)?)));
        ids.collect()
    }

    /// The message of the row, or the ticket.
    fn message(&self, path: &[u8]) -> Message {
        let (date, author) = (time::written(self.first(self.form.date)), self.first(self.form.author).to_owned());
        let address = self.first(self.form.address);
        let from = if address.contains('@') {
            vec![Party { name: author, address: address.to_owned() }]
        } else {
            named(&author)
        };
        let list = |names| -> Vec<Party> {
            let people = self.all(names).flat_map(|people| people.split(',')).take(MAX_PEOPLE).flat_map(named);
            let mut list: Vec<Party> = Vec::new();
            for party in people {
                if !list.contains(&party) {
                    list.push(party);
                }
            }
            list
        };
        let channel = self.first(self.form.channel);
        let channel = match self.form.medium {
            Medium::Chat => file_name(path),
            _ => channel.to_owned(),
        };
        Message {
            to: list(self.form.to),
            cc: list(self.form.cc),
            date,
            subject: self.first(self.form.title).to_owned(),
            channel: (!channel.is_empty()).then_some(Channel { name: channel, is_external: false }),
            from,
            ..Message::new(self.form.medium)
        }
    }
}

/// A file is named after its channel: `Guild - Category - channel [id].csv`.
fn file_name(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".csv");
    name.split(" [").next().unwrap_or_default().to_owned()
}
