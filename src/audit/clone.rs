//! Clones repositories with the user's own git, so that their credentials, proxies and settings of ssh hold.

use super::state::StateError;
use super::target::shown_url;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The only ways to reach a repository: others run programs (`ext::`), or are neither private nor authentic.
const SCHEMES: &str = "https:ssh:file";

/// The maximum number of bytes kept of what git says.
const MAX_WORDS: usize = 4096;

/// The maximum size of a list of refs, in bytes: of a million refs.
const MAX_REFS: usize = 64 << 20;

/// The file in a clone that is to be kept, whatever later audits do.
const KEPT: &str = "keyspill-kept";

/// The extension of a clone that is being made.
const UNFINISHED: &str = "unfinished";

/// How often a running git is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How long what git started may keep its output open after git has ended: a shared connection of ssh does.
const LINGER: Duration = Duration::from_secs(1);

/// The number of each git that is running, which are ended with the program.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// How repositories are cloned.
#[derive(Debug)]
pub struct Cloner {
    /// The folder for clones.
    dir: PathBuf,
    /// How long a clone may take.
    time_limit: Duration,
    /// How often what looks like a problem of the network is tried again.
    retries: u32,
    /// Keep clones after they were scanned.
    keeps: bool,
    /// Held until it is dropped.
    _lock: File,
}

/// A repository could not be cloned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneError {
    /// Words for it, without anything secret.
    pub words: String,
    /// True if it may work later.
    pub is_retryable: bool,
    /// True if trying again at once may help.
    is_of_network: bool,
}

impl CloneError {
    /// It will not work later, either.
    pub fn lasting(words: &str) -> Self {
        Self { words: words.to_owned(), is_retryable: false, is_of_network: false }
    }

    /// A clone cannot be written, moved or removed.
    fn from_disk(place: &Path, error: &io::Error) -> Self {
        let words = format!("{}: {}", place.display(), crate::file::describe(error));
        Self { words, is_retryable: true, is_of_network: false }
    }
}

/// The refs of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refs {
    /// A hash of their names and what each points to. If it did not change, neither did the repository.
    pub digest: String,
    /// The branch at HEAD.
    head: Option<String>,
    /// A hash of the refs alone, as `git show-ref` lists them.
    list: String,
}

