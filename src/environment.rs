//! The process that keyspill runs in, as far as a scan depends on it. The library never looks at the process by itself.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A working directory, a home directory and some variables. Empty by default: a scan then depends on nothing but its
/// arguments, except that libgit2 reads the user's git configuration, as git does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Absolute. Relative paths given to the library are relative to the process's working directory, as in any program;
    /// this is what tells their absolute paths.
    pub working_dir: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Those of [`Self::VARIABLES`] that are set.
    pub variables: BTreeMap<&'static str, OsString>,
}

impl Environment {
    /// The variables that a scan may look at. Sources: git(1), gitreceive-pack(1), the XDG Base Directory Specification.
    pub const VARIABLES: [&str; 8] = [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_QUARANTINE_PATH",
        "XDG_CONFIG_HOME",
    ];

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// The directory of the user's configuration files.
    pub fn config_home(&self) -> Option<PathBuf> {
        let named = self.variable("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        named.or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// A path as the user would write it: relative if it is below the working directory.
    pub fn shown(&self, absolute: &Path) -> PathBuf {
        let here = self.working_dir.canonicalize().ok();
        here.and_then(|here| absolute.strip_prefix(here).ok().map(Path::to_owned))
            .unwrap_or_else(|| absolute.to_owned())
    }
}
