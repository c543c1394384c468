//! 7z archives.

use super::compressed::MOST_MEMORY;
use super::{Content, Place, Unpacker};
use crate::source::SkipCause;
use sevenz_rust2::{ArchiveReader, Error, Password};

/// Hands over the files in a 7z archive.
///
/// # Errors
/// If it is damaged, encrypted, or over a limit; what could be read was handed over.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let cause = |error: Error| match error {
        _ if budget.spent().is_some() => budget.cause(&""),
        Error::PasswordRequired | Error::MaybeBadPassword(_) => SkipCause::Encrypted,
        Error::UnsupportedCompressionMethod(_) | Error::Unsupported(_) | Error::UnsupportedVersion { .. } => {
            SkipCause::Unsupported(error.to_string())
        }
        _ => budget.cause(&error),
    };
    let memory = usize::try_from(MOST_MEMORY >> 10).unwrap_or(usize::MAX);
    let source = content.seekable(unpacker)?;
    let mut archive = ArchiveReader::new_with_memory_limit(source, Password::empty(), memory).map_err(cause)?;
    archive.set_thread_count(1);
    let mut spent = None;
    let read = archive.for_each_entries(|entry, stream| {
        if entry.is_directory() {
            return Ok(true);
        }
        if let Err(cause) = budget.enter() {
            spent = Some(cause);
            return Err(Error::Other("over a limit".into()));
        }
        let inner = place.within(entry.name().as_bytes());
        if let Err(cause) = unpacker.entry(&inner, &mut budget.meter(stream)) {
            unpacker.skip(&inner.path, cause);
        }
        Ok(true)
    });
    spent.map_or(Ok(()), Err)?;
    read.map_err(cause)
}
