//! Clones repositories with the user's own git, so that their credentials, proxies and settings of ssh hold.

use super::target::shown_url;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The only ways to reach a repository: others run programs (`ext::`), or are neither private nor authentic.
const SCHEMES: &str = "https:ssh:file";

/// The maximum number of bytes kept of what git says.
const MAX_WORDS: usize = 4096;

/// The maximum size of a list of refs, in bytes.
const MAX_REFS: usize = 256 << 20;

/// How often a running git is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How repositories are cloned.
#[derive(Debug, Clone)]
pub struct Cloner {
    /// The folder for clones.
    pub dir: PathBuf,
    /// How long a clone may take.
    pub time_limit: Duration,
    /// How often what looks like a problem of the network is tried again.
    pub retries: u32,
    /// Keep clones after they were scanned.
    pub keeps: bool,
}

/// A repository could not be cloned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneError {
    /// Words for it, without anything secret.
    pub words: String,
    /// True if it may work later.
    pub is_retryable: bool,
}

impl Cloner {
    /// A hash of the refs of a repository and what each points to. If it did not change, neither did the repository.
    ///
    /// # Errors
    /// If git cannot tell.
    pub fn refs(&self, url: &str) -> Result<String, CloneError> {
        let listed = self.with_retries(url, || {
            let (mut git, url) = git(url);
            git.args(["ls-remote", "--symref", "--", &url]).stdout(Stdio::piped());
            Ok(git)
        })?;
        Ok(data_encoding::HEXLOWER.encode(&Sha256::digest(&listed)[..16]))
    }

    /// Where a repository is cloned to.
    pub fn place(&self, url: &str) -> PathBuf {
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
    pub fn mirror(&self, url: &str) -> Result<PathBuf, CloneError> {
        let place = self.place(url);
        let failed = |error: &io::Error| CloneError {
            words: format!("{}: {}", place.display(), crate::file::describe(error)),
            is_retryable: true,
        };
        std::fs::create_dir_all(&self.dir).map_err(|error| failed(&error))?;
        let is_there = place.join("HEAD").is_file();
        let unfinished = place.with_extension("unfinished");
        let cloned = self.with_retries(url, || {
            let (mut git, url) = git(url);
            git.stdout(Stdio::null());
            if is_there {
                git.arg("--git-dir").arg(&place).args(["remote", "update", "--prune"]);
            } else {
                // What an attempt before left behind.
                if unfinished.exists() {
                    std::fs::remove_dir_all(&unfinished)?;
                }
                git.args(["clone", "--quiet", "--mirror", "--", &url]).arg(&unfinished);
            }
            Ok(git)
        });
        if !is_there {
            match &cloned {
                Ok(_) => std::fs::rename(&unfinished, &place).map_err(|error| failed(&error))?,
                Err(_) => _ = std::fs::remove_dir_all(&unfinished),
            }
        }
        cloned.map(|_| place)
    }

    /// Deletes a clone, unless clones are kept.
    pub fn remove(&self, place: &Path) {
        if !self.keeps {
            _ = std::fs::remove_dir_all(place);
        }
    }

    fn with_retries(&self, url: &str, command: impl Fn() -> io::Result<Command>) -> Result<Vec<u8>, CloneError> {
        let mut attempt = 0;
        loop {
            let outcome = command().and_then(|mut git| run(&mut git, self.time_limit));
            let error = match outcome {
                Ok(Output { listed, is_success: true, .. }) => return Ok(listed),
                Ok(output) => explain(&output, url, self.time_limit),
                Err(error) => CloneError {
                    words: format!("git cannot be run: {}", crate::file::describe(&error)),
                    is_retryable: error.kind() != io::ErrorKind::NotFound,
                },
            };
            if !error.is_retryable || attempt == self.retries {
                return Err(error);
            }
            std::thread::sleep(Duration::from_secs(1 << attempt.min(6)));
            attempt += 1;
        }
    }
}

/// git, as it must be run where nobody can answer questions, and the URL as it may stand in its arguments, which others
/// can see: a user and password in it are passed as a setting in the environment.
fn git(url: &str) -> (Command, String) {
    let mut git = Command::new("git");
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", SCHEMES)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    for (name, usual) in [("GIT_ASKPASS", "true"), ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")] {
        if std::env::var_os(name).is_none() {
            git.env(name, usual);
        }
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        git.env_remove(name);
    }
    let Some((whole, bare)) = with_credentials(url) else { return (git, url.to_owned()) };
    let count = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0_u32);
    git.env("GIT_CONFIG_COUNT", (count + 1).to_string())
        .env(format!("GIT_CONFIG_KEY_{count}"), format!("url.{whole}.insteadOf"))
        .env(format!("GIT_CONFIG_VALUE_{count}"), &bare);
    (git, bare)
}

