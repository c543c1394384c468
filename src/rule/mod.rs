//! Rules as data: what to look for, what a finding means, and examples that prove the rule.
//!
//! A rule file is TOML ([`syntax`] is the file as written); [`Rule`] is a compiled rule and [`RuleSet`] holds all rules
//! of a run. The built-in rules are the packs in `rules/`, prepared by `build.rs` and embedded in the binary;
//! [`RuleSet::add`] adds a user's own, which extend the built-in ones and can never replace them.

pub mod described;
pub mod example;
pub mod fault;
pub mod gitleaks;
pub mod pack;
pub mod prepared;
pub mod program;
mod run;
mod severity;
pub mod shape;
pub mod syntax;

use self::fault::Fault;
use crate::file;
use crate::text::mask::name_shown;
use crate::text::toml::explain;
use regex::bytes::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use pack::{AWS, Selection};
pub use prepared::{Form, Texts};
use program::Program;
pub use program::{Found, Match};
pub use run::{MIN_RUN, Run, Stretch};
pub use severity::{Grade, Severity};
pub use shape::{MIN_TEXT, Shape};
pub use syntax::{Check, Finder, Observer, Precision};

/// Shortest keyword of a rule, in bytes: the prefilter tells literals by their first four.
pub const MIN_KEYWORD: usize = 4;

/// Maximum size of the tables that a regex makes while it searches, in bytes, for each thread.
const DFA_SIZE_LIMIT: usize = 1 << 19;

/// Maximum number of configurations of gitleaks that extend one another: as many as gitleaks follows.
const MAX_EXTENDED: usize = 3;

/// Maximum compiled size of one regex, in bytes. Larger ones are rejected, so that a rule file cannot exhaust memory.
pub const REGEX_SIZE_LIMIT: usize = 1 << 20;

/// A rule's id: kebab-case and permanently stable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.len() <= 80 && text.split('-').all(word) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            Ok(Self(text.into()))
        } else {
            Err(Fault::Field {
                field: "id",
                expected: "must be words of a-z and 0-9 joined by single hyphens, at most 80 characters",
            })
        }
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a rule matches text.
#[derive(Debug)]
pub enum Matcher {
    /// One of keyspill's own matchers for keys and secrets.
    Finder(Finder),
    /// A regex, searched in blobs that contain one of the rule's keywords.
    Regex(Box<RegexMatcher>),
}

/// A regex with further conditions.
#[derive(Debug)]
pub struct RegexMatcher {
    /// What the regex is of. What a name says counts less than what a token says itself.
    pub form: Form,
    /// What a search looks for.
    pub shape: Shape,
    /// What a match says about itself.
    pub check: Option<Check>,
    /// What else gitleaks knows of it, if it is from a configuration of gitleaks.
    pub gitleaks: Option<Box<gitleaks::Gitleaks>>,
    /// Minimum Shannon entropy of the reported text, in bits per byte.
    pub min_entropy: f64,
    /// True if matches are requests that were signed with a key.
    pub is_signed_request: bool,
    source: Cow<'static, str>,
    path_source: Option<Cow<'static, str>>,
    regex: OnceLock<Regex>,
    path: OnceLock<Regex>,
    max_len: OnceLock<Option<usize>>,
    lead: Option<usize>,
    program: OnceLock<Option<Program>>,
    /// The program as prepared; empty if there is none.
    program_source: &'static [u8],
}

impl RegexMatcher {
    /// A matcher without conditions.
    fn new(form: Form, shape: Shape, source: Cow<'static, str>) -> Self {
        Self {
            form,
            shape,
            check: None,
            gitleaks: None,
            min_entropy: 0.0,
            is_signed_request: false,
            source,
            path_source: None,
            regex: OnceLock::new(),
            path: OnceLock::new(),
            max_len: OnceLock::new(),
            lead: None,
            program: OnceLock::new(),
            program_source: &[],
        }
    }

    /// Searches a text for the leftmost match that starts at `start` or after it; what is before can be looked at.
    pub fn find_at(&self, text: &[u8], start: usize) -> Option<Match> {
        if let Some(program) = self.program() {
            match program.find(text, start, text.len()) {
                Found::Match(found) => return Some(found.or_secret()),
                Found::Nothing => return None,
                Found::GaveUp => {}
            }
        }
        self.find_with_regex(text, start)
    }

