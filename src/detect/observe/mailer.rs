//! Code and scripts that send a credential by mail or chat, in plain text or from a variable or file.
//!
//! ```text
//! a call or command that sends ─► what it sends: its arguments, or the pipe and here-document around it
//!                                 and the statements that set the variables in them
//!                              ─► is there a secret in it, or the name of one?
//! ```
//! It parses no language: brackets, quotes and line ends show where things end in all of them. Credentials used to log
//! in to a service are not sent to anyone, and not reported.

use super::{Observation, Surroundings, mail_block};
use crate::detect::finder::literals::Literals;
use crate::finding::Times;
use crate::rule::{Finder, Severity};
use memchr::memmem;
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

/// Maximum length read of one call or statement, in bytes.
const MAX_LENGTH: usize = 8 << 10;
/// How far before a call the statements that set its variables are searched for, in bytes.
const REACH: usize = 16 << 10;
/// Maximum number of calls examined in one text.
const MAX_CALLS: usize = 1000;

/// Functions that send mail or chat messages, in any language.
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x-u)\b(
            sendmail | sendMail | SendMail(?:Async)? | send_mail | send_email | sendEmail | SendEmail(?:Async)? | send_message
            | send_raw_email | sendRawEmail | SendRawEmail | send_mass_mail | chat_postMessage | chat\.postMessage
            | Transport\.send | (?:[mM]ail|javaMail|email|Email)Sender\.send
            | (?:slack|sns|webhook|Webhook|discord|teams)\w*(?:\.\w+)?\.(?:send|post|publish|notify|chat_postMessage)
        )\s*\(",
    )
    .expect("a valid regex")
});

/// Functions that send to any address; it must be that of a chat service.
static POST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x-u)\b(requests\.post | axios\.post | httpx\.post | http\.Post | fetch | urlopen | \$http\.post)\s*\(",
    )
    .expect("a valid regex")
});

/// The address of a chat service.
static CHAT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i-u)hooks\.slack\.com|slack\.com/api/chat|discord(?:app)?\.com/api/webhooks|webhook\.office\.com|api\.telegram\.org|(?:slack|discord|teams|chat)[\w.]*(?:url|hook)")
        .expect("a valid regex")
});

