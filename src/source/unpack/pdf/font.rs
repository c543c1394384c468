//! The meaning of character codes in fonts (ISO 32000-2, 9.6 to 9.10).

use super::lexer::{Lexer, Token, memmem};
use super::metrics::{Standard, standard};
use super::page::{Reader, address};
use super::{MAX_CODES, MAX_FONTS, MAX_SPACES, MAX_UNITS, Unread};
use lopdf::{Dictionary, Object, Stream};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// A mapping from codes to text.
#[derive(Default)]
pub(super) struct CMap {
    /// Ranges of valid codes: their length in bytes, first and last code.
    pub spaces: Vec<(u8, u32, u32)>,
    /// Ranges of mapped codes: the same, and the text of the first code; sorted.
    pub codes: Vec<(u8, u32, u32, Box<[u16]>)>,
}

impl CMap {
    /// `None` if it has too many entries.
    fn parse(bytes: &[u8], most: usize) -> Option<Self> {
        let code = |text: &[u8]| {
            let length = u8::try_from(text.len()).ok().filter(|length| (1..=4).contains(length))?;
            Some((length, text.iter().fold(0, |code: u32, byte| code << 8 | u32::from(*byte))))
        };
        let units = |text: &[u8]| -> Box<[u16]> {
            let one = |pair: &[u8]| pair.iter().fold(0, |unit: u16, byte| unit << 8 | u16::from(*byte));
            text.chunks(2).take(MAX_UNITS).map(one).collect()
        };
        let mut cmap = Self::default();
        let (mut section, mut items, mut listed) = (&b""[..], Vec::<Vec<u8>>::new(), None::<u32>);
        for token in Lexer::new(bytes) {
            if cmap.codes.len() + cmap.spaces.len() > most {
                return None;
            }
            match token {
                Token::Word(word) => {
                    section = word.strip_prefix(b"begin").unwrap_or_default();
                    items.clear();
                    listed = None;
                }
                Token::Open(b'[') => listed = Some(0),
                Token::Close(b'[') => {
                    items.clear();
                    listed = None;
                }
                Token::Text(text) => {
                    if let (Some(index), b"bfrange", Some(from)) = (&mut listed, section, items.first()) {
                        if let Some((length, from)) = code(from)
                            && let Some(code) = from.checked_add(*index)
                        {
                            cmap.codes.push((length, code, code, units(&text)));
                        }
                        *index = index.saturating_add(1);
                        continue;
                    }
                    items.push(text);
                    match (section, &items[..]) {
                        (b"codespacerange", [from, to]) => {
                            if cmap.spaces.len() < MAX_SPACES
                                && let (Some((length, from)), Some((_, to))) = (code(from), code(to))
                            {
                                cmap.spaces.push((length, from, to));
                            }
                            items.clear();
                        }
                        (b"bfchar", [from, to]) => {
                            if let Some((length, from)) = code(from) {
                                cmap.codes.push((length, from, from, units(to)));
                            }
                            items.clear();
                        }
                        (b"bfrange", [from, to, target]) => {
                            if let (Some((length, from)), Some((_, to))) = (code(from), code(to)) {
                                cmap.codes.push((length, from, to, units(target)));
                            }
                            items.clear();
                        }
                        (b"codespacerange" | b"bfchar" | b"bfrange", _) => {}
                        _ => items.clear(),
                    }
                }
                _ => {}
            }
        }
        cmap.codes.sort_by_key(|(length, from, ..)| (*length, *from));
        Some(cmap)
    }

