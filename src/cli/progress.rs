//! The progress bar on standard error.

use crate::audit::run::AuditProgress;
use crate::scan::Progress;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The redraw interval. The bar is first drawn after one interval, so that short runs do not flicker.
const EVERY: Duration = Duration::from_millis(150);

/// Runs `work` and shows `progress` meanwhile, if wanted and standard error is a terminal.
pub fn shown<T>(progress: &Progress, is_wanted: bool, work: impl FnOnce() -> T) -> T {
    while_drawing(|is_done| draw(progress, is_done), is_wanted, work)
}

/// The same for an audit.
pub fn shown_audit<T>(progress: &AuditProgress, is_wanted: bool, work: impl FnOnce() -> T) -> T {
    while_drawing(|is_done| draw_audit(progress, is_done), is_wanted, work)
}

fn while_drawing<T>(draw: impl FnOnce(&Receiver<()>) + Send, is_wanted: bool, work: impl FnOnce() -> T) -> T {
    if !is_wanted || !io::stderr().is_terminal() {
        return work();
    }
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || draw(&is_done));
        let outcome = work();
        // Stops the drawing thread.
        drop(done);
        outcome
    })
}

fn draw_audit(progress: &AuditProgress, is_done: &Receiver<()>) {
    let started = Instant::now();
    let style = ProgressStyle::with_template("{bar:20} {percent:>3}% {wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
    while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
        let (total, done) = (count(&progress.total), count(&progress.done));
        let bytes = progress.bytes_read();
        let total_bytes = progress.total_bytes.load(Ordering::Relaxed);
        if total == 0 {
            continue;
        }
        // Each unit takes some time, however small it is.
        const OF_UNIT: u64 = 1 << 16;
        bar.set_length(total_bytes + total * OF_UNIT);
        bar.set_position(bytes + done * OF_UNIT);
        let speed = bytes as f64 / started.elapsed().as_secs_f64();
        let left = if bytes + done > 0 { format!(", {} left", HumanDuration(bar.eta())) } else { String::new() };
        bar.set_message(format!(
            "{} of {} units, {}/s{left}, {} places with keys",
            HumanCount(done),
            HumanCount(total),
            HumanBytes(speed as u64),
            HumanCount(count(&progress.found)),
        ));
        if bar.is_hidden() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
    bar.finish_and_clear();
}

fn draw(progress: &Progress, is_done: &Receiver<()>) {
    let started = Instant::now();
    // The message takes what room there is.
    let style = ProgressStyle::with_template("{bar:20} {percent:>3}% {wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
    while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (objects, commits) = (count(&progress.objects), count(&progress.commits));
        let (total, done, noun) = match (objects, commits) {
            (0, 0) => continue,
            (0, commits) => (count(&progress.total_commits), commits, "commits"),
            (objects, _) => (count(&progress.total), objects, "objects"),
        };
        bar.set_length(total);
        bar.set_position(done);
        let mut message = format!("{} of {} {noun}", HumanCount(done), HumanCount(total));
        if objects > 0 {
            let speed = count(&progress.bytes) as f64 / started.elapsed().as_secs_f64();
            message += &format!(", {}/s, {} with findings", HumanBytes(speed as u64), count(&progress.hits));
        }
        bar.set_message(format!("{message}, {} left", HumanDuration(bar.eta())));
        if bar.is_hidden() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
    bar.finish_and_clear();
}
