//! How bad something is.

use std::fmt;

/// The severity of a finding; names and order are those of SARIF's result levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never fails a run by default.
    Note,
    /// Should be reviewed: part of a credential, or a credential that has probably expired.
    Warning,
    /// A usable credential in clear text.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// The grade of a judgement, in four steps; severities in reports have only three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// For information.
    Low,
    /// Needs review.
    Medium,
    /// Needs action.
    High,
    /// Needs immediate action.
    Critical,
}

impl Grade {
    /// The corresponding severity.
    pub fn severity(self) -> Severity {
        match self {
            Self::Low => Severity::Note,
            Self::Medium => Severity::Warning,
            Self::High | Self::Critical => Severity::Error,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}