    /// Appends the text of a code; false if it is not known.
    fn push(&self, length: usize, code: u32, text: &mut String) -> bool {
        let length = length as u8;
        let after = self.codes.partition_point(|(other, from, ..)| (*other, *from) <= (length, code));
        let found = self.codes[..after].iter().rev().take(4).find(|(other, _, to, _)| *other == length && *to >= code);
        let Some((_, from, _, units)) = found else { return false };
        // Ghostscript writes the letters of ligatures with their bytes exchanged.
        let is_swapped = units.len() > 1 && units.iter().all(|unit| unit.trailing_zeros() >= 8);
        let units: Vec<u16> = units.iter().map(|unit| if is_swapped { unit.swap_bytes() } else { *unit }).collect();
        let Some((last, start)) = units.split_last() else { return false };
        let last = last.wrapping_add((code - from) as u16);
        let before = text.len();
        text.extend(
            char::decode_utf16(start.iter().copied().chain([last]))
                .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
        !text[before..].chars().all(|char| char == '\0' || char == char::REPLACEMENT_CHARACTER)
    }

    /// The length of the next code, in bytes.
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let is_in = |length: usize, from: u32, to: u32| {
            (0..length).all(|index| {
                let shift = 8 * (length - 1 - index);
                let byte = bytes.get(index).map_or(256, |byte| u32::from(*byte));
                (from >> shift & 255..=to >> shift & 255).contains(&byte)
            })
        };
        let found = self.spaces.iter().find(|(length, from, to)| is_in(usize::from(*length), *from, *to));
        found.map(|(length, ..)| usize::from(*length))
    }
}

enum Codes {
    /// One byte each, with their characters.
    Bytes(Box<[Option<char>; 256]>),
    Utf16,
    /// Glyph numbers, mostly of two bytes.
    Glyphs,
}

pub(super) struct Font {
    cmap: Option<Rc<CMap>>,
    codes: Codes,
    widths: Widths,
    /// Unknown codes that were shown, by their last byte.
    unknown: RefCell<[bool; 256]>,
}

/// Spells out ligatures, which keys are not written with but drawn with, and leaves out what has no width. `None` if there
/// is nothing to change.
fn without_ligatures(text: &str) -> Option<String> {
    let plain = |char| match char {
        'ﬀ' => Some("ff"),
        'ﬁ' => Some("fi"),
        'ﬂ' => Some("fl"),
        'ﬃ' => Some("ffi"),
        'ﬄ' => Some("ffl"),
        'ﬅ' | 'ﬆ' => Some("st"),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => Some(""),
        _ => None,
    };
    text.chars().any(|char| plain(char).is_some()).then(|| {
        let mut spelled = String::new();
        for char in text.chars() {
            match plain(char) {
                Some(plain) => spelled.push_str(plain),
                None => spelled.push(char),
            }
        }
        spelled
    })
}

/// Widths of characters, in thousandths of an em.
enum Widths {
    /// Of the codes from the first one on; all others.
    Listed(u32, Vec<f32>, f64),
    /// Of ranges of codes, sorted; all others.
    Ranges(Vec<(u32, u32, f32)>, f64),
    /// The font may be one that readers have.
    Standard(Option<Standard>),
}

impl Widths {
    fn of(&self, code: u32, char: Option<char>) -> f64 {
        match self {
            Self::Listed(first, widths, other) => {
                let listed = code.checked_sub(*first).and_then(|index| widths.get(index as usize));
                listed.map_or(*other, |width| f64::from(*width))
            }
            Self::Ranges(ranges, other) => {
                let after = ranges.partition_point(|(from, ..)| *from <= code);
                let range = after.checked_sub(1).and_then(|index| ranges.get(index));
                range.filter(|(_, to, _)| *to >= code).map_or(*other, |(.., width)| f64::from(*width))
            }
            Self::Standard(font) => {
                char.map_or(0.0, |char| font.and_then(|font| font.width(char)).map_or(UNKNOWN_WIDTH, f64::from))
            }
        }
    }
}

/// From this number of codes without a known character on, they are considered text.
const MAX_SYMBOLS: usize = 8;
/// Wide enough that pieces are joined rather than separated.
pub(super) const UNKNOWN_WIDTH: f64 = 720.0;

