//! Mail of any kind: nothing panics, and nobody's message is told with a secret in it. The first byte chooses the kind.

#![no_main]

use keyspill::detect::Detector;
use keyspill::rule::RuleSet;
use keyspill::scan::Limits;
use keyspill::scan::examine::Examiner;
use keyspill::source::container::Content;
use keyspill::source::container::format::Format::{self, Compound, Mail, Mbox, Pst};
use keyspill::source::{BlobPath, SizeLimit, SkipCause};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())));

const FORMATS: [Format; 4] = [Mail, Mbox, Compound, Pst];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let size = SizeLimit { bytes: 8 << 20, is_chosen: false };
    let examiner = Examiner::new(&DETECTOR, false, Limits::default(), size, false);
    let format = FORMATS[usize::from(*choice) % FORMATS.len()];
    let path = BlobPath::new(Path::new("fuzz"));
    let examined = examiner.container(&path, format, Content::Bytes(bytes), Some(bytes.len() as u64));
    assert!(examined.skips.iter().all(|skip| skip.cause != SkipCause::Internal));
});
