//! `keyspill config`.

use super::output;
use crate::config::Config;
use crate::policy::baseline::Baseline;
use crate::report::Verdict;
use crate::rule::RuleSet;
use std::path::{Path, PathBuf};

/// Subcommands of `config`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check keyspill.toml for unknown keys and invalid values.
    Check {
        /// The file [default: keyspill.toml here or in a parent directory, up to the repository root].
        file: Option<PathBuf>,
    },
    /// Print the effective configuration: keyspill.toml merged with the files it includes and the user's own.
    Show {
        /// The file [default: keyspill.toml here or in a parent directory, up to the repository root].
        file: Option<PathBuf>,
    },
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<Verdict> {
        let (file, show) = match self {
            Self::Check { file } => (file, false),
            Self::Show { file } => (file, true),
        };
        let rules = RuleSet::built_in();
        let environment = super::environment::environment();
        // A file that is named is looked at alone.
        let config = match &file {
            Some(file) => Config::read(file, &rules)?,
            None => {
                let user = Config::read_user(&rules, environment)?;
                match Config::find(Path::new("."), environment) {
                    Some(found) => user.with_found(&found, &rules)?,
                    None => user,
                }
            }
        };
        if config.files.is_empty() {
            output::stdout("no keyspill.toml here, in a parent directory up to the repository root, or of the user\n")?;
            return Ok(Verdict::Clean);
        }
        if show {
            output::stdout(&crate::text::mask::hide_long_words(&config.to_toml()))?;
            return Ok(Verdict::Clean);
        }
        if let Some(baseline) = &config.baseline {
            // A scan would fail without it.
            Baseline::read(baseline)?;
        }
        for file in &config.files {
            output::stdout(&format!("{}: valid\n", file.display()))?;
        }
        Ok(Verdict::Clean)
    }
}
