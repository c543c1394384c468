//! Messages and mailboxes, including those that are not recognised as such.

#![no_main]

use keyspill::internals::source::unpack::format::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let format = if bytes.starts_with(b"From ") { Format::Mbox } else { Format::Mail };
    keyspill_fuzz::open(format, bytes);
});
