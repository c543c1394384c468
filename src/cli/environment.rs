//! The environment of this process, read once.

use crate::environment::Environment;
use std::sync::OnceLock;

/// The environment of this process.
pub fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| Environment {
        working_dir: std::env::current_dir().unwrap_or_default(),
        home: std::env::home_dir(),
        variables: Environment::VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)))
            .collect(),
    })
}
