//! Outlook's stores of folders and messages ([MS-PST]). They are parsed by Microsoft's `outlook-pst`, which silently
//! ignores much that it cannot read. So all checksums are verified first (`check.rs`), and messages that the store
//! lists but no folder contains are read separately.
//!
//! <https://learn.microsoft.com/openspecs/office_file_formats/ms-pst/>

mod check;

use super::mapi::{ATTACH_DATA, Attachment, MapiMessage, Properties, Value};
use crate::foreign::guarded;
use crate::source::SkipCause;
use crate::source::unpack::{Content, Place, Unpacker};
use outlook_pst::ltp::prop_context::PropertyValue;
use outlook_pst::ltp::table_context::TableContext;
use outlook_pst::messaging::attachment::{AnsiAttachment, Attachment as _, AttachmentData, UnicodeAttachment};
use outlook_pst::messaging::folder::{AnsiFolder, Folder, UnicodeFolder};
use outlook_pst::messaging::message::{AnsiMessage, Message, UnicodeMessage};
use outlook_pst::messaging::store::{AnsiStore, EntryId, Store, UnicodeStore};
use outlook_pst::ndb::byte_index::ByteIndex;
use outlook_pst::ndb::header::Header;
use outlook_pst::ndb::node_id::NodeId;
use outlook_pst::ndb::root::Root;
use outlook_pst::{AnsiPstFile, PstFile, PstReader, UnicodePstFile};
use std::collections::BTreeSet;
use std::io::{self, Cursor};
use std::rc::Rc;

/// The maximum depth of folders.
const DEEPEST: usize = 64;

/// The folder that contains all others ([MS-PST] 2.4.1, `NID_ROOT_FOLDER`).
const ROOT_FOLDER: u32 = 0x122;

/// Emits the contents of the messages of a store.
///
/// # Errors
/// If it is damaged; the readable parts were emitted.
pub(crate) fn open(unpacker: &Unpacker, place: &Place, content: Content) -> Result<(), SkipCause> {
    let damaged = |error: io::Error| unpacker.budget().cause(&error);
    // The version is at offset 10: from 23 on, numbers have eight bytes ([MS-PST] 2.2.2.6).
    let mut source: Box<dyn PstReader> = match content {
        Content::File(file) => Box::new(io::BufReader::new(file.try_clone().map_err(damaged)?)),
        other => Box::new(Cursor::new(other.bytes(unpacker)?.into_owned())),
    };
    let mut head = [0; 12];
    source.read_exact(&mut head).map_err(damaged)?;
    let size = source.seek(io::SeekFrom::End(0)).map_err(damaged)?;
    let checked = check::check(&mut source).map_err(damaged)?;
    if checked.misbuilt > 0 {
        return Err(unpacker.budget().damaged("its structure is invalid"));
    }
    source.rewind().map_err(damaged)?;
    let whole = |end: u64| match checked.damaged {
        _ if end > size => Err(SkipCause::Damaged("it ends early")),
        0 => Ok(()),
        damaged => Err(SkipCause::PartsLost(damaged, "pages and blocks")),
    };
    let messages = messages(&checked.nodes);
    if u16::from_le_bytes([head[10], head[11]]) >= 23 {
        let file = UnicodePstFile::read_from(source).map_err(damaged)?;
        let end = file.header().root().file_eof_index().index();
        let store = UnicodeStore::read(Rc::new(file)).map_err(damaged)?;
        Walk { unpacker, store, messages, seen: BTreeSet::new(), lost: 0 }.run(place).and(whole(end))
    } else {
        let file = AnsiPstFile::read_from(source).map_err(damaged)?;
        let end = u64::from(file.header().root().file_eof_index().index());
        let store = AnsiStore::read(Rc::new(file)).map_err(damaged)?;
        Walk { unpacker, store, messages, seen: BTreeSet::new(), lost: 0 }.run(place).and(whole(end))
    }
}

