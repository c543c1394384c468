//! The content of a document besides the text of its pages: annotations, form fields, other strings, embedded files,
//! and streams that no page refers to.

use super::content::Pen;
use super::font::text_string;
use super::load::DEFERRED;
use super::page::{Out, Reader, address, is_form};
use super::{EMBEDDED, Unread};
use lopdf::{Dictionary, Object, Stream};
use std::collections::HashSet;

impl<'d> Reader<'d, '_> {
    /// Emits strings outside of content streams, and embedded files.
    pub(super) fn strings(&mut self) {
        const NAMES: [&str; 3] = ["annotations", "form fields", "other strings"];
        /// Binary, or the name of a font.
        const LEFT_OUT: [&[u8]; 10] =
            [b"DA", b"ID", b"O", b"U", b"OE", b"UE", b"Perms", b"CheckSum", b"Lookup", b"Cert"];
        let mut texts = NAMES.map(|name| Out { name: name.to_owned(), ..Out::default() });
        let objects = self
            .document
            .objects
            .values()
            .chain(self.document.trailer.iter().filter(|(key, _)| *key != b"ID").map(|(_, value)| value));
        // Each with the index of its text in `texts`.
        let mut stack: Vec<(&'d Object, usize)> = Vec::new();
        let mut seen = HashSet::new();
        for object in objects {
            stack.push((object, 2));
            while let Some((object, kind)) = stack.pop() {
                let dict = match object {
                    Object::String(bytes, _) => {
                        let out = &mut texts[kind];
                        out.text.push_str(&text_string(bytes));
                        out.text.push('\n');
                        self.hand_over(out, false);
                        continue;
                    }
                    Object::Array(items) => {
                        stack.extend(items.iter().rev().filter(|item| is_deep(item)).map(|item| (item, kind)));
                        continue;
                    }
                    Object::Dictionary(dict) => dict,
                    Object::Stream(stream) => &stream.dict,
                    _ => continue,
                };
                if let Some(files) = self.dict(dict, b"EF") {
                    self.embedded(dict, files);
                }
                let is_signature = dict.has(b"ByteRange");
                let is_annotation = dict.has(b"Subtype") && dict.has(b"Rect") || dict.has_type(b"Annot");
                let is_field = dict.has(b"FT") || dict.has(b"T") && dict.has(b"Kids");
                let from = stack.len();
                for (key, value) in dict {
                    let kind = match &key[..] {
                        b"Contents" if is_signature => continue,
                        b"V" | b"DV" if self.is_shown(dict, value) => continue,
                        key if LEFT_OUT.contains(&key) => continue,
                        b"V" | b"DV" | b"RV" | b"Opt" if is_field || is_annotation => 1,
                        b"T" | b"TU" | b"TM" if is_field => 1,
                        _ if is_annotation => 0,
                        _ => kind,
                    };
                    // A field's value that is a separate object would otherwise be listed with the other strings.
                    let value = match self.document.dereference(value) {
                        Ok((Some(_), value @ Object::String(..))) if seen.insert(address(value)) => value,
                        _ => value,
                    };
                    if is_deep(value) {
                        stack.push((value, kind));
                    }
                }
                if let Some(pushed) = stack.get_mut(from..) {
                    pushed.reverse();
                }
            }
        }
        for mut out in texts {
            self.hand_over(&mut out, true);
        }
    }

    /// True if a page shows this value of a field, beside its label: without that, ids and secrets are easily mixed up.
    fn is_shown(&self, field: &'d Dictionary, value: &'d Object) -> bool {
        let Some(shown) = self.shown.get(&address(field)) else { return false };
        let value = self.deref(value).and_then(|value| value.as_str().ok());
        let value = value.filter(|value| value.len() <= 4 * shown.len() + 64).map(text_string);
        value.is_some_and(|value| shown.contains(&value.split_whitespace().collect::<String>()))
    }

    fn embedded(&mut self, specification: &'d Dictionary, files: &'d Dictionary) {
        let keys: [&[u8]; 5] = [b"UF", b"F", b"Unix", b"Mac", b"DOS"];
        let name = keys.iter().find_map(|key| self.get(specification, key)?.as_str().ok()).map(text_string);
        for (_, file) in files {
            match self.deref(file) {
                Some(Object::Stream(stream)) => {
                    self.hand_over_stream(&format!("{EMBEDDED}{}", name.as_deref().unwrap_or_default()), stream);
                }
                _ => _ = self.purse.unread.insert(Unread::Object),
            }
        }
    }

    fn hand_over_stream(&mut self, name: &str, stream: &'d Stream) {
        if self.done.insert(address(stream)) && !self.purse.is_spent {
            let bytes = self.purse.plain(self.document, stream);
            if !bytes.is_empty() {
                (self.give)(name, &bytes);
            }
        }
    }

    /// Emits what no page refers to: forms shown by annotations, patterns, metadata, scripts, form data.
    pub(super) fn others(&mut self) {
        let document = self.document;
        let mut fonts = HashSet::new();
        for object in document.objects.values() {
            if let Ok(dict) = object.as_dict() {
                let files = [&b"FontFile"[..], b"FontFile2", b"FontFile3", b"CIDToGIDMap"];
                fonts.extend(files.iter().filter_map(|key| self.get(dict, key)?.as_stream().ok().map(address)));
            }
        }
        for (id, object) in &document.objects {
            let Object::Stream(stream) = object else { continue };
            let dict = &stream.dict;
            if self.done.contains(&address(stream)) || fonts.contains(&address(stream)) || self.purse.is_spent {
                continue;
            }
            if is_form(stream) || dict.has(b"PatternType") && !dict.has(b"ShadingType") {
                let mut out = Out { name: format!("drawing of object {}", id.0), ..Out::default() };
                let mut pen = Pen::new();
                self.content(stream, self.dict(dict, b"Resources"), &mut pen, &mut out);
                self.hand_over(&mut out, true);
                continue;
            }
            let is_image = dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Image")
                || dict.has(b"Width") && dict.has(b"Height");
            let is_number = dict.has(b"FunctionType") || dict.has(b"ShadingType") || dict.has(b"Alternate");
            let is_structure = dict.has_type(DEFERRED) || dict.has_type(b"ObjStm") || dict.has_type(b"XRef");
            if is_image || is_number || is_structure {
                continue;
            }
            let is_file = dict.has_type(b"EmbeddedFile");
            let name = if is_file { EMBEDDED.to_owned() } else { format!("stream of object {}", id.0) };
            self.hand_over_stream(&name, stream);
        }
    }
}

/// True if there may be a string in it.
fn is_deep(object: &Object) -> bool {
    matches!(object, Object::String(..) | Object::Array(_) | Object::Dictionary(_) | Object::Stream(_))
}
