//! Calls to third-party parsers, which may panic on their input. A panic loses only the part being parsed; it is
//! reported as damage, not as a bug in keyspill.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// What `parse` returns; `None` if it panics.
pub(crate) fn guarded<T>(parse: impl FnOnce() -> T) -> Option<T> {
    let before = IS_RUNNING.replace(true);
    let parsed = catch_unwind(AssertUnwindSafe(parse));
    IS_RUNNING.set(before);
    parsed.ok()
}

/// True while such a parser runs on this thread: for a hook that reports panics.
pub fn is_running() -> bool {
    IS_RUNNING.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none_and_the_end_is_noticed() {
        assert_eq!(guarded(is_running), Some(true));
        let failed: Option<()> = guarded(|| {
            assert_eq!(guarded(|| 1), Some(1));
            assert!(is_running());
            panic!("as parsers do");
        });
        assert_eq!((failed, is_running()), (None, false));
    }
}
