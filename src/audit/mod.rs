//! Audits of many targets: units, their state, result files, and how results are joined to one inventory.
pub mod clone;
mod code_owners;
pub mod inventory;
pub mod merge;
mod record;
pub mod report;
mod result;
pub mod run;
pub mod stamp;
pub mod state;
pub mod target;
mod unit;
