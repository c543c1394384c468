//! How bad something is.

use std::fmt;

/// How bad a finding is; the words and order are SARIF's result levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never fails a run by default.
    Note,
    /// Should be looked at: part of a credential, or one that has probably expired.
    Warning,
    /// A usable credential in clear.
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

/// How bad a judgement is, in four steps; reports have three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// To be known.
    Low,
    /// To be looked at.
    Medium,
    /// To be acted on.
    High,
    /// To be acted on at once.
    Critical,
}

impl Grade {
    /// The severity that stands for it.
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