impl Font {
    /// Passes each character: its text, its width in thousandths of an em, and whether it is the one-byte code of a space.
    pub fn decode(&self, bytes: &[u8], glyph: &mut dyn FnMut(&str, f64, bool)) {
        let mut text = String::new();
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let by_space = || self.cmap.as_ref().and_then(|cmap| cmap.length(rest));
            let length = match &self.codes {
                Codes::Bytes(_) => 1,
                Codes::Utf16 => 2,
                Codes::Glyphs => by_space().unwrap_or(2),
            };
            let (code, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            let number = code.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
            text.clear();
            let is_known = self.cmap.as_ref().is_some_and(|cmap| {
                cmap.push(code.len(), number, &mut text)
                    // Some programs write the codes of a simple font with two bytes here.
                    || matches!(self.codes, Codes::Bytes(_)) && cmap.push(2, number, &mut text)
            });
            let char = match &self.codes {
                Codes::Bytes(chars) => chars[usize::from(first)],
                Codes::Utf16 => char::from_u32(number),
                Codes::Glyphs => None,
            };
            if !is_known {
                if char.is_none() {
                    self.unknown.borrow_mut()[(number & 255) as usize] = true;
                }
                let guess = char::from_u32(number).filter(char::is_ascii_graphic);
                // Some programs write UTF-16 where one byte is one code.
                if code != [0] || char.is_some() {
                    text.push(char.or(guess).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            let plain = without_ligatures(&text);
            glyph(plain.as_deref().unwrap_or(&text), self.widths.of(number, text.chars().next()), code == b" ");
        }
    }

    /// True if it shows text that cannot be read. A few unnamed symbols are not text.
    pub fn is_opaque(&self) -> bool {
        self.unknown.borrow().iter().filter(|is_unknown| **is_unknown).count() >= MAX_SYMBOLS
    }
}

/// Decodes a text string outside of content streams.
pub(super) fn text_string(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        String::from_utf16_lossy(&bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect::<Vec<_>>())
    };
    match bytes {
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => lopdf::decode_text_string(&Object::string_literal(bytes)).unwrap_or_default(),
        },
    }
}

impl<'d> Reader<'d, '_> {
    pub(super) fn font(&mut self, dict: &'d Dictionary) -> Option<Rc<Font>> {
        if let Some(font) = self.fonts.get(&address(dict)) {
            return Some(font.clone());
        }
        if self.fonts.len() >= MAX_FONTS {
            self.purse.unread.insert(Unread::TooLarge);
            return None;
        }
        let cmap = match self.get(dict, b"ToUnicode") {
            Some(Object::Stream(stream)) => self.cmap(stream),
            _ => None,
        };
        let encoding = self.get(dict, b"Encoding");
        let is_composite = dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Type0");
        let codes = if is_composite {
            let name = encoding.and_then(|name| name.as_name().ok()).unwrap_or_default();
            let is_utf16 = name.starts_with(b"Uni") && (memmem(name, b"UCS2").or(memmem(name, b"UTF16"))).is_some();
            if is_utf16 { Codes::Utf16 } else { Codes::Glyphs }
        } else {
            Codes::Bytes(self.chars(dict, encoding))
        };
        let widths = if is_composite { self.ranges(dict) } else { self.widths(dict) };
        let font = Rc::new(Font { cmap, codes, widths, unknown: RefCell::new([false; 256]) });
        self.fonts.insert(address(dict), font.clone());
        Some(font)
    }