    /// The same, in linear time.
    pub fn find_with_regex(&self, text: &[u8], start: usize) -> Option<Match> {
        let captures = self.regex().captures_at(text, start)?;
        let range = |found: Option<regex::bytes::Match>| found.map(|found| found.range());
        let group = |name| range(captures.name(name));
        let whole = captures.get_match().range();
        Some(match &self.gitleaks {
            Some(gitleaks) => Match { whole, secret: range(gitleaks.secret(&captures)), ..Match::default() },
            None => Match { whole, id: group("id"), secret: group("secret"), host: group("host") }.or_secret(),
        })
    }

    /// The regex as a program, if it has one.
    pub fn program(&self) -> Option<&Program> {
        let read = || postcard::from_bytes(self.program_source).expect("build.rs has written it");
        self.program.get_or_init(|| (!self.program_source.is_empty()).then(read)).as_ref()
    }

    /// How many bytes of a match may be before one of the texts that a search looks for, if that is known.
    pub fn lead(&self) -> Option<usize> {
        self.lead
    }

    /// The maximum length of a match in bytes, if there is one.
    pub fn max_len(&self) -> Option<usize> {
        *self.max_len.get_or_init(|| {
            let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&self.source).ok();
            parsed.and_then(|hir| hir.properties().maximum_len())
        })
    }

    /// The regex, compiled on first use: most runs see the keywords of only a few rules.
    fn regex(&self) -> &Regex {
        self.regex.get_or_init(|| self.compile(&self.source))
    }

    /// The regex as written, or made from what is.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True if it is of a value that is assigned to a name.
    pub fn is_assigned(&self) -> bool {
        self.form == Form::Assigned
    }

    /// The path regex as written.
    pub fn path_source(&self) -> Option<&str> {
        self.path_source.as_deref()
    }

    /// True if the rule is not restricted to paths, or `path` matches its path regex.
    pub fn covers_path(&self, path: &[u8]) -> bool {
        self.path_source.as_deref().is_none_or(|source| self.path.get_or_init(|| self.compile(source)).is_match(path))
    }

    fn compile(&self, source: &str) -> Regex {
        let limit = if self.gitleaks.is_some() { gitleaks::REGEX_SIZE_LIMIT } else { REGEX_SIZE_LIMIT };
        compile_bytes(source, limit).expect("regexes are checked when a rule file is loaded or tested")
    }
}

fn compile(source: &str) -> Result<Regex, regex::Error> {
    compile_bytes(source, REGEX_SIZE_LIMIT)
}

fn compile_bytes(source: &str, limit: usize) -> Result<Regex, regex::Error> {
    // Hundreds of regexes are in use, each with tables for every thread. Large ones need large tables: where they are too
    // small, they are built again and again.
    RegexBuilder::new(source).size_limit(limit).dfa_size_limit(DFA_SIZE_LIMIT.max(limit)).build()
}

/// One rule, ready to use.
#[derive(Debug)]
pub struct Rule {
    /// Stable name, as in `aws-access-key-pair`.
    pub id: RuleId,
    /// The pack that it is in; `None` for a user's own rule.
    pub pack: Option<&'static str>,
    /// The severity of a finding, unless the rule's finder grades it.
    pub severity: Severity,
    /// GitHub's `security-severity`: 0.0 to 10.0, where 9.0 is critical, 7.0 high, 4.0 medium.
    pub security_severity: f64,
    /// How often a finding is a true positive.
    pub precision: Precision,
    /// Literal bytes; if the search looks for them, the rule is only tried where one of them occurs.
    pub keywords: Vec<Cow<'static, str>>,
    /// How the rule matches text.
    pub matcher: Matcher,
    words: Words,
}

/// Where the texts and examples of a rule are.
#[derive(Debug)]
enum Words {
    /// Here: the texts that it must and must not match, too.
    Own(Texts, [Vec<syntax::Example>; 2]),
    /// With the rule at this position of a pack.
    InPack(&'static pack::Pack, usize),
}

impl Rule {
    /// What it tells people.
    pub fn texts(&self) -> &Texts {
        match &self.words {
            Words::Own(texts, _) => texts,
            Words::InPack(pack, index) => &pack.texts()[*index],
        }
    }

