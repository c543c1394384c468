//! What there is to ask, without asking: an audit's results hold no secrets, so they are taken from the targets again.

use super::{Pace, Question, Reply, Verifier, Verifying, pace};
use crate::finding::Finding;
use crate::finding::verification::{KeyStatus, Verification};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Stands for a verifier, and keeps the questions to it.
pub struct Gatherer {
    verifier: Arc<dyn Verifier>,
    questions: Mutex<Vec<Question>>,
}

impl Gatherer {
    /// One for a verifier.
    pub fn new(verifier: Arc<dyn Verifier>) -> Arc<Self> {
        Arc::new(Self { verifier, questions: Mutex::default() })
    }

    /// How scans give it the questions that they have.
    pub fn verifying(self: &Arc<Self>) -> Verifying {
        Verifying {
            verifiers: vec![self.clone()],
            consent: Arc::new(|_| true),
            // Whether they may be asked is for later.
            foreign: true,
            pace: Pace { interval: Duration::ZERO, same_id: Duration::ZERO, patience: Duration::ZERO },
            memory: None,
        }
    }

    /// The questions so far, each once.
    pub fn take(&self) -> Vec<Question> {
        let mut questions = std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner));
        // One with a session token is worth more than one without.
        questions.sort_by_key(|question| (question.name(), question.token.is_none()));
        questions.dedup_by_key(|question| question.name());
        questions
    }
}

impl fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatherer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Verifier for Gatherer {
    fn knows(&self, finding: &Finding) -> bool {
        self.verifier.knows(finding)
    }

    fn refusal(&self, _: &Question) -> Option<&'static str> {
        None
    }

    fn hosts(&self, _: &Question) -> Vec<String> {
        vec![]
    }

    fn trace(&self) -> &'static str {
        "nothing is asked yet"
    }

    fn ask(&self, question: &Question) -> Reply {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
        Reply::Answer(Verification::new(KeyStatus::NotAsked, pace::now()))
    }
}
