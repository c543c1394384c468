//! Configurations of gitleaks, read as they are.
//!
//! Source: <https://github.com/gitleaks/gitleaks#configuration>. What differs: classes and `(?i)` are of ASCII alone, as are
//! those of Go except that its `(?i)` also knows two letters outside it; keywords may be anywhere in the file, not only in
//! the same hundred kilobytes; and a path is what reports show. What has no counterpart is refused, by name.

use super::fault::Fault;
use super::prepared::Form;
use super::shape::{self, Shape};
use super::{Matcher, RegexMatcher, Rule, RuleId, RuleProblem, Severity, Texts, Words, compile_bytes};
use crate::rule::Precision;
use aho_corasick::AhoCorasick;
use rayon::prelude::*;
use regex::bytes::Regex;
use regex_automata::{Anchored, Input, meta};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use toml::Spanned;

/// The maximum compiled size of one regex, in bytes: some of gitleaks' are larger than keyspill's may be.
pub(super) const REGEX_SIZE_LIMIT: usize = 8 << 20;

/// Length of the shortest words that are searched for, in bytes.
const MIN_WORD: usize = 3;

/// What gitleaks knows of a rule beyond its regex.
#[derive(Debug)]
pub struct Gitleaks {
    secret_group: usize,
    /// A secret's entropy must be more than this, if it is not 0.
    entropy: f64,
    /// In any case; one must be in the file.
    keywords: Option<AhoCorasick>,
    allowlists: Vec<Arc<Allowlist>>,
    /// Other rules that must match nearby.
    pub required: Vec<Required>,
    /// True if it only counts for others.
    pub skip_report: bool,
    /// Where matches may be; `None` if that would take as long to find out as where they are.
    pub outline: Option<Outline>,
    /// What the name of a file must match, if the rule is about paths alone.
    name: Option<LazyRegex>,
}

impl Gitleaks {
    /// What the name of a file, without its folders, must match, if the rule is about paths alone: every file has what it
    /// finds.
    pub fn name(&self) -> Option<&Regex> {
        self.name.as_ref().map(LazyRegex::get)
    }
}

/// Where the matches of a regex may be: at words that each contains, or where one begins.
#[derive(Debug)]
pub struct Outline {
    /// How many bytes of a match may be before a place.
    pub lead: usize,
    /// How many bytes from a place on are looked at.
    pub length: usize,
    /// How many bytes after a place another match may begin that has no place of its own.
    pub overlap: usize,
    /// Unlike the other regexes, it can be tried at one place, and sees what is around that.
    regex: OnceLock<meta::Regex>,
    source: Box<str>,
}

impl Outline {
    /// True if a match may go on with the word at this offset.
    pub fn may_go_on(&self, text: &[u8], word: usize) -> bool {
        let end = text.len().min(word + self.length);
        self.regex().is_match(Input::new(text).range(word..end).anchored(Anchored::Yes))
    }

    fn regex(&self) -> &meta::Regex {
        self.regex.get_or_init(|| {
            let limits = meta::Config::new()
                .utf8_empty(false)
                .nfa_size_limit(Some(REGEX_SIZE_LIMIT))
                .hybrid_cache_capacity(REGEX_SIZE_LIMIT);
            let bytes = regex_automata::util::syntax::Config::new().utf8(false);
            let mut builder = meta::Regex::builder();
            builder.configure(limits).syntax(bytes).build(&self.source).expect("its size was checked")
        })
    }

    /// The offsets in a part of a text where a match may begin; see [`Self::overlap`].
    pub fn starts(&self, text: &[u8], part: Range<usize>, found: &mut dyn FnMut(usize)) {
        let end = text.len().min(part.end + self.length);
        let mut at = part.start;
        let next = |at| self.regex().find(Input::new(text).range(at..end));
        while let Some(start) = (at <= end).then(|| next(at)).flatten().filter(|start| start.start() < part.end) {
            found(start.start());
            at = start.end().max(start.start() + 1);
        }
    }
}

/// Another rule that must match nearby.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Required {
    /// Its id.
    pub id: String,
    /// At most so many lines away.
    pub within_lines: Option<usize>,
    /// At most so many columns away.
    pub within_columns: Option<usize>,
}

#[derive(Debug)]
struct Allowlist {
    needs_all: bool,
    paths: Vec<LazyRegex>,
    regexes: Vec<LazyRegex>,
    target: Target,
    stopwords: Option<AhoCorasick>,
}

/// A regex that is compiled on first use: of hundreds, few are.
#[derive(Debug)]
struct LazyRegex {
    source: Box<str>,
    compiled: OnceLock<Regex>,
}