impl Cloner {
    /// Clones into a folder, which no other audit may use meanwhile.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn new(dir: PathBuf, time_limit: Duration, retries: u32, keeps: bool) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StateError::Io { path, error }
        };
        make_private(&dir)?;
        let lock = super::state::lock(&dir, ".keyspill-lock")?;
        // What audits that were killed left behind.
        for entry in std::fs::read_dir(&dir).map_err(failed(&dir))?.flatten() {
            let is_unfinished = entry.path().extension().is_some_and(|extension| extension == UNFINISHED);
            if is_unfinished || !keeps && is_clone(&entry.path()) && !entry.path().join(KEPT).exists() {
                _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self { dir, time_limit, retries, keeps, _lock: lock })
    }

    /// The folder for clones.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The refs of a repository.
    ///
    /// # Errors
    /// If git cannot tell.
    pub fn refs(&self, url: &str) -> Result<Refs, CloneError> {
        let listed = self.with_retries(|| {
            let (mut git, url) = git(url);
            git.args(["ls-remote", "--symref", "--", &url]).stdout(Stdio::piped());
            Ok(git)
        })?;
        let lines = || listed.split(|byte| *byte == b'\n');
        let head = lines().find_map(|line| {
            let branch = line.strip_prefix(b"ref: ")?.strip_suffix(b"\tHEAD")?;
            String::from_utf8(branch.to_vec()).ok()
        });
        let list = digest_of_refs(lines());
        Ok(Refs { digest: data_encoding::HEXLOWER.encode(&Sha256::digest(&listed)[..16]), head, list })
    }

    /// Where a repository is cloned to.
    fn place(&self, url: &str) -> PathBuf {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(url)[..8]);
        let url = shown_url(url);
        let name = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name: String = name.trim_end_matches(".git").chars().filter(is_plain).take(40).collect();
        self.dir.join(format!("{name}-{digest}.git"))
    }

    /// Mirrors a repository, or brings its mirror up to date.
    ///
    /// # Errors
    /// If git cannot, in time.
    pub fn mirror(&self, url: &str, refs: &Refs) -> Result<PathBuf, CloneError> {
        let place = self.place(url);
        if place.exists() {
            match self.update(url, &place, refs) {
                Ok(()) => return Ok(place),
                Err(error) if error.is_retryable => return Err(error),
                // What is damaged is cloned anew.
                Err(_) => {
                    std::fs::remove_dir_all(&place).map_err(|error| CloneError::from_disk(&place, &error))?;
                }
            }
        }
        // A git that was started before and goes on has a folder of its own.
        let unfinished = place.with_extension(format!("{}.{UNFINISHED}", std::process::id()));
        let cloned = self.with_retries(|| {
            let (mut git, url) = git(url);
            // What an attempt before left behind.
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished)?;
            }
            git.args(["clone", "--quiet", "--mirror", "--", &url]).arg(&unfinished).stdout(Stdio::null());
            Ok(git)
        });
        match cloned {
            Ok(_) => {
                if self.keeps {
                    _ = std::fs::write(unfinished.join(KEPT), "");
                }
                std::fs::rename(&unfinished, &place).map_err(|error| CloneError::from_disk(&place, &error))?;
            }
            Err(error) => {
                _ = std::fs::remove_dir_all(&unfinished);
                return Err(error);
            }
        }
        Ok(place)
    }

    /// Brings a mirror up to date. It fails if it then has other refs than the repository: what was taken out of that would
    /// stay in the mirror, so it must be made anew.
    fn update(&self, url: &str, place: &Path, refs: &Refs) -> Result<(), CloneError> {
        // What is another user's is made anew.
        if !is_own(place).map_err(|error| CloneError::from_disk(place, &error))? {
            return Err(CloneError::lasting("the mirror belongs to another user"));
        }
        self.with_retries(|| {
            let (mut git, url) = git(url);
            // Nothing that the mirror's own settings say of a remote counts.
            git.arg("--git-dir").arg(place).args([
                "fetch",
                "--quiet",
                "--no-auto-maintenance",
                "--",
                &url,
                "refs/*:refs/*",
            ]);
            git.stdout(Stdio::null());
            Ok(git)
        })?;
        let listed = self.with_retries(|| {
            let (mut git, _) = git(url);
            git.arg("--git-dir").arg(place).args(["show-ref"]).stdout(Stdio::piped());
            Ok(git)
        })?;
        if digest_of_refs(listed.split(|byte| *byte == b'\n')) != refs.list {
            return Err(CloneError::lasting("the mirror has other refs than the repository"));
        }
        if let Some(head) = &refs.head {
            self.with_retries(|| {
                let (mut git, _) = git(url);
                git.arg("--git-dir").arg(place).args(["symbolic-ref", "HEAD", head]).stdout(Stdio::null());
                Ok(git)
            })?;
        }
        Ok(())
    }

    /// Deletes a clone, unless clones are kept.
    pub fn remove(&self, place: &Path) {
        if !self.keeps {
            _ = std::fs::remove_dir_all(place);
        }
    }

    fn with_retries(&self, command: impl Fn() -> io::Result<Command>) -> Result<Vec<u8>, CloneError> {
        let mut attempt = 0;
        loop {
            let outcome = command().and_then(|mut git| run(&mut git, self.time_limit));
            let error = match outcome {
                Ok(Output { listed, is_success: true, .. }) => return Ok(listed),
                Ok(output) => explain(&output, self.time_limit),
                Err(error) => CloneError {
                    words: format!("git cannot be run: {}", crate::file::describe(&error)),
                    is_retryable: error.kind() != io::ErrorKind::NotFound,
                    is_of_network: false,
                },
            };
            if !error.is_of_network || attempt == self.retries {
                return Err(error);
            }
            std::thread::sleep(Duration::from_secs(1 << attempt.min(6)));
            attempt += 1;
        }
    }
}

