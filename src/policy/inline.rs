//! Comments that allow a finding.
//!
//! | comment | allows | of |
//! |---|---|---|
//! | `keyspill:allow [RULE[,RULE…]] [reason]` | findings on its own line | keyspill |
//! | `keyspill:allow-next-line [RULE[,RULE…]] [reason]` | findings on the line after | keyspill |
//! | `gitleaks:allow` | findings on its own line | gitleaks |
//! | `pragma: allowlist secret` | findings on its own line | detect-secrets |
//! | `pragma: allowlist nextline secret` | findings on the line after | detect-secrets |
//!
//! A pair of id and secret is allowed by a comment for the line of either.

use crate::detect::comment::Comment;
use crate::finding::location::Locations;
use crate::finding::{Finding, Suppression};
use crate::rule::{RuleId, RuleSet};
use crate::text::markers::MARKERS;
use crate::text::mask;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

/// The maximum number of comments in one text that are told why they have no effect.
const MAX_HINTS: usize = 20;

/// Rules have no longer ids, in bytes.
const MAX_RULE_ID: usize = 80;

/// What makes a comment allow findings on the line after it; the first is the documented spelling.
const NEXT_LINE: [&str; 4] = ["-next-line", "_next_line", "-nextline", "-next_line"];

/// A parsed allow comment.
#[derive(Debug, PartialEq, Eq)]
pub struct AllowComment {
    /// 1-based line of the comment.
    pub line: u32,
    /// 1-based line whose findings it allows.
    pub target: u32,
    /// Rules it is restricted to; all if empty.
    pub rules: Vec<String>,
    /// The reason given; empty if none.
    pub reason: String,
    /// True for keyspill's own marker, which is reported if it has no effect.
    pub is_own: bool,
    /// Byte range of the start of the marker, in the raw text.
    pub span: Range<usize>,
}

impl AllowComment {
    /// Parses a comment; `None` if the marker only occurs in prose or in a string.
    pub fn read(comment: &Comment, locations: &Locations, rules: &RuleSet) -> Option<Self> {
        let line = locations.of(&comment.span).start_line;
        let marker = MARKERS.iter().find(|marker| comment.text.starts_with(**marker))?;
        let rest = &comment.text[marker.len()..];
        let is_own = *marker == MARKERS[0];
        if !is_own {
            let next_line = rest.trim_start().starts_with("nextline");
            let target = line + u32::from(next_line);
            return Some(Self {
                line,
                target,
                rules: vec![],
                reason: String::new(),
                is_own,
                span: comment.span.clone(),
            });
        }
        // `keyspill:allow` in quotes or backticks is mentioned, not used.
        let opens = |c: char| c.is_whitespace() || "#/*;-!%(".contains(c);
        if !comment.before.chars().next_back().is_none_or(opens) {
            return None;
        }
        let (target, rest) = match NEXT_LINE.iter().find_map(|words| rest.strip_prefix(words)) {
            Some(rest) => (line + 1, rest),
            None => (line, rest),
        };
        if !rest.chars().next().is_none_or(|c| c.is_whitespace() || ":*-)".contains(c)) {
            return None;
        }
        let rest = ["*/", "-->"]
            .iter()
            .filter_map(|end| rest.split_once(end))
            .map(|(inside, _)| inside)
            .min_by_key(|inside| inside.len())
            .unwrap_or(rest);
        let rest = rest
            .trim_end_matches(|c: char| c.is_whitespace() || "*/->".contains(c))
            .trim_start_matches([' ', '\t', ':']);
        let (first, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let named: Vec<_> = first.trim_end_matches(':').split(',').filter(|name| !name.is_empty()).collect();
        let is_rule = |name: &&str| rules.knows(name) || name.starts_with("aws-");
        let (rules, reason) = if !named.is_empty() && named.iter().all(is_rule) {
            (named.into_iter().map(str::to_owned).collect(), reason)
        } else {
            (vec![], rest)
        };
        let reason = reason.trim_start_matches([':', '-', ' ', '\t']).trim().to_owned();
        Some(Self { line, target, rules, reason, is_own: comment.is_exact, span: comment.span.clone() })
    }

    fn covers(&self, id: &RuleId) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|rule| rule == id.as_str())
    }
}