    /// The texts in which it must match, and those in which it must not.
    pub fn examples(&self) -> [Vec<syntax::Example>; 2] {
        match &self.words {
            Words::Own(_, examples) => examples.clone(),
            Words::InPack(pack, index) => pack.examples().swap_remove(*index),
        }
    }

    /// The regex, if it matches with one.
    pub fn regex(&self) -> Option<&RegexMatcher> {
        match &self.matcher {
            Matcher::Regex(regex) => Some(regex),
            Matcher::Finder(_) => None,
        }
    }
}

/// Why a rule file was rejected.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct RuleFileError {
    /// The file, as given.
    pub file: PathBuf,
    problem: RuleProblem,
}

impl RuleFileError {
    /// What is wrong with the file.
    pub fn problem(&self) -> String {
        self.problem.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
enum RuleProblem {
    #[error("cannot be read: {}", file::describe(.0))]
    Read(#[from] std::io::Error),
    #[error("is not a valid rule file: {0}")]
    Syntax(String),
    #[error("rule {}: {}{fault}", name_shown(rule), line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Rule {
        rule: String,
        /// 1-based, where it is known.
        line: Option<usize>,
        #[source]
        fault: Fault,
    },
}

/// All rules of a run, in a fixed order: the built-in ones, then each added file's.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// The built-in rules that are on by default.
    pub fn built_in() -> Self {
        Self::selected(&Selection::default())
    }

    /// The built-in rules that a selection has on.
    pub fn selected(selection: &Selection) -> Self {
        let mut set = Self::default();
        for pack in pack::all().iter().filter(|pack| selection.may_have(pack.name)) {
            for (index, prepared) in pack.rules().into_iter().enumerate() {
                if selection.has(pack.name, prepared.id, prepared.precision) {
                    set.rules.push(Arc::new(built_in(prepared, pack, index)));
                }
            }
        }
        set
    }

    /// Adds the rules in a file.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Self::add_text`]. The set is then unchanged.
    pub fn add(&mut self, file: &Path) -> Result<(), RuleFileError> {
        let text = file::read_text(file, file::MAX_SETTINGS);
        let text = text.map_err(|error| RuleFileError { file: file.to_owned(), problem: error.into() })?;
        self.add_text(file, &text)
    }

    /// Adds the rules in the text of a file; `file` is only used in errors.
    ///
    /// # Errors
    /// If the text is not a valid rule file, has a regex that does not compile within [`REGEX_SIZE_LIMIT`], or has an
    /// id that is already used. The set is then unchanged.
    pub fn add_text(&mut self, file: &Path, text: &str) -> Result<(), RuleFileError> {
        let before = self.rules.len();
        self.extend(text).map_err(|problem| {
            self.rules.truncate(before);
            RuleFileError { file: file.to_owned(), problem }
        })
    }

    /// Adds the rules of a configuration of gitleaks, and of the files that it extends.
    ///
    /// # Errors
    /// If one cannot be read, or has what has no counterpart here. The set is then unchanged.
    pub fn add_gitleaks(&mut self, file: &Path) -> Result<(), RuleFileError> {
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        let mut disabled: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
        let mut next = Some(file.to_owned());
        // A rule of the file that extends another takes the place of that with the same id.
        for _ in 0..MAX_EXTENDED {
            let Some(file) = next.take() else { break };
            let failed = |problem: RuleProblem| RuleFileError { file: file.clone(), problem };
            let text = file::read_text(&file, file::MAX_SETTINGS).map_err(|error| failed(error.into()))?;
            let configuration = gitleaks::parse(&text).map_err(failed)?;
            for rule in configuration.rules {
                let is_known = rules.iter().any(|known| known.id == rule.id);
                if !is_known && !disabled.contains(rule.id.as_str()) {
                    rules.push(rule);
                }
            }
            disabled.extend(configuration.disabled);
            next = configuration.extends.map(|path| file.parent().unwrap_or(Path::new("")).join(path));
        }
        self.add_all(&Self { rules });
        Ok(())
    }

    /// Adds the rules of another set. One with the id of a rule that is there takes its place, so that nothing is reported
    /// twice.
    pub fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|rule| self.put(rule.clone()));
    }

    /// Adds a rule, or puts it in the place of the one with its id.
    pub fn put(&mut self, rule: Arc<Rule>) {
        match self.rules.iter().position(|known| known.id == rule.id) {
            Some(place) => self.rules[place] = rule,
            None => self.rules.push(rule),
        }
    }

    /// The rule with that id.
    pub fn get(&self, id: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id.as_str() == id)
    }

    /// The rules for which `wanted` is true.
    #[must_use]
    pub fn filtered(&self, wanted: impl Fn(&Rule) -> bool) -> Self {
        Self { rules: self.rules.iter().filter(|rule| wanted(rule)).cloned().collect() }
    }

    /// The rule at a position.
    pub fn at(&self, index: usize) -> Option<&Arc<Rule>> {
        self.rules.get(index)
    }

    /// All rules, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> + Clone {
        self.rules.iter()
    }

    /// The rule that reports findings of `finder`, if there is one.
    pub fn of_finder(&self, finder: Finder) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| matches!(rule.matcher, Matcher::Finder(f) if f == finder))
    }

    /// The rule id nearest to `id`, of this set or of any pack, for "did you mean".
    pub fn nearest(&self, id: &str) -> Option<&str> {
        let distance = |known: &str| strsim::damerau_levenshtein(known, id);
        let known = self.rules.iter().map(|rule| rule.id.as_str()).chain(pack::ids().iter().copied());
        let nearest = known.min_by_key(|known| distance(known))?;
        (distance(nearest) <= id.len().max(6) / 3).then_some(nearest)
    }

    /// True if there is a rule with that id, here or in any pack, on or off.
    pub fn knows(&self, id: &str) -> bool {
        self.get(id).is_some() || pack::ids().contains(&id)
    }

    fn extend(&mut self, text: &str) -> Result<(), RuleProblem> {
        let file: syntax::RuleFile =
            toml::from_str(text).map_err(|error| RuleProblem::Syntax(explain(text, &error)))?;
        for written in file.rule {
            let name = written.id.clone();
            let rule = resolve(written).map_err(|fault| RuleProblem::Rule { rule: name.clone(), line: None, fault })?;
            if self.knows(&name) {
                let expected = "is already used; rules cannot replace existing ones, so choose another id";
                let fault = Fault::Field { field: "id", expected };
                return Err(RuleProblem::Rule { rule: name, line: None, fault });
            }
            self.rules.push(Arc::new(rule));
        }
        Ok(())
    }
}