impl LazyRegex {
    /// # Errors
    /// If it is not a regex, or too large.
    fn new(source: String) -> Result<Self, Fault> {
        let lazy = Self { source: source.into(), compiled: OnceLock::new() };
        check_size(&lazy.source)?;
        Ok(lazy)
    }

    fn get(&self) -> &Regex {
        let compile = || compile_bytes(&self.source, REGEX_SIZE_LIMIT).expect("its size was checked");
        self.compiled.get_or_init(compile)
    }
}

/// Checks the size of a regex: if it may be large, by compiling it.
///
/// # Errors
/// If it compiles to more than [`REGEX_SIZE_LIMIT`] bytes.
fn check_size(source: &str) -> Result<(), Fault> {
    // Sizes are estimated.
    const SURELY_SMALL: usize = REGEX_SIZE_LIMIT / 4;
    let is_small = shape::compiled_size(source).is_some_and(|size| size < SURELY_SMALL);
    if is_small || compile_bytes(source, REGEX_SIZE_LIMIT).is_ok() {
        return Ok(());
    }
    Err(Fault::TooLarge(REGEX_SIZE_LIMIT))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

impl Gitleaks {
    /// The part of a match that is the secret.
    pub fn secret<'a>(&self, captures: &regex::bytes::Captures<'a>) -> Option<regex::bytes::Match<'a>> {
        if self.secret_group > 0 {
            return captures.get(self.secret_group);
        }
        let filled = (1..captures.len()).filter_map(|n| captures.get(n)).find(|group| !group.is_empty());
        filled.or_else(|| captures.get(0))
    }

    /// True if gitleaks would report a secret.
    pub fn reports(&self, path: Option<&[u8]>, text: &[u8], whole: &Range<usize>, secret: &[u8]) -> bool {
        let is_random = self.entropy == 0.0 || crate::rule::gitleaks::entropy(secret) > self.entropy;
        is_random && !self.allowlists.iter().any(|list| list.allows(path, text, whole, secret))
    }

    /// True if a text has one of the keywords, or none is wanted.
    pub fn has_keyword(&self, text: &[u8]) -> bool {
        self.keywords.as_ref().is_none_or(|keywords| keywords.is_match(text))
    }
}

/// Shannon's entropy in bits per byte, without rounding.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|part| -part * part.log2())
        .sum()
}

