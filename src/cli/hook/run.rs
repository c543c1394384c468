//! Runs an installed hook.

use super::Kind;
use crate::cli::environment::environment;
use crate::cli::output;
use crate::cli::session::{self, Obeyed};
use crate::finding::BlobPath;
use crate::finding::object::Oid;
use crate::git::repository::Repository;
use crate::git::staged::staged_paths;
use crate::report::Verdict;
use crate::report::hook::{self, HookAction};
use crate::scan::{Pushed, Scan, Scope, Selection};
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Maximum size that is read of a commit message, in bytes.
const MAX_MESSAGE: u64 = 64 << 20;

/// The end of the line below which `git commit -v` shows the diff, which is not part of the message.
const SCISSORS: &str = " ------------------------ >8 ------------------------";

pub fn run(kind: Kind, args: &[OsString]) -> anyhow::Result<Verdict> {
    let here = Path::new(".");
    let repository = Repository::open(here, environment())?;
    let root = repository.work_dir().unwrap_or(repository.git_dir()).to_owned();
    let obeyed = match kind {
        // A pusher must not be able to change the server's policy.
        Kind::PreReceive => Obeyed::Nothing,
        // A file that nobody else will ever see must not let a key through, either.
        _ => Obeyed::Staged,
    };
    let session = session::Session::load(&root, obeyed, true);
    let mut scan = session.scan(vec![here.to_owned()]);
    let mut verdict = Verdict::Clean;
    let (action, command) = match kind {
        Kind::PreCommit | Kind::PreMergeCommit => {
            let others = not_staged(&repository, args)?;
            if !others.is_empty() {
                let report = session.run(&session.scan(others));
                output::diagnostics(&hook::write(&report, HookAction::Check, session.fail_on, "keyspill scan"));
                verdict = session.verdict(&report);
            }
            scan.scope = Scope::Staged { whole_files: false };
            (HookAction::Commit, "keyspill scan --staged")
        }
        Kind::CommitMsg => {
            let file = args.first().context("the commit-msg hook expects the path of the message file")?;
            scan.roots = vec![];
            scan.texts = vec![(PathBuf::from("commit message"), message(Path::new(file), &repository.comment_mark())?)];
            (HookAction::Message, "see the message")
        }
        Kind::PrePush => {
            let remote = args.first().map(|name| name.to_string_lossy().into_owned());
            let pushed = match framework_update(&repository)? {
                Some(update) => {
                    let remote = std::env::var("PRE_COMMIT_REMOTE_NAME").ok();
                    pushed(&repository, &[update], remote.as_deref())?
                }
                None => pushed(&repository, &updates()?, remote.as_deref())?,
            };
            if_new(pushed, &mut scan);
            (HookAction::Push, "keyspill scan --range @{push}..")
        }
        Kind::PreReceive => {
            let pushed = received(&repository, &updates()?)?;
            if_new(pushed, &mut scan);
            (HookAction::Receive, "keyspill scan --range BEFORE..AFTER")
        }
    };
    // A first push may be long.
    let report = session.run_shown(&scan);
    let text = hook::write(&report, action, session.fail_on, command);
    output::diagnostics(&text);
    Ok(verdict.max(session.verdict(&report)))
}

/// The files named by the pre-commit framework that are not staged: it was asked to check them (`--all-files`,
/// `--files`, `--from-ref`), but no commit is about to change them.
fn not_staged(repository: &Repository, names: &[OsString]) -> anyhow::Result<Vec<PathBuf>> {
    if names.is_empty() {
        return Ok(vec![]);
    }
    let staged = staged_paths(repository)?;
    let top = repository.work_dir().context("a bare repository has no files")?.canonicalize()?;
    let is_other = |name: &&OsString| {
        let below = Path::new(name).canonicalize().ok().and_then(|file| Some(file.strip_prefix(&top).ok()?.to_owned()));
        below.is_none_or(|path| !staged.contains(BlobPath::new(&path).file()))
    };
    Ok(names.iter().filter(is_other).map(PathBuf::from).collect())
}

/// What is being pushed, if the pre-commit framework runs this hook. The framework consumes standard input and passes
/// the data in environment variables. Source: <https://pre-commit.com/#pre-push>.
fn framework_update(repository: &Repository) -> anyhow::Result<Option<Update>> {
    if std::env::var_os("PRE_COMMIT").is_none() {
        return Ok(None);
    }
    let name = ["PRE_COMMIT_LOCAL_BRANCH", "PRE_COMMIT_TO_REF"].into_iter().find_map(|name| std::env::var(name).ok());
    let new = repository.commit(name.as_deref().unwrap_or("HEAD"))?;
    Ok(Some(Update { new: Some(new), old: None }))
}

/// Limits the scan to what is pushed; to nothing if no refs are new.
fn if_new(pushed: Pushed, scan: &mut Scan) {
    if pushed.new.is_empty() {
        scan.roots = vec![];
    } else {
        scan.scope = Scope::Commits {
            selection: Selection { pushed: Some(pushed), ..Selection::default() },
            whole_files: false,
        };
    }
}

/// The message that `git commit` will record, as far as that can be determined. `mark` starts a comment.
fn message(file: &Path, mark: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let open = crate::file::open(file).and_then(|file| file.take(MAX_MESSAGE).read_to_end(&mut text));
    open.with_context(|| format!("cannot read the commit message in {}", file.display()))?;
    text.truncate(end_of_message(&text, mark));
    Ok(text)
}

