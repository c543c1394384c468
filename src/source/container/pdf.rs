//! Text of PDF documents, ISO 32000. They are parsed by `lopdf`.

use super::{Place, Unpacker};
use crate::source::SkipCause;
use lopdf::{Document, Error, LoadOptions};

/// The most that one compressed part may unfold to, in bytes.
const MOST_OF_PART: usize = 64 << 20;

/// Hands over the text of each page.
///
/// # Errors
/// If its text cannot be read; that of other pages was handed over.
pub(super) fn open(unpacker: &Unpacker, place: &Place, bytes: &[u8]) -> Result<(), SkipCause> {
    unpacker.whole(place, bytes);
    let options = LoadOptions { max_decompressed_size: Some(MOST_OF_PART), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(|error| cause(&error))?;
    if document.is_encrypted() {
        return Err(SkipCause::Encrypted);
    }
    let mut result = Ok(());
    for page in document.get_pages().into_keys() {
        unpacker.budget().enter()?;
        match document.extract_text_with_limit(&[page], MOST_OF_PART) {
            Ok(text) => unpacker.leaf(&place.within(format!("page {page}").as_bytes()), text.as_bytes()),
            Err(error) => result = Err(cause(&error)),
        }
    }
    result
}

fn cause(error: &Error) -> SkipCause {
    match error {
        Error::InvalidPassword | Error::Decryption(_) | Error::UnsupportedSecurityHandler(_) => SkipCause::Encrypted,
        _ => SkipCause::NoText("a part of it is damaged"),
    }
}
