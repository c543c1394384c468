//! Text of PDF documents, ISO 32000. `lopdf` parses their objects; what hides an error in it is done here instead: object
//! streams (it drops members), Flate (it returns what came before the damage), content streams (it stops at the first odd
//! token), `ToUnicode` (it lists every code of a range, 4 billion if the file says so), page tree and fonts.
//!
//! ```text
//! bytes ─► load ─► object streams ─► is anything missing? ─► load again by scanning ─► still missing: a reason
//!                                                             │
//!            page: content streams and the forms they draw ───┤ each decoded once; again only for other fonts
//!            other: all strings, embedded files, other streams ┘
//! ```

mod filter;
mod font;
mod lexer;
mod load;
mod other;
mod page;

use super::{Content, Format, Place, Unpacker, zip};
use crate::source::SkipCause;
use filter::Purse;
use page::Reader;
use std::collections::BTreeSet;

/// The most that one compressed part may unfold to, in bytes.
const MAX_PART: usize = 64 << 20;
/// The most words in all object streams: each may become an object of over a hundred bytes.
const MAX_WORDS: usize = 8 << 20;
/// The most entries of one `ToUnicode`, and of all.
const MAX_CODES: (usize, usize) = (1 << 18, 1 << 21);
/// The most UTF-16 units that one code stands for.
const MAX_UNITS: usize = 16;
/// How deep forms may draw forms.
const MAX_DEPTH: usize = 8;
/// Text up to this length is repeated on each page that draws it, in bytes; longer text is handed over once.
const REPEATED: usize = 4 << 10;
/// The most that is kept to be repeated.
const MAX_KEPT: usize = 16 << 20;
/// Text is handed over in pieces of about this length, which overlap by [`REPEATED`].
const PIECE: usize = 4 << 20;
/// The most fonts and forms by which it is told that a content stream means the same on another page.
const MAX_USED: usize = 32;
/// The most fonts; each takes some kilobytes.
const MAX_FONTS: usize = 1 << 15;
/// The most ranges of codes that a `ToUnicode` may have.
const MAX_SPACES: usize = 256;
/// What the name of an embedded file starts with.
const EMBEDDED: &str = "embedded file: ";

/// Why something was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unread {
    /// Nothing was.
    NotParsed,
    /// Nothing was.
    Encrypted,
    /// An object is named in the table of objects, or stands in the file, and cannot be read.
    Object,
    /// The same for a compressed group of objects.
    ObjectStream,
    /// The page tree leads to what is no page; pages that it misses were read all the same.
    PageTree,
    /// A page has contents, and none that can be read.
    Page,
    /// The data of a stream ends early or is wrong; what came before was read.
    Stream,
    /// A stream is packed in a way that is not known, or lies in another file.
    Filter,
    /// Text in a font that does not say which characters it shows.
    Font,
    /// Forms draw forms too deep.
    Depth,
    /// A stream unfolds to more than [`MAX_PART`], or there are too many objects.
    TooLarge,
    /// The budget is used up.
    Spent,
}

impl Unread {
    /// As the rest of a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::NotParsed => "it is too damaged to be parsed as PDF",
            Self::Encrypted => "it is encrypted",
            Self::Object => "objects in it are damaged",
            Self::ObjectStream => "compressed objects in it are damaged",
            Self::PageTree => "its list of pages is damaged",
            Self::Page => "the contents of a page cannot be read",
            Self::Stream => "compressed data in it is damaged",
            Self::Filter => "data in it is packed in an unknown way",
            Self::Font => "it has text in a font without a mapping to Unicode",
            Self::Depth => "drawings in it lie too deep in each other",
            Self::TooLarge => "a part of it is too large",
            Self::Spent => "it unfolds to more than is allowed",
        }
    }
}

/// Takes a name and bytes: text as UTF-8 with a name of ours, or an embedded file, see [`EMBEDDED`].
type Give<'a> = &'a mut dyn FnMut(&str, &[u8]);
/// Counts bytes that were unfolded or gone through again; false if there must be no more.
type Spend<'a> = &'a mut dyn FnMut(u64) -> bool;

/// Hands over the text of each page, what else is written in the document, and the files in it.
///
/// # Errors
/// If something of it cannot be read; the rest was handed over.
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

/// Hands over all text and files in a document. Returns why some were not read.
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
