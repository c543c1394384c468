//! A git repository as a source of blobs: everything it has ever held, what is staged, and what a range of commits
//! introduces.
//!
//! ```text
//! repository ─► odb: pack, loose ─► history ─► every object, once
//! (libgit2)                            └─► attribute: introduced and removed when, and by whom
//! ```
//!
//! Objects are read by our own code, because a scan of history spends its time there, and because a damaged or
//! malicious repository must do no harm there.

pub mod attribute;
pub mod changes;
pub mod error;
pub mod guard;
pub mod history;
pub mod index;
pub mod loose;
pub mod mailmap;
pub mod map;
pub mod object;
pub mod odb;
pub mod pack;
pub mod range;
pub mod repository;
pub mod staged;
