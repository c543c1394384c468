//! Mailboxes in a single file (RFC 4155): a sequence of messages, each after a line that starts with `From `.
//!
//! Mailbox formats differ in which lines they escape with `>`, and whether they give the length of a message. So a line
//! starts a message only if it has the form of such a line, and one `>` is removed from escaped lines.

use super::mime;
use crate::source::SkipCause;
use crate::source::unpack::{Content, Place, Unpacker};
use rayon::prelude::*;
use std::io::{BufRead, BufReader, Read};

/// Messages are read in batches of up to this many bytes, which several threads then unpack.
const BATCH: usize = 8 << 20;

/// The maximum number of messages to unpack before checking how much they expanded to.
const MAX_IN_BATCH: usize = 64;

/// The archives in a mailbox may expand to this many times its size …
const MAX_TIMES: u64 = 10;

/// … plus this many times the limit for a single message.
const MAX_LIMITS: u64 = 4;

/// Longer lines are read in parts of this many bytes.
const PART: u64 = 64 << 10;

/// The maximum length of a line that starts a message.
const MAX_START: usize = 300;

/// The date that `git format-patch` always writes, whatever the commit's date. See
/// <https://git-scm.com/docs/git-format-patch#_description>.
const PATCH_DATE: &[u8] = b" Mon Sep 17 00:00:00 2001";

/// True if a line starts a message: it starts with `From ` and contains a time and a year.
pub(crate) fn starts_message(line: &[u8]) -> bool {
    let has = |shape: &[u8]| {
        let fits = |window: &[u8]| {
            let pairs = window.iter().zip(shape);
            pairs.clone().all(|(&b, &kind)| if kind == b'0' { b.is_ascii_digit() } else { b == kind })
        };
        line.windows(shape.len()).any(fits)
    };
    line.len() <= MAX_START && line.starts_with(b"From ") && has(b" 00:00") && (has(b" 0000") || has(b" 00:00:00 "))
}

/// True if the line starts a patch written by git.
fn is_patch(line: &[u8]) -> bool {
    let Some(name) = line.trim_ascii_end().strip_prefix(b"From ").and_then(|rest| rest.strip_suffix(PATCH_DATE)) else {
        return false;
    };
    matches!(name.len(), 40 | 64) && name.iter().all(u8::is_ascii_hexdigit)
}

/// A message as stored in the mailbox.
struct Raw {
    /// 1-based.
    number: usize,
    is_patch: bool,
    bytes: Vec<u8>,
    /// Its size in bytes, also if it is too large for `bytes` to be kept.
    size: u64,
}

/// Emits the contents of the messages of a mailbox, keeping only a few of them in memory at a time.
///
/// # Errors
/// If it cannot be read to the end.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let mut reader = Messages { lines: BufReader::with_capacity(1 << 16, content.reader()), next: None, number: 0 };
    let mut unfolded = 0;
    let mut read = 0;
    loop {
        let mut batch = Vec::new();
        let mut size = 0;
        let mut result = Ok(true);
        while size < BATCH && batch.len() < MAX_IN_BATCH {
            match reader.next(unpacker.size().bytes) {
                Ok(Some(message)) => {
                    size += message.bytes.len();
                    batch.push(message);
                }
                Ok(None) => {
                    result = Ok(false);
                    break;
                }
                Err(error) => {
                    result = Err(unpacker.budget().cause(&error));
                    break;
                }
            }
        }
        read += size as u64;
        if place.depth == 0 {
            let all: u64 = batch.par_iter().map(|message| look_into(unpacker, place, message)).sum();
            unfolded += all;
        } else {
            // A packed mailbox shares the limits of its container: otherwise each layer could multiply the next.
            batch.iter().for_each(|message| hand_over(unpacker, place, message));
        }
        let limit = unpacker.budget().limits().bytes;
        if unfolded > limit.most.saturating_mul(MAX_LIMITS).saturating_add(read.saturating_mul(MAX_TIMES)) {
            let words =
                "the archives in its messages expand to too much data; scan the rest of the mailbox separately".into();
            return Err(SkipCause::OverLimit { words, is_chosen: limit.is_chosen });
        }
        if !result? {
            return Ok(());
        }
        if let Some(cause) = unpacker.budget().spent() {
            return Err(cause.clone());
        }
    }
}

