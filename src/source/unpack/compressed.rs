//! Files that are compressed individually.

use super::format::is_binary;
use super::{Content, Format, Place, Unpacker};
use crate::file::Reason;
use crate::source::SkipCause;
use std::io::{self, BufRead, Read};

/// The maximum memory for unpacking a file, in bytes: more than the largest preset of xz needs.
pub(super) const MAX_MEMORY: u64 = 128 << 20;

/// The first byte of brotli with a large window; in RFC 7932 it is reserved.
const LARGE_WINDOW: u8 = 0x11;

/// How much of a brotli stream is read at once, in bytes.
const BROTLI_BUFFER: usize = 16 << 10;

/// The minimum average number of bytes produced by each bzip2 stream, after the first [`SMALL_STREAMS`]: each one
/// allocates megabytes.
const MIN_OF_STREAM: u64 = 16 << 10;
const SMALL_STREAMS: u64 = 1000;

/// An empty bzip2 stream after its first four bytes: the end marker and the checksum of no data.
const EMPTY_BZIP2: &[u8] = b"\x17\x72\x45\x38\x50\x90\0\0\0\0";

/// Emits the content of a compressed file, and any data after it.
///
/// # Errors
/// If it is damaged; everything before that was emitted.
pub(super) fn open(unpacker: &Unpacker, format: Format, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    budget.enter()?;
    let damaged = |error: io::Error| budget.cause(&error);
    let name = unpacked_name(place.path.innermost());
    let mut source = Source::new(content.reader());
    match format {
        Format::Gzip | Format::Bzip2 => {
            let mut members =
                Members { source: Some(source), decoder: None, is_bzip2: format == Format::Bzip2, count: 0, read: 0 };
            unpacker.unpacked(place, name, &mut budget.meter(&mut members))?;
            match members.source {
                Some(mut rest) => after_the_end(unpacker, place, &mut rest),
                None => Ok(()),
            }
        }
        Format::Xz => {
            let memory = u32::try_from(MAX_MEMORY >> 10).unwrap_or(u32::MAX);
            let decoder = lzma_rust2::XzReader::new_mem_limit(source, true, memory);
            unpacker.unpacked(place, name, &mut budget.meter(decoder))
        }
        Format::Zlib => {
            unpacker.unpacked(place, name, &mut budget.meter(flate2::bufread::ZlibDecoder::new(&mut source)))?;
            after_the_end(unpacker, place, &mut source)
        }
        Format::Lzma => {
            let memory = u32::try_from(MAX_MEMORY >> 10).unwrap_or(u32::MAX);
            let mut decoder = lzma_rust2::LzmaReader::new_mem_limit(source, memory, None).map_err(damaged)?;
            unpacker.unpacked(place, name, &mut budget.meter(&mut decoder))?;
            // It reads ahead.
            let (rest, unread) = decoder.into_parts();
            after_the_end(unpacker, place, &mut io::Cursor::new(unread).chain(rest))
        }
        Format::Lzip => unpacker.unpacked(place, name, &mut budget.meter(lzma_rust2::LzipReader::new(source))),
        Format::Lz4 => unpacker.unpacked(place, name, &mut budget.meter(lz4_flex::frame::FrameDecoder::new(source))),
        Format::Brotli => {
            // A window of up to a gigabyte (`brotli --large_window`), which RFC 7932 does not know.
            if source.peek(1).map_err(damaged)? == [LARGE_WINDOW] {
                return Err(SkipCause::Unsupported("it is brotli with a large window"));
            }
            let decoder = brotli_decompressor::Decompressor::new(&mut source, BROTLI_BUFFER);
            unpacker.unpacked(place, name, &mut budget.meter(decoder))
        }
        _ => {
            let mut decoder = zstd::Decoder::with_buffer(&mut source).map_err(damaged)?;
            decoder.window_log_max(MAX_MEMORY.ilog2()).map_err(damaged)?;
            unpacker.unpacked(place, name, &mut budget.meter(decoder))
        }
    }
}

/// Emits the data after the last stream of a file. Zeros are ignored: tapes are padded with them.
pub(super) fn after_the_end(unpacker: &Unpacker, place: &Place, rest: &mut dyn BufRead) -> Result<(), SkipCause> {
    let damaged = |error: io::Error| unpacker.budget().cause(&error);
    loop {
        let bytes = rest.fill_buf().map_err(damaged)?;
        if bytes.is_empty() {
            return Ok(());
        }
        match bytes.iter().position(|&b| b != 0) {
            Some(at) => {
                let place = place.within(b"after the end");
                if Format::from_head(&bytes[at..]).is_none() && is_binary(&bytes[at..]) {
                    unpacker
                        .skip(&place.path, SkipCause::NoText("it follows compressed data and is in an unknown format"));
                }
                rest.consume(at);
                return unpacker.entry(&place, &mut Plain(rest));
            }
            None => {
                let length = bytes.len();
                rest.consume(length);
            }
        }
    }
}