/// A built-in rule. `build.rs` has refused what is wrong, and a test compiles every regex, so a run need not.
fn built_in(prepared: prepared::Prepared<'static>, pack: &'static pack::Pack, index: usize) -> Rule {
    let matcher = match (prepared.form, prepared.finder) {
        (Some(form), _) => Matcher::Regex(Box::new(RegexMatcher {
            check: prepared.check,
            min_entropy: prepared.min_entropy,
            is_signed_request: prepared.signed_request,
            path_source: prepared.path.map(Cow::Borrowed),
            max_len: prepared.max_len.into(),
            lead: prepared.lead,
            program_source: prepared.program,
            ..RegexMatcher::new(form, prepared.shape, prepared.source.into())
        })),
        (None, finder) => Matcher::Finder(finder.expect("a rule has a regex or a finder")),
    };
    Rule {
        id: RuleId(prepared.id.into()),
        pack: Some(pack.name),
        severity: prepared.severity,
        security_severity: prepared.security_severity,
        precision: prepared.precision,
        keywords: prepared.keywords.into_iter().map(Cow::Borrowed).collect(),
        matcher,
        words: Words::InPack(pack, index),
    }
}

/// A user's rule.
fn resolve(mut written: syntax::RuleSyntax) -> Result<Rule, Fault> {
    let refused = |field, expected| Err(Fault::Field { field, expected });
    if written.signed_request {
        return refused("signed-request", "is reserved for built-in rules");
    }
    if written.finder.is_some() {
        return refused("finder", "is reserved for built-in rules; use `regex`");
    }
    if !(0.0..=10.0).contains(&written.security_severity) {
        return refused("security-severity", "must be a number from 0.0 to 10.0");
    }
    let id = RuleId::parse(&written.id)?;
    let shape = shape::derive(&written).map_err(|fault| refusal_of(&written, fault))?;
    let (form, source) = prepared::source(&written, &shape, false)?.expect("it has no finder");
    let matcher = RegexMatcher {
        check: written.check,
        min_entropy: written.min_entropy,
        path_source: written.path.take().map(Cow::Owned),
        ..RegexMatcher::new(form, shape, source.into())
    };
    let keywords: Vec<Cow<str>> = written.keywords.drain(..).map(Cow::Owned).collect();
    validate(&matcher, &keywords, MIN_KEYWORD)?;
    let texts = Texts::take(&mut written);
    Ok(Rule {
        id,
        pack: None,
        severity: written.severity,
        security_severity: written.security_severity,
        precision: written.precision,
        keywords,
        matcher: Matcher::Regex(Box::new(matcher)),
        words: Words::Own(texts, [written.positives, written.negatives]),
    })
}

