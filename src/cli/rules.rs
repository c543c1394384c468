//! `keyspill rules`.

use super::output;
use crate::detect::check;
use crate::report::Verdict;
use crate::report::wording::plural;
use crate::rule::{Matcher, Rule, RuleSet, Selection, Shape, example, pack};
use anyhow::bail;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Subcommands of `rules`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the rules that are on, or all.
    List {
        /// Also list those that are off by default.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        loaded: Loaded,
    },
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
    /// Check a configuration of gitleaks for use as it is, with `--gitleaks-config`, and list its rules.
    Import {
        /// The configuration, such as `.gitleaks.toml`.
        file: PathBuf,
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
        Some(Box::new(pack::ids().iter().map(clap::builder::PossibleValue::new)))
    }
}

impl Loaded {
    fn load(&self, selection: &Selection) -> anyhow::Result<RuleSet> {
        let mut rules = RuleSet::selected(selection);
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
            Self::List { all, loaded } => {
                list(&loaded.load(&if all { Selection::everything() } else { Selection::default() })?)
            }
            Self::Explain { id, loaded } => explain(&loaded.load(&Selection::everything())?, &id),
            Self::Import { file } => import(&file),
            Self::Check { files } => check_files(&files),
        }
    }
}

fn import(file: &Path) -> anyhow::Result<Verdict> {
    let mut rules = RuleSet::default();
    rules.add_gitleaks(file)?;
    let fast = rules.iter().filter(|rule| rule.regex().is_some_and(|regex| regex.shape != Shape::AnyCase)).count();
    let built_in = RuleSet::built_in();
    let replaced = match rules.iter().filter(|rule| built_in.get(rule.id.as_str()).is_some()).count() {
        0 => String::new(),
        1 => "1 replaces the built-in rule of the same name\n".to_owned(),
        more => format!("{more} replace built-in rules of the same names\n"),
    };
    output::stdout(&format!(
        "{}, searched for at full speed: {fast}; only in files with one of their keywords: {}\n\
         {replaced}use with: keyspill scan --gitleaks-config {}\n",
        plural(rules.iter().len(), "rule"),
        rules.iter().len() - fast,
        file.display()
    ))?;
    list(&rules)
}

fn list(rules: &RuleSet) -> anyhow::Result<Verdict> {
    let width = rules.iter().map(|rule| rule.id.as_str().len()).max().unwrap_or(0);
    let packs = rules.iter().filter_map(|rule| rule.pack).map(str::len).max().unwrap_or(0);
    let line = |rule: &Arc<Rule>| {
        let pack = rule.pack.unwrap_or("");
        let id = rule.id.as_str();
        let severity = rule.severity.to_string();
        format!("{id:width$}  {pack:packs$}  {severity:7}  {:4.1}  {}\n", rule.security_severity, rule.texts().name)
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
            out.push_str("Matched by\n");
            if !rule.keywords.is_empty() {
                _ = writeln!(out, "  keywords: {}", rule.keywords.join(", "));
            }
            _ = writeln!(out, "  regex: {}", regex.source().trim());
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