impl Allowlist {
    fn allows(&self, path: Option<&[u8]>, text: &[u8], whole: &Range<usize>, secret: &[u8]) -> bool {
        let target = match self.target {
            Target::Secret => secret,
            Target::Match => &text[whole.clone()],
            Target::Line => {
                let start = memchr::memrchr(b'\n', &text[..whole.start]).map_or(0, |at| at + 1);
                let end = memchr::memchr(b'\n', &text[whole.end..]).map_or(text.len(), |at| whole.end + at);
                &text[start..end]
            }
        };
        let checks = [
            (!self.paths.is_empty())
                .then(|| path.is_some_and(|path| self.paths.iter().any(|regex| regex.get().is_match(path)))),
            (!self.regexes.is_empty()).then(|| self.regexes.iter().any(|regex| regex.get().is_match(target))),
            self.stopwords.as_ref().map(|words| words.is_match(secret)),
        ];
        let mut checks = checks.into_iter().flatten().peekable();
        checks.peek().is_some() && if self.needs_all { checks.all(|holds| holds) } else { checks.any(|holds| holds) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default, rename = "title")]
    _title: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "minVersion")]
    _min_version: String,
    #[serde(default)]
    extend: Extend,
    #[serde(default)]
    rules: Vec<Spanned<RuleWritten>>,
    #[serde(default)]
    allowlists: Vec<Spanned<AllowlistWritten>>,
    #[serde(default)]
    allowlist: Option<Spanned<AllowlistWritten>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Extend {
    path: String,
    url: String,
    use_default: bool,
    disabled_rules: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct RuleWritten {
    id: String,
    description: String,
    regex: Option<Spanned<String>>,
    secret_group: usize,
    entropy: f64,
    keywords: Vec<String>,
    path: Option<Spanned<String>>,
    #[serde(rename = "tags")]
    _tags: Vec<String>,
    allowlists: Vec<Spanned<AllowlistWritten>>,
    allowlist: Option<Spanned<AllowlistWritten>>,
    required: Vec<Required>,
    skip_report: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct AllowlistWritten {
    #[serde(rename = "description")]
    _description: String,
    target_rules: Vec<String>,
    condition: String,
    commits: Vec<String>,
    paths: Vec<String>,
    regexes: Vec<String>,
    regex_target: String,
    stopwords: Vec<String>,
}

/// A configuration, and what it extends.
#[derive(Debug)]
pub(super) struct Configuration {
    pub rules: Vec<Arc<Rule>>,
    /// The file that it extends, relative to it.
    pub extends: Option<String>,
    /// Rules of that file that are off.
    pub disabled: BTreeSet<String>,
}

/// Parses a configuration.
///
/// # Errors
/// What is invalid or unsupported: the line and the rule.
pub(super) fn parse(text: &str) -> Result<Configuration, RuleProblem> {
    let file: File =
        toml::from_str(text).map_err(|error| RuleProblem::Syntax(crate::text::toml::explain(text, &error)))?;
    let line = |span: Range<usize>| text[..span.start].matches('\n').count() + 1;
    let refused = |span: Range<usize>, rule: &str, fault: Fault| RuleProblem::Rule {
        rule: if rule.is_empty() { "global".to_owned() } else { rule.to_owned() },
        line: Some(line(span)),
        fault,
    };
    if file.extend.use_default || !file.extend.url.is_empty() {
        let problem = "[extend] `useDefault` and `url` name rules that are not here: put gitleaks' own configuration into a file and name it with `path`";
        return Err(RuleProblem::Syntax(problem.into()));
    }
    let global: Vec<_> = file.allowlist.iter().chain(&file.allowlists).collect();
    let global = global.into_iter().map(|list| {
        let own = allowlist(list.get_ref()).map_err(|problem| refused(list.span(), "", problem))?;
        Ok((list.get_ref(), Arc::new(own)))
    });
    let global = global.collect::<Result<Vec<_>, RuleProblem>>()?;
    // Hundreds of regexes are looked at; the first problem counts.
    let rules: Vec<_> = file.rules.into_par_iter().map(|written| resolve(written, &global, &refused)).collect();
    let rules = rules.into_iter().collect::<Result<_, _>>()?;
    let extends = (!file.extend.path.is_empty()).then_some(file.extend.path);
    Ok(Configuration { rules, extends, disabled: file.extend.disabled_rules.into_iter().collect() })
}

/// A rule, with the allowlists of the whole file that are about it.
fn resolve(
    written: Spanned<RuleWritten>,
    global: &[(&AllowlistWritten, Arc<Allowlist>)],
    refused: &(dyn Fn(Range<usize>, &str, Fault) -> RuleProblem + Sync),
) -> Result<Arc<Rule>, RuleProblem> {
    let span = written.span();
    let rule = written.into_inner();
    let id = rule.id.clone();
    let fail = |fault: Fault| refused(span.clone(), &id, fault);
    let own = rule.allowlist.iter().chain(&rule.allowlists).map(|list| {
        let own = allowlist(list.get_ref()).map_err(|problem| refused(list.span(), &id, problem))?;
        Ok(Arc::new(own))
    });
    let mut allowlists = own.collect::<Result<Vec<_>, RuleProblem>>()?;
    let is_about_it = |list: &AllowlistWritten| list.target_rules.is_empty() || list.target_rules.contains(&id);
    allowlists.extend(global.iter().filter(|(written, _)| is_about_it(written)).map(|(_, list)| list.clone()));
    if rule.keywords.iter().any(|keyword| keyword.len() < 2) {
        return Err(fail(Fault::OneLetter));
    }
    let keywords = (!rule.keywords.is_empty()).then(|| words(&rule.keywords));
    let (source, shape) = match (&rule.regex, &rule.path) {
        (Some(regex), _) => {
            let at = |fault: Fault| refused(regex.span(), &id, fault);
            let source = translated(regex.get_ref()).map_err(at)?;
            let shape = shape::of_any(&source).unwrap_or(Shape::AnyCase);
            (source, shape)
        }
        // A file whose name is enough.
        (None, Some(_)) => (r"(?s-u)\A.{1,20}".to_owned(), Shape::AnyCase),
        (None, None) => return Err(fail(Fault::Nothing)),
    };
    check_size(&source).map_err(|fault| fail(fault.of_field("regex")))?;
    let groups = shape::groups(&source);
    if rule.secret_group > groups {
        return Err(fail(Fault::Group { wanted: rule.secret_group, groups }));
    }
    let path: Option<Cow<'static, str>> = match rule.path {
        Some(path) => {
            let source = translated(path.get_ref()).map_err(|problem| refused(path.span(), &id, problem))?;
            check_size(&source).map_err(|fault| refused(path.span(), &id, fault.of_field("path")))?;
            Some(source.into())
        }
        None => None,
    };
    let of_path = path.as_deref().filter(|_| rule.regex.is_none());
    let name = of_path.and_then(shape::of_name).and_then(|source| LazyRegex::new(source).ok());
    let is_plain = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) && !part.is_empty();
    if !id.split('-').all(is_plain) {
        return Err(fail(Fault::Field {
            field: "id",
            expected: "must be words of a-z and 0-9 joined by single hyphens",
        }));
    }
    // Words of the regex itself say where to look, others only that the file is worth a look; and words of two letters, which
    // are in every file, not even that.
    let written = || rule.keywords.iter().map(|keyword| keyword.to_ascii_lowercase()).collect::<Vec<_>>();
    let is_any = shape == Shape::AnyCase;
    let is_common = rule.keywords.is_empty() || rule.keywords.iter().any(|keyword| keyword.len() < MIN_WORD);
    let from_texts = || shape::outline_from_texts(&source).and_then(outlined);
    let from_start = || shape::outline(&source).and_then(outlined).filter(|_| is_common);
    let (searched, outline) = is_any.then(|| from_texts().or_else(from_start)).flatten().unzip();
    let searched: Vec<String> = searched.unwrap_or_else(|| if is_common { vec![] } else { written() });
    let matcher = RegexMatcher {
        gitleaks: Some(Box::new(Gitleaks {
            secret_group: rule.secret_group,
            entropy: rule.entropy,
            keywords,
            allowlists,
            required: rule.required,
            skip_report: rule.skip_report,
            outline,
            name,
        })),
        path_source: path,
        ..RegexMatcher::new(Form::Any, shape, source.into())
    };
    let description = if rule.description.is_empty() { format!("Found by the rule {id}.") } else { rule.description };
    Ok(Arc::new(Rule {
        id: RuleId(id.as_str().into()),
        pack: None,
        severity: Severity::Error,
        security_severity: 7.0,
        precision: Precision::Medium,
        keywords: searched.into_iter().map(Cow::Owned).collect(),
        matcher: Matcher::Regex(Box::new(matcher)),
        words: Words::Own(Texts { name: id.replace('-', " "), description, ..Texts::default() }, Default::default()),
    }))
}

