//! A container of any format: nothing panics, and no limit is passed. The first byte chooses the format.

#![no_main]

use keyspill::detect::Detector;
use keyspill::rule::RuleSet;
use keyspill::scan::examine::Examiner;
use keyspill::scan::{Limit, Limits};
use keyspill::source::container::Content;
use keyspill::source::container::format::Format::{self, Bzip2, Gzip, SevenZip, Tar, Xz, Zip, Zstd};
use keyspill::source::{BlobPath, SizeLimit, SkipCause};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())));

const FORMATS: [Format; 7] = [Gzip, Bzip2, Xz, Zstd, Tar, Zip, SevenZip];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let most = |most| Limit { most, is_chosen: false };
    let limits = Limits { bytes: most(32 << 20), entries: most(1000), ..Limits::default() };
    let size = SizeLimit { bytes: 8 << 20, is_chosen: false };
    let examiner = Examiner::new(&DETECTOR, false, limits, size, true);
    let format = FORMATS[usize::from(*choice) % FORMATS.len()];
    let path = BlobPath::new(Path::new("fuzz"));
    let examined = examiner.container(&path, format, Content::Bytes(bytes), Some(bytes.len() as u64));
    assert!(examined.bytes <= limits.bytes.most + bytes.len() as u64);
    assert!(examined.skips.iter().all(|skip| skip.cause != SkipCause::Internal));
});
