//! Loads a document and detects what could not be loaded: `lopdf` silently drops what it cannot parse.

use super::filter::Purse;
use super::lexer::{Lexer, Token, is_regular, is_space, memmem, memrmem};
use super::{MAX_PART, MAX_WORDS, Unread};
use lopdf::xref::XrefEntry;
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, ObjectStream, Stream};

pub(super) const DEFERRED: &[u8] = b"ObjStm, not yet read";

/// Keeps `lopdf` from unpacking object streams itself: it would not count the bytes, fail as a whole if one is too
/// large, and ignore damage. For objects of the file, it ignores the return value unless it is `None`.
#[allow(clippy::unnecessary_wraps, reason = "the library asks for it")]
fn defer(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    if let Object::Stream(stream) = object
        && stream.dict.has_type(b"ObjStm")
    {
        stream.dict.set("Type", Object::Name(DEFERRED.to_vec()));
    }
    Some((id, Object::Null))
}

pub(super) fn load(bytes: &[u8], purse: &mut Purse) -> Option<Document> {
    let load = |force_reconstruct| {
        let max_decompressed_size = Some(MAX_PART);
        let filter = Some(defer as lopdf::FilterFunc);
        let options = LoadOptions { max_decompressed_size, filter, force_reconstruct, ..LoadOptions::default() };
        Document::load_mem_with_options(bytes, options)
    };
    let mut document = match load(false) {
        Ok(document) => document,
        Err(
            lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) | lopdf::Error::UnsupportedSecurityHandler(_),
        ) => {
            purse.unread.insert(Unread::Encrypted);
            return None;
        }
        Err(_) => {
            purse.unread.insert(Unread::NotParsed);
            return None;
        }
    };
    // Not `is_encrypted`, which is false if the dictionary is a direct object or does not load.
    if document.trailer.has(b"Encrypt") {
        purse.unread.insert(Unread::Encrypted);
        return None;
    }
    let mut words = 0;
    unfold(&mut document, purse, &mut words);
    if is_missing(&document, bytes) {
        if !document.was_encrypted()
            && let Ok(mut rebuilt) = load(true)
        {
            unfold(&mut rebuilt, purse, &mut words);
            for (id, object) in rebuilt.objects {
                document.objects.entry(id).or_insert(object);
            }
            if document.catalog().is_err() {
                document.trailer = rebuilt.trailer;
            }
        }
        if is_missing(&document, bytes) {
            purse.unread.insert(Unread::Object);
        }
    }
    Some(document)
}

/// Adds the members of object streams.
fn unfold(document: &mut Document, purse: &mut Purse, words: &mut usize) {
    let is_deferred = |object: &&Object| object.as_stream().is_ok_and(|stream| stream.dict.has_type(DEFERRED));
    let ids: Vec<_> = document.objects.iter().filter(|(_, object)| is_deferred(object)).map(|(id, _)| *id).collect();
    for id in ids {
        let Some(Object::Stream(stream)) = document.objects.get(&id) else { continue };
        let content = purse.plain(document, stream);
        *words = words.saturating_add(content.split(|&byte| !is_regular(byte)).filter(|word| !word.is_empty()).count());
        if *words > MAX_WORDS {
            purse.unread.insert(Unread::TooLarge);
            return;
        }
        let mut dict = Dictionary::new();
        for key in ["N", "First"] {
            if let Ok(value) = stream.dict.get_deref(key.as_bytes(), document) {
                dict.set(key, value.clone());
            }
        }
        let count = dict.get(b"N").and_then(Object::as_i64).unwrap_or(-1);
        let first = dict.get(b"First").and_then(Object::as_i64).ok().and_then(|first| usize::try_from(first).ok());
        let shape = shape(&content, first.unwrap_or_default());
        if !matches!(shape, (items, End::Data) if usize::try_from(count) == Ok(items)) {
            purse.unread.insert(Unread::ObjectStream);
        }
        let Ok(members) = ObjectStream::new(&Stream::new(dict, content)) else {
            purse.unread.insert(Unread::ObjectStream);
            continue;
        };
        if usize::try_from(count).is_ok_and(|count| members.objects.len() < count) || count < 0 {
            purse.unread.insert(Unread::ObjectStream);
        }
        for (member, object) in members.objects {
            let is_wanted = match document.reference_table.get(member.0) {
                Some(XrefEntry::Compressed { container, .. }) => *container == id.0,
                // An earlier version must not hide that the last one is damaged.
                Some(XrefEntry::Free | XrefEntry::UnusableFree | XrefEntry::Normal { .. }) => false,
                None => true,
            };
            if is_wanted {
                document.objects.entry(member).or_insert(object);
            }
        }
    }
}