/// The words to search for, and what is to be found there.
fn outlined(outline: shape::Outline) -> Option<(Vec<String>, Outline)> {
    let words = outline.texts.into_iter().map(|text| String::from_utf8(text).ok()).collect::<Option<Vec<_>>>()?;
    let source = format!("(?-u)(?:{})", outline.regex);
    check_size(&source).ok()?;
    // What a match ends with may depend on what follows.
    const AFTER: usize = 8;
    let length = outline.length + AFTER;
    let overlap = if words.is_empty() { length } else { 0 };
    Some((words, Outline { lead: outline.lead, length, overlap, regex: OnceLock::new(), source: source.into() }))
}

fn allowlist(written: &AllowlistWritten) -> Result<Allowlist, Fault> {
    let refused = |field, expected| Err(Fault::Field { field, expected });
    if !written.commits.is_empty() {
        return refused(
            "commits",
            "of an allowlist has no counterpart: keyspill judges contents, not commits; allow their findings by fingerprint",
        );
    }
    let regexes = |written: &[String]| {
        let compiled = written
            .iter()
            .map(|regex| LazyRegex::new(translated(regex)?).map_err(|fault| Fault::Allowlist(Box::new(fault))));
        compiled.collect::<Result<Vec<_>, Fault>>()
    };
    let needs_all = match written.condition.to_ascii_uppercase().as_str() {
        "" | "OR" | "||" => false,
        "AND" | "&&" => true,
        _ => return refused("condition", "of an allowlist must be OR or AND"),
    };
    let target = match written.regex_target.as_str() {
        "" | "secret" => Target::Secret,
        "match" => Target::Match,
        "line" => Target::Line,
        _ => return refused("regexTarget", "must be match or line"),
    };
    let stopwords = (!written.stopwords.is_empty()).then(|| words(&written.stopwords));
    Ok(Allowlist { needs_all, paths: regexes(&written.paths)?, regexes: regexes(&written.regexes)?, target, stopwords })
}

fn words(words: &[String]) -> AhoCorasick {
    // Faster to build than a DFA, and hardly ever used.
    let kind = Some(aho_corasick::AhoCorasickKind::NoncontiguousNFA);
    let builder = AhoCorasick::builder().ascii_case_insensitive(true).kind(kind).build(words);
    builder.expect("words of a file of settings stay below the automaton's limits")
}

