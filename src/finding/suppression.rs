//! Why a finding does not count.

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppression {
    /// It is not a real key.
    Dummy(Dummy),
    /// The configuration allows it.
    Allowlist {
        /// File and line of the configuration.
        place: String,
        /// The reason given there; empty if none.
        reason: String,
    },
    /// The baseline accepts it.
    Baseline {
        /// File and line of the entry.
        place: String,
        /// The reason given there; empty if none.
        reason: String,
    },
    /// A comment in the file allows it.
    Inline {
        /// 1-based line of the comment.
        line: u32,
        /// The reason given in the comment; empty if none.
        reason: String,
    },
}

/// Why a value is not a real credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dummy {
    /// An example from AWS's documentation: it contains the word `EXAMPLE`.
    Documented,
    /// A value written to stand for a key: repeated or sequential characters, words.
    Placeholder,
}

impl Dummy {
    /// In a report: "this is …".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Documented => "a documented example",
            Self::Placeholder => "a placeholder",
        }
    }
}
