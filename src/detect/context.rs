//! Does the text around a value call it an AWS secret?

use super::vendor::Whose;
use crate::text::alphabet::{ID_LEN, SECRET_LEN};
use std::ops::Range;
use std::sync::Arc;

/// How far before a value words are searched for, in bytes: on its own line, and on the line above.
const REACH: usize = 120;

/// How far after a value, on its line: a trailing comment, the next column of a table.
const REACH_AFTER: usize = 60;

/// What the words around a value say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// Nothing.
    None,
    /// It is related to AWS.
    Weak,
    /// It is called a secret key.
    Strong,
}

/// The context of the value at `span` of `text`: words shortly before it on its line, on the line above if its own line
/// only wraps the value (`<value>…</value>`), or the words "secret key" after it.
pub fn around(text: &[u8], span: &Range<usize>) -> Context {
    let from = span.start.saturating_sub(REACH);
    // Bounded: a minified file is one line, and this runs for each of its values.
    let line_start = memchr::memrchr(b'\n', &text[from..span.start]).map(|newline| from + newline + 1);
    let before = &text[line_start.unwrap_or(from)..span.start];
    let own = Words::read(nearest(before)).context().max(after_text(text, span.end));
    match line_start {
        Some(line_start) if own < Context::Strong && !says_something(before) => {
            let from = line_start.saturating_sub(REACH);
            let above = text[from..line_start].trim_ascii_end();
            let above = &above[memchr::memrchr(b'\n', above).map_or(0, |newline| newline + 1)..];
            own.max(Words::read(nearest(above)).context())
        }
        _ => own,
    }
}

/// What a value is called, by the text before it on its line.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// What the name says besides "AWS secret access key id": `prod` for `PROD_AWS_ACCESS_KEY_ID=`.
    pub qualifier: Arc<str>,
    /// True if it has the word "key".
    pub says_key: bool,
    /// True if it has the word "secret".
    pub says_secret: bool,
}

impl Name {
    /// The name of the value that starts at `start`.
    pub fn before(text: &[u8], start: usize) -> Self {
        let name = name_before(text, start);
        let has = |word: &[u8]| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
        Self { qualifier: without_common_words(name).into(), says_key: has(b"key"), says_secret: has(b"secret") }
    }

    /// True for `secret = …`: it says nothing else.
    pub fn is_secret_alone(&self) -> bool {
        self.says_secret && self.qualifier.is_empty()
    }
}

/// The text before a value on its line.
pub fn name_before(blob: &[u8], start: usize) -> &[u8] {
    let from = start.saturating_sub(80);
    let line = memchr::memrchr(b'\n', &blob[from..start]).map_or(from, |newline| from + newline + 1);
    let before = &blob[line..start];
    // A value before it on the same line has a name of its own.
    let is_of_value = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let runs = before.chunk_by(|a, b| is_of_value(*a) == is_of_value(*b)).scan(0, |end, run| {
        *end += run.len();
        Some((*end, run.len() >= ID_LEN && run.iter().any(u8::is_ascii_digit)))
    });
    let cut = runs.filter(|(_, is_value)| *is_value).map(|(end, _)| end).last().unwrap_or(0);
    &before[cut..]
}

/// Whose the value is, if it is in the column of secrets of a table with a header: far below it, nothing else tells.
pub fn column(text: &[u8], span: &Range<usize>) -> Option<Whose> {
    const MAX_HEADER: usize = 4096;
    const MAX_ROW: usize = 4096;
    let header = &text[..text.len().min(MAX_HEADER)];
    let header = &header[..memchr::memchr(b'\n', header)?];
    // Most files have no such header.
    memchr::memmem::find(header, b"ecret").or_else(|| memchr::memmem::find(header, b"ECRET"))?;
    let from = span.start.saturating_sub(MAX_ROW);
    let row = &text[memchr::memrchr(b'\n', &text[from..span.start]).map(|newline| from + newline + 1)?..span.start];
    let delimiters = [b',', b';', b'\t', b'|'].into_iter().filter(|delimiter| header.contains(delimiter));
    delimiters.into_iter().find_map(|delimiter| {
        let name = header.split(|b| *b == delimiter).nth(cells(row, delimiter))?.to_ascii_lowercase();
        let has = |word: &str| memchr::memmem::find(&name, word.as_bytes()).is_some();
        let is_only_cell = name.len() == header.len();
        (!is_only_cell && has("secret") && (has("key") || has("access")))
            .then(|| if has("access") || has("aws") { Whose::Aws } else { Whose::Unknown })
    })
}

