//! Decodes the filters of streams (ISO 32000-2, 7.4). Flate is decoded here: `lopdf` returns what precedes any damage
//! as if it were complete.

use super::{MAX_PART, Spend, Unread};
use flate2::{Decompress, FlushDecompress, Status};
use lopdf::{Dictionary, Document, Object, Stream};
use std::collections::BTreeSet;

/// Decodes filters within a budget, and records what could not be read.
pub(super) struct Purse<'c> {
    pub spend: Spend<'c>,
    /// Why something was not read.
    pub unread: BTreeSet<Unread>,
    /// True once the budget is used up.
    pub is_spent: bool,
}

impl Purse<'_> {
    pub fn spend(&mut self, bytes: usize) -> bool {
        if !self.is_spent && !(self.spend)(bytes as u64) {
            self.is_spent = true;
            self.unread.insert(Unread::Spent);
        }
        !self.is_spent
    }

    /// The decoded data of a stream, as far as possible.
    pub fn plain(&mut self, document: &Document, stream: &Stream) -> Vec<u8> {
        // `lopdf` leaves it empty if it cannot find its end.
        if stream.content.is_empty() && !matches!(stream.dict.get(b"Length"), Ok(Object::Integer(0))) {
            self.unread.insert(Unread::Stream);
        }
        if stream.dict.has(b"F") {
            self.unread.insert(Unread::Filter);
        }
        // Each stream costs something, even if empty, so that the total work is bounded.
        if !self.spend(stream.content.len().max(64)) {
            return Vec::new();
        }
        let list = |key: &[u8]| match stream.dict.get_deref(key, document) {
            Ok(Object::Array(items)) => {
                items.iter().map(|item| document.dereference(item).ok().map(|(_, item)| item)).collect()
            }
            Ok(Object::Null) | Err(_) => Vec::new(),
            Ok(item) => vec![Some(item)],
        };
        let (filters, params) = (list(b"Filter"), list(b"DecodeParms"));
        if filters.len() > Stream::MAX_FILTERS {
            self.unread.insert(Unread::Filter);
            return Vec::new();
        }
        let mut content = stream.content.clone();
        for (index, filter) in filters.into_iter().enumerate() {
            let params = params.get(index).copied().flatten().and_then(|params| params.as_dict().ok());
            let Some(name) = filter.and_then(|filter| filter.as_name().ok()) else {
                self.unread.insert(Unread::Filter);
                return Vec::new();
            };
            content = match name {
                b"FlateDecode" | b"Fl" => {
                    let content = self.inflate(&content);
                    self.unpredict(content, params)
                }
                b"Crypt" => content,
                _ => self.other(name, params, content),
            };
            if self.is_spent {
                return Vec::new();
            }
        }
        content
    }

    fn inflate(&mut self, input: &[u8]) -> Vec<u8> {
        let (output, is_whole) = self.inflate_as(input, true);
        if is_whole || input.is_empty() || self.is_spent {
            return output;
        }
        if output.is_empty() {
            for input in [input.get(2..).unwrap_or_default(), input] {
                let (output, is_whole) = self.inflate_as(input, false);
                if is_whole || self.is_spent {
                    return output;
                }
            }
        }
        self.unread.insert(Unread::Stream);
        output
    }

    /// The output, and whether it is complete and valid.
    fn inflate_as(&mut self, input: &[u8], has_header: bool) -> (Vec<u8>, bool) {
        let mut decoder = Decompress::new(has_header);
        let mut output = Vec::new();
        loop {
            let (read, before) = (decoder.total_in() as usize, output.len());
            output.reserve(input.len().clamp(1 << 10, 1 << 16));
            let rest = input.get(read..).unwrap_or_default();
            let status = decoder.decompress_vec(rest, &mut output, FlushDecompress::None);
            if !self.spend(output.len() - before) {
                return (output, false);
            }
            if output.len() > MAX_PART {
                self.unread.insert(Unread::TooLarge);
                return (output, true);
            }
            match status {
                Ok(Status::StreamEnd) => return (output, true),
                Ok(_) if output.len() > before || decoder.total_in() as usize > read => {}
                Ok(_) | Err(_) => return (output, false),
            }
        }
    }

    fn unpredict(&mut self, mut content: Vec<u8>, params: Option<&Dictionary>) -> Vec<u8> {
        let Some(params) = params else { return content };
        let number = |key: &[u8], default| params.get(key).and_then(Object::as_i64).unwrap_or(default);
        let predictor = number(b"Predictor", 1);
        if predictor <= 1 || content.is_empty() {
            return content;
        }
        let sample = |key: &[u8], default| usize::try_from(number(key, default).clamp(1, 1 << 20)).unwrap_or(1);
        let bits = sample(b"Colors", 1).min(1 << 8) * sample(b"BitsPerComponent", 8).min(32);
        let row = (sample(b"Columns", 1) * bits).div_ceil(8);
        if predictor == 2 || row > MAX_PART {
            self.unread.insert(Unread::Filter);
            return content;
        }
        let whole = content.len().next_multiple_of(row + 1);
        if whole != content.len() {
            self.unread.insert(Unread::Stream);
            content.resize(whole, 0);
        }
        lopdf::filters::png::decode_frame(&content, bits.div_ceil(8), row).unwrap_or_else(|_| {
            self.unread.insert(Unread::Stream);
            content
        })
    }

    /// Decodes with a filter of `lopdf`.
    fn other(&mut self, name: &[u8], params: Option<&Dictionary>, content: Vec<u8>) -> Vec<u8> {
        let name: &[u8] = match name {
            b"LZW" => b"LZWDecode",
            b"A85" => b"ASCII85Decode",
            b"AHx" => b"ASCIIHexDecode",
            b"RL" => b"RunLengthDecode",
            name => name,
        };
        let mut dict = Dictionary::new();
        dict.set("Filter", Object::Name(name.to_vec()));
        if let Some(params) = params {
            dict.set("DecodeParms", Object::Dictionary(params.clone()));
        }
        let is_empty = content.is_empty();
        let unread = match Stream::new(dict, content).decompressed_content_with_limit(MAX_PART) {
            Ok(output) => {
                if output.is_empty() && !is_empty {
                    self.unread.insert(Unread::Stream);
                }
                self.spend(output.len());
                return output;
            }
            Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => Unread::TooLarge,
            Err(lopdf::Error::Unimplemented(_)) => Unread::Filter,
            Err(_) => Unread::Stream,
        };
        self.spend(MAX_PART.min(1 << 20));
        self.unread.insert(unread);
        Vec::new()
    }
}
