//! keyspill finds leaked AWS keys and the secrets of 500 other services, and says how bad each one is.
//!
//! This is the library behind the command. It never prints, exits or looks at the process's environment, and it returns the
//! same report for the same input, whatever the number of threads. [`Scanner::builder`] says what to scan:
//!
//! ```
//! use keyspill::{Scanner, finding::Kind};
//!
//! let text = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE";
//! let report = Scanner::builder().bytes("notes.txt", text).run();
//!
//! assert!(report.findings.is_empty(), "the key is an example from AWS's documentation");
//! let example = report.suppressed().next().expect("which is still reported");
//! assert_eq!(example.rule.id.as_str(), "aws-access-key-id");
//! assert!(matches!(&example.kind, Kind::Key(key) if key.secret.is_none()));
//! ```
//!
//! What could not be scanned is in the report, too, so that an incomplete scan is never taken for a clean one:
//!
//! ```
//! use keyspill::{Scanner, Severity, Verdict};
//!
//! let report = Scanner::builder().path("no/such/file").run();
//! assert_eq!(report.verdict(Some(Severity::Warning)), Verdict::Incomplete);
//! assert_eq!(report.coverage.failures().next().map(|skip| skip.cause.word()), Some("missing"));
//! ```
//!
//! A report can be written in every format of the command:
//!
//! ```
//! use keyspill::{Format, ReportOptions, Scanner};
//!
//! let report = Scanner::builder().bytes("notes.txt", "nothing to see").run();
//! let mut json = Vec::new();
//! report.write(Format::Json, &ReportOptions::default(), &mut json)?;
//! assert!(json.starts_with(b"{"));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Features: `cli` (default) is the command; `reports` the formats beside JSON, JSON Lines and brief lines; `documents` PDF,
//! 7z and Outlook; `verify` asking AWS whether keys work, which otherwise nothing does. What is left out is named in reports
//! as not scanned.

#[cfg(feature = "cli")]
mod audit;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod config;
mod credential;
mod detect;
mod environment;
mod file;
pub mod finding;
mod foreign;
mod git;
mod judge;
#[cfg(feature = "cli")]
mod plan;
mod policy;
mod report;
mod rule;
mod scan;
mod source;
mod text;
mod verify;

pub use config::{Config, ConfigError};
pub use credential::{AccountId, Fingerprint};
pub use environment::Environment;
pub use finding::Finding;
pub use git::repository::Facts as RepositoryFacts;
pub use policy::baseline::{Baseline, BaselineError};
pub use report::{Coverage, Format, Layout, Options as ReportOptions, Report, Verdict};
pub use rule::{Grade, Rule, RuleFileError, RuleId, RuleSet, Severity};
pub use scan::{Limit, Limits, Progress, Pushed, Scanner, ScannerBuilder, Scope, Selection};
pub use source::{Skip, SkipCause};
#[cfg(feature = "verify")]
pub use verify::aws::{Client as AwsClient, ClientError as AwsClientError, Iam, OwnCredentials, Sts};
pub use verify::{Announcement, Consent, Pace, Partition, Question, Reply, Verifier, Verifying};

/// For keyspill's own tests, benchmarks and fuzz targets. Anything here may change at any time.
#[doc(hidden)]
pub mod internals {
    #[cfg(feature = "cli")]
    pub mod audit {
        pub use crate::audit::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod detect {
        pub use crate::detect::*;
    }
    pub mod foreign {
        pub use crate::foreign::is_running;
    }
    pub mod git {
        pub use crate::git::*;
    }
    #[cfg(feature = "cli")]
    pub mod plan {
        pub use crate::plan::{Form, Plan};
    }
    pub mod policy {
        pub use crate::policy::*;
    }
    pub mod report {
        pub use crate::report::*;
    }
    pub mod rule {
        pub use crate::rule::*;
    }
    pub mod scan {
        pub use crate::scan::*;
    }
    pub mod source {
        pub use crate::source::*;
    }
    pub mod text {
        pub use crate::text::*;
    }
}
