//! Mail: mailboxes, single messages, and Outlook's formats.

#[cfg(feature = "documents")]
mod mapi;
pub mod mbox;
pub mod mime;
#[cfg(feature = "documents")]
pub mod msg;
mod prepare;
#[cfg(feature = "documents")]
pub mod pst;
