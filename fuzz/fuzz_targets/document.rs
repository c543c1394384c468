//! Documents and exports of chat: nothing panics. The first byte chooses the kind.

#![no_main]

use keyspill::detect::Detector;
use keyspill::rule::RuleSet;
use keyspill::scan::Limits;
use keyspill::scan::examine::Examiner;
use keyspill::source::container::Content;
use keyspill::source::container::format::Format;
use keyspill::source::{BlobPath, SizeLimit, SkipCause, chat};
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use zip::write::{SimpleFileOptions, ZipWriter};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())));

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let size = SizeLimit { bytes: 8 << 20, is_chosen: false };
    let examiner = Examiner::new(&DETECTOR, false, Limits::default(), size, true);
    let open = |format, bytes: &[u8]| {
        let path = BlobPath::new(Path::new("fuzz"));
        let examined = examiner.container(&path, format, Content::Bytes(bytes), Some(bytes.len() as u64));
        assert!(examined.skips.iter().all(|skip| skip.cause != SkipCause::Internal));
    };
    match choice % 4 {
        0 => open(Format::Pdf, bytes),
        1 => {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file("[Content_Types].xml", options).expect("a file");
            zip.start_file("word/document.xml", options).expect("a file");
            zip.write_all(bytes).expect("memory");
            open(Format::Zip, zip.finish().expect("an archive").get_ref());
        }
        2 => {
            let offsets: Vec<usize> = (0..bytes.len()).step_by(7).collect();
            assert_eq!(chat::messages(bytes, &offsets).len(), offsets.len());
        }
        _ => {
            let tables = |name: &str| (name != "dms.json").then(|| bytes.to_vec());
            let offsets: Vec<usize> = (0..bytes.len()).step_by(7).collect();
            let export = chat::slack::Export::read(tables);
            assert_eq!(export.messages(b"x/2026-01-01.json", bytes, &offsets).len(), offsets.len());
        }
    }
});