/// A sized reader around a reference.
struct Plain<'a>(&'a mut dyn BufRead);

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A buffered reader that can peek at more than one byte.
struct Source<'a> {
    inner: Box<dyn Read + 'a>,
    buffer: Box<[u8]>,
    /// The part of the buffer that was read but not consumed.
    rest: std::ops::Range<usize>,
}

impl<'a> Source<'a> {
    fn new(inner: Box<dyn Read + 'a>) -> Self {
        Self { inner, buffer: vec![0; 1 << 16].into(), rest: 0..0 }
    }

    /// The next `length` bytes; fewer at the end.
    fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        if self.rest.len() < length {
            self.buffer.copy_within(self.rest.clone(), 0);
            self.rest = 0..self.rest.len();
            while self.rest.len() < length {
                match self.inner.read(&mut self.buffer[self.rest.end..]) {
                    Ok(0) => break,
                    Ok(read) => self.rest.end += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(&self.buffer[self.rest.start..self.rest.end.min(self.rest.start + length)])
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.peek(1)?;
        }
        Ok(&self.buffer[self.rest.clone()])
    }

    fn consume(&mut self, length: usize) {
        self.rest.start = self.rest.end.min(self.rest.start + length);
    }
}

/// One stream of a file.
enum Decoder<'a> {
    Gzip(Box<flate2::bufread::GzDecoder<Source<'a>>>),
    Bzip2(bzip2::bufread::BzDecoder<Source<'a>>),
}

/// Reads the streams of a file one after the other, up to the first data that is not a stream.
struct Members<'a> {
    /// The unread rest, between two streams.
    source: Option<Source<'a>>,
    decoder: Option<Decoder<'a>>,
    is_bzip2: bool,
    count: u64,
    /// Bytes produced so far.
    read: u64,
}

impl<'a> Members<'a> {
    /// Starts the next stream; false if there is none.
    fn start(&mut self, mut source: Source<'a>) -> io::Result<bool> {
        const START: usize = 4;
        self.count += 1;
        if self.is_bzip2 {
            let length = START + EMPTY_BZIP2.len();
            while source.peek(length)?.starts_with(b"BZh") && source.peek(length)?.get(START..) == Some(EMPTY_BZIP2) {
                source.consume(length);
            }
            if !source.peek(START)?.starts_with(b"BZh") {
                self.source = Some(source);
                return Ok(false);
            }
            if self.count > SMALL_STREAMS + self.read / MIN_OF_STREAM {
                return Err(Reason("it is made of too many small streams").into());
            }
            self.decoder = Some(Decoder::Bzip2(bzip2::bufread::BzDecoder::new(source)));
        } else {
            let start = source.peek(2)?;
            if start == b"\x1f" {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !start.starts_with(b"\x1f\x8b") {
                self.source = Some(source);
                return Ok(false);
            }
            self.decoder = Some(Decoder::Gzip(Box::new(flate2::bufread::GzDecoder::new(source))));
        }
        Ok(true)
    }
}

impl Read for Members<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = match &mut self.decoder {
                Some(Decoder::Gzip(decoder)) => decoder.read(buffer)?,
                Some(Decoder::Bzip2(decoder)) => decoder.read(buffer)?,
                None => 0,
            };
            if length > 0 || buffer.is_empty() {
                self.read += length as u64;
                return Ok(length);
            }
            let source = match self.decoder.take() {
                Some(Decoder::Gzip(decoder)) => decoder.into_inner(),
                Some(Decoder::Bzip2(decoder)) => decoder.into_inner(),
                None => match self.source.take() {
                    Some(source) => source,
                    None => return Ok(0),
                },
            };
            if !self.start(source)? {
                return Ok(0);
            }
        }
    }
}

/// The name of the content of a compressed file, as `gunzip` would call it.
fn unpacked_name(path: &[u8]) -> &[u8] {
    // The name of an attachment.
    let path = path.strip_prefix(b"attachment ").unwrap_or(path);
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    let stem = name.iter().rposition(|&b| b == b'.').map_or(name, |dot| &name[..dot]);
    if stem.is_empty() { b"content" } else { stem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_last_extension() {
        assert_eq!(unpacked_name(b"a/b.tar.gz"), b"b.tar");
        assert_eq!(unpacked_name(b"a.d/b"), b"b");
        assert_eq!(unpacked_name(b"a.d/.gz"), b"content");
    }
}
