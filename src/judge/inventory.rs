//! The keys of a report: one entry for each, however often it occurs.

use crate::finding::Finding;
use crate::finding::message::{Message, Party};
use crate::finding::verification::{KeyStatus, Verification};
use foldhash::HashMap;
use std::collections::BTreeSet;

/// One key with all its occurrences.
#[derive(Debug)]
pub struct Credential<'a> {
    /// Its id, or the fingerprint of its secret if the id is not known.
    pub name: String,
    /// Its occurrences, in report order. Never empty.
    pub occurrences: Vec<&'a Finding>,
    /// The judgements about it, worst first.
    pub judgements: Vec<&'a Finding>,
}

impl<'a> Credential<'a> {
    /// Collects the keys of `findings`, in order of first occurrence.
    pub fn all(findings: &'a [Box<Finding>]) -> Vec<Self> {
        let mut places = HashMap::default();
        let mut all: Vec<Self> = Vec::new();
        for finding in findings.iter().filter(|finding| finding.key().is_some()) {
            let place = *places.entry(finding.credential()).or_insert_with_key(|name| {
                all.push(Self { name: name.to_string(), occurrences: vec![], judgements: vec![] });
                all.len() - 1
            });
            let credential = &mut all[place];
            let list =
                if finding.judgement().is_some() { &mut credential.judgements } else { &mut credential.occurrences };
            list.push(finding);
        }
        for credential in &mut all {
            credential.judgements.sort_by_key(|finding| {
                let grade = finding.judgement().map(|judgement| judgement.grade);
                (std::cmp::Reverse(grade), finding.rule.id.clone())
            });
        }
        all
    }

    /// The same key without the occurrences in links that have expired, which give nothing to whoever reads them.
    pub fn without_expired_links(&self) -> Self {
        let occurrences = self.occurrences.iter().copied().filter(|finding| !finding.is_expired_link()).collect();
        Self { name: self.name.clone(), occurrences, judgements: self.judgements.clone() }
    }

    /// True if its secret was found, too.
    pub fn has_secret(&self) -> bool {
        self.occurrences.iter().any(|finding| finding.secret().is_some())
    }

    /// True if it was verified that it does not work any more.
    pub fn is_over(&self) -> bool {
        let answers = || self.occurrences.iter().filter_map(|finding| finding.verification());
        answers().any(|answer| answer.status.is_over()) && answers().all(|answer| answer.status != KeyStatus::Active)
    }

    /// What its service answered about it: of several secrets of an id, that one counts that works, or else that may.
    pub fn answer(&self) -> Option<&Verification> {
        let answers = self.occurrences.iter().filter_map(|finding| finding.verification());
        answers.min_by_key(|answer| match answer.status {
            KeyStatus::Active => 0,
            status if status.is_over() => 2,
            _ => 1,
        })
    }

    /// True if a signature proves that id and secret belong together.
    pub fn is_proven(&self) -> bool {
        let by_link = |finding: &Finding| finding.link().is_some_and(|link| link.is_proven);
        self.occurrences.iter().any(|finding| finding.proof().is_some() || by_link(finding))
    }

    /// The number of files, or parts of container files, that contain it.
    pub fn file_count(&self) -> usize {
        self.occurrences.iter().map(|finding| &finding.path).collect::<BTreeSet<_>>().len()
    }

    /// True if it is in a current file, not only in history.
    pub fn is_current(&self) -> bool {
        self.occurrences.iter().any(|finding| finding.history.as_ref().is_none_or(|history| !history.is_past()))
    }

    /// Start and end of its exposure in history, over all occurrences, in seconds since 1970. There is no end while a
    /// ref still contains it.
    pub fn exposure(&self) -> Option<(i64, Option<i64>)> {
        let all = || self.occurrences.iter().filter_map(|finding| finding.history.as_ref()?.exposure);
        let since = all().map(|exposure| exposure.since).min()?;
        let until = all().map(|exposure| exposure.until).collect::<Option<Vec<_>>>();
        Some((since, until.and_then(|moments| moments.into_iter().max())))
    }

    /// The longest exposure of any occurrence, in whole days.
    pub fn days(&self) -> Option<u64> {
        self.occurrences.iter().filter_map(|finding| Some(finding.history.as_ref()?.exposure?.days)).max()
    }

    /// Mail addresses of the authors who introduced it, sorted.
    pub fn authors(&self) -> BTreeSet<&'a str> {
        let histories = self.occurrences.iter().filter_map(|finding| finding.history.as_deref());
        let commits = histories.flat_map(|history| &history.introduced.listed);
        commits.map(|commit| commit.author.email.as_str()).filter(|email| !email.is_empty()).collect()
    }

    /// The senders of the messages that contain it.
    pub fn senders(&self) -> BTreeSet<String> {
        let messages = self.occurrences.iter().filter_map(|finding| finding.message.as_deref());
        messages.flat_map(|message| &message.from).map(Party::to_text).collect()
    }

    /// The recipients of the messages that contain it.
    pub fn recipients(&self) -> BTreeSet<String> {
        let messages = self.occurrences.iter().filter_map(|finding| finding.message.as_deref());
        messages.flat_map(Message::addressees).map(Party::to_text).collect()
    }
}
