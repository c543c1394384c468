//! What a key's own characters tell: its account, whether it is a tripwire, its fingerprint.

pub mod account;
pub mod fingerprint;
pub mod signature;

pub use account::{Account, AccountId};
pub use fingerprint::Fingerprint;