/// Where git's scissors line starts: the one followed by comments and then a diff, which are only shown to the user.
/// Scissors that somebody wrote are part of the message.
fn end_of_message(text: &[u8], mark: &str) -> usize {
    let scissors = format!("{mark}{SCISSORS}");
    let lines: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').collect();
    let mut at = 0;
    for (number, line) in lines.iter().enumerate() {
        if line.trim_ascii_end() == scissors.as_bytes() {
            let below = lines[number + 1..].iter().find(|line| !line.starts_with(mark.as_bytes()));
            if below.is_none_or(|line| line.starts_with(b"diff --")) {
                return at;
            }
        }
        at += line.len();
    }
    text.len()
}

/// A ref update.
struct Update {
    /// The new target; `None` if the ref is deleted.
    new: Option<Oid>,
    /// The old target on the receiving side; `None` if the ref is new there.
    old: Option<Oid>,
}

/// The ref updates that git passes to push hooks on standard input. `pre-push` gets `LOCAL-REF NEW REMOTE-REF OLD`,
/// `pre-receive` gets `OLD NEW REF`. Source: githooks(5).
fn updates() -> anyhow::Result<Vec<Update>> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).context("cannot read the pushed refs from standard input")?;
    text.split(|&b| b == b'\n').filter(|line| !line.trim_ascii().is_empty()).map(update).collect()
}

/// Parses one update. The local ref may be an expression with spaces in it, and ref names are bytes.
fn update(line: &[u8]) -> anyhow::Result<Update> {
    let mut fields: Vec<&[u8]> = line.rsplitn(4, |&b| b == b' ').collect();
    fields.reverse();
    let (new, old) = match fields.as_slice() {
        [_, new, _, old] if Oid::from_hex(old).is_some() => (new, old),
        [old, new, _] => (new, old),
        _ => bail!("standard input is not a list of ref updates as git writes it; see githooks(5)"),
    };
    let oid = |hex: &[u8]| match Oid::from_hex(hex) {
        Some(oid) => Ok(Some(oid).filter(|oid| !oid.is_zero())),
        None => {
            bail!("an object id is not SHA-1; other object formats are not supported yet")
        }
    };
    Ok(Update { new: oid(new)?, old: oid(old)? })
}

/// What a push adds to the remote, as far as this side knows: the remote is assumed to have the refs' old targets and
/// what its remote-tracking branches had when last transferred.
fn pushed(repository: &Repository, updates: &[Update], remote: Option<&str>) -> anyhow::Result<Pushed> {
    let mut known: Vec<Oid> = updates.iter().filter_map(|update| update.old).collect();
    let seen = remote.map(|remote| format!("refs/remotes/{remote}/"));
    let refs = all_refs(repository)?;
    let of_remote = refs.iter().filter(|(name, _)| seen.as_ref().is_some_and(|seen| name.starts_with(seen.as_str())));
    // Anyone can create a remote-tracking ref, so only those that git transferred count.
    let genuine = of_remote.filter(|(name, target)| repository.is_as_transferred(name, *target));
    known.extend(genuine.map(|(_, target)| *target));
    Ok(Pushed { new: updates.iter().filter_map(|update| update.new).collect(), known })
}

/// What a push adds that is not reachable from any ref yet.
fn received(repository: &Repository, updates: &[Update]) -> anyhow::Result<Pushed> {
    let known = all_refs(repository)?.into_iter().map(|(_, target)| target).collect();
    Ok(Pushed { new: updates.iter().filter_map(|update| update.new).collect(), known })
}

fn all_refs(repository: &Repository) -> anyhow::Result<Vec<(String, Oid)>> {
    let mut errors = Vec::new();
    let refs = repository.refs(&mut errors);
    if let Some((name, error)) = errors.first() {
        bail!("{}: {}", name.display(), error.to_words());
    }
    Ok(refs.into_iter().map(|known| (known.name, known.target)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_git_shows_is_cut_from_a_message() {
        let end = |text: &str, mark: &str| end_of_message(text.as_bytes(), mark);
        let scissors = format!("#{SCISSORS}\n");
        let shown = format!("fix\n{scissors}# Do not touch.\n# Ignored.\ndiff --git a/a b/a\n-key\n");
        assert_eq!(end(&shown, "#"), 4);
        assert_eq!(end(&shown, ";"), shown.len(), "other comments belong to the message");
        for written in [format!("fix\n{scissors}key\n"), format!("fix x{scissors}diff --git"), "fix\n".to_owned()] {
            assert_eq!(end(&written, "#"), written.len(), "{written}");
        }
    }

    #[test]
    fn updates_are_read_as_git_writes_them() {
        let (one, none) = ("1".repeat(40), "0".repeat(40));
        let read = |line: &str| update(line.as_bytes()).map(|update| (update.new.is_some(), update.old.is_some())).ok();
        assert_eq!(read(&format!("refs/heads/a {one} refs/heads/a {one}")), Some((true, true)));
        assert_eq!(read(&format!("HEAD@{{0 seconds ago}} {one} refs/heads/a {none}")), Some((true, false)));
        assert_eq!(read(&format!("{one} {none} refs/heads/a")), Some((false, true)));
        assert_eq!(read("nonsense"), None);
        assert_eq!(read(&format!("{} {one} x", "1".repeat(64))), None);
        let latin =
            [format!("refs/heads/a {one} refs/heads/").as_bytes(), b"\xe4", format!(" {none}").as_bytes()].concat();
        assert!(update(&latin).is_ok());
    }
}
