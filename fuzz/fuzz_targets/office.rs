//! The text of office documents: the XML in one is fuzzed.

#![no_main]

use keyspill::internals::source::unpack::format::Format;
use std::io::{Cursor, Write};
use zip::write::{SimpleFileOptions, ZipWriter};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("word/document.xml", options).expect("a file");
    zip.write_all(bytes).expect("memory");
    keyspill_fuzz::open(Format::Zip, zip.finish().expect("an archive").get_ref());
});
