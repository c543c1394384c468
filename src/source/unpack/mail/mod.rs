//! Mail: mailboxes, single messages, what is sent in them, and Outlook's formats.

pub mod calendar;
#[cfg(feature = "documents")]
mod mapi;
pub mod mbox;
pub mod mime;
#[cfg(feature = "documents")]
pub mod msg;
mod prepare;
#[cfg(feature = "documents")]
pub mod pst;
#[cfg(feature = "documents")]
pub mod tnef;
mod uuencode;
