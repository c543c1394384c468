//! In whose message a finding is: mail, chat, tickets.

use super::Examiner;
use super::held::MAX_HELD;
use crate::file;
use crate::finding::message::Message;
use crate::finding::path::to_path;
use crate::finding::{BlobPath, Finding};
use crate::scan::hidden;
use crate::source::chat::{self, export, export::Export};
use crate::source::{Blob, Context};
use crate::text::mask;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// The maximum number of exports whose tables are remembered, and of people in them.
const MAX_EXPORTS: usize = 100;
/// See [`MAX_EXPORTS`].
const MAX_REMEMBERED: usize = 200_000;

/// The maximum number of names looked at in a folder, for tables of people.
const MAX_NAMES: usize = 10_000;

impl Examiner<'_> {
    /// Attaches to each finding the message it is in, if any.
    pub(super) fn attach_messages(&self, blob: &Blob, findings: &mut [Finding]) {
        if let Some(Context::Message(message)) = &blob.context {
            let message = message.shown(&|message| self.shown(message));
            findings.iter_mut().for_each(|finding| finding.message = Some(message.clone()));
            return;
        }
        findings.sort_by_key(|finding| finding.location.byte_offset);
        let offsets: Vec<usize> = findings.iter().map(|finding| finding.location.byte_offset).collect();
        let unpacked = self.export_of(&blob.path);
        let export = match &blob.context {
            Some(Context::Exports(exports)) => exports.of(blob.path.innermost()),
            _ => unpacked.as_deref(),
        };
        // Most of a file's findings are in the same message as the one before.
        let mut last: Option<(Message, Arc<Message>)> = None;
        let mut left = 2 * MAX_HELD;
        let mut attach = |number: usize, message: Message| {
            if last.as_ref().is_none_or(|(known, _)| *known != message) {
                let weight = message.weight();
                // Anything beyond is dropped with its findings.
                left = left.saturating_sub(weight);
                let shown = Arc::new(self.shown(&message));
                last = (left > 0).then_some((message, shown));
            }
            findings[number].message = last.as_ref().map(|(_, shown)| shown.clone());
        };
        chat::messages(&blob.path, blob.bytes, &offsets, export, &mut attach);
    }

    /// A message with the secrets in its texts hidden.
    fn shown(&self, message: &Message) -> Message {
        let hide = |text: &str| {
            String::from_utf8_lossy(&hidden(self.detector, text.as_bytes().to_vec(), self.show_secrets)).into_owned()
        };
        let mut shown = message.hide(&hide);
        if !self.show_secrets {
            // People write anything there.
            shown.subject = mask::without_key_material(shown.subject.as_bytes());
        }
        shown
    }

    /// The tables of the unpacked export that a file belongs to, if it is in one.
    fn export_of(&self, path: &BlobPath) -> Option<Arc<Export>> {
        if !path.inside().is_empty() || !export::is_of_messages(path.file()) {
            return None;
        }
        let file = to_path(path);
        let steps = export::steps_up(path.file());
        let root = file.ancestors().nth(steps)?;
        let relative = BlobPath::new(file.strip_prefix(root).ok()?);
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let people: usize = exports.values().flatten().map(|export| export.size()).sum();
        if exports.len() > MAX_EXPORTS || people > MAX_REMEMBERED {
            exports.clear();
        }
        // Files of several kinds may have the same root.
        let known = exports.entry((steps, root.to_owned()));
        known
            .or_insert_with(|| {
                let tables = names_in(root).filter(|name| export::is_table(name.as_bytes())).collect();
                let export = Export::read(relative.file(), tables, |name| read_table(&root.join(name)));
                export.map(Arc::new)
            })
            .clone()
    }
}

/// The names of the first files in a folder.
fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    // A relative path may begin with the folder's file.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = folder.read_dir().into_iter().flatten().take(MAX_NAMES).flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn read_table(path: &Path) -> Option<Vec<u8>> {
    // A symbolic link may point anywhere.
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    file::open(path).ok()?.take(export::MAX_TABLE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
