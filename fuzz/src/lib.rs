//! Code that the targets share.

use keyspill::internals::detect::Detector;
use keyspill::internals::foreign;
use keyspill::internals::rule::RuleSet;
use keyspill::internals::scan::examine::{Examined, Examiner};
use keyspill::internals::scan::{Limit, Limits};
use keyspill::internals::source::unpack::Content;
use keyspill::internals::source::unpack::format::Format;
use keyspill::{
    finding::BlobPath,
    internals::source::{Blob, SizeLimit, SkipCause},
};
use std::path::Path;
use std::sync::{Arc, LazyLock, Once};

/// All built-in rules.
pub static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())));

/// Maximum unpacked size, in bytes.
const MAX_UNPACKED: u64 = 32 << 20;

/// Scans a file whose format is detected by its first bytes: no parser panics, and no limit is exceeded.
pub fn scan(bytes: &[u8]) {
    let blob = Blob { path: path(), bytes, context: None };
    check(&examiner().blob(&blob), bytes);
}

/// Scans a container of a given format, whatever its first bytes are.
pub fn open(format: Format, bytes: &[u8]) {
    let examined = examiner().container(&path(), format, Content::Bytes(bytes), Some(bytes.len() as u64));
    check(&examined, bytes);
}

fn path() -> BlobPath {
    BlobPath::new(Path::new("fuzz"))
}

/// A third-party parser may panic where keyspill expects it to and goes on; the fuzzer's own hook would end the process.
fn allow_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !foreign::is_running() {
                abort(panic);
            }
        }));
    });
}

fn examiner() -> Examiner<'static> {
    allow_expected_panics();
    let most = |most| Limit { most, is_chosen: false };
    let limits = Limits { bytes: most(MAX_UNPACKED), entries: most(1000), ..Limits::default() };
    Examiner::new(&DETECTOR, false, limits, SizeLimit { bytes: 8 << 20, is_chosen: false }, true)
}

fn check(examined: &Examined, bytes: &[u8]) {
    assert!(examined.bytes <= 4 * MAX_UNPACKED + 64 * bytes.len() as u64, "a limit was exceeded");
    assert!(examined.skips.iter().all(|skip| skip.cause != SkipCause::Internal), "a parser panicked");
}

/// Writes a settings file and reads it with `read`. Error messages must not quote long words from the file.
pub fn settings<T, E: ToString>(text: &[u8], read: impl FnOnce(&Path) -> Result<T, E>) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("s.toml");
    std::fs::write(&file, text).expect("a file");
    let Err(error) = read(&file) else { return };
    let message = error.to_string();
    let words = text.split(|b| !b.is_ascii_alphanumeric()).filter(|word| word.len() >= 40);
    for word in words.filter_map(|word| std::str::from_utf8(word).ok()) {
        assert!(!message.contains(word), "{message}");
    }
}