/// The numbers of all messages that a store lists: normal and associated ones ([MS-PST] 2.2.2.1).
fn messages(nodes: &[check::Node]) -> BTreeSet<u32> {
    const NORMAL_MESSAGE: u32 = 0x04;
    const ASSOCIATED_MESSAGE: u32 = 0x08;
    const TYPE: u32 = 0x1f;
    let is_message = |id: &u32| matches!(id & TYPE, NORMAL_MESSAGE | ASSOCIATED_MESSAGE);
    nodes.iter().filter(|node| node.data != 0).map(|node| node.id).filter(is_message).collect()
}

/// The two kinds of stores, which differ in the width of their numbers.
trait Kind: Store + Sized {
    fn folder(store: &Rc<Self>, id: &EntryId) -> io::Result<Rc<dyn Folder>>;
    /// A message, and how many of its attachments could not be read.
    fn item(store: &Rc<Self>, id: &EntryId) -> io::Result<(MapiMessage, usize)>;
}

/// Implements [`Kind`] for one of them.
macro_rules! kind {
    ($store:ty, $folder:ty, $message:ty, $attachment:ty) => {
        impl Kind for $store {
            fn folder(store: &Rc<Self>, id: &EntryId) -> io::Result<Rc<dyn Folder>> {
                Ok(<$folder>::read(store.clone(), id)?)
            }

            fn item(store: &Rc<Self>, id: &EntryId) -> io::Result<(MapiMessage, usize)> {
                let message = <$message>::read(store.clone(), id, None)?;
                let (mut item, mut lost) = item_of(&*message);
                for node in attachment_nodes(&*message) {
                    let Ok(attachment) = <$attachment>::read(message.clone(), node, None) else {
                        lost += 1;
                        continue;
                    };
                    let own = attachment.properties().iter();
                    let mut properties = properties(own.map(|(id, value)| (*id, value)));
                    let mut inner = None;
                    match attachment.data() {
                        Some(AttachmentData::Binary(data)) => {
                            _ = properties.0.insert(ATTACH_DATA, Value::Bytes(data.buffer().to_vec()));
                        }
                        Some(AttachmentData::Message(message)) => {
                            // The library gives no access to the attachments of an attached message.
                            lost += attachment_nodes(&**message).len();
                            let (item, lost_of_it) = item_of(&**message);
                            lost += lost_of_it;
                            inner = Some(Box::new(item));
                        }
                        None => lost += usize::from(properties.holds_attachment()),
                    }
                    item.attachments.push(Attachment { properties, message: inner });
                }
                Ok((item, lost))
            }
        }
    };
}

kind!(UnicodeStore, UnicodeFolder, UnicodeMessage, UnicodeAttachment);
kind!(AnsiStore, AnsiFolder, AnsiMessage, AnsiAttachment);

struct Walk<'a, 'b, S> {
    unpacker: &'a Unpacker<'b>,
    store: Rc<S>,
    /// Messages not found yet.
    messages: BTreeSet<u32>,
    /// Folders already visited.
    seen: BTreeSet<u32>,
    /// How many folders, messages and attachments could not be read.
    lost: usize,
}

impl<S: Kind> Walk<'_, '_, S> {
    fn run(mut self, place: &Place) -> Result<(), SkipCause> {
        self.folder(place, ROOT_FOLDER, 0)?;
        // Messages that are in no folder.
        for node in std::mem::take(&mut self.messages) {
            self.message(&place.within(format!("message {node:#x}").as_bytes()), node)?;
        }
        match self.lost {
            0 => Ok(()),
            lost => Err(SkipCause::PartsLost(lost, "folders, messages and attachments")),
        }
    }