/// True if an object is listed or present in the file but not loaded. Objects that a later table lists as deleted, and
/// earlier versions of loaded objects, are left out on purpose.
fn is_missing(document: &Document, bytes: &[u8]) -> bool {
    // `lopdf` removes the encryption dictionary once it has the key.
    let decryption = document.was_encrypted().then(|| {
        let at = memrmem(bytes, b"/Encrypt")?;
        let mut lexer = Lexer::new(bytes.get(at + 8..)?);
        match (lexer.next()?, lexer.next()?) {
            (Token::Number(number), Token::Number(_)) => Some(number as u32),
            _ => None,
        }
    });
    let decryption = decryption.flatten();
    let is_listed = |(&number, entry): (&u32, &XrefEntry)| {
        let id = match *entry {
            XrefEntry::Normal { offset, generation } if offset > 0 => (number, generation),
            XrefEntry::Compressed { .. } => (number, 0),
            _ => return false,
        };
        Some(number) != decryption && !document.objects.contains_key(&id)
    };
    document.reference_table.entries.iter().any(is_listed) || stands_unread(document, bytes, decryption)
}

/// True if an object is present in the file as `1 0 obj` but not loaded. The data of streams is skipped: by `/Length`
/// if `endstream` is where it says (so that a PDF in a PDF is not searched), by the length of the loaded object, or
/// else up to the next `endstream`.
fn stands_unread(document: &Document, bytes: &[u8], decryption: Option<u32>) -> bool {
    const STREAM: &[u8] = b"stream";
    const END: &[u8] = b"endstream";
    let is_unread = |number: u32, from: usize| {
        let is_loaded = document.objects.range((number, 0)..=(number, u16::MAX)).next().is_some();
        let is_free = matches!(document.reference_table.get(number), Some(XrefEntry::Free | XrefEntry::UnusableFree));
        if is_loaded || is_free || Some(number) == decryption {
            return false;
        }
        // A cross-reference table need not list the stream that contains it.
        let head = bytes.get(from..(from + 512).min(bytes.len())).unwrap_or_default();
        let head =
            head.get(..memmem(head, b"endobj").or(memmem(head, STREAM)).unwrap_or(head.len())).unwrap_or_default();
        memmem(head, b"/XRef").is_none()
    };
    // The last object found, and where its header ends.
    let mut owner: Option<(ObjectId, usize)> = None;
    let mut at = 0;
    let mut ends = true;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let is_start = at == 0 || !is_regular(bytes[at - 1]);
        if byte.is_ascii_digit() && is_start {
            if let Some((id, length)) = header(rest) {
                at += length;
                owner = Some((id, at));
                let (items, end) = shape(bytes, at);
                let is_stream = document.objects.get(&id).is_none_or(|object| object.as_stream().is_ok());
                match end {
                    _ if is_unread(id.0, at) || items > 1 => return true,
                    End::Object(end) => at = end,
                    End::Stream(end) if is_stream => at = end,
                    // `lopdf` takes the part before the damage for the whole object.
                    End::Stream(_) | End::Data | End::Wrong => return true,
                }
            } else {
                at += rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            }
            continue;
        }
        // A comment may hold anything.
        if byte == b'%' && is_start {
            at += rest.iter().take_while(|byte| !b"\r\n".contains(byte)).count();
            continue;
        }
        if byte != b's' || !rest.starts_with(STREAM) || !is_start || !matches!(rest.get(6), Some(b'\r' | b'\n' | b' '))
        {
            at += 1;
            continue;
        }
        let start = at + STREAM.len() + rest[6..].iter().take(2).take_while(|byte| b" \r\n".contains(byte)).count();
        let ends_at = |length: usize| {
            let end = start.checked_add(length)?;
            let after = bytes.get(end..)?;
            let blank = after.iter().take(2).take_while(|byte| is_space(**byte)).count();
            after[blank..].starts_with(END).then_some(end + blank + END.len())
        };
        let written = owner.and_then(|(_, from)| {
            let head = bytes.get(from.max(at.saturating_sub(4096))..at)?;
            let mut lexer = Lexer::new(head.get(memmem(head, b"/Length ")? + 8..)?);
            let Token::Number(length) = lexer.next()? else { return None };
            if !matches!(lexer.next(), Some(Token::Number(_))) {
                return Some(length as usize);
            }
            document.objects.get(&(length as u32, 0)).and_then(|object| usize::try_from(object.as_i64().ok()?).ok())
        });
        let loaded = || Some(document.objects.get(&owner?.0)?.as_stream().ok()?.content.len());
        let mut end = written.and_then(ends_at).or_else(|| loaded().and_then(ends_at));
        if end.is_none() && ends {
            end = memmem(bytes.get(start..).unwrap_or_default(), END).map(|length| start + length + END.len());
            ends = end.is_some();
        }
        at = end.unwrap_or(start);
    }
    false
}

