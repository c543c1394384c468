//! The text of pages, and of the forms that they draw (ISO 32000-2, 7.8 and 9.4).

use super::content::{Key, Pen, State};
use super::filter::Purse;
use super::font::{CMap, Font};
use super::sheet::{Mark, Matrix, Sheet};
use super::{Give, MAX_DEPTH, MAX_KEPT, MAX_USED, PIECE, REPEATED, Unread, layout};
use lopdf::{Dictionary, Document, Object, Stream};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Identifies an object of a document.
pub(super) fn address<T>(object: &T) -> usize {
    std::ptr::from_ref(object) as usize
}

/// The maximum number of content streams remembered.
const MAX_MEMOS: usize = 20_000;
/// The maximum length of a field's value that is looked for in what its page shows, in bytes.
const MAX_VALUE: usize = 1 << 10;
/// The maximum number of fields whose appearance on pages is remembered.
const MAX_SHOWN: usize = 20_000;

/// Text of one page, or other text.
#[derive(Default)]
pub(super) struct Out {
    pub name: String,
    /// What is not yet in reading order.
    pub sheet: Sheet,
    pub text: String,
    /// How often text was handed over.
    pub pieces: usize,
    /// True if it shows a picture.
    pub has_picture: bool,
}

/// A font or form that was looked up: its kind, name and address.
type Used = (&'static [u8], Vec<u8>, usize);

/// The result of reading a content stream.
struct Memo {
    resources: usize,
    /// `None` if there are too many.
    used: Option<Vec<Used>>,
    /// The state at its end.
    state: State,
    /// What it shows; `None` if that is too long to be repeated.
    sheet: Option<Rc<Sheet>>,
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
    memos: HashMap<(usize, Key), Vec<Memo>>,
    memo_count: usize,
    pub kept: usize,
    /// Content streams that are being read.
    pub active: Vec<usize>,
    /// What was looked up in each of them.
    pub used: Vec<Option<Vec<Used>>>,
    /// Streams that were read or are of no interest.
    pub done: HashSet<usize>,
    pub pages: HashSet<usize>,
    /// What is shown for annotations and fields, without blanks.
    pub shown: HashMap<usize, Rc<str>>,
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
            memo_count: 0,
            kept: 0,
            active: Vec::new(),
            used: Vec::new(),
            done: HashSet::new(),
            pages: HashSet::new(),
            shown: HashMap::new(),
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
        let (mut all, mut read) = (0, 0);
        let parts = match page.get(b"Contents").map(|contents| (self.deref(contents), contents)) {
            Ok((Some(Object::Array(parts)), _)) => &parts[..],
            Err(_) | Ok((Some(Object::Null), _)) => &[],
            Ok((_, contents)) => std::slice::from_ref(contents),
        };
        for part in parts {
            all += 1;
            if let Some(Object::Stream(stream)) = self.deref(part) {
                read += 1;
                self.content(stream, resources, &mut pen, &mut out);
            }
        }
        self.annotations(page, &mut out);
        self.hand_over(&mut out, true);
        if out.has_picture && out.pieces == 0 {
            self.purse.unread.insert(Unread::Picture);
        }
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
        if out.text.len() + out.sheet.size() < PIECE && !is_over {
            return;
        }
        out.text.push_str(&layout::text(&std::mem::take(&mut out.sheet)));
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
    pub(super) fn look_up(
        &mut self,
        resources: Option<&'d Dictionary>,
        kind: &'static [u8],
        name: &[u8],
    ) -> Option<&'d Object> {
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

    /// Adds what a content stream shows. If it was read before with the same fonts and forms, that is repeated if short,
    /// and otherwise left out.
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
        let key = (id, pen.state.key());
        let place = resources.map_or(0, address);
        let is_same = |memo: &&Memo| {
            memo.resources == place
                || memo.used.as_ref().is_some_and(|used| {
                    used.iter().all(|(kind, name, address)| self.resource(resources, kind, name).1 == *address)
                })
        };
        if let Some(memo) = self.memos.get(&key).and_then(|memos| memos.iter().find(is_same)) {
            pen.state = memo.state.clone();
            let (sheet, used) = (memo.sheet.clone(), memo.used.clone());
            if self.purse.spend(sheet.as_ref().map_or(64, |sheet| sheet.size().max(64)))
                && let Some(sheet) = sheet
            {
                out.sheet.append(&sheet, Mark::default());
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
        let (pieces, start) = (out.pieces, out.sheet.mark());
        let data = self.purse.plain(self.document, stream);
        self.run(&data, resources, pen, out);
        self.active.pop();
        let used = self.used.pop().flatten();
        let sheet = (out.pieces == pieces).then(|| out.sheet.since(start));
        let sheet =
            sheet.filter(|sheet| sheet.length() <= REPEATED && self.kept + sheet.size() <= MAX_KEPT).map(Rc::new);
        self.kept += sheet.as_ref().map_or(0, |sheet| sheet.size());
        if self.memo_count < MAX_MEMOS
            && let memos = self.memos.entry(key).or_default()
            && memos.len() < 16
        {
            self.memo_count += 1;
            memos.push(Memo { resources: place, used, state: pen.state.clone(), sheet });
        }
        self.hand_over(out, false);
    }

    /// Adds what a form shows that is drawn in this state.
    pub(super) fn form(&mut self, form: &'d Stream, resources: Option<&'d Dictionary>, state: &State, out: &mut Out) {
        if self.active.len() > MAX_DEPTH {
            self.purse.unread.insert(Unread::Depth);
            return;
        }
        let own = self.dict(&form.dict, b"Resources");
        // What it looks up in its own resources does not depend on what draws it.
        let noted = own.is_some().then(|| self.used.last().cloned()).flatten();
        let (pieces, start) = (out.pieces, out.sheet.mark());
        self.content(form, own.or(resources), &mut Pen::for_form(state), out);
        // What was handed over is no longer there to be moved.
        let start = if out.pieces == pieces { start } else { Mark::default() };
        out.sheet.transform(start, self.matrix(&form.dict).then(state.ctm));
        if let (Some(noted), Some(last)) = (noted, self.used.last_mut()) {
            *last = noted;
        }
    }

    fn matrix(&self, form: &'d Dictionary) -> Matrix {
        self.numbers(form, b"Matrix").map_or(Matrix::IDENTITY, Matrix)
    }

    /// An array of exactly this many numbers.
    fn numbers<const N: usize>(&self, dict: &'d Dictionary, key: &[u8]) -> Option<[f64; N]> {
        let items = self.get(dict, key)?.as_array().ok().filter(|items| items.len() == N)?;
        let mut numbers = [0.0; N];
        for (number, item) in numbers.iter_mut().zip(items) {
            *number = f64::from(self.deref(item)?.as_float().ok()?);
        }
        Some(numbers)
    }

    /// Adds what the annotations of a page look like, each in its place: fields of forms stand beside their labels.
    fn annotations(&mut self, page: &'d Dictionary, out: &mut Out) {
        let Some(annotations) = self.get(page, b"Annots").and_then(|list| list.as_array().ok()) else { return };
        for annotation in annotations {
            let Some(annotation) = self.deref(annotation).and_then(|object| object.as_dict().ok()) else { continue };
            let Some([x, y, ..]) = self.numbers::<4>(annotation, b"Rect") else { continue };
            let Some(form) = self.appearance(annotation).filter(|form| is_form(form)) else { continue };
            // ISO 32000-2, 12.5.5: its box, transformed, comes to lie in the rectangle.
            let [left, bottom, ..] = self.numbers::<4>(&form.dict, b"BBox").unwrap_or_default();
            let (left, bottom) = self.matrix(&form.dict).apply((left, bottom));
            let mut state = Pen::new().state;
            state.ctm = Matrix::translation(x - left, y - bottom);
            let start = out.sheet.mark();
            self.form(form, None, &state, out);
            // The value of a field is that of the annotation or of its parent.
            let shown: Rc<str> = out.sheet.since(start).letters().into();
            if shown.len() > MAX_VALUE || self.shown.len() >= MAX_SHOWN {
                continue;
            }
            for dict in [Some(annotation), self.dict(annotation, b"Parent")].into_iter().flatten() {
                self.shown.entry(address(dict)).or_insert_with(|| shown.clone());
            }
        }
    }

    /// The form that shows an annotation in its present state.
    fn appearance(&self, annotation: &'d Dictionary) -> Option<&'d Stream> {
        match self.get(self.dict(annotation, b"AP")?, b"N")? {
            Object::Stream(form) => Some(form),
            Object::Dictionary(states) => {
                let state = self.get(annotation, b"AS")?.as_name().ok()?;
                self.get(states, state)?.as_stream().ok()
            }
            _ => None,
        }
    }
}

pub(super) fn is_form(stream: &Stream) -> bool {
    match stream.dict.get(b"Subtype").and_then(Object::as_name) {
        Ok(subtype) => subtype == b"Form",
        Err(_) => stream.dict.has(b"BBox"),
    }
}
