//! Lists of targets, code owners, and result files whose hash is right, whatever is in them.

#![no_main]

use keyspill::internals::audit::code_owners::{CodeOwners, Dialect};
use keyspill::internals::audit::{result::ResultFile, target};
use sha2::{Digest, Sha256};

const MAGIC: &[u8] = b"keyspill result 2\n";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'l', list @ ..] => {
            _ = target::read_list(list)
                .map(|all| all.iter().for_each(|(_, one)| _ = (target::shown_url(one), target::refusal(one))))
        }
        [b'o', text @ ..] => {
            let (path, list) = text.split_at(text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len()));
            for dialect in [Dialect::GitHub, Dialect::GitLab] {
                let owners = CodeOwners::parse(&String::from_utf8_lossy(list), dialect);
                assert!(owners.of(path).len() <= 10);
            }
        }
        [b'r', length, rest @ ..] => {
            let (block, index) = rest.split_at(rest.len().min(usize::from(*length)));
            let packed = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).expect("it fits");
            let block = if block.is_empty() { vec![] } else { packed(block) };
            let start = (MAGIC.len() + block.len()) as u64;
            let body = [MAGIC, &block, &packed(index), &start.to_le_bytes()].concat();
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), [&body[..], &Sha256::digest(&body)].concat()).expect("it is written");
            if let Ok((known, _)) = ResultFile::open(file.path()) {
                let mut records = known.records();
                while let Ok(Some((_, record))) = records.read() {
                    _ = record.unpack();
                }
            }
        }
        _ => {}
    }
});
