//! The objects around an offset in JSON or JSON Lines.

use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// Maximum number of objects around an offset that are examined, innermost first.
pub(crate) const MAX_AROUND: usize = 8;

/// Maximum size of an object, in bytes. Of a larger one, only small fields are read: it is a collection, and its parts are
/// what matters.
pub(crate) const MAX_OBJECT: usize = 256 << 10;

/// Maximum size of a small field, in bytes, and how many of them are read of a large object.
const MAX_SMALL: usize = 16 << 10;
/// See [`MAX_SMALL`].
const MAX_FIELDS: usize = 100;

/// Maximum length of a field name, in bytes. A longer one is not a known name, and is ignored.
pub(crate) const MAX_KEY: usize = 256;

/// Objects may be parsed for this many times the length of the text in total, plus `FREE_PARSED` bytes: they are
/// nested, and each is parsed on its own. Real text needs a small part of that.
const MAX_PARSED_TIMES: usize = 16;
const FREE_PARSED: usize = 16 << 20;

/// How many more bytes of a text may be parsed.
pub(crate) struct ParseBudget(usize);

impl ParseBudget {
    /// The budget for a text of `length` bytes.
    pub fn new(length: usize) -> Self {
        Self(length.saturating_mul(MAX_PARSED_TIMES).saturating_add(FREE_PARSED))
    }

    /// True if nothing is left.
    pub fn is_exhausted(&self) -> bool {
        self.0 == 0
    }

    /// Spends `length` bytes; false if that exceeds the budget.
    pub fn take(&mut self, length: usize) -> bool {
        let rest = self.0.checked_sub(length);
        self.0 = rest.unwrap_or(0);
        rest.is_some()
    }
}

/// A parsed object, shared by the offsets in it.
type Object = Rc<Map<String, Value>>;

/// An object around an offset, and the key under which the offset lies.
pub(crate) struct Around {
    pub object: Rc<Map<String, Value>>,
    pub key: String,
}

/// Deeper nesting is not followed, only counted.
const MAX_DEPTH: usize = 256;

/// An object or array that is open at an offset.
struct Open {
    start: usize,
    is_object: bool,
    /// Raw bytes of the last key.
    key: Range<usize>,
    /// How many of the wanted offsets came before it.
    passed: usize,
}

/// The objects around an offset, innermost first: the start of each, and the raw bytes of the key.
type Window = Vec<(usize, Range<usize>)>;

/// For each of `offsets`, in ascending order, calls `visit` with its index and the objects around it, innermost first.
pub(crate) fn around(text: &[u8], offsets: &[usize], visit: &mut dyn FnMut(usize, &[&Around])) {
    let (windows, ends) = windows(text, offsets);
    let mut budget = ParseBudget::new(text.len());
    let mut known: Vec<(usize, Option<Object>)> = Vec::new();
    for (number, window) in windows.iter().enumerate() {
        let mut objects = Vec::new();
        let mut used = Vec::new();
        for (start, key) in window.iter() {
            let object = match known.iter().find(|(known, _)| known == start) {
                Some((_, object)) => object.clone(),
                None => ends.get(start).and_then(|end| {
                    let object = budget.take(end - start).then(|| &text[*start..*end])?;
                    let fields = if object.len() <= MAX_OBJECT {
                        serde_json::from_slice(object).ok()
                    } else {
                        Some(small_fields(object))
                    };
                    fields.map(Rc::new)
                }),
            };
            let key = text.get(key.clone()).filter(|key| key.len() <= MAX_KEY).unwrap_or_default();
            let key = String::from_utf8_lossy(key).into_owned();
            objects.extend(object.clone().map(|object| Around { object, key }));
            used.push((*start, object));
        }
        // Keep only what may also be around the next offset.
        known = used;
        visit(number, &objects.iter().collect::<Vec<_>>());
    }
}

