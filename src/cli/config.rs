//! `keyspill config`.

use super::output;
use crate::config::Config;
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
    /// Print the effective configuration: keyspill.toml merged with the files it includes.
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
        let Some(file) = file.or_else(|| Config::find(Path::new("."), super::environment::environment())) else {
            output::stdout("no keyspill.toml here or in a parent directory, up to the repository root\n")?;
            return Ok(Verdict::Clean);
        };
        let config = Config::read(&file, &RuleSet::built_in())?;
        if show {
            output::stdout(&crate::text::mask::hide_long_words(&config.to_toml()))?;
            return Ok(Verdict::Clean);
        }
        output::stdout(&format!("{}: valid\n", file.display()))?;
        Ok(Verdict::Clean)
    }
}
