//! Reads damaged data as far as possible.

use std::io::{Error, ErrorKind, Read, Result};

/// Ends early where the data is damaged, so that everything before that is scanned. The error is kept.
pub(super) struct Tolerant<R> {
    inner: R,
    /// Why it ended early, if it did.
    pub error: Option<Error>,
    has_yielded: bool,
}

impl<R: Read> Tolerant<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, error: None, has_yielded: false }
    }
}

impl<R: Read> Read for Tolerant<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.error.is_some() {
            return Ok(0);
        }
        match self.inner.read(buffer) {
            Err(error) if error.kind() != ErrorKind::Interrupted && self.has_yielded => {
                self.error = Some(error);
                Ok(0)
            }
            read => {
                self.has_yielded |= read.as_ref().is_ok_and(|&length| length > 0);
                read
            }
        }
    }
}
