//! Settings that send mail or chat messages, and templates of mail: tasks of Ansible, steps of GitHub's workflows.

use super::mailer;
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// The maximum length of a task or step, in bytes.
const MAX_LENGTH: usize = 8 << 10;

/// The maximum number of bytes looked at in the tasks of one text, which may be nested.
const MAX_WORK: usize = 1 << 20;

/// A task that sends, or a step that uses an action that does.
static TASK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x-u)^(?<indent>[\x20]*)(?:-[\x20]+)?(?:
            (?<module>(?:community\.general\.)?(?:mail|slack|telegram|mattermost|rocketchat|discord|office_365_connector_card))[\x20]*:[\x20]*\r?$
            | uses:[\x20]*(?<action>[\w.-]*/[\w./-]*(?:slack|send-mail|sendmail|telegram|discord|teams)[\w./-]*)
        )",
    )
    .expect("a valid regex")
});

/// A key of a mapping, with its indentation.
static KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?-u)^( *)(?:- +)?["']?([\w.-]+)["']?\s*:(?:\s|$)"#).expect("a valid regex"));

/// Keys whose values are sent.
const BODIES: [&str; 13] = [
    "body",
    "html_body",
    "html",
    "msg",
    "message",
    "text",
    "subject",
    "payload",
    "custom_payload",
    "slack-message",
    "attachments",
    "blocks",
    "args",
];

/// Names of secrets that are put into what tasks send which may start in some lines of a text: the name of the task,
/// where it stands, and the secret's name.
pub(super) fn sent(text: &[u8], lines: &[Range<usize>]) -> Vec<(String, Range<usize>, String)> {
    let mut sent = Vec::new();
    let mut left = MAX_WORK;
    for line in lines {
        let bytes = &text[line.clone()];
        // Cheaper than the regex, which few lines match.
        if !bytes.trim_ascii_end().ends_with(b":") && memchr::memmem::find(bytes, b"uses:").is_none() {
            continue;
        }
        let Some(task) = TASK.captures(bytes) else { continue };
        let Some(name) = task.name("module").or(task.name("action")) else { continue };
        let place = line.start + name.start()..line.start + name.end();
        let indent = task["indent"].len();
        let is_step = task.name("action").is_some();
        let rest = &text[place.end..text.len().min(place.end + MAX_LENGTH)];
        // The indentation of the key whose value is sent.
        let mut body: Option<usize> = None;
        for (number, line) in rest.split_inclusive(|byte| *byte == b'\n').enumerate() {
            left = left.saturating_sub(line.len() + 1);
            if left == 0 {
                return sent;
            }
            let own = line.iter().take_while(|byte| **byte == b' ').count();
            let is_blank = line.trim_ascii().is_empty();
            // The first line is the rest of the task's own.
            if number == 0 || is_blank {
                continue;
            }
            if own < indent || own == indent && (!is_step || line[own..].starts_with(b"- ")) {
                break;
            }
            if body.is_none_or(|body| own <= body) {
                body =
                    KEY.captures(line).filter(|key| BODIES.iter().any(|name| name.as_bytes() == &key[2])).map(|_| own);
            }
            if body.is_some()
                && let Some(secret) = put_in(line)
            {
                sent.push((String::from_utf8_lossy(name.as_bytes()).into_owned(), place.clone(), secret));
                break;
            }
        }
    }
    sent
}

/// True if a file is a template of a mail, by its path.
pub(super) fn is_template(path: &[u8]) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        let kinds = "j2|jinja2?|erb|tmpl|tpl|gotmpl|mustache|hbs|handlebars|ejs|ftl|liquid|twig|html?|txt|mjml|eml";
        let dirs = r"(?:e-?)?mails?|mailers?|[\w-]*_mailer|(?:e-?)?mail[_-]templates?";
        Regex::new(&format!(r"(?i-u)(?:^|/)(?:[^/]*mail[^/]*|(?:{dirs})/[^/]+?)(?:\.html|\.txt)?\.(?:{kinds})$"))
            .expect("a valid regex")
    });
    NAME.is_match(path)
}

/// The secrets that a template puts into a mail: where, and their names.
pub(super) fn in_template(text: &[u8]) -> Vec<(Range<usize>, String)> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = put_in(line)
            && let Some(offset) = memchr::memmem::find(line, name.as_bytes())
        {
            found.push((at + offset..at + offset + name.len(), name));
        }
        at += line.len();
    }
    found
}

/// The name of a secret of AWS in `{{ … }}`, `<%= … %>` or `${ … }`.
fn put_in(line: &[u8]) -> Option<String> {
    static PUT_IN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?-u)(?:\{\{|<%=|\$\{)([^{}%]{0,200}?)(?:\}|%>)").expect("a valid regex"));
    PUT_IN.captures_iter(line).find_map(|expression| mailer::aws_secret_in(&expression[1]))
}