/// How an object ends.
enum End {
    /// With `endobj`, or where something else starts; at this offset.
    Object(usize),
    /// With `stream`, at this offset.
    Stream(usize),
    /// At the end of the data.
    Data,
    /// Brackets do not match, or there is a word where none is allowed.
    Wrong,
}

/// The number of consecutive objects from `at`, and how they end.
fn shape(bytes: &[u8], at: usize) -> (usize, End) {
    let mut lexer = Lexer::new(bytes);
    lexer.at = at;
    let (mut open, mut items) = (Vec::new(), 0_usize);
    while let Some(token) = lexer.next() {
        match token {
            Token::Open(kind) => {
                open.push(kind);
                continue;
            }
            Token::Close(kind) if open.pop() == Some(kind) => {}
            Token::Close(_) => return (items, End::Wrong),
            Token::Word(b"R") => {
                items = items.saturating_sub(usize::from(open.is_empty()));
                continue;
            }
            Token::Word(b"true" | b"false" | b"null") | Token::Number(_) | Token::Name(_) | Token::Text(_) => {}
            Token::Word(_) if !open.is_empty() => return (items, End::Wrong),
            Token::Word(b"endobj") => return (items, End::Object(lexer.at)),
            Token::Word(b"stream") => return (items, End::Stream(lexer.at - 6)),
            // Without `endobj`, before another object or a table.
            Token::Word(b"obj") => return (items.saturating_sub(2), End::Object(at)),
            Token::Word(b"xref" | b"trailer" | b"startxref") => return (items, End::Object(at)),
            Token::Word(_) => return (items, End::Wrong),
        }
        items += usize::from(open.is_empty());
        if lexer.is_cut {
            return (items, End::Wrong);
        }
    }
    (items, if open.is_empty() { End::Data } else { End::Wrong })
}

/// The id in `1 0 obj`, and the length of that header.
fn header(bytes: &[u8]) -> Option<(ObjectId, usize)> {
    let mut at = 0;
    let mut number = |most: usize| {
        let digits = bytes.get(at..)?.iter().take(most + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let value = std::str::from_utf8(bytes.get(at..at + digits)?).ok()?.parse::<u32>().ok()?;
        let blanks = bytes.get(at + digits..)?.iter().take(16).take_while(|byte| is_space(**byte)).count();
        at += digits + blanks;
        (blanks > 0 && digits <= most).then_some(value)
    };
    let id = (number(10)?, u16::try_from(number(5)?).ok()?);
    let is_header =
        bytes.get(at..)?.starts_with(b"obj") && bytes.get(at + 3).is_none_or(|byte| !byte.is_ascii_alphabetic());
    is_header.then_some((id, at + 3))
}
