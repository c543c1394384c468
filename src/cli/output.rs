//! Writing to standard output, standard error and report files.

use crate::report::Layout;
use crate::text::sanitize::{sanitize, to_json};
use anyhow::{Context, bail};
use clap::ArgMatches;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR, CLICOLOR=0 or TERM=dumb is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColourChoice {
    /// True if standard output should be coloured.
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
    stdout_with(|out| out.write_all(text.as_bytes()))
}

/// Writes to standard output as `write` does.
pub fn stdout_with(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Assigns each --output to the --format before it. A single --output may also precede its --format.
pub fn pair_formats<F: Copy>(
    matches: &ArgMatches,
    formats: &[F],
    outputs: &[PathBuf],
    usual: F,
) -> anyhow::Result<Vec<(F, Option<PathBuf>)>> {
    let indices = |name| matches.indices_of(name).into_iter().flatten();
    let formats = indices("format").zip(formats).map(|(at, format)| (at, Some(*format), None));
    let outputs = indices("output").zip(outputs).map(|(at, output)| (at, None, Some(output.clone())));
    let mut typed: Vec<_> = formats.chain(outputs).collect();
    typed.sort_by_key(|(at, _, _)| *at);
    if let [(_, None, Some(_)), (_, Some(_), None)] = &typed[..] {
        typed.swap(0, 1);
    }
    let mut pairs: Vec<(F, Option<PathBuf>)> = Vec::new();
    for (_, format, output) in typed {
        match (format, output, pairs.last_mut()) {
            (Some(format), _, _) => pairs.push((format, None)),
            (None, output, None) => pairs.push((usual, output)),
            (None, output, Some(last)) if last.1.is_none() => last.1 = output,
            (None, output, Some(_)) => {
                let file = output.unwrap_or_default();
                bail!("--output {} has no --format of its own: put its --format before it", file.display());
            }
        }
    }
    if pairs.is_empty() {
        pairs.push((usual, None));
    }
    for (_, output) in &mut pairs {
        output.take_if(|output| output == Path::new("-"));
    }
    let mut files: Vec<_> = pairs.iter().filter_map(|(_, output)| output.as_ref()).collect();
    files.sort();
    if let Some(twice) = files.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("--output {} is given twice: each report needs a file of its own", twice[0].display());
    }
    if pairs.iter().filter(|(_, output)| output.is_none()).count() > 1 {
        bail!("only one --format can go to standard output: give each of the others an --output");
    }
    Ok(pairs)
}

/// Size of the buffer for reports, in bytes.
const BUFFER: usize = 1 << 18;

/// How text is laid out on standard output: on a terminal in colour, as wide as that, and with the worst last.
pub fn layout(colour: ColourChoice) -> Layout {
    let is_terminal = io::stdout().is_terminal();
    let width = is_terminal.then(textwrap::termwidth);
    Layout { colour: colour.for_stdout(), width, worst_last: is_terminal }
}

/// Has a temporary folder removed if the program is interrupted.
pub fn remove_on_interrupt(dir: &Path) {
    *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir.to_owned());
}

/// The temporary file that is being written and has not been renamed yet, or a temporary folder.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Makes Ctrl-C and termination requests exit at once with code 130, without leaving an unfinished file behind.
pub fn end_at_once_on_interrupt() {
    // Without a handler, the system still ends the program, only less tidily.
    _ = ctrlc::set_handler(|| {
        // Held to the end: no file is begun any more.
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = unfinished.take() {
            _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
        crate::audit::clone::end_all();
        if io::stderr().is_terminal() {
            // Erase a progress bar.
            _ = write!(io::stderr(), "\r\x1b[K");
        }
        std::process::exit(130);
    });
}

/// A temporary file with the usual permissions of a new file.
#[cfg(unix)]
fn temporary_in(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)).tempfile_in(dir)
}

/// A temporary file with the usual permissions of a new file.
#[cfg(not(unix))]
fn temporary_in(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().tempfile_in(dir)
}

/// Writes a file atomically: to a temporary file in the same directory, which is then renamed.
pub fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        // A pipe or device (`/dev/stderr`) cannot be replaced.
        if path.exists() && !path.is_file() {
            let mut out = io::BufWriter::with_capacity(BUFFER, std::fs::OpenOptions::new().write(true).open(path)?);
            write(&mut out)?;
            return out.flush();
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Whoever interrupts finds it noted, or does not find it.
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut temporary = temporary_in(dir)?;
        *unfinished = Some(temporary.path().to_owned());
        drop(unfinished);
        let mut out = io::BufWriter::with_capacity(BUFFER, &mut temporary);
        let written = write(&mut out).and_then(|()| out.flush());
        drop(out);
        let written = written.and_then(|()| Ok(temporary.persist(path)?));
        *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) = None;
        written.map(|_| ())
    };
    write().map_err(|error| match error.kind() {
        // Whoever reads a pipe may stop.
        io::ErrorKind::BrokenPipe => error.into(),
        // The system's words alone: a temporary file's name means nothing to anyone.
        _ => anyhow::anyhow!("cannot write {}: {}", path.display(), crate::file::describe(&error)),
    })
}

/// The format of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// JSON Lines: `{"level": …, "message": …}`.
    Json,
}

/// The format of diagnostics, and whether informational ones are written.
static LOG: OnceLock<(LogFormat, bool)> = OnceLock::new();

/// Sets the format and verbosity of diagnostics. Only the first call takes effect.
pub fn configure(format: LogFormat, is_verbose: bool) {
    _ = LOG.set((format, is_verbose));
}

/// Writes an informational message in verbose mode.
pub fn info(text: &str) {
    if LOG.get().is_some_and(|(_, is_verbose)| *is_verbose) {
        say("info", text);
    }
}

/// Writes text for people to standard error, without a level or prefix.
pub fn diagnostics(text: &str) {
    // A failure to write to standard error cannot be reported.
    text.lines().for_each(|line| _ = writeln!(io::stderr(), "{}", sanitize(line)));
}

/// Writes an error to standard error.
pub fn error(text: &str) {
    say("error", text);
}

/// Writes a warning to standard error.
pub fn warning(text: &str) {
    say("warning", text);
}

/// Tells what is going to happen.
#[cfg(feature = "verify")]
pub fn notice(text: &str) {
    say("note", text);
}

fn say(level: &str, text: &str) {
    let lines: Vec<_> = text.lines().map(sanitize).collect();
    if let Some((LogFormat::Json, _)) = LOG.get() {
        let line = serde_json::json!({ "level": level, "message": lines.join("\n") });
        _ = writeln!(io::stderr(), "{}", to_json(&line).unwrap_or_default());
        return;
    }
    // A failure to write to standard error cannot be reported.
    _ = writeln!(io::stderr(), "keyspill: {level}: {}", lines.join("\n"));
}

/// Makes panics report their location only. The message may quote the text that caused them, and so a secret.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        if crate::foreign::is_running() {
            return;
        }
        let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        error(&format!("internal error{place}; please report it"));
    }));
}

/// True if standard output and standard error are both terminals.
pub fn both_on_terminal() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// True if the reader of standard output has gone, which is not an error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe))
}
