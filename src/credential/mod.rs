//! What a key itself shows: its account, whether it is a canary, its fingerprint.

pub mod account;
pub mod fingerprint;
mod partition;
pub mod signature;

pub use account::{Account, AccountId};
pub use fingerprint::Fingerprint;
pub use partition::{Partition, SpecialPartitions};
