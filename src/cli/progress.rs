//! The progress bar on standard error.

use crate::scan::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The redraw interval. The bar is first drawn after one interval, so that short runs do not flicker.
const EVERY: Duration = Duration::from_millis(150);

/// Runs `work` and shows `progress` meanwhile, if wanted and standard error is a terminal.
pub fn shown<T>(progress: &Progress, is_wanted: bool, work: impl FnOnce() -> T) -> T {
    if !is_wanted || !io::stderr().is_terminal() {
        return work();
    }
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || draw(progress, &is_done));
        let outcome = work();
        // Stops the drawing thread.
        drop(done);
        outcome
    })
}

fn draw(progress: &Progress, is_done: &Receiver<()>) {
    let started = Instant::now();
    let template = "{bar:30} {human_pos}/{human_len} objects, {msg}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
    while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let total = count(&progress.total);
        if count(&progress.objects) == 0 {
            continue;
        }
        let speed = count(&progress.bytes) as f64 / started.elapsed().as_secs_f64();
        bar.set_length(total);
        bar.set_position(count(&progress.objects));
        bar.set_message(format!("{}/s, {} with findings", HumanBytes(speed as u64), count(&progress.hits)));
        if bar.is_hidden() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
    bar.finish_and_clear();
}
