//! Outlook's messages and stores.

#![no_main]

use keyspill::internals::source::unpack::format::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let format = match bytes {
        [b'!', ..] => Format::Pst,
        [b'x', ..] => Format::Tnef,
        _ => Format::Compound,
    };
    keyspill_fuzz::open(format, bytes);
});
