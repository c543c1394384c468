//! `keyspill hook`: git hooks that block keys before they are committed, pushed or received.

mod install;
mod run;

use crate::report::Verdict;
use std::ffi::OsString;

/// Subcommands of `hook`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Install hooks in the current repository.
    ///
    /// An existing hook is kept and runs first. Without options, pre-commit and pre-merge-commit are installed.
    Install {
        #[command(flatten)]
        kinds: Kinds,
        /// Install for all repositories of this user: git then uses one hook directory, whose hooks also call each
        /// repository's own.
        #[arg(long)]
        global: bool,
        /// Only warn, and let commits and pushes through, if keyspill itself is no longer found.
        #[arg(long)]
        lenient: bool,
    },
    /// Remove hooks and restore the previous ones.
    Uninstall {
        #[command(flatten)]
        kinds: Kinds,
        /// Remove the hooks for all repositories of this user.
        #[arg(long)]
        global: bool,
    },
    /// Show which hooks are installed and whether they work.
    Status {
        #[command(flatten)]
        kinds: Kinds,
        /// Exit with 1 unless the hooks given (by default pre-commit) are installed and work, for use in scripts.
        #[arg(long)]
        check: bool,
    },
    /// Run a hook. Installed hooks call this.
    Run {
        /// The hook.
        kind: Kind,
        /// Arguments that git passes to the hook.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Which hooks.
#[derive(Debug, Clone, clap::Args)]
pub struct Kinds {
    /// Before a commit or merge commit: scan what is staged.
    #[arg(long)]
    pre_commit: bool,
    /// Before a push: scan the commits that are new to the remote.
    #[arg(long)]
    pre_push: bool,
    /// On a server, before a push is accepted: scan the commits that are new to it.
    #[arg(long)]
    pre_receive: bool,
    /// After a commit message is written: scan the message.
    #[arg(long)]
    commit_msg: bool,
}

/// A git hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Before a commit.
    PreCommit,
    /// Before a merge commit without conflicts, for which git does not run pre-commit.
    PreMergeCommit,
    /// Before a push.
    PrePush,
    /// Before a push is accepted.
    PreReceive,
    /// After a commit message is written.
    CommitMsg,
}

impl Kind {
    const ALL: [Self; 5] = [Self::PreCommit, Self::PreMergeCommit, Self::PrePush, Self::PreReceive, Self::CommitMsg];

    /// Git's name for the hook.
    fn name(self) -> &'static str {
        match self {
            Self::PreCommit => "pre-commit",
            Self::PreMergeCommit => "pre-merge-commit",
            Self::PrePush => "pre-push",
            Self::PreReceive => "pre-receive",
            Self::CommitMsg => "commit-msg",
        }
    }

    /// The option that installs it.
    fn option(self) -> &'static str {
        match self {
            Self::PreCommit | Self::PreMergeCommit => "--pre-commit",
            Self::PrePush => "--pre-push",
            Self::PreReceive => "--pre-receive",
            Self::CommitMsg => "--commit-msg",
        }
    }

    /// True if git passes the pushed refs on standard input.
    fn is_fed(self) -> bool {
        matches!(self, Self::PrePush | Self::PreReceive)
    }
}

impl Kinds {
    /// The chosen ones, or those that are installed if none is named.
    fn or_default(&self) -> Vec<Kind> {
        let chosen = self.chosen();
        if chosen.is_empty() { vec![Kind::PreCommit, Kind::PreMergeCommit] } else { chosen }
    }

    fn chosen(&self) -> Vec<Kind> {
        let Self { pre_commit, pre_push, pre_receive, commit_msg } = self;
        let flags = [*pre_commit, *pre_commit, *pre_push, *pre_receive, *commit_msg];
        Kind::ALL.into_iter().zip(flags).filter(|(_, chosen)| *chosen).map(|(kind, _)| kind).collect()
    }
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<Verdict> {
        match self {
            Self::Install { kinds, global, lenient } => install::install(&kinds.or_default(), global, lenient),
            Self::Uninstall { kinds, global } => {
                let kinds = kinds.chosen();
                install::uninstall(if kinds.is_empty() { &Kind::ALL } else { &kinds }, global)
            }
            Self::Status { kinds, check } => install::status(check.then(|| kinds.or_default())),
            Self::Run { kind, args } => run::run(kind, &args),
        }
    }
}