/// The number of delimiters in a part of a row, without those in quotes.
fn cells(row: &[u8], delimiter: u8) -> usize {
    let mut is_quoted = false;
    row.iter()
        .filter(|b| {
            is_quoted ^= **b == b'"';
            **b == delimiter && !is_quoted
        })
        .count()
}

fn without_common_words(name: &[u8]) -> String {
    const COMMON: [&str; 20] = [
        "access", "secret", "key", "id", "aws", "amazon", "s3", "value", "name", "password", "user", "export", "set",
        "env", "const", "let", "var", "static", "string", "final",
    ];
    let mut letters: String =
        name.iter().filter(|b| b.is_ascii_alphanumeric()).map(|b| char::from(b.to_ascii_lowercase())).collect();
    for word in COMMON {
        // Nothing is soon left of the usual names.
        if letters.is_empty() {
            break;
        }
        if letters.contains(word) {
            letters = letters.replace(word, "");
        }
    }
    letters
}

/// The end of `text` after any other value: a row or a minified line contains names of other things.
fn nearest(text: &[u8]) -> &[u8] {
    let start = text.len().saturating_sub(2 * SECRET_LEN);
    let text = &text[start..];
    let value_end =
        text.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()).scan(0, |end, chunk| {
            *end += chunk.len();
            Some((*end, chunk.len() >= 32 && chunk[0].is_ascii_alphanumeric()))
        });
    let cut = value_end.filter(|(_, is_value)| *is_value).map(|(end, _)| end).last().unwrap_or(0);
    &text[cut..]
}

fn after_text(text: &[u8], end: usize) -> Context {
    let after = &text[end..text.len().min(end + REACH_AFTER)];
    let after = &after[..memchr::memchr(b'\n', after).unwrap_or(after.len())];
    // Up to the next value or assignment: its name belongs to something else.
    let stop = after.iter().position(|b| matches!(b, b'=' | b':' | b';' | b'{' | b'}')).unwrap_or(after.len());
    if stop < after.len() {
        return Context::None;
    }
    match Words::read(after) {
        words if words.aws && words.secret && words.key => Context::Strong,
        _ => Context::None,
    }
}

/// True if the text before a value on its line has words of its own, other than those that only wrap a value.
fn says_something(before: &[u8]) -> bool {
    let mut words = before.split(|b| !b.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.any(|word| {
        ![
            "value", "default", "string", "data", "text", "content", "result", "plain", "b", "r", "u", "f", "n", "t",
            "type",
        ]
        .iter()
        .any(|wrapper| word.eq_ignore_ascii_case(wrapper.as_bytes()))
    })
}

/// The relevant words in a text.
#[derive(Clone, Copy, Debug, Default)]
struct Words {
    aws: bool,
    secret: bool,
    key: bool,
    /// The last name before the value belongs to something else, such as `--key-id` or `api_key`; set only where it
    /// matters.
    other: bool,
}

impl Words {
    fn read(text: &[u8]) -> Self {
        let lower = text.to_ascii_lowercase();
        let has = |word: &str| memchr::memmem::find(&lower, word.as_bytes()).is_some();
        let aws = has("amazon") || ["aws", "s3", "s3a", "s3n", "ses"].iter().any(|word| has_word(text, &lower, word));
        let secret = has("secret");
        Self {
            aws,
            secret,
            key: has("key"),
            // Checked only where the rest does not decide.
            other: aws && !secret && (names_another_thing(&lower) || is_assigned_to_no_key(&lower)),
        }
    }

    fn context(self) -> Context {
        match self {
            Self { secret: true, key: true, .. } | Self { secret: true, aws: true, .. } => Context::Strong,
            Self { aws: true, other: false, .. } => Context::Weak,
            _ => Context::None,
        }
    }
}

/// True if the text ends in an assignment to a name that does not speak of keys: `ReceiptHandle=`, `content hash value=`.
fn is_assigned_to_no_key(lower: &[u8]) -> bool {
    const KEYS: [&str; 9] = ["key", "secret", "cred", "pass", "pwd", "access", "aws", "amazon", "s3"];
    let has =
        |text: &[u8], words: &[&str]| words.iter().any(|word| memchr::memmem::find(text, word.as_bytes()).is_some());
    let opens = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'>' | b'(' | b'[');
    let end = lower.iter().rposition(|b| !opens(b)).map_or(0, |last| last + 1);
    let Some((sign @ (b'=' | b':'), before)) = lower[..end].split_last() else { return false };
    let ends_phrase = |b: &u8| matches!(b, b',' | b';' | b'{' | b'}' | b'&' | b'?' | b'=' | b':' | b'<' | b'>');
    let phrase = before.rsplit(ends_phrase).find(|phrase| says_something(phrase)).unwrap_or_default().trim_ascii();
    let name = phrase.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    match sign {
        b'=' if says_something(name) => !has(name, &KEYS),
        b'=' => has(phrase, &OTHERS),
        _ => !has(phrase, &KEYS),
    }
}

