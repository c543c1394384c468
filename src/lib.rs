//! keyspill finds leaked AWS keys and says how bad each one is.
//!
//! The library holds everything but the command line, and never prints or exits. One way leads through it:
//!
//! ```text
//! rule, config ─► source ─► detect ─► finding, credential ─► policy ─► judge ─► report
//!                 bytes     candidates  place, account,      allowed?   together  text, json, sarif
//!                 + path                fingerprint
//! ```
//!
//! [`scan::Scan::run`] runs the whole pipeline; [`detect::Detector`] alone finds keys in bytes:
//!
//! ```
//! use keyspill::{detect::Detector, rule::RuleSet};
//! use std::sync::Arc;
//!
//! let detector = Detector::new(Arc::new(RuleSet::built_in()));
//! let text = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE";
//! let found = detector.detect(text.as_bytes(), None);
//! assert_eq!(found.candidates[0].rule.id.as_str(), "aws-access-key-id");
//! assert!(found.candidates[0].dummy.is_some(), "it is an example from AWS's documentation");
//! ```

pub mod cli;
pub mod config;
pub mod credential;
pub mod detect;
pub mod file;
pub mod finding;
pub mod foreign;
pub mod git;
pub mod judge;
pub mod policy;
pub mod report;
pub mod rule;
pub mod scan;
pub mod source;
pub mod text;
