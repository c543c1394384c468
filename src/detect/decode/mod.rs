//! Text in another encoding, and the way back: every decoded byte can be traced to the raw bytes it came from.

pub mod array;
pub mod base64;
pub mod escape;
pub mod hex;
pub mod packed;
pub mod run;
pub mod wide;
mod wrapped;

use crate::finding::Encoding;
use std::ops::Range;

/// Decoded text whose every byte can be traced to the raw bytes.
pub trait Decoded {
    /// The text.
    fn text(&self) -> &[u8];
    /// The raw bytes of `range` of the text, as offsets in the blob that was decoded.
    fn raw(&self, range: Range<usize>) -> Range<usize>;
    /// The encoding it was decoded from.
    fn encoding(&self) -> Encoding;
}
