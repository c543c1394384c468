//! Text of PDF documents, ISO 32000. `lopdf` parses their objects. Where it would hide an error, the work is done here:
//! object streams (it drops members), Flate (it returns what precedes the damage), content streams (it stops at the
//! first odd token), `ToUnicode` (it lists every code of a range, 4 billion if the file says so), page tree and fonts.
//!
//! ```text
//! bytes ─► load ─► object streams ─► is anything missing? ─► load again by scanning ─► still missing: a reason
//!                                                             │
//!            page: content streams and the forms they draw ───┤ each decoded once; again only for other fonts
//!            other: all strings, embedded files, other streams ┘
//! ```

mod content;
mod filter;
mod font;
mod layout;
mod lexer;
mod load;
mod metrics;
mod other;
mod page;
mod sheet;

use super::{Content, Format, Place, Unpacker, zip};
use crate::source::SkipCause;
use filter::Purse;
use page::Reader;
use std::collections::BTreeSet;

/// The maximum expanded size of one compressed part, in bytes.
const MAX_PART: usize = 64 << 20;
/// The maximum number of words in all object streams: each may become an object of over a hundred bytes.
const MAX_WORDS: usize = 8 << 20;
/// The maximum number of entries of one `ToUnicode`, and of all.
const MAX_CODES: (usize, usize) = (1 << 18, 1 << 21);
/// The maximum number of UTF-16 units that one code stands for.
const MAX_UNITS: usize = 16;
/// The maximum nesting depth of forms.
const MAX_DEPTH: usize = 8;
/// Text up to this length, in bytes, is repeated on each page that draws it; longer text is emitted once.
const REPEATED: usize = 4 << 10;
/// The maximum number of bytes kept to be repeated.
const MAX_KEPT: usize = 16 << 20;
/// Text is emitted in pieces of about this length, which overlap by [`REPEATED`].
const PIECE: usize = 4 << 20;
/// The maximum number of fonts and forms compared to decide whether a content stream has the same text on another page.
const MAX_USED: usize = 32;
/// The maximum number of fonts; each takes several kilobytes.
const MAX_FONTS: usize = 1 << 15;
/// The maximum number of code ranges in a `ToUnicode`.
const MAX_SPACES: usize = 256;
/// The prefix of the name of an embedded file.
const EMBEDDED: &str = "embedded file: ";

/// Why something was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unread {
    /// The document cannot be parsed.
    NotParsed,
    /// The document is encrypted.
    Encrypted,
    /// An object that is listed in the cross-reference table, or present in the file, cannot be read.
    Object,
    /// The same for a compressed group of objects.
    ObjectStream,
    /// The page tree is damaged; pages missing from it were read nevertheless.
    PageTree,
    /// A page has contents that cannot be read.
    Page,
    /// The data of a stream is truncated or wrong; everything before that was read.
    Stream,
    /// A stream has an unknown filter, or its data is in another file.
    Filter,
    /// There is text in a font that does not map its codes to characters.
    Font,
    /// A page shows a picture and no text.
    Picture,
    /// Forms are nested too deeply.
    Depth,
    /// A stream expands to more than [`MAX_PART`], or there are too many objects.
    TooLarge,
    /// The budget is used up.
    Spent,
}

impl Unread {
    /// The reason as a clause.
    fn words(self) -> &'static str {
        match self {
            Self::NotParsed => "it is too damaged to be parsed as PDF",
            Self::Encrypted => "it is encrypted",
            Self::Object => "objects in it are damaged",
            Self::ObjectStream => "compressed objects in it are damaged",
            Self::PageTree => "its list of pages is damaged",
            Self::Page => "the contents of a page cannot be read",
            Self::Stream => "compressed data in it is damaged",
            Self::Filter => "data in it has an unsupported filter",
            Self::Font => "it has text in a font without a mapping to Unicode",
            Self::Picture => "it has pages that are pictures, which are not read",
            Self::Depth => "drawings in it are nested too deeply",
            Self::TooLarge => "a part of it is too large",
            Self::Spent => "it expands to more than is allowed",
        }
    }
}

/// Receives a name and bytes: UTF-8 text with a name chosen here, or an embedded file, see [`EMBEDDED`].
type Give<'a> = &'a mut dyn FnMut(&str, &[u8]);
/// Counts bytes that were unpacked or processed again; false once the budget is used up.
type Spend<'a> = &'a mut dyn FnMut(u64) -> bool;

/// Emits the text of each page, other text in the document, and the files in it.
///
/// # Errors
/// If a part of it cannot be read; the rest was emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) -> Result<(), SkipCause> {
    unpacker.whole(place, bytes);
    let budget = unpacker.budget();
    let give = &mut |name: &str, content: &[u8]| {
        if budget.enter().is_err() {
            return;
        }
        match name.strip_prefix(EMBEDDED) {
            Some("") => unpacker.entry_bytes(&place.within(b"embedded file"), content),
            Some(file) => unpacker.entry_bytes(&place.within(format!("embedded file {file}").as_bytes()), content),
            None => unpacker.leaf(&place.within(name.as_bytes()), content),
        }
    };
    let unread = read(bytes, give, &mut |length| budget.unfold(length));
    if zip::end_of_last(bytes).is_some() {
        unpacker.open(Format::Zip, &place.within(b"after the end"), Content::Bytes(bytes));
    }
    if let Some(spent) = budget.spent() {
        return Err(spent.clone());
    }
    for reason in unread.iter().skip(1) {
        unpacker.skip(&place.path, SkipCause::NoText(reason.words()));
    }
    match unread.first() {
        Some(Unread::Encrypted) => Err(SkipCause::Encrypted),
        Some(reason) => Err(SkipCause::NoText(reason.words())),
        None => Ok(()),
    }
}

/// Emits all text and files in a document. Returns why some were not read.
fn read(bytes: &[u8], give: Give, spend: Spend) -> BTreeSet<Unread> {
    let mut purse = Purse { spend, unread: BTreeSet::new(), is_spent: false };
    match load::load(bytes, &mut purse) {
        Some(document) => {
            let mut reader = Reader::new(&document, give, purse);
            reader.all();
            reader.purse.unread
        }
        None => purse.unread,
    }
}
