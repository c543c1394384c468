//! The text of pages, and of the forms that they draw (ISO 32000-2, 7.8 and 9.4).

use super::filter::Purse;
use super::font::{CMap, Font, UNKNOWN_WIDTH, text_string};
use super::lexer::{Lexer, Token};
use super::{Give, MAX_DEPTH, MAX_KEPT, MAX_USED, PIECE, REPEATED, Unread};
use lopdf::{Dictionary, Document, Object, Stream};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Identifies an object of a document.
pub(super) fn address<T>(object: &T) -> usize {
    std::ptr::from_ref(object) as usize
}

#[derive(Clone, Default)]
struct State {
    font: Option<Rc<Font>>,
    /// The address of the font; 0 if there is none.
    font_id: usize,
    size: f64,
}

/// Operators of content streams, and keywords that may be operands.
const OPERATORS: [&[u8]; 76] = [
    b"b", b"B", b"b*", b"B*", b"BDC", b"BI", b"BMC", b"BT", b"BX", b"c", b"cm", b"CS", b"cs", b"d", b"d0", b"d1",
    b"Do", b"DP", b"EI", b"EMC", b"ET", b"EX", b"f", b"F", b"f*", b"G", b"g", b"gs", b"h", b"i", b"ID", b"j", b"J",
    b"K", b"k", b"l", b"m", b"M", b"MP", b"n", b"q", b"Q", b"re", b"RG", b"rg", b"ri", b"s", b"S", b"SC", b"sc",
    b"SCN", b"scn", b"sh", b"T*", b"Tc", b"Td", b"TD", b"Tf", b"Tj", b"TJ", b"TL", b"Tm", b"Tr", b"Ts", b"Tw", b"Tz",
    b"v", b"w", b"W", b"W*", b"y", b"'", b"\"", b"true", b"false", b"null",
];

/// State that carries over from one content stream of a page to the next.
#[derive(Default)]
pub(super) struct Pen {
    state: State,
    saved: Vec<State>,
    /// Text that was read but not yet shown, and its width.
    pending: String,
    width: f64,
    numbers: [f64; 6],
    name: Vec<u8>,
    /// Scale and start of the line.
    scale: f64,
    at: (f64, f64),
    /// Start and end of what was shown last.
    shown: Option<(f64, f64, f64)>,
    is_line_over: bool,
    has_moved: bool,
}

impl Pen {
    /// A pen that has shown nothing.
    pub(super) fn new() -> Self {
        Self { scale: 1.0, ..Self::default() }
    }
}

/// Text of one page.
#[derive(Default)]
pub(super) struct Out {
    pub name: String,
    pub text: String,
    pub pieces: usize,
}

