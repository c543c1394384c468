//! Asking whether keys work: only on request, and only here may a connection be opened.
//!
//! This room decides what is asked, in what order and how often, and notes the answers in the findings. Who is asked is a
//! [`Verifier`], one for each vendor; without the feature `verify` there is none, and no code that could open a connection.

#[cfg(feature = "verify")]
pub mod aws;
#[cfg(all(feature = "cli", feature = "verify"))]
mod gather;
mod pace;
mod question;

use crate::config::Config;
use crate::credential::AccountId;
pub use crate::credential::Partition;
use crate::finding::evidence::{RootSign, Strength};
use crate::finding::verification::{KeyStatus, Verification};
use crate::finding::{BlobPath, Finding};
use crate::judge::link::Secrets;
use crate::rule::Severity;
use foldhash::HashMap;
#[cfg(all(feature = "cli", feature = "verify"))]
pub use gather::Gatherer;
pub use pace::Pace;
pub use question::Question;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A service that can tell whether its keys work.
///
/// To add one, see `docs/verify.md`.
pub trait Verifier: fmt::Debug + Send + Sync {
    /// True if it can be asked about the key of a finding.
    fn knows(&self, finding: &Finding) -> bool;

    /// True if the key itself is used to ask, and so its secret is needed. Its owner sees that.
    fn uses_key(&self) -> bool {
        true
    }

    /// True if only the account of whoever asks is asked. Otherwise a text that somebody wrote could name an account that
    /// then learns who scans it.
    fn stays_at_home(&self) -> bool {
        false
    }

    /// Why it cannot be asked this question, if it cannot.
    fn refusal(&self, question: &Question) -> Option<&'static str>;

    /// The hosts that would be asked, and how they are reached.
    fn hosts(&self, question: &Question) -> Vec<String>;

    /// What is called, and what the owner of a key sees of it, as a sentence.
    fn trace(&self) -> &'static str;

    /// Asks once.
    fn ask(&self, question: &Question) -> Reply;
}

/// What came of asking once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer, or the certainty that there will be none.
    Answer(Verification),
    /// No answer now, and why: the service is busy, or has an error.
    Later(String),
    /// No connection, and why.
    Unreachable(String),
}

/// What is going to be asked, to be shown before the first request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement {
    /// How many keys; each takes a request or two, and more if the service is busy.
    pub questions: usize,
    /// The hosts that are asked, and how they are reached.
    pub hosts: BTreeSet<String>,
    /// The accounts whose keys are tried; keys of which the account is not known are left out.
    pub accounts: BTreeSet<String>,
    /// What is called and what the owners see.
    pub traces: BTreeSet<String>,
    /// How many keys are not asked about, by reason.
    pub left_out: BTreeMap<String, usize>,
}

/// Agrees to what is announced. It is also told if nothing is to be asked, only why.
pub type Consent = dyn Fn(&Announcement) -> bool + Send + Sync;

/// Answers of an earlier run, which are not asked for again.
pub trait Memory: Send + Sync {
    /// What was answered to a question, by its name.
    fn recall(&self, question: &str) -> Option<Verification>;

    /// Keeps an answer as soon as it is there: the rest may be interrupted.
    fn keep(&self, question: &str, answer: &Verification);

    /// Writes what is kept, when all is answered.
    ///
    /// # Errors
    /// Where it cannot be written, and why.
    fn finish(&self) -> Result<(), (PathBuf, String)>;
}

/// How to verify the keys of a scan.
#[derive(Clone)]
pub struct Verifying {
    /// Who can be asked.
    pub verifiers: Vec<Arc<dyn Verifier>>,
    /// Asked before the first request.
    pub consent: Arc<Consent>,
    /// Also ask about keys of accounts that are not `org_accounts`.
    pub foreign: bool,
    /// How fast.
    pub pace: Pace,
    /// What was answered before, if that is remembered.
    pub memory: Option<Arc<dyn Memory>>,
}

impl fmt::Debug for Verifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Verifying");
        shown.field("verifiers", &self.verifiers).field("foreign", &self.foreign).finish_non_exhaustive()
    }
}

/// Why a key is not asked about.
const CANARY: &str = "it was planted as a tripwire, and using it raises an alarm";
const FOREIGN: &str = "its account is not in org_accounts; --verify-foreign asks nevertheless";
const NO_ACCOUNT: &str = "its id does not tell its account; --verify-foreign asks nevertheless";
const NO_CONSENT: &str = "you did not agree";