/// A URL of the web with a user or password in it, and without.
fn with_credentials(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (_, host) = rest[..end].rsplit_once('@')?;
    Some((url, format!("{scheme}://{host}{}", &rest[end..])))
}

struct Output {
    listed: Vec<u8>,
    words: Vec<u8>,
    is_success: bool,
    is_late: bool,
}

/// Runs a program and ends it, with all that it started, when its time is over.
fn run(command: &mut Command, time_limit: Duration) -> io::Result<Output> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let listed = scope.spawn(|| out.map(|out| read(out, MAX_REFS)).unwrap_or_default());
        let words = scope.spawn(|| err.map(|err| read(err, MAX_WORDS)).unwrap_or_default());
        let started = Instant::now();
        let (status, is_late) = loop {
            if let Some(status) = child.try_wait()? {
                break (status, false);
            }
            if started.elapsed() >= time_limit {
                end(&mut child)?;
                break (child.wait()?, true);
            }
            std::thread::sleep(POLL);
        };
        let listed = listed.join().unwrap_or_default();
        let words = words.join().unwrap_or_default();
        Ok(Output { listed, words, is_success: status.success() && !is_late, is_late })
    })
}

/// Ends a program and those that it started: git leaves the network to others.
fn end(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    {
        let group = format!("-{}", child.id());
        // There is no safe call for it.
        let sent = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        if sent.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    child.kill()
}

/// Reads the first bytes of a stream, and the rest without keeping it.
fn read(mut stream: impl Read, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    _ = stream.by_ref().take(most as u64).read_to_end(&mut bytes);
    _ = io::copy(&mut stream, &mut io::sink());
    bytes
}

/// What went wrong, in git's words but without the URL as it was given.
fn explain(output: &Output, url: &str, time_limit: Duration) -> CloneError {
    if output.is_late {
        let words = format!("git did not finish within {} s; --clone-timeout gives it more time", time_limit.as_secs());
        return CloneError { words, is_retryable: true };
    }
    let text = String::from_utf8_lossy(&output.words).replace(url, &shown_url(url));
    let told = |line: &&str| line.starts_with("fatal:") || line.starts_with("ERROR:") || line.contains("error:");
    let line = text.lines().find(told).or_else(|| text.lines().last()).unwrap_or("git failed and said nothing");
    let words = crate::text::mask::hide_long_words(&without_credentials(line));
    CloneError { is_retryable: is_of_network(&text), words: crate::text::sanitize::one_line(&words) }
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
        let url = "https://ann:hunter2@example.com/a.git";
        for line in [
            "fatal: unable to access 'https://ann:hunter2@example.com/a.git/': Could not resolve host: example.com",
            "fatal: could not read from https://ann:hunter2@example.com/b.git",
        ] {
            let output = Output { listed: vec![], words: line.into(), is_success: false, is_late: false };
            let error = explain(&output, url, Duration::ZERO);
            assert!(!error.words.contains("hunter2"), "{}", error.words);
            assert_eq!(error.is_retryable, line.contains("resolve"));
        }
    }

    #[test]
    fn passwords_are_in_no_argument() {
        let (git, url) = git("https://ann:hunter2@example.com/a.git");
        assert_eq!(url, "https://example.com/a.git");
        let settings: Vec<_> =
            git.get_envs().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_CONFIG_")).collect();
        assert!(settings.iter().any(|(_, value)| value.is_some_and(|text| text.to_string_lossy().contains("hunter2"))));
        assert_eq!(super::git("git@example.com:a.git").1, "git@example.com:a.git");
    }

    #[test]
    fn clones_have_names_of_their_own() {
        let cloner = Cloner { dir: "clones".into(), time_limit: Duration::ZERO, retries: 0, keeps: false };
        let (one, other) = (cloner.place("https://example.com/../../a.git"), cloner.place("https://example.org/a.git"));
        assert_ne!(one, other);
        assert!(one.to_string_lossy().starts_with("clones/a-"), "{}", one.display());
    }
}
