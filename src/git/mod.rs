//! A git repository, as a source of blobs: all that it has ever held, what is about to be committed, what some commits
//! bring in.
//!
//! ```text
//! repository ─► odb: pack, loose ─► history ─► every object, once
//! (libgit2)                            └─► attribute: by whom, when, until when
//! ```
//!
//! Objects are read by our own code, since this is where a scan of history spends its time, and where a repository that
//! is damaged, or made to do harm, must not.

pub mod attribute;
pub mod changes;
pub mod guard;
pub mod history;
pub mod index;
pub mod loose;
pub mod map;
pub mod object;
pub mod odb;
pub mod pack;
pub mod range;
pub mod repository;
pub mod staged;