    fn folder(&mut self, place: &Place, node: u32, depth: usize) -> Result<(), SkipCause> {
        if depth > DEEPEST || !self.seen.insert(node) {
            self.lost += 1;
            return Ok(());
        }
        let read = self.read(node, |store, id| {
            let folder = S::folder(store, id)?;
            let name = folder.properties().display_name().unwrap_or_default();
            let tables = [folder.contents_table(), folder.associated_table(), folder.hierarchy_table()];
            Ok((name, tables.map(|table| table.map_or(vec![], |table| rows(&**table)))))
        });
        let Some((name, [contents, associated, folders])) = read else {
            self.lost += 1;
            return Ok(());
        };
        let place = if depth == 0 { place.clone() } else { place.within(name.as_bytes()) };
        // Folders do not count as nested containers.
        let place = Place { depth: place.depth.min(1), ..place };
        for table in [contents, associated] {
            for (number, row) in table.into_iter().enumerate() {
                self.message(&place.within(format!("message {}", number + 1).as_bytes()), row)?;
            }
        }
        folders.into_iter().try_for_each(|row| self.folder(&place, row, depth + 1))
    }

    fn message(&mut self, place: &Place, node: u32) -> Result<(), SkipCause> {
        self.unpacker.budget().enter()?;
        self.messages.remove(&node);
        match self.read(node, S::item) {
            Some((item, lost)) => {
                self.lost += lost;
                item.hand_over(self.unpacker, place);
            }
            None => self.lost += 1,
        }
        Ok(())
    }

    /// The result of `read` for a node; `None` if the library cannot read it or panics.
    fn read<T>(&self, node: u32, read: impl FnOnce(&Rc<S>, &EntryId) -> io::Result<T>) -> Option<T> {
        let read = || {
            let id = self.store.properties().make_entry_id(NodeId::from(node))?;
            read(&self.store, &id)
        };
        guarded(read)?.ok()
    }
}

fn rows(table: &dyn TableContext) -> Vec<u32> {
    table.rows_matrix().map(|row| u32::from(row.id())).collect()
}

/// A message without its attachments, and how many of its recipients could not be read.
fn item_of(message: &dyn Message) -> (MapiMessage, usize) {
    let own = message.properties().iter().map(|(id, value)| (*id, value));
    let mut lost = 0;
    let recipients = message.recipient_table().map(|table| {
        let mut read = |row: &outlook_pst::ltp::table_context::TableRowData| {
            let columns = table.context().columns();
            let Ok(values) = row.columns(table.context()) else {
                lost += 1;
                return properties(std::iter::empty());
            };
            let present = columns.iter().zip(values).filter_map(|(column, value)| Some((column, value?)));
            let read: Vec<_> = present
                .map(|(column, value)| Some((column.prop_id(), table.read_column(&value, column.prop_type()).ok()?)))
                .collect();
            lost += usize::from(read.iter().any(Option::is_none));
            properties(read.iter().flatten().map(|(id, value)| (*id, value)))
        };
        table.rows_matrix().map(&mut read).collect()
    });
    (
        MapiMessage {
            properties: properties(own),
            recipients: recipients.unwrap_or_default(),
            ..MapiMessage::default()
        },
        lost,
    )
}

fn attachment_nodes(message: &dyn Message) -> Vec<NodeId> {
    message.attachment_table().map_or(vec![], |table| rows(&**table).into_iter().map(NodeId::from).collect())
}

fn properties<'a>(values: impl Iterator<Item = (u16, &'a PropertyValue)>) -> Properties {
    let value = |value: &PropertyValue| match value {
        PropertyValue::Integer16(number) => Some(Value::Number(i64::from(*number))),
        PropertyValue::Integer32(number) => Some(Value::Number(i64::from(*number))),
        PropertyValue::Integer64(number) => Some(Value::Number(*number)),
        PropertyValue::Time(ticks) => Some(Value::Time(*ticks)),
        PropertyValue::String8(text) => Some(Value::Text(text.to_string())),
        PropertyValue::Unicode(text) => Some(Value::Text(text.to_string())),
        PropertyValue::Binary(bytes) => Some(Value::Bytes(bytes.buffer().to_vec())),
        _ => None,
    };
    Properties(values.filter_map(|(id, read)| Some((id, value(read)?))).collect())
}
