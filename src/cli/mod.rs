//! The command line: arguments, subcommands, exit codes. The only owner of standard output and standard error.

mod baseline;
mod config;
mod generate;
mod hook;
mod output;
mod progress;
mod rules;
mod scan;
mod session;

use crate::report::Verdict;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Find leaked AWS keys.
///
/// keyspill scans files and git repositories for AWS access key ids, secret access keys and the tokens around them, tells
/// which belong together
/// and to which account, and fails if it finds any.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    /// Say on standard error what is in force and what is done.
    #[arg(short, long, global = true, help_heading = "Diagnostics")]
    verbose: bool,

    /// How to write what goes to standard error.
    #[arg(long, global = true, value_enum, default_value_t = output::LogFormat::Text, value_name = "FORMAT", help_heading = "Diagnostics")]
    log_format: output::LogFormat,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  nothing at or above the threshold
  1  findings at or above the threshold
  2  the scan is incomplete, or keyspill was misused (also if there are findings)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Scan files, standard input, or what git repositories hold.
    Scan(Box<scan::Args>),
    /// Keep the file of accepted findings.
    #[command(subcommand)]
    Baseline(baseline::Command),
    /// Install git hooks that stop keys.
    #[command(subcommand)]
    Hook(hook::Command),
    /// Check and show the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// List, explain and check rules.
    #[command(subcommand)]
    Rules(rules::Command),
    /// Write the script with which a shell completes keyspill's arguments.
    Completions(generate::Completions),
    /// Write the manual pages.
    Man(generate::Man),
}

/// Seconds since 1970; `SOURCE_DATE_EPOCH` fixes them, for reports that are the same on every day.
/// Source: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn now() -> i64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    fixed.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    })
}

/// Runs the command that the arguments ask for.
pub fn run() -> ExitCode {
    output::keep_panics_quiet();
    output::end_at_once_on_interrupt();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    output::configure(cli.log_format, cli.verbose);
    let outcome = match (cli.command, matches.subcommand()) {
        (Command::Scan(args), Some((_, matches))) => args.run(matches),
        (Command::Scan(_), None) => unreachable!("a command was parsed, so there is one"),
        (Command::Baseline(command), _) => command.run(),
        (Command::Config(command), _) => command.run(),
        (Command::Hook(command), _) => command.run(),
        (Command::Rules(command), _) => command.run(),
        (Command::Completions(args), _) => args.run(),
        (Command::Man(args), _) => args.run(),
    };
    match outcome {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Ok(Verdict::Incomplete) => ExitCode::from(2),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
