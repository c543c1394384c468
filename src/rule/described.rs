//! What is kept of a rule where its findings are, so that they can be reported without the file that it came from.

use super::prepared::Texts;
use super::{Matcher, Precision, RegexMatcher, Rule, RuleId, Severity, Shape, Words};
use crate::text::sanitize::one_line;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A rule of a user, without how it matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Described {
    /// Its id.
    pub id: String,
    severity: Severity,
    /// In tenths.
    security_severity: u32,
    precision: Precision,
    texts: Texts,
}

impl Described {
    /// Of a rule; `None` if every keyspill of this version has it.
    pub fn new(rule: &Rule) -> Option<Self> {
        rule.pack.is_none().then(|| Self {
            id: rule.id.to_string(),
            severity: rule.severity,
            security_severity: (rule.security_severity * 10.0).round() as u32,
            precision: rule.precision,
            texts: rule.texts().clone(),
        })
    }

    /// The rule, which matches nothing; `None` if it is not valid: it may come from anywhere.
    pub fn rule(&self) -> Option<Arc<Rule>> {
        let Texts { name, description, why, remedy, references } = &self.texts;
        let texts = Texts {
            name: one_line(name),
            description: one_line(description),
            why: one_line(why),
            remedy: one_line(remedy),
            references: references.iter().map(|reference| one_line(reference)).collect(),
        };
        let matcher = RegexMatcher::new(super::Form::Any, Shape::AnyCase, r"[^\s\S]".into());
        Some(Arc::new(Rule {
            id: RuleId::parse(&self.id).ok()?,
            pack: None,
            severity: self.severity,
            security_severity: f64::from(self.security_severity.min(100)) / 10.0,
            precision: self.precision,
            keywords: vec![],
            matcher: Matcher::Regex(Box::new(matcher)),
            words: Words::Own(texts, Default::default()),
        }))
    }
}