    /// The widths of a simple font.
    fn widths(&self, font: &'d Dictionary) -> Widths {
        let number = |dict, key: &[u8]| self.get(dict, key).and_then(|number| number.as_float().ok());
        let list = self.get(font, b"Widths").and_then(|list| list.as_array().ok());
        let Some(list) = list else {
            let name = self.get(font, b"BaseFont").and_then(|name| name.as_name().ok()).unwrap_or_default();
            return Widths::Standard(standard(name));
        };
        // Characters drawn by content streams have a scale of their own.
        let scale = self.get(font, b"FontMatrix").and_then(|matrix| matrix.as_array().ok()?.first()?.as_float().ok());
        let scale = scale.map_or(1.0, |scale| scale * 1000.0);
        let width = |width| self.deref(width).and_then(|width| width.as_float().ok()).unwrap_or(0.0) * scale;
        let missing = self.dict(font, b"FontDescriptor").and_then(|font| number(font, b"MissingWidth"));
        // Some programs list no widths of what they show.
        let missing = missing.map_or(UNKNOWN_WIDTH, f64::from);
        let first = number(font, b"FirstChar").unwrap_or(0.0).clamp(0.0, 255.0) as u32;
        Widths::Listed(first, list.iter().take(256).map(width).collect(), missing)
    }

    /// The widths of a composite font, by code: nearly all such fonts number their glyphs by code.
    fn ranges(&mut self, font: &'d Dictionary) -> Widths {
        let descendant = self.get(font, b"DescendantFonts").and_then(|list| list.as_array().ok()?.first());
        let descendant = descendant.and_then(|font| self.deref(font)?.as_dict().ok());
        let Some(descendant) = descendant else { return Widths::Ranges(Vec::new(), 1000.0) };
        let float = |object: &'d Object| self.deref(object).and_then(|number| number.as_float().ok());
        let other = self.get(descendant, b"DW").and_then(|width| width.as_float().ok()).unwrap_or(1000.0);
        let list = self.get(descendant, b"W").and_then(|list| list.as_array().ok());
        let mut items = list.into_iter().flatten();
        let mut ranges = Vec::new();
        let most = MAX_CODES.0.min(MAX_CODES.1.saturating_sub(self.codes));
        while let (Some(from), Some(next)) = (items.next().and_then(float), items.next()) {
            let from = from as u32;
            match self.deref(next) {
                Some(Object::Array(widths)) => {
                    let codes = from..=u32::from(u16::MAX);
                    ranges.extend(codes.zip(widths).map(|(code, width)| (code, code, float(width).unwrap_or(other))));
                }
                Some(to) => {
                    let width = items.next().and_then(float).unwrap_or(other);
                    ranges.push((from, to.as_float().unwrap_or(0.0) as u32, width));
                }
                None => break,
            }
            if ranges.len() > most {
                self.purse.unread.insert(Unread::Font);
                break;
            }
        }
        self.codes += ranges.len();
        ranges.sort_by_key(|(from, ..)| *from);
        Widths::Ranges(ranges, f64::from(other))
    }

    fn cmap(&mut self, stream: &'d Stream) -> Option<Rc<CMap>> {
        let id = address(stream);
        if let Some(cmap) = self.cmaps.get(&id) {
            return cmap.clone();
        }
        self.done.insert(id);
        let bytes = self.purse.plain(self.document, stream);
        let most = MAX_CODES.0.min(MAX_CODES.1.saturating_sub(self.codes));
        let cmap = CMap::parse(&bytes, most).map(Rc::new);
        match &cmap {
            Some(cmap) => self.codes += cmap.codes.len() + cmap.spaces.len(),
            None => _ = self.purse.unread.insert(Unread::Font),
        }
        self.cmaps.insert(id, cmap.clone());
        cmap
    }

