//! Archives and compressed files.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keyspill_fuzz::scan(bytes));
