//! Writing to standard output, standard error and report files.

use crate::text::sanitize::{sanitize, to_json};
use anyhow::Context;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR`, CLICOLOR=0 or TERM=dumb say otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColourChoice {
    /// True if standard output gets colours.
    pub fn for_stdout(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
        }
    }
}

/// Writes to standard output.
pub fn stdout(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// The file that is being written and has not taken its place yet.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Makes Ctrl-C, and a request to terminate, end the program at once with 130 and leave no unfinished file behind.
pub fn end_at_once_on_interrupt() {
    // Without a handler the system ends the program, too, only less tidily.
    _ = ctrlc::set_handler(|| {
        if let Some(path) = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).take() {
            _ = std::fs::remove_file(path);
        }
        if io::stderr().is_terminal() {
            // A progress bar may stand there.
            _ = write!(io::stderr(), "\r\x1b[K");
        }
        std::process::exit(130);
    });
}

/// A file with the rights that any other new file gets.
#[cfg(unix)]
fn temporary_in(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)).tempfile_in(dir)
}

/// A file with the rights that any other new file gets.
#[cfg(not(unix))]
fn temporary_in(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().tempfile_in(dir)
}

/// Writes a file as a whole or not at all: to a temporary file beside it, which then takes its place.
pub fn file(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        // A pipe or device (`/dev/stderr`) cannot be replaced.
        if path.exists() && !path.is_file() {
            return std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut temporary = temporary_in(dir)?;
        let unfinished = |path| *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) = path;
        unfinished(Some(temporary.path().to_owned()));
        let written = temporary.write_all(text.as_bytes()).and_then(|()| Ok(temporary.persist(path)?));
        unfinished(None);
        written.map(|_| ())
    };
    write().with_context(|| format!("cannot write the report to {}", path.display()))
}

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// JSON Lines: `{"level": …, "message": …}`.
    Json,
}

/// How diagnostics are written, and whether those that only inform are, too.
static LOG: OnceLock<(LogFormat, bool)> = OnceLock::new();

/// Sets how diagnostics are written. Only the first call counts.
pub fn configure(format: LogFormat, is_verbose: bool) {
    _ = LOG.set((format, is_verbose));
}

/// Tells what is done, if that was asked for.
pub fn info(text: &str) {
    if LOG.get().is_some_and(|(_, is_verbose)| *is_verbose) {
        say("info", text);
    }
}

/// Writes a text for people to standard error.
pub fn diagnostics(text: &str) {
    // Nobody can be told if standard error is gone.
    text.lines().for_each(|line| _ = writeln!(io::stderr(), "{}", sanitize(line)));
}

/// Tells of an error on standard error.
pub fn error(text: &str) {
    say("error", text);
}

/// Tells of something odd on standard error.
pub fn warning(text: &str) {
    say("warning", text);
}

fn say(level: &str, text: &str) {
    let lines: Vec<_> = text.lines().map(sanitize).collect();
    if let Some((LogFormat::Json, _)) = LOG.get() {
        let line = serde_json::json!({ "level": level, "message": lines.join("\n") });
        _ = writeln!(io::stderr(), "{}", to_json(&line).unwrap_or_default());
        return;
    }
    // Nobody can be told if standard error is gone.
    _ = writeln!(io::stderr(), "keyspill: {level}: {}", lines.join("\n"));
}

/// Makes a panic tell its place and not its message, which may quote the text that brought it about, and so a secret.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        if crate::foreign::is_running() {
            return;
        }
        let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        error(&format!("internal error{place}; please report it"));
    }));
}

/// True if a person sees both streams.
pub fn both_on_terminal() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// True if the reader of standard output has gone, which is not an error of ours.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe))
}