    /// The characters for the codes of a simple font.
    fn chars(&mut self, font: &'d Dictionary, encoding: Option<&'d Object>) -> Box<[Option<char>; 256]> {
        let base = match encoding {
            Some(Object::Name(name)) => Some(&name[..]),
            Some(Object::Dictionary(dict)) => self.get(dict, b"BaseEncoding").and_then(|name| name.as_name().ok()),
            _ => None,
        };
        let descriptor = self.dict(font, b"FontDescriptor");
        let flags = descriptor.and_then(|descriptor| self.get(descriptor, b"Flags")?.as_i64().ok()).unwrap_or(0);
        let is_embedded = descriptor
            .is_some_and(|font| [&b"FontFile"[..], b"FontFile2", b"FontFile3"].iter().any(|key| font.has(key)));
        let mut chars = match base {
            // Only the font program knows its codes.
            None if flags & 4 != 0 && is_embedded => Box::new([None; 256]),
            None => {
                let (mut standard, windows) = (self.table(b"StandardEncoding"), self.table(b"WinAnsiEncoding"));
                standard.iter_mut().zip(windows.iter()).for_each(|(char, other)| *char = char.or(*other));
                standard
            }
            Some(name) => self.table(name),
        };
        let differences = match encoding {
            Some(Object::Dictionary(dict)) => self.get(dict, b"Differences").and_then(|list| list.as_array().ok()),
            _ => None,
        };
        let mut code = 0_usize;
        for item in differences.into_iter().flatten() {
            match self.deref(item) {
                Some(Object::Integer(number)) => code = usize::try_from(*number).unwrap_or(256),
                Some(Object::Name(name)) => {
                    if let Some(char) = chars.get_mut(code) {
                        *char = self.glyph(name);
                    }
                    code = code.saturating_add(1);
                }
                _ => {}
            }
        }
        chars
    }

    /// What `lopdf` decodes each byte to in a font with this encoding: its tables are not accessible otherwise.
    fn by_lopdf(&self, encoding: Object, bytes: Range<u16>) -> Vec<Option<char>> {
        let mut font = Dictionary::new();
        font.set("Type", Object::Name(b"Font".to_vec()));
        font.set("Encoding", encoding);
        let Ok(encoding) = font.get_font_encoding_with_limit(self.document, 0) else { return Vec::new() };
        let char = |byte: u16| encoding.bytes_to_string(&[byte as u8]).ok()?.chars().next();
        bytes.map(char).collect()
    }

    fn table(&mut self, name: &[u8]) -> Box<[Option<char>; 256]> {
        const KNOWN: [&[u8]; 4] = [b"StandardEncoding", b"WinAnsiEncoding", b"MacRomanEncoding", b"MacExpertEncoding"];
        let name = if KNOWN.contains(&name) { name } else { KNOWN[0] };
        if let Some(table) = self.tables.get(name) {
            return table.clone();
        }
        let mut table = Box::new([None; 256]);
        let chars = self.by_lopdf(Object::Name(name.to_vec()), 0..256);
        table.iter_mut().zip(chars).for_each(|(entry, char)| *entry = char);
        self.tables.insert(name.to_vec(), table.clone());
        table
    }

    fn glyph(&mut self, name: &[u8]) -> Option<char> {
        if let Some(char) = self.glyphs.get(name) {
            return *char;
        }
        let plain = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        let hex = plain
            .strip_prefix(b"uni")
            .filter(|hex| hex.len() == 4)
            .or_else(|| plain.strip_prefix(b"u").filter(|hex| (4..=6).contains(&hex.len())));
        let hex = hex.and_then(|hex| u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        let ligature = match plain {
            b"ff" | b"f_f" => Some('ﬀ'),
            b"ffi" | b"f_f_i" => Some('ﬃ'),
            b"ffl" | b"f_f_l" => Some('ﬄ'),
            b"f_i" => Some('ﬁ'),
            b"f_l" => Some('ﬂ'),
            _ => None,
        };
        let char = hex.and_then(char::from_u32).or(ligature).or_else(|| {
            // An unknown name makes `lopdf` fall back to a table that has nothing at 0.
            let mut dict = Dictionary::new();
            dict.set("Differences", vec![Object::Integer(0), Object::Name(plain.to_vec())]);
            self.by_lopdf(Object::Dictionary(dict), 0..1).first().copied().flatten()
        });
        if self.glyphs.len() < 1 << 16 {
            self.glyphs.insert(name.to_vec(), char);
        }
        char
    }
}
