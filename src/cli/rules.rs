//! `keyspill rules`.

use super::output;
use crate::detect::check;
use crate::report::Verdict;
use crate::rule::{Matcher, Rule, RuleSet, example};
use anyhow::bail;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Subcommands of `rules`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all rules.
    List(Loaded),
    /// Explain what a rule finds, why it matters and what to do.
    Explain {
        /// The rule's id, such as `aws-access-key-pair`.
        #[arg(value_parser = AnyRule, hide_possible_values = true)]
        id: String,
        #[command(flatten)]
        loaded: Loaded,
    },
    /// Check rule files: every regex compiles, every positive matches, no negative matches.
    Check {
        /// Rule files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Rules to load besides the built-in ones.
#[derive(Debug, clap::Args)]
pub struct Loaded {
    /// Add the rules of a TOML file. May be repeated.
    #[arg(long = "rules", value_name = "FILE")]
    rules: Vec<PathBuf>,
}

/// Takes any id, as one may be in a file of rules, and tells shells the built-in ones.
#[derive(Clone)]
struct AnyRule;

impl clap::builder::TypedValueParser for AnyRule {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue>>> {
        let ids: Vec<String> = RuleSet::built_in().iter().map(|rule| rule.id.to_string()).collect();
        Some(Box::new(ids.into_iter().map(clap::builder::PossibleValue::new)))
    }
}

impl Loaded {
    fn load(&self) -> anyhow::Result<RuleSet> {
        let mut rules = RuleSet::built_in();
        for file in &self.rules {
            rules.add(file)?;
        }
        Ok(rules)
    }
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<Verdict> {
        match self {
            Self::List(loaded) => list(&loaded.load()?),
            Self::Explain { id, loaded } => explain(&loaded.load()?, &id),
            Self::Check { files } => check_files(&files),
        }
    }
}

fn list(rules: &RuleSet) -> anyhow::Result<Verdict> {
    let width = rules.iter().map(|rule| rule.id.as_str().len()).max().unwrap_or(0);
    let line = |rule: &Arc<Rule>| {
        format!(
            "{:width$}  {:7}  {:4.1}  {}\n",
            rule.id.as_str(),
            rule.severity.to_string(),
            rule.security_severity,
            rule.texts().name
        )
    };
    output::stdout(&rules.iter().map(line).collect::<String>())?;
    Ok(Verdict::Clean)
}

fn explain(rules: &RuleSet, id: &str) -> anyhow::Result<Verdict> {
    let Some(rule) = rules.get(id) else {
        match rules.nearest(id) {
            Some(nearest) => bail!("there is no rule `{id}`; did you mean `{nearest}`?"),
            None => bail!("there is no rule `{id}`; see `keyspill rules list`"),
        }
    };
    output::stdout(&explanation(rule))?;
    Ok(Verdict::Clean)
}

fn explanation(rule: &Rule) -> String {
    let mut out = format!("{}: {}\n\n", rule.id, rule.texts().name);
    let severity = format!("{} (security severity {:.1} of 10)", rule.severity, rule.security_severity);
    _ = writeln!(out, "Severity: {severity}\n\n{}\n", wrap(rule.texts().description.trim()));
    for (title, text) in [("Why it matters", &rule.texts().why), ("What to do", &rule.texts().remedy)] {
        if !text.trim().is_empty() {
            _ = writeln!(out, "{title}\n{}\n", wrap(text.trim()));
        }
    }
    match &rule.matcher {
        Matcher::Finder(_) => {}
        Matcher::Regex(regex) => {
            _ = writeln!(
                out,
                "Matched by\n  keywords: {}\n  regex: {}",
                rule.keywords.join(", "),
                regex.source().trim()
            );
            if let Some(path) = regex.path_source() {
                _ = writeln!(out, "  only in paths matching: {path}");
            }
            out.push('\n');
        }
    }
    let [positives, negatives] = rule.examples();
    for (title, examples) in [("Found (the keys are made up)", positives), ("Not found", negatives)] {
        if examples.is_empty() {
            continue;
        }
        _ = writeln!(out, "{title}");
        for example in examples {
            let text = example::expand(&example.text).text;
            if !example.path.is_empty() {
                _ = writeln!(out, "  in {}:", example::expand(&example.path).text);
            }
            for line in text.trim_end().lines() {
                _ = writeln!(out, "    {}", shorten(line));
            }
            out.push('\n');
        }
    }
    for link in &rule.texts().references {
        _ = writeln!(out, "See {link}");
    }
    out
}

fn wrap(text: &str) -> String {
    textwrap::fill(text, textwrap::termwidth().min(100))
}

fn shorten(line: &str) -> String {
    const MAX_LENGTH: usize = 100;
    if line.chars().count() <= MAX_LENGTH {
        line.to_owned()
    } else {
        line.chars().take(MAX_LENGTH).chain(['…']).collect()
    }
}

fn check_files(files: &[PathBuf]) -> anyhow::Result<Verdict> {
    let mut complete = true;
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files {
        // Check each file on its own: a clash of two files matters only to those who use both.
        let mut rules = RuleSet::built_in();
        let known = rules.iter().len();
        if let Err(error) = rules.add(file) {
            output::error(&error.to_string());
            complete = false;
            continue;
        }
        let own: Vec<_> = rules.iter().skip(known).map(|rule| rule.id.clone()).collect();
        count += own.len();
        let found = check::check(&Arc::new(rules), |rule| own.contains(&rule.id));
        failures.extend(found.into_iter().map(|failure| format!("{}: {failure}\n", file.display())));
    }
    output::stdout(&failures.concat())?;
    if complete && failures.is_empty() {
        let rules = if count == 1 { "rule" } else { "rules" };
        output::stdout(&format!("{count} {rules}: all examples pass\n"))?;
    }
    Ok(match (complete, failures.is_empty()) {
        (false, _) => Verdict::Incomplete,
        (true, true) => Verdict::Clean,
        (true, false) => Verdict::Findings,
    })
}