/// Escapes what Go takes for itself and Rust for syntax: a brace that begins no repetition; a bracket, and doubled marks, in
/// a class.
fn with_escapes(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut in_class = false;
    let mut at = 0;
    while let Some(c) = regex[at..].chars().next() {
        let rest = &regex[at..];
        let length = match c {
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '[' if in_class && rest.starts_with("[:") => rest.find(":]").map_or(1, |end| end + 2),
            _ => c.len_utf8(),
        };
        let is_doubled = in_class && ["&&", "--", "~~"].iter().any(|marks| rest.starts_with(marks));
        match c {
            '{' if !in_class && !is_repetition(rest) => out.push_str(r"\{"),
            '[' if in_class && length == 1 => out.push_str(r"\["),
            _ if is_doubled => out.extend(['\\', c]),
            _ => out.push_str(&rest[..length]),
        }
        at += length;
        match c {
            '[' if !in_class => {
                in_class = true;
                // A bracket that closes nothing is itself.
                for first in ["^", "]"] {
                    if regex[at..].starts_with(first) {
                        out.push_str(if first == "]" { r"\]" } else { first });
                        at += 1;
                    }
                }
            }
            ']' => in_class = false,
            _ => {}
        }
    }
    out
}

/// True if a text begins with `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(text: &str) -> bool {
    let Some((inner, _)) = text[1..].split_once('}') else { return false };
    let (min, max) = inner.split_once(',').unwrap_or((inner, "0"));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !min.is_empty() && is_number(min) && is_number(max)
}

/// A regex in Rust's syntax that matches what Go's RE2 does.
///
/// # Errors
/// What Rust's does not know.
fn translated(regex: &str) -> Result<String, Fault> {
    for (construct, what) in [(r"\Q", "quoted text (`\\Q…\\E`)"), (r"\C", "single bytes (`\\C`)")] {
        if regex.contains(construct) {
            return Err(Fault::Construct(what));
        }
    }
    let regex = &with_escapes(regex);
    let source = format!("(?-u:{regex})");
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(&source);
    if parsed.is_ok() {
        return Ok(source);
    }
    // Letters outside ASCII need Unicode.
    match regex_syntax::ParserBuilder::new().utf8(false).build().parse(regex) {
        Ok(_) => Ok(regex.clone()),
        Err(error) => Err(Fault::Unsupported(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regexes_of_go_are_understood() {
        for (go, rust) in [
            (r"^\${[A-Z]{2,3}}$", r"^\$\{[A-Z]{2,3}}$"),
            (r"[[:alnum:]_[]{4,}", r"[[:alnum:]_\[]{4,}"),
            (r"[]a]&&", r"[\]a]&&"),
            (r"[^]--z]", r"[^\]\--z]"),
            (r"\{{", r"\{\{"),
        ] {
            assert_eq!(with_escapes(go), rust);
            assert!(translated(go).is_ok(), "{go}");
        }
        assert!(translated(r"(?=x)").unwrap_err().to_string().contains("look-around"));
        assert!(translated(r"\Qa.b\E").is_err());
    }

    #[test]
    fn words_are_searched_for_where_they_may_be() {
        let searched = |rule: &str| {
            let rules = parse(&format!("[[rules]]\nid = \"a\"\n{rule}\n")).expect("a rule").rules;
            rules[0].keywords.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(searched("regex = '(?i)token=([a-z]{4,9})'\nkeywords = [\"tok\"]"), ["token=".to_owned()]);
        // Words of two letters are too common, and those of regexes with other letters are not known.
        assert_eq!(searched("regex = 'é([a-z]+)'\nkeywords = [\"pw\"]"), Vec::<String>::new());
        assert_eq!(searched("regex = 'é([a-z]+)'\nkeywords = [\"PASS\"]"), ["pass".to_owned()]);
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        for (text, words) in [
            ("[[rules]]\nid = \"a\"\nregex = '(?=x)'\n", "rule `a`: line 3"),
            ("[[rules]]\nid = \"a\"\nregex = 'x'\nkeywords = [\"x\"]\n", "one letter"),
            ("[[rules]]\nid = \"a\"\n", "neither"),
            ("[[rules]]\nid = \"a\"\nregex = 'x'\nvalidate = 'y'\n", "line 4, column 1: unknown key"),
            ("[extend]\nuseDefault = true\n", "useDefault"),
            ("[[rules]]\nid = \"a\"\nregex = 'x'\n[[rules.allowlists]]\ncommits = [\"0\"]\n", "commits"),
            ("[[rules]]\nid = \"a\"\nregex = 'x'\nsecretGroup = 2\n", "secretGroup"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
