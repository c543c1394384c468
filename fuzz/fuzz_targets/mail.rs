//! Messages and mailboxes, also those that are not told from other text.

#![no_main]

use keyspill::source::unpack::format::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let format = if bytes.starts_with(b"From ") { Format::Mbox } else { Format::Mail };
    keyspill_fuzz::open(format, bytes);
});