/// True if the user in a URL is a token that needs no password: as hosts take them, before a colon or by itself.
fn is_token(url: &str, user: &str) -> bool {
    url.contains(":@") || user.len() >= 20 && user.bytes().any(|b| b.is_ascii_digit())
}

/// True for a folder with a name as [`Cloner::place`] makes them, which has a mirror in it.
fn is_clone(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".git"));
    let digest = name.and_then(|name| name.rsplit_once('-')).map(|(_, digest)| digest);
    let is_digest = digest.is_some_and(|digest| digest.len() == 16 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
    is_digest && path.join("HEAD").is_file() && path.join("objects").is_dir()
}

/// Ends every git that is running.
pub fn end_all() {
    for id in std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner)) {
        end_group(id);
    }
}

/// git, as it must be run where nobody can answer questions, and the URL as it may stand in its arguments, which others
/// can see. A user and password in it are handed over by a helper that reads them from the environment.
fn git(url: &str) -> (Command, String) {
    let mut git = Command::new("git");
    // Programs that a mirror names are never run.
    git.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]);
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", SCHEMES)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    // Whatever ssh asks, nobody answers.
    for (name, usual) in [("SSH_ASKPASS", "false"), ("SSH_ASKPASS_REQUIRE", "force")] {
        if std::env::var_os(name).is_none() {
            git.env(name, usual);
        }
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        git.env_remove(name);
    }
    let bare = shown_url(url);
    if let Some((user, password)) = web_credentials(url) {
        let helper =
            "!f() { printf 'username=%s\\npassword=%s\\n' \"$KEYSPILL_GIT_USER\" \"$KEYSPILL_GIT_PASSWORD\"; }; f";
        let settings = if password.is_empty() && !is_token(url, &user) {
            // The user's own helpers know the password.
            vec![("credential.username", user)]
        } else {
            git.env("KEYSPILL_GIT_USER", user).env("KEYSPILL_GIT_PASSWORD", password);
            // The first setting makes git forget other helpers.
            vec![("credential.helper", String::new()), ("credential.helper", helper.to_owned())]
        };
        let known = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0_usize);
        git.env("GIT_CONFIG_COUNT", (known + settings.len()).to_string());
        for (number, (key, value)) in settings.into_iter().enumerate() {
            git.env(format!("GIT_CONFIG_KEY_{}", known + number), key);
            git.env(format!("GIT_CONFIG_VALUE_{}", known + number), value);
        }
    }
    (git, bare)
}

/// True if a user or password has characters that no protocol can carry, and that could be taken for more lines.
pub fn has_control_characters(url: &str) -> bool {
    web_credentials(url)
        .is_some_and(|(user, password)| [user, password].iter().any(|text| text.contains(char::is_control)))
}

/// A hash of refs, from lines of `git ls-remote` or `git show-ref`.
fn digest_of_refs<'a>(lines: impl Iterator<Item = &'a [u8]>) -> String {
    let mut refs: Vec<(&[u8], &[u8])> = lines
        .filter_map(|line| {
            let (id, name) = line.split_at_checked(line.iter().position(|byte| matches!(byte, b' ' | b'\t'))?)?;
            let name = &name[1..];
            (name.starts_with(b"refs/") && !name.ends_with(b"^{}")).then_some((name, id))
        })
        .collect();
    refs.sort_unstable();
    let mut hash = Sha256::new();
    for (name, id) in refs {
        hash.update(name);
        hash.update(b" ");
        hash.update(id);
        hash.update(b"\n");
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

/// Makes the folder for clones, if there is none. What others can write to is refused: git does what a repository's
/// settings say.
fn make_private(dir: &Path) -> Result<(), StateError> {
    let failed = |error| StateError::Io { path: dir.to_owned(), error };
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir).map_err(failed)?;
    let refused = |problem| Err(StateError::Refused { path: dir.to_owned(), problem });
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&dir.metadata().map_err(failed)?) & 0o022 != 0 {
        return refused("others can write to it, and git does what a clone's settings say; use a folder of your own");
    }
    if is_own(dir).map_err(failed)? { Ok(()) } else { refused("it belongs to another user; use a folder of your own") }
}