/// A font or form that was looked up: its kind, name and address.
type Used = (&'static [u8], Vec<u8>, usize);

/// The result of reading a content stream.
struct Memo {
    resources: usize,
    /// `None` if there are too many.
    used: Option<Vec<Used>>,
    state: State,
    text: Option<Rc<str>>,
}

pub(super) struct Reader<'d, 'c> {
    pub document: &'d Document,
    pub give: Give<'c>,
    pub purse: Purse<'c>,
    pub fonts: HashMap<usize, Rc<Font>>,
    pub cmaps: HashMap<usize, Option<Rc<CMap>>>,
    pub codes: usize,
    pub glyphs: HashMap<Vec<u8>, Option<char>>,
    pub tables: HashMap<Vec<u8>, Box<[Option<char>; 256]>>,
    memos: HashMap<(usize, usize), Vec<Memo>>,
    pub kept: usize,
    /// Content streams that are being read.
    pub active: Vec<usize>,
    /// What was looked up in each of them.
    pub used: Vec<Option<Vec<Used>>>,
    /// Streams that were read or are of no interest.
    pub done: HashSet<usize>,
    pub pages: HashSet<usize>,
}

impl<'d, 'c> Reader<'d, 'c> {
    pub(super) fn new(document: &'d Document, give: Give<'c>, purse: Purse<'c>) -> Self {
        Self {
            document,
            give,
            purse,
            fonts: HashMap::new(),
            cmaps: HashMap::new(),
            codes: 0,
            glyphs: HashMap::new(),
            tables: HashMap::new(),
            memos: HashMap::new(),
            kept: 0,
            active: Vec::new(),
            used: Vec::new(),
            done: HashSet::new(),
            pages: HashSet::new(),
        }
    }

    pub(super) fn all(&mut self) {
        self.page_tree();
        // Pages that are not in the page tree.
        for (id, object) in &self.document.objects {
            if let Object::Dictionary(page) = object
                && page.has_type(b"Page")
            {
                self.page(&format!("page of object {}", id.0), page, None);
            }
        }
        self.strings();
        self.others();
        if self.fonts.values().any(|font| font.is_opaque()) {
            self.purse.unread.insert(Unread::Font);
        }
    }

    pub(super) fn deref(&self, object: &'d Object) -> Option<&'d Object> {
        self.document.dereference(object).ok().map(|(_, object)| object)
    }

    pub(super) fn get(&self, dict: &'d Dictionary, key: &[u8]) -> Option<&'d Object> {
        dict.get_deref(key, self.document).ok().filter(|object| !object.is_null())
    }

    pub(super) fn dict(&self, dict: &'d Dictionary, key: &[u8]) -> Option<&'d Dictionary> {
        self.get(dict, key)?.as_dict().ok()
    }

    // ---------------------------------------------------------------------------------------------- pages

    fn page_tree(&mut self) {
        let document = self.document;
        let Some(root) = document.catalog().ok().and_then(|catalog| self.dict(catalog, b"Pages")) else {
            self.purse.unread.insert(Unread::PageTree);
            return;
        };
        let mut seen = HashSet::new();
        let mut stack = vec![(root, None)];
        let mut number = 0_usize;
        while let Some((node, inherited)) = stack.pop() {
            if !seen.insert(address(node)) {
                self.purse.unread.insert(Unread::PageTree);
                continue;
            }
            let resources = self.dict(node, b"Resources").or(inherited);
            let Some(kids) = self.get(node, b"Kids") else {
                number += 1;
                self.page(&format!("page {number}"), node, resources);
                continue;
            };
            let Ok(kids) = kids.as_array() else {
                self.purse.unread.insert(Unread::PageTree);
                continue;
            };
            for kid in kids.iter().rev() {
                match self.deref(kid).and_then(|kid| kid.as_dict().ok()) {
                    Some(kid) => stack.push((kid, resources)),
                    None => _ = self.purse.unread.insert(Unread::PageTree),
                }
            }
        }
        if number == 0 {
            self.purse.unread.insert(Unread::PageTree);
        }
    }

    fn page(&mut self, name: &str, page: &'d Dictionary, resources: Option<&'d Dictionary>) {
        if !self.pages.insert(address(page)) || self.purse.is_spent {
            return;
        }
        let resources = self.dict(page, b"Resources").or(resources).or_else(|| self.inherited(page));
        let mut out = Out { name: name.to_owned(), ..Out::default() };
        let mut pen = Pen::new();
        let Ok(contents) = page.get(b"Contents") else { return };
        let (mut all, mut read) = (0, 0);
        let parts = match self.deref(contents) {
            Some(Object::Array(parts)) => &parts[..],
            Some(Object::Null) => &[],
            _ => std::slice::from_ref(contents),
        };
        for part in parts {
            all += 1;
            if let Some(Object::Stream(stream)) = self.deref(part) {
                read += 1;
                self.content(stream, resources, &mut pen, &mut out);
            }
        }
        flush(&mut pen, &mut out);
        self.hand_over(&mut out, true);
        if read < all {
            self.purse.unread.insert(Unread::Page);
        }
    }

    fn inherited(&self, page: &'d Dictionary) -> Option<&'d Dictionary> {
        let mut node = page;
        for _ in 0..64 {
            node = self.dict(node, b"Parent")?;
            if let Some(resources) = self.dict(node, b"Resources") {
                return Some(resources);
            }
        }
        None
    }

    /// Emits the text of a page so far. Unless the page is over, it waits for [`PIECE`] bytes.
    pub(super) fn hand_over(&mut self, out: &mut Out, is_over: bool) {
        if out.text.len() < PIECE && !is_over {
            return;
        }
        if out.text.trim().is_empty() {
            out.text.clear();
            return;
        }
        (self.give)(&out.name, out.text.as_bytes());
        out.pieces += 1;
        let from = out.text.len().saturating_sub(REPEATED);
        let from = (from..=out.text.len()).find(|at| out.text.is_char_boundary(*at)).unwrap_or(out.text.len());
        out.text.drain(..from);
    }

    /// The object with this name in resources, and its address, or 0.
    fn resource(&self, resources: Option<&'d Dictionary>, kind: &[u8], name: &[u8]) -> (Option<&'d Object>, usize) {
        let found = resources.and_then(|resources| self.get(self.dict(resources, kind)?, name));
        (found, found.map_or(0, address))
    }

    /// The same, recorded as used.
    fn look_up(&mut self, resources: Option<&'d Dictionary>, kind: &'static [u8], name: &[u8]) -> Option<&'d Object> {
        let (found, address) = self.resource(resources, kind, name);
        self.note([(kind, name.to_vec(), address)]);
        found
    }

    fn note(&mut self, used: impl IntoIterator<Item = Used>) {
        let Some(noted) = self.used.last_mut() else { return };
        for one in used {
            match noted {
                Some(list) if list.contains(&one) => {}
                Some(list) if list.len() < MAX_USED && one.1.len() <= 64 => list.push(one),
                _ => *noted = None,
            }
        }
    }

    /// Appends the text of a content stream. If it was read before with the same fonts and forms, its text is repeated
    /// if short, and otherwise left out.
    pub(super) fn content(
        &mut self,
        stream: &'d Stream,
        resources: Option<&'d Dictionary>,
        pen: &mut Pen,
        out: &mut Out,
    ) {
        let id = address(stream);
        // A form that draws itself shows nothing.
        if self.purse.is_spent || self.active.contains(&id) {
            return;
        }
        let key = (id, pen.state.font_id);
        let place = resources.map_or(0, address);
        let is_same = |memo: &&Memo| {
            memo.resources == place
                || memo.used.as_ref().is_some_and(|used| {
                    used.iter().all(|(kind, name, address)| self.resource(resources, kind, name).1 == *address)
                })
        };
        if let Some(memo) = self.memos.get(&key).and_then(|memos| memos.iter().find(is_same)) {
            pen.state = memo.state.clone();
            let (text, used) = (memo.text.clone(), memo.used.clone());
            if self.purse.spend(text.as_ref().map_or(64, |text| text.len().max(64))) {
                out.text.push_str(text.as_deref().unwrap_or("\n"));
                pen.is_line_over = text.is_none();
            }
            match used {
                Some(used) => self.note(used),
                None => self.used.iter_mut().rev().take(1).for_each(|used| *used = None),
            }
            return self.hand_over(out, false);
        }
        self.done.insert(id);
        self.active.push(id);
        self.used.push(Some(Vec::new()));
        let (pieces, start) = (out.pieces, out.text.len());
        let data = self.purse.plain(self.document, stream);
        self.run(&data, resources, pen, out);
        self.active.pop();
        let used = self.used.pop().flatten();
        let text = out
            .text
            .get(start..)
            .filter(|text| out.pieces == pieces && text.len() <= REPEATED && self.kept + text.len() <= MAX_KEPT);
        let text = text.map(Rc::from);
        self.kept += text.as_ref().map_or(0, |text: &Rc<str>| text.len());
        let memos = self.memos.entry(key).or_default();
        if memos.len() < 16 {
            memos.push(Memo { resources: place, used, state: pen.state.clone(), text });
        }
        self.hand_over(out, false);
    }

    fn run(&mut self, data: &[u8], resources: Option<&'d Dictionary>, pen: &mut Pen, out: &mut Out) {
        let mut lexer = Lexer::new(data);
        let (mut in_dict, mut in_array, mut in_image) = (0_usize, false, false);
        let mut has_image_end = true;
        let (mut known, mut unknown) = (0_usize, 0_usize);
        while let Some(token) = lexer.next() {
            match token {
                Token::Number(number) => {
                    pen.numbers.rotate_left(1);
                    pen.numbers[5] = number;
                    if in_array && in_dict == 0 {
                        pen.width -= number;
                        if number < -200.0 && !pen.pending.is_empty() && !pen.pending.ends_with(' ') {
                            pen.pending.push(' ');
                        }
                    }
                }
                Token::Name(name) => pen.name = name,
                Token::Open(b'[') => in_array = true,
                Token::Close(b'[') => in_array = false,
                Token::Open(_) => in_dict += 1,
                Token::Close(_) => in_dict = in_dict.saturating_sub(1),
                Token::Text(_) if in_image => {}
                Token::Text(bytes) if in_dict > 0 => pen.pending.push_str(&text_string(&bytes)),
                Token::Text(bytes) => self.decode(&bytes, pen),
                Token::Word(word) => {
                    (in_dict, in_array) = (0, false);
                    match word {
                        b"BI" => in_image = true,
                        b"ID" if in_image => {
                            in_image = false;
                            has_image_end = has_image_end && lexer.skip_image();
                            if !has_image_end {
                                self.purse.unread.insert(Unread::Stream);
                            }
                        }
                        _ => {
                            if OPERATORS.contains(&word) {
                                known += 1;
                            } else {
                                unknown += 1;
                            }
                            self.operator(word, resources, pen, out);
                        }
                    }
                    self.hand_over(out, false);
                }
            }
            if pen.pending.len() > PIECE {
                flush(pen, out);
                self.hand_over(out, false);
            }
            if self.purse.is_spent {
                return;
            }
        }
        // The data is not a content stream, for example because the name of its filter is damaged.
        if lexer.is_cut || unknown > known / 8 && (unknown > 2 || known == 0) {
            self.purse.unread.insert(Unread::Stream);
        }
    }

    fn decode(&mut self, bytes: &[u8], pen: &mut Pen) {
        let before = pen.pending.len();
        match &pen.state.font {
            Some(font) => pen.width += font.decode(bytes, &mut pen.pending),
            None => {
                pen.pending.extend(bytes.iter().map(|byte| *byte as char));
                pen.width += UNKNOWN_WIDTH * bytes.len() as f64;
                self.purse.unread.insert(Unread::Font);
            }
        }
        // A code may stand for many characters.
        self.purse.spend((pen.pending.len() - before).saturating_sub(4 * bytes.len()));
    }

    fn operator(&mut self, word: &[u8], resources: Option<&'d Dictionary>, pen: &mut Pen, out: &mut Out) {
        // For example `a b c d e f Tm`; an operator with fewer operands takes the last ones.
        let [a, b, _, d, before_last, last] = pen.numbers;
        match word {
            b"Tj" | b"TJ" => show(pen, out),
            b"'" | b"\"" => {
                pen.is_line_over = true;
                show(pen, out);
            }
            b"Tf" => {
                pen.state.size = last;
                let name = std::mem::take(&mut pen.name);
                let font = self.look_up(resources, b"Font", &name).and_then(|font| font.as_dict().ok());
                pen.state.font_id = font.map_or(0, address);
                pen.state.font = font.and_then(|font| self.font(font));
            }
            b"Td" | b"TD" => {
                pen.at.0 += before_last * pen.scale;
                pen.at.1 += last;
            }
            b"Tm" => {
                pen.scale = if a == 0.0 { b.abs().max(d.abs()) } else { a.abs() };
                // Position along and across the line, even if it is not horizontal.
                pen.at = if a == 0.0 && b != 0.0 { (last * b.signum(), before_last) } else { (before_last, last) };
            }
            b"T*" => pen.is_line_over = true,
            b"BT" => {
                pen.at = (0.0, 0.0);
                pen.scale = 1.0;
            }
            b"cm" => {
                pen.has_moved = true;
                pen.is_line_over = true;
            }
            b"q" if pen.saved.len() < 512 => pen.saved.push(pen.state.clone()),
            b"Q" => {
                if let Some(state) = pen.saved.pop() {
                    pen.state = state;
                }
                pen.is_line_over |= pen.has_moved;
            }
            b"Do" => {
                let name = std::mem::take(&mut pen.name);
                match self.look_up(resources, b"XObject", &name) {
                    Some(Object::Stream(form)) => self.form(form, resources, pen, out),
                    _ => _ = self.purse.unread.insert(Unread::Object),
                }
            }
            // Text that was the operand of another operator.
            _ if !pen.pending.is_empty() => flush(pen, out),
            _ => {}
        }
    }

    fn form(&mut self, form: &'d Stream, resources: Option<&'d Dictionary>, pen: &mut Pen, out: &mut Out) {
        if !is_form(form) {
            return;
        }
        if self.active.len() > MAX_DEPTH {
            self.purse.unread.insert(Unread::Depth);
            return;
        }
        flush(pen, out);
        let own = self.dict(&form.dict, b"Resources");
        let mut inner = Pen { state: pen.state.clone(), is_line_over: true, ..Pen::new() };
        // What it looks up in its own resources does not depend on what draws it.
        let noted = own.is_some().then(|| self.used.last().cloned()).flatten();
        self.content(form, own.or(resources), &mut inner, out);
        flush(&mut inner, out);
        if let (Some(noted), Some(last)) = (noted, self.used.last_mut()) {
            *last = noted;
        }
        pen.is_line_over = true;
    }
}

/// Appends text that no operator has shown, on a separate line.
pub(super) fn flush(pen: &mut Pen, out: &mut Out) {
    if !pen.pending.is_empty() {
        pen.is_line_over = true;
        show(pen, out);
        pen.is_line_over = true;
    }
}

pub(super) fn is_form(stream: &Stream) -> bool {
    match stream.dict.get(b"Subtype").and_then(Object::as_name) {
        Ok(subtype) => subtype == b"Form",
        Err(_) => stream.dict.has(b"BBox"),
    }
}

/// Appends the text that was read, separated from the previous text according to their positions.
fn show(pen: &mut Pen, out: &mut Out) {
    let size = pen.state.size.abs();
    let width = std::mem::take(&mut pen.width) / 1000.0 * size * pen.scale;
    let (x, y) = pen.at;
    let mut start = x;
    if let Some((line, from, end)) = pen.shown {
        // Text follows text, or a move to a position before, at, or well after its end.
        let is_moved = (x - from).abs() > 1e-3;
        let gap = x - end;
        if pen.is_line_over || (y - line).abs() > 1e-2 {
            out.text.push('\n');
        } else if is_moved && (gap > 0.15 * size * pen.scale || x < from) {
            out.text.push(' ');
        } else if !is_moved {
            start = end;
        }
    } else if pen.is_line_over && !out.text.is_empty() && !out.text.ends_with('\n') {
        out.text.push('\n');
    }
    pen.is_line_over = false;
    pen.shown = Some((y, x, start + width));
    out.text.push_str(&std::mem::take(&mut pen.pending));
}
