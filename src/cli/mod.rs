//! The command line: arguments, subcommands, exit codes. The only owner of standard output and standard error.

mod audit;
mod baseline;
mod config;
mod environment;
mod generate;
mod hook;
mod inventory;
mod merge;
mod output;
mod plan;
mod progress;
mod rules;
mod scan;
mod selection;
mod session;
#[cfg(feature = "verify")]
mod verify;

use crate::report::Verdict;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Find leaked AWS keys and the secrets of 500 other services.
///
/// keyspill scans files and git repositories for AWS access key ids, secret access keys and related tokens. It reports
/// which of them belong together and to which account, and exits with 1 if there are findings at or above the
/// threshold.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = AFTER_HELP)]
struct Cli {
    /// Log the settings in effect and what is done to standard error.
    #[arg(short, long, global = true, help_heading = "Diagnostics")]
    verbose: bool,

    /// Format of messages on standard error.
    #[arg(long, global = true, value_enum, default_value_t = output::LogFormat::Text, value_name = "FORMAT", help_heading = "Diagnostics")]
    log_format: output::LogFormat,

    #[command(subcommand)]
    command: Command,
}

/// What every subcommand has in common.
const AFTER_HELP: &str = "Exit codes:
  0  nothing at or above the threshold
  1  findings at or above the threshold
  2  an error or an incomplete scan, even if there are findings

Environment:
  NO_COLOR, CLICOLOR, TERM  whether text is coloured
  SOURCE_DATE_EPOCH         seconds since 1970, taken for the current time
  XDG_CONFIG_HOME           directory of your keyspill/keyspill.toml; ~/.config by default
  GIT_INDEX_FILE and others that git sets for its hooks

Examples:
  keyspill scan                             the files of this directory
  keyspill scan --history                   and everything its repository ever held
  keyspill scan --staged                    what `git commit` would record
  keyspill scan mail.mbox -f html -o r.html an audit report of a mailbox
  git diff | keyspill scan -                standard input
  keyspill hook install                     block commits with keys in them
  keyspill audit ~/src --state ~/audit      an inventory of all repositories in a folder
  keyspill baseline create                  accept what is there, report what is new";

#[derive(Debug, Subcommand)]
enum Command {
    /// Scan files, standard input, or git repositories.
    #[command(after_help = AFTER_HELP)]
    Scan(Box<scan::Args>),
    /// Scan many repositories, folders and mailboxes in full, and list every key once: whose it is, who must act, what is new.
    #[command(after_help = AFTER_HELP)]
    Audit(Box<audit::Args>),
    /// Combine audit results into one inventory.
    #[command(after_help = AFTER_HELP)]
    Merge(Box<merge::Args>),
    /// Ask IAM, with your own credentials, about the keys of a report: whether they are active, whose, and in use. The keys
    /// are not used, and no connection is opened before you agree.
    #[cfg(feature = "verify")]
    #[command(after_help = AFTER_HELP)]
    Verify(verify::Args),
    /// Say what to do about the keys of a report: for each, commands in order, worst first. Nothing is run.
    Plan(plan::Args),
    /// Manage the baseline, the file of accepted findings.
    #[command(subcommand)]
    Baseline(baseline::Command),
    /// Install git hooks that block keys.
    #[command(subcommand)]
    Hook(hook::Command),
    /// Check and show the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// List, explain and check rules.
    #[command(subcommand)]
    Rules(rules::Command),
    /// Generate a shell completion script.
    Completions(generate::Completions),
    /// Generate the manual pages.
    Man(generate::Man),
}

/// The current time in seconds since 1970, or `SOURCE_DATE_EPOCH` if set, for reproducible reports.
/// Source: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn now() -> i64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    fixed.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    })
}

fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Clean => ExitCode::SUCCESS,
        Verdict::Findings => ExitCode::from(1),
        Verdict::Incomplete => ExitCode::from(2),
    }
}

/// Parses the arguments and runs the command.
pub fn run() -> ExitCode {
    output::keep_panics_quiet();
    output::end_at_once_on_interrupt();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    output::configure(cli.log_format, cli.verbose);
    let outcome = match (cli.command, matches.subcommand()) {
        (Command::Scan(args), Some((_, matches))) => args.run(matches),
        (Command::Audit(args), Some((_, matches))) => match args.run(matches) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        (Command::Merge(args), Some((_, matches))) => args.run(matches),
        #[cfg(feature = "verify")]
        (Command::Verify(args), _) => args.run(),
        (Command::Plan(args), _) => args.run(),
        (Command::Scan(_) | Command::Audit(_) | Command::Merge(_), None) => {
            unreachable!("a parsed command has a subcommand")
        }
        (Command::Baseline(command), _) => command.run(),
        (Command::Config(command), _) => command.run(),
        (Command::Hook(command), _) => command.run(),
        (Command::Rules(command), _) => command.run(),
        (Command::Completions(args), _) => args.run(),
        (Command::Man(args), _) => args.run(),
    };
    match outcome {
        Ok(verdict) => exit_code(verdict),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
