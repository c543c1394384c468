//! Mail: mailboxes, single messages, and what Outlook keeps.

mod mapi;
pub mod mbox;
pub mod mime;
pub mod msg;
mod prepare;
pub mod pst;
