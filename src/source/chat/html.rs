//! Chats, pages and mail exported as HTML, by the marks that their programs put around authors and times.

use super::people::named;
use super::{Visit, time};
use crate::finding::message::{Channel, Medium, Message, Party};
use memchr::memmem;
use regex::Regex;
use std::sync::LazyLock;

/// How much of a file is searched for what shows which program wrote it, in bytes.
const MAX_HEAD: usize = 1 << 20;
/// The maximum number of people told of a conversation.
const MAX_PEOPLE: usize = 10;

/// What only one program writes: Telegram, `DiscordChatExporter`, Confluence, Thunderbird's ImportExportTools.
const SIGNS: [&str; 4] = [
    "class=\"pull_right date details\"",
    "chatlog__message",
    "id=\"main-content\" class=\"wiki-content",
    "class=\"header-part1 moz-main-header\"",
];

/// How a program writes messages. What stands last before a place counts.
struct Form {
    medium: Medium,
    author: Regex,
    date: Regex,
    channel: Regex,
    /// Recipients, copies and subject, of mail.
    mail: Option<[Regex; 3]>,
}

/// In the order of [`SIGNS`].
static FORMS: LazyLock<[Form; 4]> = LazyLock::new(|| {
    let regex = |text: &str| Regex::new(text).expect("a valid regex");
    let header = |name: &str| regex(&format!(r"<b>{name}: ?</b>([^\n]*?)</td>"));
    [
        Form {
            medium: Medium::Chat,
            author: regex(r#"<div class="from_name">\s*([^<]{1,200}?)\s*<"#),
            date: regex(r#"class="pull_right date details" title="([^"]{1,60})""#),
            channel: regex(r#"<div class="text bold">\s*([^<]{1,200}?)\s*<"#),
            mail: None,
        },
        Form {
            medium: Medium::Chat,
            author: regex(r#"class="?chatlog__author"?[^>]*>([^<]{1,200})<"#),
            date: regex(r#"class="?chatlog__timestamp"?[^>]*title="([^"]{1,60})""#),
            channel: regex(
                r#"(?s:class="?preamble__entry"?>[^<]*</div>\s*<div class="?preamble__entry"?>)([^<]{1,200})<"#,
            ),
            mail: None,
        },
        Form {
            medium: Medium::Ticket,
            author: regex(r"<span class='(?:author|editor)'> ?([^<]{1,200})</span>"),
            date: regex(r"</span> on ([A-Z][a-z]{2} \d\d, \d{4})"),
            channel: regex(r#"<span id="title-text">\s*([^<]{1,200}?)\s*</span>"#),
            mail: None,
        },
        Form {
            medium: Medium::Mail,
            author: header("From"),
            date: header("Date"),
            channel: regex(r"\A\z."),
            mail: Some([header("To"), header("CC"), header("Subject")]),
        },
    ]
});

/// The author and time of a comment in Confluence stand after it.
static AFTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Posted by ([^<\n]{1,100}?) at ([A-Z][a-z]{2} \d\d, \d{4} \d\d:\d\d)").expect("a valid regex")
});

fn form(text: &[u8]) -> Option<&'static Form> {
    let head = text.get(..text.len().min(MAX_HEAD)).unwrap_or_default();
    let index = SIGNS.iter().position(|sign| memmem::find(head, sign.as_bytes()).is_some())?;
    FORMS.get(index)
}

/// True if a file is in one of these forms.
pub(super) fn is_known(text: &[u8]) -> bool {
    form(text).is_some()
}

/// Calls `visit` for each of `offsets` (in ascending order) that is in a message.
pub(super) fn messages(text: &[u8], offsets: &[usize], visit: Visit) {
    let (Some(form), Ok(text)) = (form(text), std::str::from_utf8(text)) else { return };
    let all = |regex: &'static Regex| regex.captures_iter(text).filter_map(|found| found.get(1));
    let authors: Vec<(usize, &str)> = all(&form.author).map(|found| (found.start(), found.as_str())).collect();
    let dates: Vec<(usize, &str)> = all(&form.date).map(|found| (found.start(), found.as_str())).collect();
    let channel = all(&form.channel).next().map(|found| unescaped(found.as_str()));
    let mut people: Vec<&str> = authors.iter().map(|(_, who)| *who).collect();
    people.sort_unstable();
    people.dedup();
    people.truncate(MAX_PEOPLE);
    let first_comment = text.find("id=\"comments\"").filter(|_| form.medium == Medium::Ticket).unwrap_or(text.len());
    let posted = AFTER.captures_iter(text.get(first_comment..).unwrap_or_default());
    let comments: Vec<(usize, String, String)> = posted
        .map(|found| {
            let at = first_comment + found.get(0).map_or(0, |all| all.start());
            (at, unescaped(&found[1]), unescaped(&found[2]))
        })
        .collect();
    let fields = form.mail.as_ref().map(|fields| {
        fields.each_ref().map(|field| field.captures(text).map(|found| unescaped(&found[1])).unwrap_or_default())
    });
    for (number, &offset) in offsets.iter().enumerate() {
        let before = |list: &[(usize, &str)]| {
            let index = list.partition_point(|(at, _)| *at < offset);
            index.checked_sub(1).and_then(|index| list.get(index)).map(|(_, what)| unescaped(what))
        };
        let next = comments.partition_point(|(at, ..)| *at < offset);
        let posted = comments.get(next).filter(|_| offset > first_comment);
        let (author, date) = match posted {
            Some((_, author, date)) => (Some(author.clone()), Some(date.clone())),
            None => (before(&authors), before(&dates)),
        };
        let Some(author) = author else { continue };
        let party = |name: &str| Party { name: name.to_owned(), address: String::new() };
        let message = Message {
            date: date.map(|date| time::written(&date)).unwrap_or_default(),
            channel: channel.clone().map(|name| Channel { name, is_external: false }),
            ..Message::new(form.medium)
        };
        let message = match &fields {
            Some([to, cc, subject]) => Message {
                from: named(&author),
                to: named(to),
                cc: named(cc),
                subject: subject.clone(),
                channel: None,
                ..message
            },
            None => {
                let others = people.iter().map(|name| unescaped(name)).filter(|name| *name != author);
                Message { to: others.map(|name| party(&name)).collect(), from: vec![party(&author)], ..message }
            }
        };
        visit(number, message.bounded());
    }
}

/// Text with its references replaced.
fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), |text| text.trim().to_owned())
}
