//! Outlook's messages and stores.

#![no_main]

use keyspill::internals::source::unpack::format::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let format = if bytes.starts_with(b"!BDN") { Format::Pst } else { Format::Compound };
    keyspill_fuzz::open(format, bytes);
});
