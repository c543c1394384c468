//! What to do about the keys of a report: one section a key, worst first, with commands to copy. Nothing is ever run.

mod aws;
mod facts;
mod write;

use crate::report::json::Tool;
#[cfg(feature = "verify")]
pub use facts::read;
pub use facts::{Answers, KeyFacts, ReadError};
use serde::Serialize;
use std::io;

/// A plan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    schema_version: u32,
    tool: Tool,
    /// Worst first.
    sections: Vec<Section>,
}

/// What to do about one key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Section {
    /// Its id, or the fingerprint of its secret.
    key: String,
    /// What it is, in words.
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Whether it works, as far as that is known: `active`, `inactive`, …
    status: &'static str,
    /// What happened, in sentences.
    evidence: Vec<String>,
    /// What to do, in order.
    steps: Vec<Step>,
    /// Who must be told, and why.
    tell: Vec<String>,
}

/// One thing to do.
#[derive(Debug, Clone, Serialize)]
struct Step {
    /// In a sentence.
    task: String,
    /// What it is for.
    purpose: Purpose,
    /// To be copied to a shell, one after the other; none if it is not done with commands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<String>,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    /// To know more before anything is changed.
    Learn,
    /// To keep running what uses the key.
    Replace,
    /// To end what the key can do.
    Revoke,
    /// To see what was done with it.
    Investigate,
    /// To keep it from being found again.
    Clean,
}

impl Step {
    fn new(purpose: Purpose, task: impl Into<String>, commands: &[String]) -> Self {
        Self { task: task.into(), purpose, commands: commands.to_vec() }
    }
}

/// The form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people, on a terminal.
    Text,
    /// For a ticket.
    Markdown,
    /// For programs.
    Json,
}

impl Plan {
    /// The plan for what a JSON report of a scan or an audit says, with answers of `keyspill verify` if there are any. Ages
    /// are as of `now`, in seconds since 1970.
    ///
    /// # Errors
    /// It is no such report, or these are no answers.
    pub fn from_report(report: &[u8], answers: Option<&[u8]>, now: i64) -> Result<Self, ReadError> {
        let mut keys = facts::read(report, now)?;
        if let Some(answers) = answers {
            let answers: Answers = serde_json::from_slice(answers).map_err(|_| ReadError::NoAnswers)?;
            for key in &mut keys {
                if let Some(answer) = answers.answers.get(&key.name) {
                    key.add_answer(answer, now);
                }
            }
        }
        keys.sort_by_key(|key| (key.rank(), key.name.clone()));
        Ok(Self { schema_version: 1, tool: Tool::THIS, sections: keys.iter().map(section).collect() })
    }

    /// Writes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, form: Form, out: &mut dyn io::Write) -> io::Result<()> {
        match form {
            Form::Text => write::text(&self.sections, out),
            Form::Markdown => write::markdown(&self.sections, out),
            Form::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)
            }
        }
    }
}

fn section(key: &KeyFacts) -> Section {
    Section {
        key: key.name.clone(),
        what: aws::what(key).to_owned(),
        account: key.account.clone(),
        status: match key.status {
            _ if key.has_expired && key.is_over() => "expired",
            Some(status) => status.word(),
            None => "not verified",
        },
        evidence: key.evidence.clone(),
        steps: aws::steps(key),
        tell: key.tell.clone(),
    }
}
