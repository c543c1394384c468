//! PDF documents.

#![no_main]

use keyspill::internals::source::unpack::format::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keyspill_fuzz::open(Format::Pdf, bytes));