/// True if a file or folder belongs to the user who runs this program.
#[cfg(unix)]
fn is_own(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    // Whoever makes a file owns it.
    Ok(tempfile::tempfile()?.metadata()?.uid() == path.symlink_metadata()?.uid())
}

#[cfg(not(unix))]
fn is_own(_path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// User and password in a URL of the web, decoded.
fn web_credentials(url: &str) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (user, _) = rest[..end].rsplit_once('@')?;
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decoded(user), decoded(password)))
}

struct Output {
    listed: Vec<u8>,
    words: Vec<u8>,
    is_success: bool,
    is_late: bool,
    /// True if it was ended by a signal.
    was_killed: bool,
}

/// Runs a program and ends it, with all that it started, when its time is over.
fn run(command: &mut Command, time_limit: Duration) -> io::Result<Output> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    let id = child.id();
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    let listed = child.stdout.take().map(|out| Reading::start(out, MAX_REFS));
    let words = child.stderr.take().map(|err| Reading::start(err, MAX_WORDS));
    let started = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok((status, false)),
            Ok(None) if started.elapsed() >= time_limit => {
                end_group(id);
                _ = child.kill();
                break child.wait().map(|status| (status, true));
            }
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => break Err(error),
        }
    };
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    let (status, is_late) = ended?;
    let until = Instant::now() + LINGER;
    let read = |reading: Option<Reading>| reading.map(|reading| reading.finish(until)).unwrap_or_default();
    Ok(Output {
        listed: read(listed),
        words: read(words),
        is_success: status.success() && !is_late,
        is_late,
        was_killed: status.code().is_none(),
    })
}

/// Ends the programs of a group: git leaves the network to others.
fn end_group(id: u32) {
    if cfg!(unix) {
        // There is no safe call for it.
        _ = Command::new("kill").args(["-KILL", "--", &format!("-{id}")]).stderr(Stdio::null()).status();
    }
}

/// A stream that is read meanwhile.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    is_done: Receiver<()>,
}

