//! Rules as data: what to look for, what a finding of it means, and examples that prove it.
//!
//! A file of rules is TOML ([`syntax`] is the file as written); [`Rule`] is a rule as compiled and [`RuleSet`] all
//! rules of a run. The built-in rules are `rules/aws.toml`, embedded in the binary; [`RuleSet::add`] adds a user's own,
//! which extend the built-in ones and can never replace one of them.

pub mod example;
mod severity;
pub mod syntax;

use crate::file;
use crate::text::mask::name_shown;
use crate::text::toml::explain;
use regex::bytes::{Regex, RegexBuilder};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use severity::{Grade, Severity};
pub use syntax::{Finder, Observer, Precision};

/// The built-in rules, as written.
const BUILT_IN: &str = include_str!("../../rules/aws.toml");

/// Shortest keyword of a rule, in bytes: the prefilter tells literals by their first four.
pub const MIN_KEYWORD: usize = 4;

/// Largest compiled size of one regex, in bytes. A rule over it is refused, so that a rule file cannot exhaust memory.
pub const REGEX_SIZE_LIMIT: usize = 1 << 20;

/// A rule's name: kebab-case and stable for ever.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.len() <= 80 && text.split('-').all(word) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            Ok(Self(text.into()))
        } else {
            Err("a rule id is words of a-z and 0-9 joined by single hyphens, at most 80 characters".into())
        }
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a rule finds its text.
#[derive(Debug)]
pub enum Matcher {
    /// One of keyspill's own matchers for keys and secrets.
    Finder(Finder),
    /// A regex, searched in blobs that hold one of the rule's keywords.
    Regex(RegexMatcher),
}

/// A regex and what must hold besides.
#[derive(Debug)]
pub struct RegexMatcher {
    /// Least Shannon entropy of the reported text, in bits per byte.
    pub min_entropy: f64,
    source: String,
    path_source: Option<String>,
    regex: OnceLock<Regex>,
    path: OnceLock<Regex>,
}

impl RegexMatcher {
    /// The compiled regex. It is compiled on first use: most runs meet the keywords of few rules.
    pub fn regex(&self) -> &Regex {
        self.regex
            .get_or_init(|| compile(&self.source).expect("regexes are compiled when a rule file is loaded or tested"))
    }

    /// The regex as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The path regex as written.
    pub fn path_source(&self) -> Option<&str> {
        self.path_source.as_deref()
    }

    /// True if the rule says nothing of paths or `path` is one it speaks of.
    pub fn covers_path(&self, path: &[u8]) -> bool {
        self.path_source.as_deref().is_none_or(|source| {
            let compiled = || compile(source).expect("regexes are compiled when a rule file is loaded or tested");
            self.path.get_or_init(compiled).is_match(path)
        })
    }
}

fn compile(source: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(source).size_limit(REGEX_SIZE_LIMIT).build()
}

/// One rule, ready to use.
#[derive(Debug)]
pub struct Rule {
    /// Stable name, as in `aws-access-key-pair`.
    pub id: RuleId,
    /// What it finds, in a few words and without a full stop.
    pub name: String,
    /// What it finds, in a sentence or two.
    pub description: String,
    /// Why a finding matters.
    pub why: String,
    /// What to do about a finding, first thing first.
    pub remedy: String,
    /// The severity of a finding, unless the rule's finder grades it.
    pub severity: Severity,
    /// GitHub's `security-severity`: 0.0 to 10.0, where 9.0 is critical, 7.0 high, 4.0 medium.
    pub security_severity: f64,
    /// How often a finding is true.
    pub precision: Precision,
    /// Pages to read on.
    pub references: Vec<String>,
    /// Literal, case-sensitive bytes: where none of them stands, the rule is not tried.
    pub keywords: Vec<String>,
    /// How text is found.
    pub matcher: Matcher,
    /// Texts in which the rule must match.
    pub positives: Vec<syntax::Example>,
    /// Texts in which it must not.
    pub negatives: Vec<syntax::Example>,
}

/// Why a file of rules was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct RuleFileError {
    /// The file, as given.
    pub file: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read: {}", file::describe(.0))]
    Read(#[from] std::io::Error),
    #[error("is not a rule file: {0}")]
    Syntax(String),
    #[error("rule {}: {text}", name_shown(rule))]
    Rule { rule: String, text: String },
}

