//! How fast is asked, and how often.

use super::{Question, Reply, Verifier};
use crate::finding::verification::{KeyStatus, Verification};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How fast is asked, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two requests, whatever they are about.
    pub interval: Duration,
    /// The least time between two requests about the same id: AWS answers that it does not know an id if it was asked about it
    /// with another secret within some five seconds.
    pub same_id: Duration,
    /// How long is waited before a question is repeated; twice as long before it is repeated again.
    pub patience: Duration,
}

impl Default for Pace {
    /// Ten requests a second.
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            same_id: Duration::from_secs(6),
            patience: Duration::from_millis(500),
        }
    }
}

/// The maximum number of requests at the same time.
const MAX_CONNECTIONS: usize = 4;

/// How often a question is asked before it is given up.
const MAX_ATTEMPTS: u32 = 3;

/// After so many questions in a row without a connection, there is none.
const MAX_UNREACHABLE: usize = 3;

/// The current time, in seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

/// The questions about one id, and whom to ask.
type Group<'a> = Vec<(Question, &'a dyn Verifier)>;

/// What the threads that ask have in common.
struct Round<'a> {
    pace: Pace,
    /// What is left, by id: those of one id are asked one after the other.
    left: Mutex<Vec<Group<'a>>>,
    /// When the next request may be sent.
    next: Mutex<Instant>,
    unreachable: AtomicUsize,
    answers: Mutex<Vec<(Question, Verification)>>,
    heard: &'a Heard<'a>,
}

/// Is told of each answer as it comes.
pub(super) type Heard<'a> = dyn Fn(&Question, &Verification) + Sync + 'a;

impl Pace {
    /// Asks all, several at a time.
    pub(super) fn ask_all(
        self,
        questions: Vec<(Question, &dyn Verifier)>,
        heard: &Heard,
    ) -> Vec<(Question, Verification)> {
        let mut by_id: BTreeMap<String, Group> = BTreeMap::new();
        for question in questions {
            by_id.entry(question.0.id.clone()).or_default().push(question);
        }
        let round = Round {
            pace: self,
            left: Mutex::new(by_id.into_values().rev().collect()),
            next: Mutex::new(Instant::now()),
            unreachable: AtomicUsize::new(0),
            answers: Mutex::default(),
            heard,
        };
        std::thread::scope(|scope| {
            for _ in 0..MAX_CONNECTIONS {
                scope.spawn(|| round.work());
            }
        });
        round.answers.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round<'_> {
    fn work(&self) {
        let next = || self.left.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(group) = next() {
            // What is known of the id, whatever the secret.
            let mut known: Option<Verification> = None;
            for (number, (question, verifier)) in group.into_iter().enumerate() {
                let answer = match &known {
                    Some(answer) if answer.status == KeyStatus::Active => {
                        Verification { arn: None, ..Verification { status: KeyStatus::WrongSecret, ..answer.clone() } }
                    }
                    Some(answer) => answer.clone(),
                    None => {
                        if number > 0 {
                            std::thread::sleep(self.pace.same_id);
                        }
                        self.ask(&question, verifier)
                    }
                };
                if matches!(answer.status, KeyStatus::Active | KeyStatus::Inactive) {
                    known = Some(answer.clone());
                }
                (self.heard)(&question, &answer);
                self.answers.lock().unwrap_or_else(PoisonError::into_inner).push((question, answer));
            }
        }
    }

    /// Asks until there is an answer, or no hope of one.
    fn ask(&self, question: &Question, verifier: &dyn Verifier) -> Verification {
        let unknown = |reason: String| Verification::without_answer(KeyStatus::Unknown, now(), reason);
        let mut reason = String::new();
        let mut is_unreachable = false;
        for attempt in 0..MAX_ATTEMPTS {
            if self.unreachable.load(Ordering::Relaxed) >= MAX_UNREACHABLE {
                return unknown(format!("nobody was reached {MAX_UNREACHABLE} times, so the rest was not tried"));
            }
            if attempt > 0 {
                std::thread::sleep(self.pace.patience * 2u32.pow(attempt - 1));
            }
            self.wait_for_turn();
            match verifier.ask(question) {
                Reply::Answer(answer) => {
                    self.unreachable.store(0, Ordering::Relaxed);
                    return answer;
                }
                Reply::Later(words) => {
                    self.unreachable.store(0, Ordering::Relaxed);
                    (is_unreachable, reason) = (false, words);
                }
                Reply::Unreachable(words) => (is_unreachable, reason) = (true, words),
            }
            if attempt + 1 == MAX_ATTEMPTS {
                break;
            }
        }
        if is_unreachable {
            self.unreachable.fetch_add(1, Ordering::Relaxed);
        }
        unknown(reason)
    }

    fn wait_for_turn(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.pace.interval;
            turn
        };
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}
