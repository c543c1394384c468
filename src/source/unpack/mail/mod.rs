//! Mail: mailboxes, single messages, and Outlook's formats.

mod mapi;
pub mod mbox;
pub mod mime;
pub mod msg;
mod prepare;
pub mod pst;
