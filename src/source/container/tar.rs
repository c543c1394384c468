//! Tar archives, read in one go.

use super::{Content, Place, Unpacker};
use crate::source::SkipCause;

/// Hands over the files in a tar archive. Links and devices hold nothing.
///
/// # Errors
/// If it is damaged, or over a limit; what comes before was handed over.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let mut archive = ::tar::Archive::new(content.reader());
    for entry in archive.entries().map_err(|error| budget.cause(&error))? {
        let mut entry = entry.map_err(|error| budget.cause(&error))?;
        budget.enter()?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            continue;
        }
        let inner = place.within(&entry.path_bytes());
        if let Err(cause) = unpacker.entry(&inner, &mut entry) {
            // One that is too large, or damaged inside, is no reason not to read the next.
            unpacker.skip(&inner.path, cause);
        }
        if let Some(cause) = budget.spent() {
            return Err(cause.clone());
        }
    }
    Ok(())
}
