//! Checks rules against their own examples: every positive must be found, and no negative may be.

use super::Detector;
use crate::rule::syntax::Example;
use crate::rule::{AWS, Matcher, Rule, RuleSet, example};
use std::fmt;
use std::sync::Arc;

/// A failed check of a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The rule's id.
    pub rule: String,
    /// What is wrong.
    pub problem: ExampleProblem,
}

/// What can be wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum ExampleProblem {
    /// The rule does not match the positive with this 1-based number.
    Missed(usize),
    /// The rule matches the negative with this 1-based number.
    FalseAlarm(usize),
    /// The rule has no positives, so nothing is proven.
    NoPositives,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`: ", self.rule)?;
        match self.problem {
            ExampleProblem::Missed(n) => write!(f, "does not match its positive example {n}"),
            ExampleProblem::FalseAlarm(n) => write!(f, "matches its negative example {n}"),
            ExampleProblem::NoPositives => {
                f.write_str("has no positive examples: add at least one text that it must match")
            }
        }
    }
}

/// The current time assumed for examples, in seconds since 1970: the start of 2026.
const NOW: i64 = 1_767_225_600;

/// Checks the rules of `set` for which `wanted` is true.
pub fn check(set: &Arc<RuleSet>, wanted: impl Fn(&Rule) -> bool) -> Vec<Failure> {
    // Examples that contain dates assume this time.
    let detector = |rules: RuleSet| Detector::new(Arc::new(rules)).at(NOW);
    // AWS's finders work together; of other rules, several may find the same, and only one is reported.
    let together = detector(set.filtered(|rule| rule.pack.is_none_or(|pack| pack == AWS)));
    let check = |rule: &Arc<Rule>| match rule.pack {
        Some(pack) if pack != AWS => check_rule(&detector(set.filtered(|other| other.id == rule.id)), rule),
        _ => check_rule(&together, rule),
    };
    set.iter().filter(|rule| wanted(rule)).flat_map(check).collect()
}

fn check_rule(detector: &Detector, rule: &Rule) -> Vec<Failure> {
    let matches = |example: &Example| {
        let text = example::expand(&example.text).text;
        let path = example::expand(&example.path).text;
        let found = detector.detect(text.as_bytes(), Some(path.as_bytes()));
        found.candidates.iter().any(|candidate| candidate.rule.id == rule.id && candidate.dummy.is_none())
    };
    let numbers = |examples: &[Example], found: bool| -> Vec<usize> {
        (1..).zip(examples).filter(|(_, example)| matches(example) == found).map(|(n, _)| n).collect()
    };
    let [positives, negatives] = rule.examples();
    let missed = numbers(&positives, false).into_iter().map(ExampleProblem::Missed);
    let alarms = numbers(&negatives, true).into_iter().map(ExampleProblem::FalseAlarm);
    let is_text_rule = !matches!(rule.matcher, Matcher::Finder(finder) if finder.is_of_findings());
    let none = (is_text_rule && positives.is_empty()).then_some(ExampleProblem::NoPositives);
    none.into_iter().chain(missed).chain(alarms).map(|problem| Failure { rule: rule.id.to_string(), problem }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Selection;

    #[test]
    fn every_example_of_the_built_in_rules_holds() {
        let failures = check(&Arc::new(RuleSet::selected(&Selection::everything())), |_| true);
        assert_eq!(failures, [], "{}", failures.iter().map(|f| format!("\n{f}")).collect::<String>());
    }
}