/// All rules of a run, in a fixed order: the built-in ones, then each added file's.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// The rules that come with keyspill.
    pub fn built_in() -> Self {
        let mut set = Self::default();
        // A test compiles every regex of the built-in rules, so a run need not: it would cost each start a millisecond.
        set.extend(BUILT_IN, Trust::BuiltIn).expect("a test loads the built-in rules");
        set
    }

    /// Adds the rules of a file.
    ///
    /// # Errors
    /// If it cannot be read, or as [`Self::add_text`]. The set is then as it was.
    pub fn add(&mut self, file: &Path) -> Result<(), RuleFileError> {
        let text = file::read_text(file, file::MAX_SETTINGS);
        let text = text.map_err(|error| RuleFileError { file: file.to_owned(), problem: error.into() })?;
        self.add_text(file, &text)
    }

    /// Adds the rules of a file's text; `file` is only named in errors.
    ///
    /// # Errors
    /// If it is not a file of rules, has a regex that does not compile within [`REGEX_SIZE_LIMIT`], or an id that is
    /// taken. The set is then as it was.
    pub fn add_text(&mut self, file: &Path, text: &str) -> Result<(), RuleFileError> {
        let before = self.rules.len();
        self.extend(text, Trust::User).map_err(|problem| {
            self.rules.truncate(before);
            RuleFileError { file: file.to_owned(), problem }
        })
    }

    /// The rule of that name.
    pub fn get(&self, id: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id.as_str() == id)
    }

    /// All rules, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> + Clone {
        self.rules.iter()
    }

    /// The rule that reports what `finder` finds, if there is one.
    pub fn of_finder(&self, finder: Finder) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| matches!(rule.matcher, Matcher::Finder(f) if f == finder))
    }

    /// The known rule id nearest to `id`, for "did you mean".
    pub fn nearest(&self, id: &str) -> Option<&RuleId> {
        let distance = |rule: &Arc<Rule>| strsim::damerau_levenshtein(rule.id.as_str(), id);
        let nearest = self.rules.iter().min_by_key(|rule| distance(rule))?;
        (distance(nearest) <= id.len().max(6) / 3).then_some(&nearest.id)
    }

    fn extend(&mut self, text: &str, trust: Trust) -> Result<(), Problem> {
        let file: syntax::RuleFile = toml::from_str(text).map_err(|error| Problem::Syntax(explain(text, &error)))?;
        for written in file.rule {
            let name = written.id.clone();
            let rule = resolve(written, trust).map_err(|text| Problem::Rule { rule: name.clone(), text })?;
            if self.get(&name).is_some() {
                let text =
                    "the id is taken; rules add to the known ones and never replace one, so choose another".into();
                return Err(Problem::Rule { rule: name, text });
            }
            self.rules.push(Arc::new(rule));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Trust {
    BuiltIn,
    User,
}

fn resolve(written: syntax::RuleSyntax, trust: Trust) -> Result<Rule, String> {
    let matcher = match (written.regex, written.finder) {
        (Some(source), None) => Matcher::Regex(RegexMatcher {
            min_entropy: written.min_entropy,
            source,
            path_source: written.path,
            regex: OnceLock::new(),
            path: OnceLock::new(),
        }),
        (None, Some(finder)) if trust == Trust::BuiltIn => Matcher::Finder(finder),
        (None, Some(_)) => return Err("`finder` is for the built-in rules, use `regex`".into()),
        (Some(_), Some(_)) | (None, None) => return Err("give exactly one `regex`".into()),
    };
    if !(0.0..=10.0).contains(&written.security_severity) {
        return Err("`security-severity` is a number from 0.0 to 10.0".into());
    }
    if let Matcher::Regex(regex) = &matcher
        && trust == Trust::User
    {
        validate(regex, &written.keywords)?;
    }
    Ok(Rule {
        id: RuleId::parse(&written.id)?,
        name: written.name,
        description: written.description,
        why: written.why,
        remedy: written.remedy,
        severity: written.severity,
        security_severity: written.security_severity,
        precision: written.precision,
        references: written.references,
        keywords: written.keywords,
        matcher,
        positives: written.positives,
        negatives: written.negatives,
    })
}

fn validate(matcher: &RegexMatcher, keywords: &[String]) -> Result<(), String> {
    if keywords.is_empty() {
        let text =
            "give `keywords`: literal texts of which one stands in every match, so that other files are passed over";
        return Err(text.into());
    }
    if let Some(short) = keywords.iter().position(|keyword| keyword.len() < MIN_KEYWORD || !keyword.is_ascii()) {
        let number = short + 1;
        return Err(format!("keyword {number} is refused: a keyword has at least {MIN_KEYWORD} bytes and is ASCII"));
    }
    let regex = compile(&matcher.source).map_err(|_| format!("`regex` is refused: {}", refusal(&matcher.source)))?;
    if regex.is_match(b"") {
        return Err("`regex` matches the empty text, so it would match everywhere".into());
    }
    if let Some(path) = &matcher.path_source {
        compile(path).map_err(|_| format!("`path` is refused: {}", refusal(path)))?;
    }
    Ok(())
}

/// What is wrong with a regex that does not compile, without the regex: it may hold what it was made from.
fn refusal(source: &str) -> String {
    match regex_syntax::Parser::new().parse(source) {
        Err(regex_syntax::Error::Parse(error)) => {
            format!("{}, at character {}", error.kind(), error.span().start.column)
        }
        Err(regex_syntax::Error::Translate(error)) => {
            format!("{}, at character {}", error.kind(), error.span().start.column)
        }
        _ => format!("compiled, it is larger than {REGEX_SIZE_LIMIT} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_load_and_every_regex_compiles() {
        let rules = RuleSet::built_in();
        assert!(rules.iter().len() > 10);
        for rule in rules.iter() {
            if let Matcher::Regex(matcher) = &rule.matcher {
                validate(matcher, &rule.keywords).unwrap_or_else(|error| panic!("{}: {error}", rule.id));
            }
        }
    }

    #[test]
    fn every_built_in_rule_is_documented() {
        for rule in RuleSet::built_in().iter() {
            for (what, text) in [("description", &rule.description), ("why", &rule.why), ("remedy", &rule.remedy)] {
                assert!(text.len() > 20 && text.trim_end().ends_with('.'), "{}: {what}: {text:?}", rule.id);
            }
            assert!(rule.description.len() <= 1024, "GitHub cuts fullDescription at 1024 characters");
            assert!(!rule.references.is_empty() || rule.id.as_str() == "unused-allow", "{} has no reference", rule.id);
        }
    }

    #[test]
    fn rule_ids_are_kebab_case() {
        assert!(RuleId::parse("aws-key-2").is_ok());
        for bad in ["", "-a", "a--b", "A-b", "a_b", "a-", "2a", &"a".repeat(81)] {
            assert!(RuleId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_rule_is_suggested() {
        let rules = RuleSet::built_in();
        assert_eq!(rules.nearest("aws-acces-key-pair").map(RuleId::as_str), Some("aws-access-key-pair"));
        assert_eq!(rules.nearest("something-else-entirely"), None);
    }
}
