//! Zip archives, and what is made of them.

use super::office;
use super::{Content, Place, Unpacker};
use crate::source::{Context, SkipCause, chat};
use std::io::Read;
use std::sync::Arc;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

/// Hands over the files in a zip archive.
///
/// # Errors
/// If it is damaged, or over a limit; what could be read was handed over.
pub(super) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let budget = unpacker.budget();
    let mut source = content.seekable(unpacker)?;
    let mut archive = match ZipArchive::new(&mut source) {
        Ok(archive) => archive,
        Err(error) => {
            // One that was cut off has no directory, but there is something before each entry, too.
            source.rewind().map_err(|error| budget.cause(&error))?;
            while let Ok(Some(mut file)) = zip::read::read_zipfile_from_stream(&mut source) {
                budget.enter()?;
                entry(unpacker, place, &mut file, false);
            }
            return Err(budget.cause(&error));
        }
    };
    let is_office =
        ["[Content_Types].xml", "META-INF/manifest.xml"].iter().any(|name| archive.index_for_name(name).is_some())
            && archive.file_names_raw().any(office::is_text);
    let place = match slack_export(unpacker, &mut archive) {
        Some(export) => &place.clone().with(Context::Slack(Arc::new(export))),
        None => place,
    };
    for index in 0..archive.len() {
        if let Err(cause) = budget.enter() {
            let left = archive.len() - index;
            unpacker.skip(&place.path, SkipCause::MoreEntries { count: left, is_failure: cause.is_failure() });
            return Err(cause);
        }
        let name = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
        match archive.by_index(index) {
            Ok(mut file) => entry(unpacker, place, &mut file, is_office),
            Err(error) => {
                let cause = match &error {
                    ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
                        SkipCause::Encrypted
                    }
                    ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
                        SkipCause::Unsupported(error.to_string())
                    }
                    _ => budget.cause(&error),
                };
                unpacker.skip(&place.within(name.as_bytes()).path, cause);
            }
        }
    }
    if archive.has_duplicate_names() {
        return Err(SkipCause::Damaged(
            "several entries have the same name, and of these only the last was read".into(),
        ));
    }
    budget.spent().cloned().map_or(Ok(()), Err)
}

fn entry<R: Read>(unpacker: &Unpacker, place: &Place, file: &mut ZipFile<R>, is_office: bool) {
    if !file.is_file() {
        return;
    }
    let inner = place.within(file.name_raw());
    let is_document = is_office && office::is_text(file.name_raw());
    let mut unfolded = unpacker.budget().meter(file);
    let read = if is_document {
        unpacker.read_all(&mut unfolded).map(|xml| unpacker.leaf(&inner, &office::text(&xml)))
    } else {
        unpacker.entry(&inner, &mut unfolded)
    };
    if let Err(cause) = read {
        unpacker.skip(&inner.path, cause);
    }
}

/// The tables of users and channels, if this is what Slack exports.
fn slack_export<R: Read + std::io::Seek>(
    unpacker: &Unpacker,
    archive: &mut ZipArchive<R>,
) -> Option<chat::slack::Export> {
    archive.index_for_name("users.json")?;
    archive.file_names_raw().find(|name| chat::slack::is_day(name))?;
    Some(chat::slack::Export::read(|name| {
        let file = archive.by_name(name).ok()?;
        let mut bytes = Vec::new();
        unpacker.budget().meter(file).take(chat::slack::MOST_TABLE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }))
}