/// Unpacks a message with limits of its own, so that one message's archives do not use up the limits of the next.
/// Returns how much they expanded to, in bytes.
fn look_into(unpacker: &Unpacker, place: &Place, message: &Raw) -> u64 {
    let unpacker = unpacker.afresh(message.size);
    hand_over(&unpacker, place, message);
    unpacker.budget().unfolded()
}

fn hand_over(unpacker: &Unpacker, place: &Place, message: &Raw) {
    let inner = Place { is_seen: place.is_seen, ..place.within(format!("message {}", message.number).as_bytes()) };
    match unpacker.size().check(message.size) {
        Ok(()) => mime::open_one(unpacker, &inner, &message.bytes, message.is_patch),
        Err(cause) => unpacker.skip(&inner.path, cause),
    }
}

struct Messages<R> {
    lines: R,
    /// The line that starts the next message, if already read.
    next: Option<Vec<u8>>,
    number: usize,
}

impl<R: BufRead> Messages<R> {
    /// The next message, without its bytes if there are more than `most`.
    fn next(&mut self, most: u64) -> std::io::Result<Option<Raw>> {
        let start = match self.next.take() {
            Some(line) => line,
            None if self.number > 0 => return Ok(None),
            None => self.first_line()?,
        };
        if start.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let mut message = Raw { number: self.number, is_patch: is_patch(&start), bytes: Vec::new(), size: 0 };
        let mut line = Vec::new();
        let (mut starts_line, mut is_after_blank) = (true, false);
        loop {
            line = self.line(line)?;
            if line.is_empty() {
                return Ok(Some(message));
            }
            if starts_line && is_after_blank && starts_message(line.trim_ascii_end()) {
                self.next = Some(line);
                return Ok(Some(message));
            }
            let escapes = line.iter().take_while(|&&b| b == b'>').count();
            let is_escaped = starts_line && escapes > 0 && line[escapes..].starts_with(b"From ");
            message.size += line.len() as u64;
            if message.size <= most {
                message.bytes.extend_from_slice(&line[usize::from(is_escaped)..]);
            } else {
                message.bytes = Vec::new();
            }
            is_after_blank = starts_line && matches!(&line[..], b"\n" | b"\r\n");
            starts_line = line.ends_with(b"\n");
        }
    }

    /// The first line, after any byte order mark and empty lines.
    fn first_line(&mut self) -> std::io::Result<Vec<u8>> {
        loop {
            let line = self.line(Vec::new())?;
            let start = mime::without_prefix(&line);
            if !start.is_empty() || line.is_empty() {
                return Ok(start.to_vec());
            }
        }
    }

    /// The next line, or up to [`PART`] bytes of it, in the given buffer.
    fn line(&mut self, mut line: Vec<u8>) -> std::io::Result<Vec<u8>> {
        line.clear();
        self.lines.by_ref().take(PART).read_until(b'\n', &mut line)?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, most: u64) -> Vec<(usize, bool, String, u64)> {
        let mut messages = Messages { lines: text.as_bytes(), next: None, number: 0 };
        let next = || messages.next(most).unwrap();
        let text = |raw: Raw| (raw.number, raw.is_patch, String::from_utf8(raw.bytes).unwrap(), raw.size);
        std::iter::from_fn(next).map(text).collect()
    }

    #[test]
    fn messages_start_after_blank_lines_and_unescaped() {
        let patch = "0123456789".repeat(4);
        let text = format!(
            "From a@x Thu Jan  1 10:00:00 2026\nA: 1\n\nFrom here on\n>From b\n>>From c\n> From\nFrom a@x Thu Jan  1 10:00:00 2026\n\n\
             From b Thu Jan 1 10:00 2026\r\nB: 2\r\n\r\nFrom {patch} Mon Sep 17 00:00:00 2001\nC: 3\n"
        );
        let first = "A: 1\n\nFrom here on\nFrom b\n>From c\n> From\nFrom a@x Thu Jan  1 10:00:00 2026\n\n";
        let messages = split(&text, 1000);
        assert_eq!(messages[0].2, first);
        assert_eq!(messages[1], (2, false, "B: 2\r\n\r\n".into(), 8));
        assert_eq!(messages[2], (3, true, "C: 3\n".into(), 5));
        assert_eq!(messages.len(), 3);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let start = "From a@x Thu Jan  1 10:00:00 2026\n";
        let long = "x".repeat(300_000);
        let text = format!("{start}a{long}\n\n{start}b\n");
        let messages = split(&text, 1000);
        assert_eq!(messages[0], (1, false, String::new(), 300_003));
        assert_eq!(messages[1].2, "b\n");
    }
}
