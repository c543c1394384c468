//! What is wrong with a rule. Regexes are never quoted: one may contain the secret that it was made from.

use regex_syntax::Error as RegexError;

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field has a value that it cannot have.
    #[error("`{field}` {expected}")]
    Field {
        /// Its name in the file.
        field: &'static str,
        /// What was expected of it, and what to do.
        expected: &'static str,
    },
    /// The rule has more than one form, or none.
    #[error("exactly one of `token`, `assigned` with `value`, and `regex` is required")]
    Forms,
    /// The name of a value may be too long.
    #[error(
        "`assigned` and what precedes the characters of `value` may be {reach} bytes long, and must not exceed {limit}"
    )]
    Reach {
        /// How long, in bytes.
        reach: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A regex matches texts of any length.
    #[error("`{field}` may match more than {limit} bytes: give repetitions an upper bound, as in `{{20,200}}`")]
    Unbounded {
        /// The field that it is in.
        field: &'static str,
        /// How long a match may be, in bytes.
        limit: usize,
    },
    /// A keyword is too short, or not ASCII.
    #[error("keyword {number} is rejected: keywords must be ASCII and have at least {min} bytes")]
    Keyword {
        /// Its number, from 1.
        number: usize,
        /// How many bytes it must have.
        min: usize,
    },
    /// A regex is not valid, wherever it is.
    #[error("it is not a regex")]
    NoRegex,
    /// A regex is not valid.
    #[error("{0}")]
    Regex(Spot),
    /// A regex is too large.
    #[error("its compiled size exceeds {0} bytes")]
    TooLarge(usize),
    /// A field has a fault of its own.
    #[error("`{field}` is rejected: {fault}")]
    In {
        /// Its name in the file.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        fault: Box<Fault>,
    },
    /// A regex of an allowlist has a fault.
    #[error("a regex of an allowlist: {0}")]
    Allowlist(#[source] Box<Fault>),
    /// What other regexes have and these have not.
    #[error("{0} is not supported; write it with escapes")]
    Construct(&'static str),
    /// A regex of another syntax cannot be used.
    #[error("the regex is not supported: {0}")]
    Unsupported(Spot),
    /// A group is named that the regex does not have.
    #[error("`secretGroup` is {wanted}, and the regex has {groups} groups")]
    Group {
        /// The number of the group.
        wanted: usize,
        /// How many there are.
        groups: usize,
    },
    /// The rule matches nothing by itself.
    #[error("it has neither `regex` nor `path`")]
    Nothing,
    /// A keyword is in every file.
    #[error("a keyword of one letter is in every file: leave it out, or give a longer one")]
    OneLetter,
}

impl Fault {
    /// The same, of a field.
    #[must_use]
    pub fn of_field(self, field: &'static str) -> Self {
        Self::In { field, fault: Box::new(self) }
    }
}

/// What a regex has wrong, and where. The error of its parser quotes the regex, so that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at character {column}")]
pub struct Spot {
    what: String,
    /// 1-based.
    column: usize,
}

impl From<RegexError> for Spot {
    fn from(error: RegexError) -> Self {
        match error {
            RegexError::Parse(error) => Self { what: error.kind().to_string(), column: error.span().start.column },
            RegexError::Translate(error) => Self { what: error.kind().to_string(), column: error.span().start.column },
            _ => Self { what: "it is not a regex".to_owned(), column: 1 },
        }
    }
}
