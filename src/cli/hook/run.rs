//! What an installed hook does.

use super::Kind;
use crate::cli::{output, session};
use anyhow::{Context, bail};
use keyspill::report::Verdict;
use keyspill::report::brief::{self, Deed};
use keyspill::scan::{Pushed, Scan, Scope, Selection};
use keyspill::source::git::oid::Oid;
use keyspill::source::git::repository::Repository;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that is read of a commit's message, in bytes.
const MOST_MESSAGE: u64 = 64 << 20;

/// `git commit -v` shows the changes below this line, for reading only.
const SCISSORS: &[u8] = b"# ------------------------ >8 ------------------------";

pub fn run(kind: Kind, args: &[OsString]) -> anyhow::Result<Verdict> {
    let here = Path::new(".");
    let repository = Repository::open(here).map_err(anyhow::Error::msg)?;
    let root = repository.work_dir().unwrap_or(repository.git_dir()).to_owned();
    // Whoever pushes must not be able to change what a server demands.
    let session = session::Session::load(&root, kind != Kind::PreReceive);
    let mut scan = session.scan(vec![here.to_owned()]);
    let (deed, command) = match kind {
        Kind::PreCommit => {
            scan.scope = Scope::Staged { whole_files: false };
            (Deed::Commit, "keyspill scan --staged")
        }
        Kind::CommitMsg => {
            let file = args.first().context("git gives the hook commit-msg the file of the message; there is none")?;
            scan.roots = vec![];
            scan.texts = vec![(PathBuf::from("commit message"), message(Path::new(file))?)];
            (Deed::Commit, "look at the message")
        }
        Kind::PrePush => {
            let remote = args.first().map(|name| name.to_string_lossy().into_owned());
            let pushed = pushed(&repository, &updates()?, remote.as_deref())?;
            if_new(pushed, &mut scan);
            (Deed::Push, "keyspill scan --range @{push}..")
        }
        Kind::PreReceive => {
            let pushed = received(&repository, &updates()?)?;
            if_new(pushed, &mut scan);
            (Deed::Receive, "keyspill scan --range BEFORE..AFTER")
        }
    };
    let report = session.run(&scan);
    let text = brief::write(&report, deed, session.fail_on, command);
    output::diagnostics(&text);
    Ok(session.verdict(&report))
}

/// Has the scan look at what is pushed; nothing if that is nothing.
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

fn message(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let open = std::fs::File::open(file).and_then(|file| file.take(MOST_MESSAGE).read_to_end(&mut text));
    open.with_context(|| format!("{}: the commit's message cannot be read", file.display()))?;
    let end = memchr::memmem::find(&text, SCISSORS).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

/// A ref that is to change.
struct Update {
    /// What it points to after; none if it is deleted.
    new: Option<Oid>,
    /// What it points to before, on the other side; none if it is new there.
    old: Option<Oid>,
}

/// What git tells the hooks of pushes on standard input. `pre-push` gets `LOCAL-REF NEW REMOTE-REF OLD`, `pre-receive` gets
/// `OLD NEW REF`. Source: githooks(5).
fn updates() -> anyhow::Result<Vec<Update>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read what git says is pushed")?;
    text.lines().filter(|line| !line.trim().is_empty()).map(update).collect()
}

fn update(line: &str) -> anyhow::Result<Update> {
    let fields: Vec<&str> = line.split(' ').collect();
    let (new, old) = match fields.as_slice() {
        [_, new, _, old] => (new, old),
        [old, new, _] => (new, old),
        _ => bail!("`{line}` is not what git tells hooks of a push; expected 4 fields, or 3 on a server"),
    };
    let oid = |hex: &str| match Oid::from_hex(hex.as_bytes()) {
        Some(oid) => Ok(Some(oid).filter(|oid| !oid.is_zero())),
        None => bail!("`{hex}` is no name of an object with SHA-1; other formats are not known yet"),
    };
    Ok(Update { new: oid(new)?, old: oid(old)? })
}

/// What a push brings that is not there yet, as far as this side knows: what the refs had before, and what the remote had
/// when it was last seen.
fn pushed(repository: &Repository, updates: &[Update], remote: Option<&str>) -> anyhow::Result<Pushed> {
    let mut known: Vec<Oid> = updates.iter().filter_map(|update| update.old).collect();
    let seen = remote.map(|remote| format!("refs/remotes/{remote}/"));
    let refs = all_refs(repository)?;
    let of_remote = refs.iter().filter(|(name, _)| seen.as_ref().is_some_and(|seen| name.starts_with(seen.as_str())));
    known.extend(of_remote.map(|(_, target)| *target));
    Ok(Pushed { new: updates.iter().filter_map(|update| update.new).collect(), known })
}

/// What a push brings that no ref leads to yet.
fn received(repository: &Repository, updates: &[Update]) -> anyhow::Result<Pushed> {
    let known = all_refs(repository)?.into_iter().map(|(_, target)| target).collect();
    Ok(Pushed { new: updates.iter().filter_map(|update| update.new).collect(), known })
}

fn all_refs(repository: &Repository) -> anyhow::Result<Vec<(String, Oid)>> {
    let mut errors = Vec::new();
    let refs = repository.refs(&mut errors);
    if let Some((name, words)) = errors.first() {
        bail!("{}: {words}", name.display());
    }
    Ok(refs.into_iter().map(|known| (known.name, known.target)).collect())
}
