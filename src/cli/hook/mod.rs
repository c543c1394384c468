//! `keyspill hook`: git hooks that stop keys before they are committed, pushed or received.

mod install;
mod run;

use crate::report::Verdict;
use std::ffi::OsString;

/// Subcommands of `hook`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Install hooks in the repository that the working directory is in.
    ///
    /// A hook that is there already is kept, and runs first. Without an option, pre-commit is installed.
    Install {
        #[command(flatten)]
        kinds: Kinds,
        /// For all repositories of this user: git then looks for hooks in one directory, from where those of each repository
        /// are called, too.
        #[arg(long)]
        global: bool,
        /// Let commits and pushes through if keyspill itself is not there any more, with a warning.
        #[arg(long)]
        lenient: bool,
    },
    /// Take hooks away again, and put back what was there.
    Uninstall {
        #[command(flatten)]
        kinds: Kinds,
        /// Those for all repositories of this user.
        #[arg(long)]
        global: bool,
    },
    /// Tell which hooks are installed, and whether they work.
    Status,
    /// Do what a hook does. Installed hooks call this.
    Run {
        /// Which hook.
        kind: Kind,
        /// What git gives the hook.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Which hooks.
#[derive(Debug, Clone, clap::Args)]
pub struct Kinds {
    /// Before a commit, also that of a merge: what is staged.
    #[arg(long)]
    pre_commit: bool,
    /// Before a push: the commits that are new there.
    #[arg(long)]
    pre_push: bool,
    /// On a server, before a push is taken: the commits that are new here.
    #[arg(long)]
    pre_receive: bool,
    /// After a commit's message was written: the message.
    #[arg(long)]
    commit_msg: bool,
}

/// A hook of git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Before a commit.
    PreCommit,
    /// Before the commit of a merge without conflicts, for which git does not run the hook before.
    PreMergeCommit,
    /// Before a push.
    PrePush,
    /// Before a push is taken.
    PreReceive,
    /// After a commit's message was written.
    CommitMsg,
}

impl Kind {
    const ALL: [Self; 5] = [Self::PreCommit, Self::PreMergeCommit, Self::PrePush, Self::PreReceive, Self::CommitMsg];

    /// As git calls it.
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

    /// True if git writes to its standard input what is pushed.
    fn is_fed(self) -> bool {
        matches!(self, Self::PrePush | Self::PreReceive)
    }
}

impl Kinds {
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
            Self::Install { kinds, global, lenient } => {
                let mut kinds = kinds.chosen();
                if kinds.is_empty() {
                    kinds.extend([Kind::PreCommit, Kind::PreMergeCommit]);
                }
                install::install(&kinds, global, lenient)
            }
            Self::Uninstall { kinds, global } => {
                let kinds = kinds.chosen();
                install::uninstall(if kinds.is_empty() { &Kind::ALL } else { &kinds }, global)
            }
            Self::Status => install::status(),
            Self::Run { kind, args } => run::run(kind, &args),
        }
    }
}