/// Commands that send mail or chat messages, where a command may occur.
static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?xm-u)(?: ^[\x20\t]*(?:-[\x20]|run:[\x20]*|RUN[\x20])?[\x20\t]* | [|;&(`][\x20\t]* | \b(?:then|do|else|sudo)[\x20] )
        (?: [A-Z_]+=\S*[\x20] )*
        (
            (?:mail|mailx|s-nail)[\x20]+(?:-[a-zA-Z]|["']?[\w.+-]+@|["']?\$)
            | (?:mutt|neomutt|mpack|swaks|ssmtp|msmtp|sendEmail|sendmail|slackcat)[\x20]+\S
            | Send-MailMessage\b
            | aws[\x20]+(?:--\S+[\x20]+\S+[\x20]+)*(?:ses[\x20]+send-(?:raw-)?email|sesv2[\x20]+send-email|sns[\x20]+publish)\b
            | (?:curl|wget|Invoke-RestMethod|Invoke-WebRequest|iwr|irm)[\x20]+\S
        )"#,
    )
    .expect("a valid regex")
});

/// The name of a secret, or of a file in which AWS delivers or keeps secrets.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x-u)
        (?<variable> aws_iam_access_key\.[\w-]+(?:\[\w+\])?\.secret\b | [A-Za-z0-9_]*(?: SECRET_(?:ACCESS_)?KEY | [sS]ecret_(?:access_)?key | [sS]ecret(?:Access)?Key ) [A-Za-z0-9_]* )
        | (?<file> [~\w./-]*(?: rootkey[\w()\x20-]*\.csv | accessKeys\.csv | new_user_credentials\.csv | \.aws/credentials ))",
    )
    .expect("a valid regex")
});

/// True if the word `secret`, whose `ecret` is at offset `at`, is in the name of a secret key that may stand for its
/// value: not the name of a setting that is assigned, nor a word in quotes. Called for every such word in every file.
pub fn names_value(text: &[u8], at: usize) -> bool {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    // Terraform: `${aws_iam_access_key.deploy.secret}`.
    let line = &text[at.saturating_sub(80)..at];
    if text[at + 5..].first() == Some(&b'}') && memmem::rfind(line, b"aws_iam_access_key.").is_some() {
        return true;
    }
    let word = &text[at + 5..text.len().min(at + 60)];
    let word = word.strip_prefix(b"_").unwrap_or(word);
    let access = ["access_", "ACCESS_", "Access"].iter().find_map(|part| word.strip_prefix(part.as_bytes()));
    let word = access.unwrap_or(word);
    if ![&b"key"[..], b"KEY", b"Key"].iter().any(|part| word.starts_with(part)) {
        return false;
    }
    let after = &word[word.iter().position(|b| !is_part(b)).unwrap_or(word.len())..];
    let from = at.saturating_sub(60);
    let start = text[from..at].iter().rposition(|b| !is_part(b)).map_or(from, |before| from + before + 1);
    let before = &text[start.saturating_sub(40)..start];
    if let Some(before) = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")) {
        return LOOK_UPS.iter().any(|call| before.trim_ascii_end().ends_with(call.as_bytes()));
    }
    let after = after.trim_ascii_start();
    let is_set = after.starts_with(b":") || after.starts_with(b"=") && !after.starts_with(b"==");
    !is_set || before.ends_with(b"{") || before.ends_with(b"$")
}

/// What precedes a name in quotes if its value is meant.
const LOOK_UPS: [&str; 10] =
    ["environ[", "environ.get(", "getenv(", "Getenv(", "env(", "ENV[", "env[", "GetEnvironmentVariable(", "[", ".get("];

/// The name of a secret of AWS in an expression.
pub(super) fn aws_secret_in(expression: &[u8]) -> Option<String> {
    let found = NAME.captures_iter(expression).find_map(|captures| captures.name("variable"))?;
    let name = String::from_utf8_lossy(found.as_bytes()).into_owned();
    let lower = String::from_utf8_lossy(expression).to_lowercase();
    (lower.contains("access") || lower.contains("aws")).then_some(name)
}

/// The credentials that the text sends.
pub(super) fn observe(text: &[u8], around: &Surroundings) -> Vec<Observation> {
    let file = text;
    let lines = lines_that_may_send(text);
    let mut seen: Vec<Observation> = mail_block::sent(file, &lines)
        .into_iter()
        .map(|(task, span, name)| observation(&task, span, &Sent::Named(name)))
        .collect();
    if around.path.is_some_and(mail_block::is_template) {
        let secrets = mail_block::in_template(file).into_iter();
        seen.extend(secrets.map(|(span, name)| observation("template of a mail", span, &Sent::Named(name))));
    }
    let text = Source { text, secrets: around.secrets };
    let mut left = MAX_CALLS;
    for line in lines {
        let bytes = &text.text[line.clone()];
        let in_text = |found: regex::bytes::Match| found.start() + line.start..found.end() + line.start;
        let calls = CALL.captures_iter(bytes).chain(POST.captures_iter(bytes));
        let calls: Vec<_> = calls.take(left).filter_map(|captures| Some(in_text(captures.get(1)?))).collect();
        let commands = COMMAND.captures_iter(bytes).take(left);
        let commands: Vec<_> = commands.filter_map(|captures| Some(in_text(captures.get(1)?))).collect();
        left = left.saturating_sub(calls.len() + commands.len());
        seen.extend(calls.into_iter().filter_map(|name| text.call(name)));
        seen.extend(commands.into_iter().filter_map(|name| text.command(name)));
    }
    seen.sort_by_key(|seen| seen.span.start);
    seen.dedup_by(|a, b| a.span.start < b.span.end);
    seen
}

/// The lines with one of the words that every sending call or command contains; most texts have none.
fn lines_that_may_send(text: &[u8]) -> Vec<Range<usize>> {
    static WORDS: LazyLock<Literals> = LazyLock::new(|| {
        let words = [
            "mail",
            "Mail",
            "mutt ",
            "mpack ",
            "swaks ",
            "smtp ",
            "slack",
            "sns.",
            "sns ",
            "webhook",
            "Webhook",
            "send_message",
            "discord",
            "teams",
            "postMessage",
            "post(",
            "Post(",
            "fetch(",
            "urlopen(",
            "curl ",
            "wget ",
            "Invoke-",
            "iwr ",
            "irm ",
            "Transport.",
            "Sender.",
            "telegram",
            "mattermost",
            "rocketchat",
        ];
        Literals::new(words.map(|word| word.as_bytes().to_vec()).to_vec())
    });
    let mut words = Vec::new();
    WORDS.find(text, &mut words);
    let mut lines: Vec<Range<usize>> = Vec::new();
    for (at, _) in words {
        if lines.last().is_some_and(|line| at < line.end) {
            continue;
        }
        let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
        lines.push(start..end);
    }
    lines
}

/// A credential that is sent.
enum Sent {
    Clear,
    Named(String),
}

#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a [u8],
    /// Byte ranges of secrets, in order.
    secrets: &'a [Range<usize>],
}

impl Source<'_> {
    /// A call of the function whose name is at `name`.
    fn call(self, name: Range<usize>) -> Option<Observation> {
        let open = name.end + memchr::memchr(b'(', &self.text[name.end..])?;
        let function = String::from_utf8_lossy(&self.text[name.clone()]).into_owned();
        // A definition sends nothing, nor does commented-out code.
        let line = &self.text[self.line_start(name.start)..name.start];
        let starts = |word: &str| line.trim_ascii_start().starts_with(word.as_bytes());
        if ["def ", "function ", "func ", "#", "//", "*", "async def "].into_iter().any(starts) {
            return None;
        }
        // Queues also send messages.
        let is_mail = || {
            [&b"smtp"[..], b"SMTP", b"MIMEText", b"EmailMessage"]
                .iter()
                .any(|word| memmem::find(self.text, word).is_some())
        };
        if function == "send_message" && !line.ends_with(b"bot.") && !is_mail() {
            return None;
        }
        let arguments = open..self.closing(open);
        let is_post = POST.is_match(&self.text[name.start..arguments.end.min(open + 1)]);
        if is_post && !CHAT.is_match(&self.text[arguments.clone()]) {
            return None;
        }
        let sent = self.sent_in(&arguments, Syntax::Code).or_else(|| self.sent_through(&arguments, 2));
        sent.map(|sent| observation(&function, name, &sent))
    }

    /// An invocation of the command whose name is at `name`.
    fn command(self, name: Range<usize>) -> Option<Observation> {
        let mut line = self.logical_line(name.start);
        let words = String::from_utf8_lossy(&self.text[name.clone()]);
        let words: Vec<&str> = words.split_whitespace().collect();
        let command = match words.as_slice() {
            ["aws", .., service, verb] => format!("aws {service} {verb}"),
            [first, ..] => (*first).to_owned(),
            [] => return None,
        };
        let is_web =
            ["curl", "wget", "Invoke-RestMethod", "Invoke-WebRequest", "iwr", "irm"].contains(&command.as_str());
        if is_web && !CHAT.is_match(&self.text[line.clone()]) {
            return None;
        }
        line.end = self.here_document(&line);
        // What is set only for the command is its login.
        let sent = self.sent_in(&line, Syntax::Shell).or_else(|| self.sent_through_shell(&line));
        let end = name.start + command.split(' ').next().map_or(0, str::len);
        sent.map(|sent| observation(&command, name.start..end, &sent))
    }

    /// A secret, or the name of one, within `range`.
    fn sent_in(self, range: &Range<usize>, syntax: Syntax) -> Option<Sent> {
        let first = self.secrets.partition_point(|secret| secret.start < range.start);
        let clear = self.secrets[first..].iter().take_while(|secret| secret.end <= range.end);
        if clear.into_iter().any(|secret| !self.is_login(secret, syntax)) {
            return Some(Sent::Clear);
        }
        let text = &self.text[range.clone()];
        let named = NAME.captures_iter(text).find(|captures| {
            let place = |name| captures.name(name).map(|found| found.start() + range.start..found.end() + range.start);
            match (place("variable"), place("file")) {
                (Some(variable), _) => {
                    self.is_of_aws(&variable)
                        && self.is_value(&variable, syntax)
                        && !self.is_login(&variable, syntax)
                        && !self.is_used(&variable, range.start)
                }
                (_, Some(file)) => self.is_file(&file, syntax),
                _ => false,
            }
        })?;
        let name = named.name("variable").or(named.name("file"))?;
        let name = String::from_utf8_lossy(name.as_bytes());
        Some(Sent::Named(name.rsplit('/').next().unwrap_or(&name).to_owned()))
    }

    /// The same, in the statements that set the variables in `range`.
    fn sent_through(self, range: &Range<usize>, depth: usize) -> Option<Sent> {
        static WORD: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?-u)\b[A-Za-z_][A-Za-z0-9_]*").expect("a valid regex"));
        let words: BTreeSet<&[u8]> = WORD
            .find_iter(&self.text[range.clone()])
            .filter(|word| self.is_code(range.start + word.start()))
            .map(|word| word.as_bytes())
            .filter(|word| word.len() > 1 && !is_common(word))
            .take(20)
            .collect();
        let from = range.start.saturating_sub(REACH);
        let made = words.into_iter().flat_map(|word| self.statements_of(word, from..range.start)).collect::<Vec<_>>();
        made.into_iter().find_map(|statement| {
            self.sent_in(&statement, Syntax::Code)
                .or_else(|| (depth > 1).then(|| self.sent_through(&statement, depth - 1)).flatten())
        })
    }

    /// Where `name` occurs within `range`. Searched forwards, although the last is needed first: that search is
    /// vectorised.
    fn places_of(self, name: &[u8], range: Range<usize>) -> Vec<usize> {
        memmem::find_iter(&self.text[range.clone()], name).map(|at| range.start + at).collect()
    }

    /// The last statements within `range` that assign to `variable` or add to it.
    fn statements_of(self, variable: &[u8], range: Range<usize>) -> Vec<Range<usize>> {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut found = Vec::new();
        for at in self.places_of(variable, range).into_iter().rev().take(40) {
            let end = at + variable.len();
            if at > 0 && (is_part(self.text[at - 1]) || self.text[at - 1] == b'.')
                || self.text.get(end).is_some_and(|&b| is_part(b))
            {
                continue;
            }
            let rest = &self.text[end..self.text.len().min(end + 80)];
            let after = rest.trim_ascii_start();
            let is_set = after.starts_with(b":=")
                || after.starts_with(b"+=")
                || after.starts_with(b"=") && !after.starts_with(b"==") && !after.starts_with(b"=>");
            let is_filled = [
                &b".set_content("[..],
                b".setText(",
                b".setContent(",
                b".set_payload(",
                b".attach(",
                b".add_attachment(",
                b".add_alternative(",
                b".push(",
                b".append(",
            ]
            .iter()
            .any(|call| after.starts_with(call));
            let is_item = after.starts_with(b"[") && memmem::find(after, b"] =").is_some_and(|close| close < 40);
            // There may be a type between: `body: str = …`.
            let is_typed = after.starts_with(b":")
                && memchr::memchr2(b'=', b'\n', after).is_some_and(|stop| after[stop] == b'=' && stop < 40);
            if is_set || is_filled || is_item || is_typed {
                found.push(end..self.statement_end(end));
            }
            if found.len() > 8 {
                break;
            }
        }
        found
    }

    /// The same for a shell: `BODY="… $AWS_SECRET_ACCESS_KEY"`, then `mail … <<< "$BODY"`, or a file that was written.
    fn sent_through_shell(self, line: &Range<usize>) -> Option<Sent> {
        static VARIABLE: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?-u)\$\{?([A-Za-z_][A-Za-z0-9_]*)").expect("a valid regex"));
        let text = &self.text[line.clone()];
        let names: BTreeSet<&[u8]> =
            VARIABLE.captures_iter(text).filter_map(|captures| Some(captures.get(1)?.as_bytes())).take(20).collect();
        let from = line.start.saturating_sub(REACH);
        names.into_iter().find_map(|name| {
            let set = self.places_of(name, from..line.start).into_iter().rev().find(|at| {
                let starts = *at == 0 || matches!(self.text[at - 1], b'\n' | b' ' | b'\t' | b';');
                starts && self.text.get(at + name.len()) == Some(&b'=')
            })?;
            let value = set + name.len() + 1;
            let end = self.quoted_end(value).unwrap_or_else(|| self.logical_line(set).end);
            self.sent_in(&(value..end), Syntax::Value)
        })
    }

    /// True if the name is that of an AWS secret, by itself or by the words around it: other services also have a
    /// `SECRET_KEY`.
    fn is_of_aws(self, name: &Range<usize>) -> bool {
        let has =
            |text: &[u8], word: &str| text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
        let around = &self.text[name.start.saturating_sub(200)..self.text.len().min(name.end + 200)];
        has(&self.text[name.clone()], "access") || has(around, "aws") || has(around, "amazon")
    }

    /// True if what is at `value` is not sent, but signs, encrypts or is only tested: `hmac(SECRET_KEY, payload)`.
    fn is_used(self, value: &Range<usize>, start: usize) -> bool {
        static USE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?i-u)(?:hmac|sign|signing|digest|hash|encrypt|cipher|verify|jwt)[\w.]*\s*$")
                .expect("a valid regex")
        });
        let mut depth = 0;
        let from = start.max(value.start.saturating_sub(1000));
        for at in (from..value.start).rev() {
            match self.text[at] {
                b')' => depth += 1,
                b'(' if depth > 0 => depth -= 1,
                b'(' if USE.is_match(&self.text[at.saturating_sub(60).max(from)..at]) => return true,
                _ => {}
            }
        }
        let before = self.text[value.start.saturating_sub(8)..value.start].trim_ascii_end();
        [&b" not"[..], b"=not", b"(not", b"!", b"len(", b"bool("].iter().any(|word| before.ends_with(word))
    }

    /// True if the name at `name` stands for its value, and is not just mentioned: code outside quotes, or something
    /// interpolated into a string.
    fn is_value(self, name: &Range<usize>, syntax: Syntax) -> bool {
        let before = &self.text[name.start.saturating_sub(60)..name.start];
        let ends = |words: &[&str]| words.iter().any(|word| before.ends_with(word.as_bytes()));
        if syntax != Syntax::Code {
            return ends(&["$", "${", "$env:", "{{ ", "{{", "{{ secrets.", "secrets.", "env.", "vars."]);
        }
        let looked_up = before.trim_ascii_end();
        let looked_up = looked_up.strip_suffix(b"\"").or(looked_up.strip_suffix(b"'")).unwrap_or(looked_up);
        let is_quoted = looked_up.len() < before.trim_ascii_end().len();
        let is_looked_up =
            is_quoted && LOOK_UPS.iter().any(|call| looked_up.trim_ascii_end().ends_with(call.as_bytes()));
        let is_put_in = ends(&["{", "${", "#{", "$", "{{", "{{ ", "<%= "]) || self.is_put_in(name.start);
        is_looked_up || is_put_in || self.is_code(name.start)
    }

    /// True if offset `at` is within `{…}` of an interpolated string.
    fn is_put_in(self, at: usize) -> bool {
        let line = &self.text[self.line_start(at)..at];
        let open = memchr::memrchr(b'{', line).filter(|open| !line[*open..].contains(&b'}'));
        open.is_some_and(|open| {
            let is_formatted = line[..open].ends_with(b"$") || line[..open].ends_with(b"#");
            let has_prefix = memmem::find_iter(&line[..open], b"f\"")
                .chain(memmem::find_iter(&line[..open], b"f'"))
                .next()
                .is_some();
            is_formatted || has_prefix
        })
    }

    /// True if the name at `name` means a file, not just a word in a text.
    fn is_file(self, name: &Range<usize>, syntax: Syntax) -> bool {
        let before = self.text[name.start.saturating_sub(40)..name.start].trim_ascii_end();
        if syntax != Syntax::Code {
            // A file that is read from, attached or printed, not a word in a text.
            let before = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")).unwrap_or(before).trim_ascii_end();
            let words = [
                &b"<"[..],
                b" -a",
                b" -A",
                b" --attach",
                b"@",
                b"cat",
                b"uuencode",
                b"base64",
                b"--body-file",
                b"-Attachments",
            ];
            return words.iter().any(|word| before.ends_with(word));
        }
        let before = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")).unwrap_or(before);
        [&b"("[..], b"path:", b"path =", b"path=", b"filename=", b"filename:", b"[", b"attachments=", b"file="]
            .iter()
            .any(|call| before.ends_with(call))
    }

    /// True if what is at `value` is used as a password or key to log in with.
    fn is_login(self, value: &Range<usize>, syntax: Syntax) -> bool {
        static OPTION: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#"(?i-u)(?:(?:^|\s)-(?:ap|xp|u|p|-auth-password|-password|-user|-aws-sigv4|-secret-key)[ =]["']?(?:[^\s"']*:)?["']?\$?\{?|pass(?:word|wd)?["']?\s*[=:]\s*["']?\$?\{?|\bpass\s*[:=]\s*[\w.]*|\b(?:token|key|auth)\s*=\s*[\w.]*|(?:authorization|bearer)\W+(?:bearer\s+)?["']?\$?\{{0,2}[\w.]*|(?:^|[^"'\w])(?:\w*_)?secret_?(?:access_?)?key\s*[=:]\s*["']?[\w.]*["'(\[]*)$"#)
                .expect("a valid regex")
        });
        static ASSIGNMENT: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"(?-u)(?:^|[\s;&|(])[A-Z][A-Z0-9_]*=["']?\$?\{?$"#).expect("a valid regex"));
        let start = self.line_start(value.start).max(value.start.saturating_sub(120));
        let before = &self.text[start..value.start];
        // The name of an argument or property is not a value, and what is assigned to it is used, not sent.
        let after = self.text[value.end..self.text.len().min(value.end + 4)].trim_ascii_start();
        let is_name = (after.starts_with(b"=") && !after.starts_with(b"==") || after.starts_with(b":"))
            && syntax == Syntax::Code
            && self.is_code(value.start);
        is_name || OPTION.is_match(before) || syntax == Syntax::Shell && ASSIGNMENT.is_match(before)
    }

    /// True if offset `at` is not within quotes, as far as its line shows.
    fn is_code(self, at: usize) -> bool {
        !self.in_quotes(at)
    }

    fn in_quotes(self, at: usize) -> bool {
        let mut quote = None;
        let mut escaped = false;
        for &b in &self.text[self.line_start(at).max(at.saturating_sub(1000))..at] {
            match (b, quote) {
                _ if escaped => escaped = false,
                (b'\\', _) => escaped = true,
                (b'"' | b'\'' | b'`', None) => quote = Some(b),
                (b, Some(open)) if b == open => quote = None,
                _ => {}
            }
        }
        quote.is_some()
    }

    fn line_start(self, at: usize) -> usize {
        // Bounded: a minified file is one line.
        let from = at.saturating_sub(MAX_LENGTH);
        memchr::memrchr(b'\n', &self.text[from..at]).map_or(from, |newline| from + newline + 1)
    }

    /// Offset of the bracket that closes the one at `open`, or the limit of what is read.
    fn closing(self, open: usize) -> usize {
        self.balanced(open, |depth, b| depth == 0 && matches!(b, b')' | b'}' | b']'))
    }

    /// Where the statement at `at` ends: at the end of a line or a semicolon outside brackets.
    fn statement_end(self, at: usize) -> usize {
        self.balanced(at, |depth, b| depth <= 0 && matches!(b, b'\n' | b';'))
    }

    /// The first offset from `start` at which `is_end` is true of the number of open brackets and the byte.
    fn balanced(self, start: usize, is_end: impl Fn(i32, u8) -> bool) -> usize {
        let most = self.text.len().min(start + MAX_LENGTH);
        let mut depth = 0;
        let mut at = start;
        while at < most {
            let b = self.text[at];
            match b {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                b'"' | b'\'' | b'`' => {
                    if let Some(end) = self.quoted_end(at) {
                        at = end;
                        continue;
                    }
                }
                _ => {}
            }
            if is_end(depth, b) {
                return at;
            }
            at += 1;
        }
        most
    }

    /// Offset after the quoted text that starts at `at`, if there is one and it ends.
    fn quoted_end(self, at: usize) -> Option<usize> {
        let quote = *self.text.get(at).filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
        let triple = [quote; 3];
        if self.text[at..].starts_with(&triple) {
            return Some(at + 3 + memmem::find(&self.text[at + 3..], &triple)? + 3);
        }
        let mut escaped = false;
        for (n, &b) in self.text[at + 1..].iter().enumerate().take(MAX_LENGTH) {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b if b == quote => return Some(at + n + 2),
                // An apostrophe.
                b'\n' if quote == b'\'' => return None,
                _ => {}
            }
        }
        None
    }

    /// The line that `at` is in, with those that continue it: after a backslash, a pipe, within quotes.
    fn logical_line(self, at: usize) -> Range<usize> {
        let goes_on = |line: &[u8]| matches!(line.trim_ascii_end().last(), Some(b'\\' | b'|' | b'`'));
        let mut start = self.line_start(at);
        for _ in 0..20 {
            let Some(end) = start.checked_sub(1) else { break };
            let above = self.line_start(end);
            let is_comment = self.text[above..end].trim_ascii_start().starts_with(b"#");
            if is_comment || !goes_on(&self.text[above..end]) {
                break;
            }
            start = above;
        }
        let most = self.text.len().min(at + MAX_LENGTH);
        let mut end = at;
        loop {
            end = memchr::memchr(b'\n', &self.text[end..most]).map_or(most, |newline| end + newline);
            if end >= most || !(goes_on(&self.text[start..end]) || self.has_open_quote(start..end)) {
                return start..end;
            }
            end += 1;
        }
    }

    fn has_open_quote(self, range: Range<usize>) -> bool {
        let mut at = range.start;
        while at < range.end {
            if self.text[at] == b'"' {
                match self.quoted_end(at) {
                    Some(end) if end <= range.end => at = end,
                    other => return other.is_some(),
                }
            } else {
                at += 1;
            }
        }
        false
    }

    /// The end of the here-document that starts on the line, or of the line.
    fn here_document(self, line: &Range<usize>) -> usize {
        static START: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"(?-u)<<-?\s*["']?([A-Za-z_]+)"#).expect("a valid regex"));
        let Some(word) = START.captures(&self.text[line.clone()]).and_then(|captures| captures.get(1)) else {
            return line.end;
        };
        let rest = &self.text[line.end..self.text.len().min(line.end + MAX_LENGTH)];
        let mut at = 0;
        for text in rest.split_inclusive(|&b| b == b'\n') {
            at += text.len();
            if text.trim_ascii() == word.as_bytes() {
                return line.end + at;
            }
        }
        line.end
    }
}

/// The kind of text that a name is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// A program.
    Code,
    /// A command.
    Shell,
    /// The value of a shell variable.
    Value,
}

fn is_common(word: &[u8]) -> bool {
    const COMMON: [&str; 22] = [
        "self", "this", "None", "null", "nil", "true", "false", "True", "False", "to", "from", "await", "async",
        "function", "new", "return", "err", "subject", "Subject", "json", "str", "if",
    ];
    COMMON.iter().any(|common| common.as_bytes() == word)
}

fn observation(sender: &str, span: Range<usize>, sent: &Sent) -> Observation {
    let (what, severity, note) = match sent {
        Sent::Clear => {
            ("a secret in plain text", Severity::Error, "It sends a secret that is in plain text here.".to_owned())
        }
        Sent::Named(name) => (name.as_str(), Severity::Warning, format!("It sends {name}.")),
    };
    let subject = format!("{sender}: {what}");
    Observation {
        finder: Finder::MailsKey,
        subject,
        span,
        severity: Some(severity),
        account: None,
        profile: None,
        note,
        times: Times::ALL,
    }
}
