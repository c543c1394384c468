//! A built-in rule as `build.rs` prepares it: what a search needs, apart from texts for people, which are read when something
//! was found.

use super::fault::Fault;
use super::severity::Severity;
use super::shape::{GAP, Shape};
use super::syntax::{Check, Finder, Precision, RuleSyntax};
use serde::{Deserialize, Serialize};

/// What a regex is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// A token that begins with fixed text.
    Token,
    /// A value and the name that it is assigned to.
    Assigned,
    /// Anything.
    Any,
}

/// What a search needs of a rule.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared<'a> {
    /// See [`RuleSyntax`], as of all fields of the same name.
    pub id: &'a str,
    /// …
    pub severity: Severity,
    /// …
    pub security_severity: f64,
    /// …
    pub precision: Precision,
    /// Only if they are what the search looks for.
    #[serde(borrow)]
    pub keywords: Vec<&'a str>,
    /// What the regex is of, if there is one.
    pub form: Option<Form>,
    /// The regex to compile.
    pub source: &'a str,
    /// The maximum length of its matches in bytes, if there is one.
    pub max_len: Option<usize>,
    /// How many bytes of a match may be before one of the texts that a search looks for, if that is known.
    pub lead: Option<usize>,
    /// The [`Program`](super::program::Program) of the regex, in postcard's format; empty if it has none.
    pub program: &'a [u8],
    /// …
    pub path: Option<&'a str>,
    /// …
    pub min_entropy: f64,
    /// …
    pub check: Option<Check>,
    /// …
    pub signed_request: bool,
    /// …
    pub finder: Option<Finder>,
    /// What the search looks for.
    pub shape: Shape,
}

/// What a rule tells people.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Texts {
    /// What it finds, in a few words and without a full stop.
    pub name: String,
    /// What it finds, in a sentence or two.
    pub description: String,
    /// Why a finding matters.
    pub why: String,
    /// What to do about a finding, first thing first.
    pub remedy: String,
    /// Links to further reading.
    pub references: Vec<String>,
}

impl Texts {
    /// Takes them out of a rule.
    pub fn take(rule: &mut RuleSyntax) -> Self {
        Self {
            name: std::mem::take(&mut rule.name),
            description: std::mem::take(&mut rule.description),
            why: std::mem::take(&mut rule.why),
            remedy: std::mem::take(&mut rule.remedy),
            references: std::mem::take(&mut rule.references),
        }
    }
}

/// The regex to compile, and what it is of; `None` if the rule has a finder. With `is_ascii`, its classes are of ASCII.
///
/// # Errors
/// If the rule has more than one of the forms, or none.
pub fn source(rule: &RuleSyntax, shape: &Shape, is_ascii: bool) -> Result<Option<(Form, String)>, Fault> {
    // What follows is part of the regex, so that of several alternatives the one that fits is taken.
    const END: &str = "(?:[^A-Za-z0-9_-]|$)";
    match (&rule.token, &rule.assigned, &rule.value, &rule.regex, rule.finder) {
        (Some(token), None, None, None, None) => {
            // Others are searched for around what was found.
            let start = if matches!(shape, Shape::Before { .. }) { "" } else { r"\A" };
            Ok(Some((Form::Token, format!("(?-u){start}(?<secret>{token}){END}"))))
        }
        (None, Some(assigned), Some(value), None, None) => {
            Ok(Some((Form::Assigned, format!("(?-u)(?i:{assigned}){GAP}(?<secret>{value}){END}"))))
        }
        (None, None, None, Some(regex), None) if is_ascii => Ok(Some((Form::Any, format!("(?-u){regex}")))),
        (None, None, None, Some(regex), None) => Ok(Some((Form::Any, regex.clone()))),
        (None, None, None, None, Some(_)) => Ok(None),
        _ => Err(Fault::Forms),
    }
}
