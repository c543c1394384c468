//! The objects around a place in JSON, or in JSON Lines.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

/// So many of the objects around a place are looked at, from the inside.
pub(crate) const MOST_AROUND: usize = 8;

/// A longer object, in bytes, is passed over: it is a collection, and what matters is in its parts.
pub(crate) const LONGEST: usize = 256 << 10;

/// An object around a place, and under which key of it the place lies.
pub(crate) struct Around {
    pub object: Rc<Map<String, Value>>,
    pub key: String,
}

/// Deeper nesting is no longer followed.
const DEEPEST: usize = 256;

/// What is open at a place.
#[derive(Clone)]
struct Open {
    start: usize,
    is_object: bool,
    /// Raw bytes of the last key.
    key: std::ops::Range<usize>,
}

/// For each of `offsets`, in ascending order, what `read` makes of the objects around it, the innermost first.
pub(crate) fn around<T>(
    text: &[u8],
    offsets: &[usize],
    read: &mut dyn FnMut(&[&Around]) -> Option<T>,
) -> Vec<Option<T>> {
    let mut stacks: Vec<Vec<Open>> = Vec::with_capacity(offsets.len());
    let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    let mut offsets = offsets.iter().copied().peekable();
    let wanted = offsets.len();
    while at < text.len() && (offsets.peek().is_some() || !open.is_empty()) {
        let start = at;
        at = match text[at] {
            b'"' => string_end(text, at),
            b'{' | b'[' if open.len() < DEEPEST => {
                open.push(Open { start: at, is_object: text[at] == b'{', key: 0..0 });
                at + 1
            }
            b'}' | b']' => {
                if let Some(closed) = open.pop() {
                    ends.insert(closed.start, at + 1);
                }
                at + 1
            }
            b'"'..=u8::MAX | 0..=b'!' => at + 1,
        };
        if text[start] == b'"'
            && let Some(innermost) = open.last_mut().filter(|open| open.is_object)
            && text[at..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
        {
            innermost.key = start + 1..at.saturating_sub(1).max(start + 1);
        }
        while offsets.next_if(|offset| *offset < at).is_some() {
            stacks.push(open.clone());
        }
    }
    stacks.resize(wanted, Vec::new());
    let mut known: BTreeMap<usize, Option<Rc<Map<String, Value>>>> = BTreeMap::new();
    let messages = stacks.iter().map(|stack| {
        let mut objects = Vec::new();
        for open in stack.iter().rev().filter(|open| open.is_object).take(MOST_AROUND) {
            let object = known.entry(open.start).or_insert_with(|| {
                let end = ends.get(&open.start).copied().filter(|end| end - open.start <= LONGEST)?;
                serde_json::from_slice(&text[open.start..end]).ok().map(Rc::new)
            });
            let key = String::from_utf8_lossy(&text[open.key.clone()]).into_owned();
            objects.extend(object.clone().map(|object| Around { object, key }));
        }
        read(&objects.iter().collect::<Vec<_>>())
    });
    messages.collect()
}

/// Offset after the string that starts at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}
