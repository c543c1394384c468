//! 7z archives.

use super::compressed::MAX_MEMORY;
use super::{Content, Place, Unpacker};
use crate::source::SkipCause;
use sevenz_rust2::{Archive, ArchiveReader, Error, Password};

/// Emits the files in a 7z archive.
///
/// # Errors
/// If it is damaged, encrypted or over a limit; the readable parts were emitted.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let cause = |error: Error| match error {
        _ if budget.spent().is_some() => budget.damaged("over a limit"),
        Error::PasswordRequired | Error::MaybeBadPassword(_) => SkipCause::Encrypted,
        Error::UnsupportedCompressionMethod(_) => SkipCause::Unsupported("unsupported compression method"),
        Error::Unsupported(_) | Error::UnsupportedVersion { .. } => {
            SkipCause::Unsupported("unsupported kind of 7z archive")
        }
        _ => budget.damaged("it is not a valid 7z archive"),
    };
    let memory = usize::try_from(MAX_MEMORY >> 10).unwrap_or(usize::MAX);
    let source = content.seekable(unpacker)?;
    let mut archive = ArchiveReader::new_with_memory_limit(source, Password::empty(), memory).map_err(cause)?;
    archive.set_thread_count(1);
    let is_whole = has_all_blocks(archive.archive());
    let mut spent = None;
    let read = archive.for_each_entries(|entry, stream| {
        if entry.is_directory() && !entry.has_stream() {
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
    read.map_err(cause)?;
    if is_whole { Ok(()) } else { Err(budget.damaged("it contains data that belongs to no file")) }
}

/// True if all unpacked data of each compressed block belongs to files.
fn has_all_blocks(archive: &Archive) -> bool {
    let mut sizes = vec![0u64; archive.blocks.len()];
    for (file, block) in archive.files.iter().zip(&archive.stream_map.file_block_index) {
        if let Some(size) = block.and_then(|block| sizes.get_mut(block)) {
            *size = size.saturating_add(file.size());
        }
    }
    sizes.iter().zip(&archive.blocks).all(|(size, block)| *size == block.get_unpack_size())
}