/// The objects around each of `offsets`, and where each object ends.
fn windows(text: &[u8], offsets: &[usize]) -> (Vec<Rc<Window>>, HashMap<usize, usize>) {
    let mut windows: Vec<Rc<Window>> = Vec::with_capacity(offsets.len());
    let mut ends = HashMap::new();
    let mut open: Vec<Open> = Vec::new();
    // Open levels beyond those that are followed.
    let mut deeper = 0usize;
    let mut at = 0;
    let mut wanted = offsets.iter().copied().peekable();
    while at < text.len() && (wanted.peek().is_some() || !open.is_empty()) {
        let start = at;
        at = if text[at] == b'"' { string_end(text, at) } else { at + 1 };
        match text[start] {
            b'{' | b'[' if open.len() < MAX_DEPTH => {
                open.push(Open { start, is_object: text[start] == b'{', key: 0..0, passed: windows.len() });
            }
            b'{' | b'[' => deeper += 1,
            b'}' | b']' if deeper > 0 => deeper -= 1,
            b'}' | b']' => {
                if let Some(closed) = open.pop().filter(|closed| closed.is_object && closed.passed < windows.len()) {
                    ends.insert(closed.start, at);
                }
            }
            b'"' => {
                if let Some(innermost) = open.last_mut().filter(|open| open.is_object && deeper == 0)
                    && text[at..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
                {
                    innermost.key = start + 1..at.saturating_sub(1).max(start + 1);
                }
            }
            _ => {}
        }
        let mut shared: Option<Rc<Window>> = None;
        while wanted.next_if(|offset| *offset < at).is_some() {
            let window = shared.get_or_insert_with(|| {
                let objects = open.iter().rev().filter(|open| open.is_object).take(MAX_AROUND);
                Rc::new(objects.map(|open| (open.start, open.key.clone())).collect())
            });
            windows.push(window.clone());
        }
    }
    windows.resize(offsets.len(), Rc::default());
    (windows, ends)
}

/// The fields of a large object whose values are small: it is a collection, and they say of what.
fn small_fields(object: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut depth = 0_usize;
    // Where a field starts: after the opening bracket or a comma.
    let mut field = 1;
    let mut at = 0;
    while let Some(&byte) = object.get(at) {
        let next = if byte == b'"' { string_end(object, at) } else { at + 1 };
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_end = depth == 0 || depth == 1 && byte == b',';
        if is_end {
            if let Some(bytes) = object.get(field..at).filter(|bytes| bytes.len() <= MAX_SMALL)
                && let Ok(Value::Object(one)) = serde_json::from_slice(&[b"{", bytes, b"}"].concat())
                && fields.len() < MAX_FIELDS
            {
                fields.extend(one);
            }
            field = next;
        }
        if depth == 0 {
            break;
        }
        at = next;
    }
    fields
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys around each offset, innermost first.
    fn keys(text: &str, offsets: &[usize]) -> Vec<Vec<String>> {
        let mut keys = vec![];
        around(text.as_bytes(), offsets, &mut |number, around| {
            assert_eq!(number, keys.len());
            keys.push(around.iter().map(|around| around.key.clone()).collect());
        });
        keys
    }

    #[test]
    fn objects_are_told_from_the_inside() {
        let text = r#"[{"a": {"b": "x", "c": ["y"]}}, {"d": "z"}]"#;
        let at = |what: &str| text.find(what).unwrap();
        assert_eq!(keys(text, &[0, at("x"), at("y"), at("z")]), [vec![], vec!["b", "a"], vec!["c", "a"], vec!["d"]]);
    }

    #[test]
    fn of_a_large_object_small_fields_are_read() {
        let items = format!("[{}]", vec![r#"{"a": ",}"}"#; 40_000].join(","));
        let text = format!(r#"{{"name": "n, {{", "items": {items}, "empty": {{}}, "last": 1}}"#);
        let fields = small_fields(text.as_bytes());
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"empty":{},"last":1,"name":"n, {"}"#);
    }

    #[test]
    fn what_is_too_deep_does_not_move_what_follows() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let text = format!(r#"[{deep}, {{"a": "x"}}]"#);
        assert_eq!(keys(&text, &[text.find('x').unwrap()]), [["a"]]);
    }
}