/// Why a rule has no shape: because of a regex that does not compile, or else as found.
fn refusal_of(written: &syntax::RuleSyntax, fault: Fault) -> Fault {
    let fields = [
        ("token", &written.token),
        ("assigned", &written.assigned),
        ("value", &written.value),
        ("regex", &written.regex),
    ];
    for (field, source) in fields {
        if let Some(source) = source
            && compile(source).is_err()
        {
            return refusal(source).of_field(field);
        }
    }
    fault
}

fn validate(matcher: &RegexMatcher, keywords: &[Cow<str>], min: usize) -> Result<(), Fault> {
    if keywords.is_empty()
        && matcher.form != Form::Token
        && !matches!(matcher.shape, Shape::Before { .. } | Shape::Url { .. })
    {
        let expected = "is required: literal texts, one of which occurs in every match; other files are skipped";
        return Err(Fault::Field { field: "keywords", expected });
    }
    if let Some(short) = keywords.iter().position(|keyword| keyword.len() < min || !keyword.is_ascii()) {
        return Err(Fault::Keyword { number: short + 1, min });
    }
    let regex = compile(&matcher.source).map_err(|_| refusal(&matcher.source).of_field("regex"))?;
    if regex.is_match(b"") {
        let expected = "matches the empty string, so it would match everywhere";
        return Err(Fault::Field { field: "regex", expected });
    }
    if let Some(path) = &matcher.path_source {
        compile(path).map_err(|_| refusal(path).of_field("path"))?;
    }
    Ok(())
}

/// Why a regex does not compile.
fn refusal(source: &str) -> Fault {
    match regex_syntax::Parser::new().parse(source) {
        Err(error) => Fault::Regex(error.into()),
        Ok(_) => Fault::TooLarge(REGEX_SIZE_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All built-in rules, those that are off by default too.
    fn all() -> RuleSet {
        RuleSet::selected(&Selection::everything())
    }

    #[test]
    fn the_built_in_rules_load_and_every_regex_compiles() {
        let failure = |rule: &Arc<Rule>| {
            Some(format!("{}: {}", rule.id, validate(rule.regex()?, &rule.keywords, MIN_KEYWORD - 1).err()?))
        };
        assert_eq!(all().iter().filter_map(failure).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn every_built_in_rule_is_documented() {
        let mut ids = std::collections::BTreeSet::new();
        for rule in all().iter() {
            let texts = rule.texts();
            for (what, text) in [("description", &texts.description), ("why", &texts.why), ("remedy", &texts.remedy)] {
                assert!(text.len() > 14 && text.trim_end().ends_with('.'), "{}: {what}: {text:?}", rule.id);
            }
            assert!(texts.description.len() <= 1024, "GitHub cuts fullDescription at 1024 characters");
            assert!(!texts.references.is_empty() || rule.id.as_str() == "unused-allow", "{} has no reference", rule.id);
            assert!(ids.insert(rule.id.clone()), "{} is there twice", rule.id);
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
        assert_eq!(rules.nearest("aws-acces-key-pair"), Some("aws-access-key-pair"));
        assert_eq!(rules.nearest("something-else-entirely"), None);
    }
}