impl Verifying {
    /// Asks about each key in `findings` of which the secret is known, once, and notes the answers. Returns where a key is
    /// of which the service was asked in vain, and why; and the file in which answers cannot be remembered.
    pub fn run(&self, findings: &mut [Box<Finding>], secrets: &Secrets, config: &Config) -> Vec<(BlobPath, String)> {
        let uses_key = |finding: &Finding| self.verifier(finding).map(|verifier| verifier.uses_key());
        let questions = question::all(findings, secrets, uses_key).into_iter();
        let known = questions.filter_map(|question| {
            let verifier = self.verifier(&findings[question.finding])?.as_ref();
            let refusal = self.refusal(&question, verifier, config);
            Some((question, verifier, refusal))
        });
        let recalled = |question: &Question| self.memory.as_ref()?.recall(&question.name());
        let mut open = Vec::new();
        let mut answers = Vec::new();
        for (question, verifier, refusal) in known {
            match recalled(&question) {
                Some(answer) => answers.push((question, answer)),
                None => open.push((question, verifier, refusal)),
            }
        }
        answers.extend(self.ask(open, &|question: &Question, answer: &Verification| {
            self.memory.iter().for_each(|memory| memory.keep(&question.name(), answer));
        }));
        let in_vain = answers.iter().filter(|(_, answer)| answer.status == KeyStatus::Unknown);
        let in_vain = in_vain.map(|(question, answer)| {
            let reason = answer.reason.as_deref().unwrap_or("no answer");
            (BlobPath::clone(&findings[question.finding].path), format!("{} was not verified: {reason}", question.id))
        });
        let mut in_vain: Vec<_> = in_vain.collect();
        if let Some(Err((file, reason))) = self.memory.as_ref().map(|memory| memory.finish()) {
            in_vain.push((BlobPath::new(&file), format!("the answers cannot be remembered: {reason}")));
        }
        note(findings, answers);
        in_vain
    }

    /// Asks all questions that are allowed, and gives each an answer.
    fn ask(
        &self,
        questions: Vec<(Question, &dyn Verifier, Option<&'static str>)>,
        heard: &pace::Heard,
    ) -> Vec<(Question, Verification)> {
        let mut asked: Vec<(Question, &dyn Verifier)> = Vec::new();
        let mut answers: Vec<(Question, Verification)> = Vec::new();
        let mut announcement = Announcement::default();
        let now = pace::now();
        for (question, verifier, refusal) in questions {
            match refusal.or_else(|| verifier.refusal(&question)) {
                Some(reason) => {
                    *announcement.left_out.entry(reason.to_owned()).or_default() += 1;
                    let answer = Verification::without_answer(KeyStatus::NotAsked, now, reason);
                    answers.push((question, answer));
                }
                None => {
                    announcement.questions += 1;
                    announcement.hosts.extend(verifier.hosts(&question));
                    announcement.traces.insert(verifier.trace().to_owned());
                    announcement.accounts.extend(question.account.map(|account| account.to_string()));
                    asked.push((question, verifier));
                }
            }
        }
        let is_something = announcement != Announcement::default();
        if is_something && (self.consent)(&announcement) {
            answers.extend(self.pace.ask_all(asked, heard));
        } else {
            let refused = |question| (question, Verification::without_answer(KeyStatus::NotAsked, now, NO_CONSENT));
            answers.extend(asked.into_iter().map(|(question, _)| refused(question)));
        }
        answers
    }

    /// Asks about ids, each with the account that it tells, without using the keys. In the order of the ids; `heard` is told of
    /// each answer when it comes.
    #[cfg(feature = "cli")]
    pub fn run_on_ids(
        &self,
        ids: Vec<(String, Option<AccountId>)>,
        config: &Config,
        heard: &(dyn Fn(&str, &Verification) + Sync),
    ) -> Vec<(String, Verification)> {
        let Some(verifier) = self.verifiers.iter().find(|verifier| !verifier.uses_key()) else { return vec![] };
        let question = |(id, account)| {
            let question = Question::about(id, account);
            let refusal = self.refusal(&question, verifier.as_ref(), config);
            (question, verifier.as_ref(), refusal)
        };
        let heard = |question: &Question, answer: &Verification| heard(&question.id, answer);
        let answers = self.ask(ids.into_iter().map(question).collect(), &heard);
        let mut answers: Vec<_> = answers.into_iter().map(|(question, answer)| (question.id, answer)).collect();
        answers.sort_by(|a, b| a.0.cmp(&b.0));
        answers
    }

    /// Asks what scans have gathered. One answer for each id, in the order of the ids: that to the pair that works, if one
    /// does; `heard` is told of answers when they come.
    #[cfg(all(feature = "cli", feature = "verify"))]
    pub fn run_on_pairs(
        &self,
        questions: Vec<Question>,
        config: &Config,
        heard: &(dyn Fn(&str, &Verification) + Sync),
    ) -> Vec<(String, Verification)> {
        let Some(verifier) = self.verifiers.iter().find(|verifier| verifier.uses_key()) else { return vec![] };
        let mut pairs: BTreeMap<String, usize> = BTreeMap::new();
        questions.iter().for_each(|question| *pairs.entry(question.id.clone()).or_default() += 1);
        let with_refusal = |question: Question| {
            let refusal = self.refusal(&question, verifier.as_ref(), config);
            (question, verifier.as_ref(), refusal)
        };
        // Of several secrets of an id, all are tried before anything is remembered of it.
        let heard = |question: &Question, answer: &Verification| {
            if pairs[&question.id] == 1 || answer.status == KeyStatus::Active {
                heard(&question.id, answer);
            }
        };
        let mut answers: BTreeMap<String, Verification> = BTreeMap::new();
        for (question, answer) in self.ask(questions.into_iter().map(with_refusal).collect(), &heard) {
            let rank = |answer: &Verification| match answer.status {
                KeyStatus::Active => 0,
                KeyStatus::Unknown => 1,
                KeyStatus::NotAsked => 2,
                KeyStatus::WrongSecret => 3,
                KeyStatus::Expired | KeyStatus::Inactive => 4,
            };
            let known = answers.entry(question.id).or_insert_with(|| answer.clone());
            if rank(&answer) < rank(known) {
                *known = answer;
            }
        }
        answers.into_iter().collect()
    }

    fn verifier(&self, finding: &Finding) -> Option<&Arc<dyn Verifier>> {
        self.verifiers.iter().find(|verifier| verifier.knows(finding))
    }

    /// Why nobody is asked about a key. In one's own account, an administrator may ask about any.
    fn refusal(&self, question: &Question, verifier: &dyn Verifier, config: &Config) -> Option<&'static str> {
        let is_canary = |account: AccountId| account.is_canary() || config.canary_accounts.contains(&account);
        match question.account {
            _ if question.is_canary || question.account.is_some_and(is_canary) => Some(CANARY),
            _ if self.foreign || verifier.stays_at_home() => None,
            None => Some(NO_ACCOUNT),
            Some(account) => (!config.org_accounts.contains(&account)).then_some(FOREIGN),
        }
    }
}

