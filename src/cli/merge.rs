//! `keyspill merge`.

use super::audit::load_rules;
use super::inventory::ReportArgs;
use crate::audit::merge::Merge;
use crate::audit::state::{results_in, units_in};
use crate::report::Verdict;
use anyhow::bail;
use clap::ArgMatches;
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments as typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Result files, and folders of them: those that `keyspill audit --state` wrote.
    #[arg(required = true)]
    results: Vec<PathBuf>,

    /// Add the rules of a TOML file, as in the audits. May be repeated.
    #[arg(long = "rules", value_name = "FILE", help_heading = "Input")]
    rules: Vec<PathBuf>,

    /// File that remembers what was known of keys, so that reports say what is new. Created if missing.
    #[arg(long, value_name = "FILE", help_heading = "State")]
    known_keys: Option<PathBuf>,

    #[command(flatten)]
    report: ReportArgs,
}

impl Args {
    /// Joins results and reports.
    pub fn run(self, matches: &ArgMatches) -> anyhow::Result<Verdict> {
        let outputs = self.report.outputs(matches)?;
        let rules = Arc::new(load_rules(&self.rules)?);
        let mut merge = Merge::default();
        let mut files = Vec::new();
        for path in &self.results {
            if !path.exists() {
                // A part that never began keeps nobody from seeing the others.
                merge.miss(path.display().to_string());
            } else if path.is_dir() {
                let failed = |error| anyhow::anyhow!("{}: {}", path.display(), crate::file::describe(&error));
                let names = units_in(path)?;
                let found = results_in(path, &names).map_err(failed)?;
                if found.is_empty() && names.is_empty() {
                    bail!("{}: there are no results in this folder", path.display());
                }
                files.extend(found);
                merge.expect(names);
            } else {
                files.push(path.clone());
            }
        }
        merge.add(&files)?;
        let known = self.known_keys.as_deref();
        Ok(self.report.write(&merge, &rules, self.report.moment(), known, &outputs)?.verdict)
    }
}
