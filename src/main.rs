//! The command `keyspill`: parse, call, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyspill::cli::run()
}
