//! `keyspill config`.

use super::output;
use crate::config::Config;
use crate::report::Verdict;
use crate::rule::RuleSet;
use std::path::{Path, PathBuf};

/// Subcommands of `config`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check keyspill.toml: every key is known, every value makes sense.
    Check {
        /// The file [default: keyspill.toml here or above, up to the repository's root].
        file: Option<PathBuf>,
    },
    /// Print what is in force: keyspill.toml with all that it includes.
    Show {
        /// The file [default: keyspill.toml here or above, up to the repository's root].
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
        let Some(file) = file.or_else(|| Config::find(Path::new("."))) else {
            output::stdout("there is no keyspill.toml here or above, up to the repository's root\n")?;
            return Ok(Verdict::Clean);
        };
        let config = Config::read(&file, &RuleSet::built_in())?;
        if show {
            output::stdout(&crate::text::mask::hide_long_words(&config.to_toml()))?;
            return Ok(Verdict::Clean);
        }
        output::stdout(&format!("{}: everything is known and makes sense\n", file.display()))?;
        Ok(Verdict::Clean)
    }
}
