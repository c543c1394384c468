//! Audits of many targets: units, their state, result files, and how results are joined to one inventory.
mod code_owners;
pub mod inventory;
pub mod merge;
mod record;
mod result;
mod stamp;
mod target;
mod unit;