/// Notes the answers at every finding of the keys, and lets the severities follow.
fn note(findings: &mut [Box<Finding>], answers: Vec<(Question, Verification)>) {
    let mut of_pairs = HashMap::default();
    let mut of_ids: HashMap<String, Arc<Verification>> = HashMap::default();
    for (question, answer) in answers {
        let answer = Arc::new(answer);
        // An id alone is told what holds whatever the secret.
        if question.fingerprint.is_none() || matches!(answer.status, KeyStatus::Active | KeyStatus::Inactive) {
            of_ids.insert(question.id.clone(), answer.clone());
        }
        of_pairs.insert((question.id, question.fingerprint), answer);
    }
    for finding in findings {
        let Some(id) = finding.key_id().map(str::to_owned) else { continue };
        let print = finding.secret_fingerprint();
        let of_id = of_ids.get(&id).filter(|answer| print.is_none() || answer.usage.is_some() || answer.arn.is_none());
        if let Some(answer) = of_pairs.get(&(id, print)).or(of_id) {
            note_answer(finding, answer);
        }
    }
}

/// Notes an answer at a finding of the key, and lets its severity follow.
pub fn note_answer(finding: &mut Finding, answer: &Arc<Verification>) {
    // What only probably belongs together may not: that it does not work says nothing then.
    let is_guessed = finding.id().is_none() && finding.link().is_some_and(|link| !link.is_proven);
    if is_guessed && answer.status.is_over() {
        return;
    }
    let has_secret = finding.secret_fingerprint().is_some();
    finding.severity = match answer.status {
        KeyStatus::Active if has_secret => Severity::Error,
        status if status.is_over() => Severity::Note,
        _ => finding.severity,
    };
    finding.account = finding.account.or(answer.account);
    let Some(key) = finding.key_mut() else { return };
    key.verification = Some(answer.clone());
    if answer.is_root() {
        let arn = answer.arn.as_deref().unwrap_or_default();
        let reason = format!("AWS says that it is the root user's: {arn}.").into();
        key.evidence.root_signs.insert(0, RootSign { strength: Strength::Proof, reason });
    }
}
