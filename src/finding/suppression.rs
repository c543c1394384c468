//! Why a finding does not count.

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppression {
    /// It is nobody's key.
    Dummy(Dummy),
    /// The configuration allows it.
    Allowlist {
        /// File and line of the configuration.
        place: String,
        /// What it gives as a reason; empty if nothing.
        reason: String,
    },
    /// It was accepted.
    Baseline {
        /// File and line of the entry.
        place: String,
        /// What it gives as a reason; empty if nothing.
        reason: String,
    },
    /// A comment in the file allows it.
    Inline {
        /// 1-based line of the comment.
        line: u32,
        /// What the comment gives as a reason; empty if nothing.
        reason: String,
    },
}

/// Why a value is not a real credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dummy {
    /// An example of AWS's documentation: it holds the word `EXAMPLE`.
    Documented,
    /// A value that someone wrote to stand for a key: repeated or counted-up characters, words.
    Placeholder,
}

impl Dummy {
    /// In a report: "this is …".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Documented => "an example from AWS documentation",
            Self::Placeholder => "a placeholder",
        }
    }
}
