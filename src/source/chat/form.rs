//! Mail as a service posts it to a program: a form (RFC 7578) with a field for each part of the mail.
//!
//! <https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook>

use super::{Visit, mail};
use memchr::memmem;
use serde_json::{Map, Value};

/// How each field begins, after its boundary.
const FIELD: &[u8] = b"Content-Disposition: form-data; name=\"";

/// How far from the start of a form its first field is looked for, in bytes: RFC 2046 allows boundaries of 70.
const MAX_BOUNDARY: usize = 74;

/// The maximum number of fields, and how much is read of each, in bytes.
const MAX_FIELDS: usize = 100;
/// See [`MAX_FIELDS`].
const MAX_FIELD: usize = 64 << 10;

/// True for a form.
pub(super) fn is_known(text: &[u8]) -> bool {
    boundary(text).is_some()
}

/// The line before each field.
fn boundary(text: &[u8]) -> Option<&[u8]> {
    let line =
        text.split(|b| *b == b'\n').next().filter(|line| line.starts_with(b"--") && line.len() <= MAX_BOUNDARY)?;
    let rest = text.get(line.len() + 1..)?;
    let is_field = rest.get(..FIELD.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIELD));
    is_field.then(|| line.trim_ascii_end()).filter(|line| line.len() > 2)
}

/// The fields of a form, by name.
fn fields(text: &[u8], boundary: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    let is_line = |at: &usize| *at == 0 || text[at - 1] == b'\n';
    let ends_line = |at: &usize| {
        text.get(at + boundary.len()..).is_none_or(|rest| {
            rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") || rest.starts_with(b"--")
        })
    };
    let found = memmem::find_iter(text, boundary).filter(is_line).filter(ends_line);
    let mut starts = found.take(MAX_FIELDS + 1).peekable();
    while let Some(start) = starts.next() {
        let part = &text[start + boundary.len()..starts.peek().copied().unwrap_or(text.len())];
        let part = part.trim_ascii_start();
        if !part.get(..FIELD.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIELD)) {
            continue;
        }
        let name = part[FIELD.len()..].split(|b| *b == b'"').next().unwrap_or_default();
        let blank = memmem::find(part, b"\r\n\r\n").map(|at| at + 4).or_else(|| Some(memmem::find(part, b"\n\n")? + 2));
        let Some(value) = blank.map(|at| &part[at..]) else { continue };
        // The last field of a form that is cut off has no end.
        if starts.peek().is_none() {
            continue;
        }
        let value = value[..value.len().min(MAX_FIELD)].trim_ascii_end();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.entry(text(name)).or_insert_with(|| Value::String(text(value)));
    }
    fields
}

/// Calls `visit` for each of `offsets` if the form is a mail: all of it is.
pub(super) fn messages(text: &[u8], offsets: &[usize], visit: Visit) {
    let Some(fields) = boundary(text).map(|boundary| fields(text, boundary)) else { return };
    // The mail as it came, or its parts.
    let whole = fields.get("email").and_then(mail::header);
    // Other forms have people in them, too.
    let is_address = |name: &str| {
        let value = fields.get(name).and_then(Value::as_str).unwrap_or_default();
        value.contains('@') && !value.contains('\n')
    };
    let is_mail = ["envelope", "headers", "SPF", "charsets"].iter().any(|name| fields.contains_key(*name));
    let parts = || (is_mail && is_address("from") && is_address("to")).then(|| mail::message(&fields));
    let Some(message) = whole.or_else(parts) else { return };
    let message = message.bounded();
    (0..offsets.len()).for_each(|number| visit(number, message.clone()));
}
