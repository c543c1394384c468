//! `keyspill completions` and `keyspill man`, generated from the definition of the command line.

use super::{Cli, output};
use crate::report::Verdict;
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell to generate the script for.
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Directory for the pages, one per command; without it, the main page is written to standard output.
    dir: Option<PathBuf>,
}

impl Completions {
    /// Writes the script to standard output.
    pub fn run(self) -> anyhow::Result<Verdict> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
        output::stdout(&String::from_utf8_lossy(&script))?;
        Ok(Verdict::Clean)
    }
}

impl Man {
    /// Writes the pages.
    pub fn run(self) -> anyhow::Result<Verdict> {
        let command = Cli::command();
        let Some(dir) = self.dir else {
            let mut text = Vec::new();
            clap_mangen::Man::new(command).render(&mut text)?;
            output::stdout(&String::from_utf8_lossy(&text))?;
            return Ok(Verdict::Clean);
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        clap_mangen::generate_to(command, &dir).with_context(|| format!("cannot write to {}", dir.display()))?;
        Ok(Verdict::Clean)
    }
}