/// Marks the findings that `allows` cover, and returns keyspill's own comments that cover none, each with a hint of what is
/// probably wrong with it.
pub fn apply(
    allows: Vec<AllowComment>,
    findings: &mut [Finding],
    rules: &RuleSet,
) -> Vec<(AllowComment, Option<String>)> {
    // By line and rule. A line may have thousands of comments and findings: the first comment marks each finding once.
    let mut by_line: HashMap<u32, HashMap<RuleId, Findings>> = HashMap::new();
    let wanted: HashSet<u32> = allows.iter().map(|allow| allow.target).collect();
    for (index, finding) in findings.iter().enumerate() {
        let lines: BTreeSet<u32> =
            finding.values().flat_map(|value| value.location.start_line..=value.location.end_line).collect();
        for line in lines.into_iter().filter(|line| wanted.contains(line)) {
            let rules = by_line.entry(line).or_default();
            rules.entry(finding.rule.id.clone()).or_default().unmarked.push(index);
        }
    }
    let unused = allows.into_iter().filter(|allow| {
        let mut used = false;
        for (_, covered) in by_line.get_mut(&allow.target).into_iter().flatten().filter(|(rule, _)| allow.covers(rule))
        {
            used = true;
            for index in std::mem::take(&mut covered.unmarked) {
                let reason = || Box::new(Suppression::Inline { line: allow.line, reason: allow.reason.clone() });
                findings[index].suppression.get_or_insert_with(reason);
            }
        }
        !used && allow.is_own
    });
    let unused: Vec<AllowComment> = unused.collect();
    let hint = |(number, allow): (usize, AllowComment)| {
        // To look for a similar name takes time.
        let hint = (number < MAX_HINTS).then(|| hint(&allow, by_line.get(&allow.target), rules)).flatten();
        (allow, hint)
    };
    unused.into_iter().enumerate().map(hint).collect()
}

/// What is probably wrong with a comment that allows nothing: it names a rule that is not known, or not that of the finding
/// on its line.
fn hint(allow: &AllowComment, found: Option<&HashMap<RuleId, Findings>>, rules: &RuleSet) -> Option<String> {
    if let Some(unknown) = allow.rules.iter().find(|rule| !rules.knows(rule)) {
        if unknown.len() > MAX_RULE_ID {
            return Some("There is no rule of that name.".to_owned());
        }
        let nearest = rules.nearest(unknown).map(|known| format!("; did you mean {known}?"));
        let is_plain = unknown.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        // What else stands there may be anything, even a key.
        let unknown = if is_plain { mask::hide_long_words(unknown) } else { "of that name".to_owned() };
        return Some(format!("There is no rule {unknown}{}", nearest.unwrap_or_else(|| ".".to_owned())));
    }
    let found = found?.keys().min()?;
    Some(format!("The finding on that line is of the rule {found}."))
}

/// Findings of one rule on one line.
#[derive(Default)]
struct Findings {
    /// Those that no comment has marked yet.
    unmarked: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    fn read(template: &str) -> Option<AllowComment> {
        let line = expand(template).text;
        let line = line.as_str();
        let at = line.find("keyspill:").or_else(|| line.find("gitleaks:")).or_else(|| line.find("pragma:"))?;
        let comment = Comment { span: at..at + 1, before: line[..at].into(), text: line[at..].into(), is_exact: true };
        AllowComment::read(&comment, &Locations::new(line.as_bytes(), [at..at + 1]), &RuleSet::built_in())
    }

    fn parts(line: &str) -> Option<(u32, Vec<String>, String)> {
        read(line).map(|allow| (allow.target, allow.rules, allow.reason))
    }

    #[test]
    fn comments_of_many_languages_are_read() {
        let plain = Some((1, vec![], String::new()));
        for line in [
            "x # {{allow}}",
            "x // {{allow}}",
            "x /* {{allow}} */",
            "<!-- {{allow}} -->",
            "x ;{{allow}}",
            "-- {{allow}}",
            "{{allow}}",
            "x # gitleaks:allow",
            "x  # pragma: allowlist secret",
        ] {
            assert_eq!(parts(line), plain, "{line}");
        }
    }

    #[test]
    fn rules_and_reasons_are_told_apart() {
        let reason = |text: &str| text.to_owned();
        assert_eq!(
            parts("# {{allow}} aws-access-key-id test fixture"),
            Some((1, vec!["aws-access-key-id".into()], reason("test fixture")))
        );
        assert_eq!(
            parts("# {{allow}} aws-access-key-id,aws-session-token: old"),
            Some((1, vec!["aws-access-key-id".into(), "aws-session-token".into()], reason("old")))
        );
        assert_eq!(parts("# {{allow}} it is a test"), Some((1, vec![], reason("it is a test"))));
        assert_eq!(parts("# {{allow}} -- rotated in May"), Some((1, vec![], reason("rotated in May"))));
        assert_eq!(parts("# {{allow}} aws-no-such-rule x"), Some((1, vec!["aws-no-such-rule".into()], reason("x"))));
        assert_eq!(
            parts("<!-- {{allow}}-next-line aws-access-key-pair docs -->"),
            Some((2, vec!["aws-access-key-pair".into()], reason("docs")))
        );
        assert_eq!(parts("# pragma: allowlist nextline secret"), Some((2, vec![], String::new())));
    }

    #[test]
    fn prose_and_strings_are_not_comments() {
        for line in ["use `{{allow}}` on the line", "MARKER = \"{{allow}}\"", "# {{allow}}ed", "x{{allow}}"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
