//! Audits of many targets: units, their state, result files, and how results are joined to one inventory.

pub mod answers;
pub mod clone;
pub mod code_owners;
pub mod inventory;
pub mod merge;
pub mod record;
pub mod report;
pub mod result;
pub mod run;
pub mod stamp;
pub mod state;
pub mod target;
mod unit;