/// Names of what may look like a secret but is not one.
const OTHERS: [&str; 17] = [
    "apikey",
    "token",
    "hash",
    "sha1",
    "sha256",
    "md5",
    "digest",
    "checksum",
    "signature",
    "fingerprint",
    "integrity",
    "etag",
    "nonce",
    "commit",
    "revision",
    "version",
    "customerkey",
];

/// True if the last name in the text belongs to something that may look like a secret but is not one.
fn names_another_thing(lower: &[u8]) -> bool {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let end = lower.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |last| last + 1);
    let start = lower[..end].iter().rposition(|b| !is_name(b)).map_or(0, |before| before + 1);
    let name: Vec<u8> = lower[start..end].iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    name.ends_with(b"id") || OTHERS.iter().any(|other| memchr::memmem::find(&name, other.as_bytes()).is_some())
}

/// True if `word` occurs in the text by itself or as part of an identifier (`aws_`, `myAws`, `AwsKey`), not inside
/// another word (`draws`, `has3`).
fn has_word(text: &[u8], lower: &[u8], word: &str) -> bool {
    memchr::memmem::find_iter(lower, word.as_bytes()).any(|at| {
        let end = at + word.len();
        let camel = |i: usize| text[i].is_ascii_uppercase() && !text[i - 1].is_ascii_uppercase();
        let starts = at == 0 || !text[at - 1].is_ascii_alphanumeric() || camel(at);
        let ends = end == text.len() || !text[end].is_ascii_lowercase() && !text[end].is_ascii_digit() || text[end - 1].is_ascii_lowercase() && text[end].is_ascii_uppercase();
        let joined = matches!(lower.get(end..), Some([b's' | b'k' | b'a', rest @ ..]) if word == "aws" && (rest.starts_with(b"ecret") || rest.starts_with(b"ey") || rest.starts_with(b"ccess")));
        starts && (ends || joined)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    fn context(template: &str) -> Context {
        let text = expand(template);
        let value = text.values.iter().find(|value| value.kind == "secret").expect("a secret in the template");
        around(text.text.as_bytes(), &value.range)
    }

    #[test]
    fn names_of_secrets_are_strong() {
        for template in [
            "aws_secret_access_key = {{secret}}",
            "AWSSecretKey={{secret}}",
            "export AWS_SECRET_ACCESS_KEY='{{secret}}'",
            "  secretAccessKey: \"{{secret}}\",",
            "secret_key={{secret}}",
            "aws configure set aws_secret_access_key {{secret}}",
            "<name>fs.s3a.secret.key</name>\n<value>{{secret}}</value>",
            "<key>SecretKey</key>\n\t<string>{{secret}}</string>",
            "AWS_SECRET: {{secret}}",
            "\"key\": \"secretKey\",\n  \"value\": \"{{secret}}\"",
            "AWS_SECRET_ACCESS_KEY:\n    {{secret}}",
            "{{secret}}  # our AWS secret key",
            "awssecretaccesskey={{secret}}",
            "Secret access key: {{secret}}",
        ] {
            assert_eq!(context(template), Context::Strong, "{template}");
        }
    }

    #[test]
    fn aws_alone_is_weak() {
        for template in [
            "aws: {{secret}}",
            "the amazon one is {{secret}}",
            "s3 = {{secret}}",
            "myAwsCreds={{secret}}",
            "AWS creds:\n{{secret}}",
            "\"aws\": {\"value\": \"{{secret}}\"",
            "aws pass={{secret}}",
            "AWS (prod): {{secret}}",
        ] {
            assert_eq!(context(template), Context::Weak, "{template}");
        }
    }

    #[test]
    fn other_words_are_no_context() {
        for template in [
            "access_token={{secret}}",
            "aws apigateway get-usage-plan-key --key-id {{secret}}",
            "aws sqs delete-message ReceiptHandle={{secret}}",
            "aws content hash value={{secret}}",
            "\"aws\": {\"Location\": \"{{secret}}\"",
            "aws apigateway update-api-key --api-key {{secret}}",
            "myAwsToken={{secret}}",
            "AWS_SSE_CUSTOMER_KEY={{secret}}",
            "client_secret={{secret}}",
            "draws {{secret}}",
            "has3={{secret}}",
            "key = {{secret}}",
            "aws = 1\nother = {{secret}}",
            "{{secret}}, aws_secret_access_key=x",
            "aws_secret_access_key={{base62:40}}, checksum={{secret}}",
        ] {
            assert_eq!(context(template), Context::None, "{template}");
        }
    }
}