impl Reading {
    /// Keeps the first bytes, and reads the rest without keeping it.
    fn start(mut stream: impl Read + Send + 'static, most: usize) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (done, is_done) = channel();
        let kept = bytes.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = most.saturating_sub(kept.len()).min(length);
                kept.extend_from_slice(&buffer[..room]);
            }
            // Nobody waits any more if it took too long.
            _ = done.send(());
        });
        Self { bytes, is_done }
    }

    /// What was read until the stream ended, or until then.
    fn finish(self, until: Instant) -> Vec<u8> {
        _ = self.is_done.recv_timeout(until.saturating_duration_since(Instant::now()));
        std::mem::take(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What went wrong, in git's words but without the URL as it was given.
fn explain(output: &Output, time_limit: Duration) -> CloneError {
    if output.is_late {
        let words = format!("git did not finish within {} s; --clone-timeout gives it more time", time_limit.as_secs());
        return CloneError { words, is_retryable: true, is_of_network: false };
    }
    let text = String::from_utf8_lossy(&output.words);
    let told = |line: &&str| line.starts_with("fatal:") || line.starts_with("ERROR:") || line.contains("error:");
    // What ssh says comes before what git makes of it.
    let of_ssh = |line: &&str| {
        line.starts_with("ssh:")
            || line.starts_with("Host key verification failed")
            || line.contains("Permission denied")
    };
    let line = text.lines().find(of_ssh).or_else(|| text.lines().find(told)).or_else(|| text.lines().last());
    let line = line.unwrap_or("git failed and said nothing");
    let words = crate::text::mask::hide_long_words(&without_credentials(line));
    let is_of_network = is_of_network(&text);
    // Memory and disks may have room later.
    let is_of_machine = output.was_killed || text.contains("No space left on device") || text.contains("Disk quota");
    CloneError {
        is_retryable: is_of_network || is_of_machine,
        is_of_network,
        words: crate::text::sanitize::one_line(&words),
    }
}

/// A line without users and passwords in the URLs in it.
fn without_credentials(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.find("://") {
        Some(at) if word[at + 3..].contains('@') => {
            let (scheme, rest) = word.split_at(at + 3);
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}{host}")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_of_network(text: &str) -> bool {
    const SIGNS: [&str; 14] = [
        "Could not resolve host",
        "Connection refused",
        "Connection reset",
        "Connection timed out",
        "Connection closed",
        "Failed to connect",
        "unable to connect",
        "early EOF",
        "RPC failed",
        "The requested URL returned error: 5",
        "The requested URL returned error: 429",
        "Temporary failure in name resolution",
        "unexpected disconnect",
        "Operation timed out",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_in_what_git_says() {
        for line in [
            "fatal: unable to access 'https://ann:hunter2@example.com/a.git/': Could not resolve host: example.com",
            "fatal: could not read from https://ann:hunter2@example.com/b.git",
        ] {
            let output =
                Output { listed: vec![], words: line.into(), is_success: false, is_late: false, was_killed: false };
            let error = explain(&output, Duration::ZERO);
            assert!(!error.words.contains("hunter2"), "{}", error.words);
            assert_eq!(error.is_retryable, line.contains("resolve"));
        }
    }

    #[test]
    fn passwords_are_in_no_argument() {
        let (git, url) = git("https://ann:hunt%2Fer2@example.com/a.git");
        assert_eq!(url, "https://example.com/a.git");
        let of = |name: &str| git.get_envs().find(|(known, _)| *known == name).and_then(|(_, value)| value);
        assert_eq!(of("KEYSPILL_GIT_USER"), Some("ann".as_ref()));
        assert_eq!(of("KEYSPILL_GIT_PASSWORD"), Some("hunt/er2".as_ref()));
        assert_eq!(super::git("git@example.com:a.git").1, "git@example.com:a.git");
        assert_eq!(super::git("ssh://git:hunter2@example.com/a.git").1, "ssh://git@example.com/a.git");
    }

    #[test]
    fn without_a_password_the_users_helpers_are_asked() {
        let (git, url) = git("https://ann@example.com/a.git");
        assert_eq!(url, "https://example.com/a.git");
        let settings: Vec<_> = git.get_envs().filter_map(|(_, value)| value).collect();
        assert!(settings.contains(&"credential.username".as_ref()) && settings.contains(&"ann".as_ref()));
        assert!(!settings.contains(&"credential.helper".as_ref()), "{settings:?}");
        for url in ["https://short:@example.com/a.git", "https://abcdefghij0123456789@example.com/a.git"] {
            let (git, _) = super::git(url);
            let users: Vec<_> = git.get_envs().filter(|(name, _)| *name == "KEYSPILL_GIT_USER").collect();
            assert_eq!(users.len(), 1, "{url}: a token is handed over, and is in no prompt");
        }
    }

    #[test]
    fn what_a_killed_audit_left_is_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let new = |keeps| Cloner::new(dir.path().to_owned(), Duration::ZERO, 0, keeps).expect("a cloner");
        let url = "https://example.com/a.git";
        let make = || {
            let place = new(true).place(url);
            std::fs::create_dir_all(place.join("objects")).expect("a folder");
            std::fs::write(place.join("HEAD"), "ref: refs/heads/main\n").expect("a file");
            place
        };
        let place = make();
        std::fs::create_dir_all(dir.path().join("mine-0123456789abcdef.git")).expect("a folder");
        std::fs::write(place.join(KEPT), "").expect("a file");
        drop(new(false));
        assert!(place.exists(), "it was kept on purpose, maybe by another audit");
        std::fs::remove_file(place.join(KEPT)).expect("ours");
        drop(new(false));
        assert!(!place.exists());
        assert!(dir.path().join("mine-0123456789abcdef.git").exists(), "it is no mirror");
    }

    #[test]
    fn clones_have_names_of_their_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let cloner = Cloner::new(dir.path().to_owned(), Duration::ZERO, 0, false).expect("a cloner");
        let (one, other) = (cloner.place("https://example.com/../../a.git"), cloner.place("https://example.org/a.git"));
        assert_ne!(one, other);
        assert!(one.starts_with(dir.path()) && one.to_string_lossy().contains("/a-"), "{}", one.display());
        assert!(Cloner::new(dir.path().to_owned(), Duration::ZERO, 0, false).is_err(), "it is in use");
    }
}
