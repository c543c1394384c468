//! The packs of built-in rules, and which of their rules are on.

use super::Precision;
use super::prepared::{Prepared, Texts};
use super::syntax::Example;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The pack of AWS's keys. All of its rules are on by default.
pub const AWS: &str = "aws";

/// The pack that is off by default, as it takes any random text with a telling name for a secret.
pub const GENERIC: &str = "generic";

/// The pack of what the occurrences of a secret mean together, which is always on.
const JUDGEMENTS: &str = "judgements";

/// A file of rules in `rules/`, as prepared by `build.rs`.
#[derive(Debug)]
pub struct Pack {
    /// The name of the file, without its extension.
    pub name: &'static str,
    rules: &'static [u8],
    texts: &'static [u8],
    examples: &'static [u8],
    cache: OnceLock<Vec<Texts>>,
}

impl Pack {
    /// What a search needs of its rules.
    pub fn rules(&self) -> Vec<Prepared<'static>> {
        postcard::from_bytes(self.rules).expect("build.rs has written it")
    }

    /// What its rules tell people, read when it is first asked for.
    pub fn texts(&self) -> &[Texts] {
        self.cache.get_or_init(|| postcard::from_bytes(self.texts).expect("build.rs has written it"))
    }

    /// The positive and negative examples of each of its rules.
    pub fn examples(&self) -> Vec<[Vec<Example>; 2]> {
        postcard::from_bytes(self.examples).expect("build.rs has written it")
    }
}

/// All packs, AWS's first.
pub fn all() -> &'static [Pack] {
    &PACKS
}

// `PACKS`, by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/packs.rs"));

/// The ids of all rules of all packs.
pub fn ids() -> &'static [&'static str] {
    static IDS: OnceLock<Vec<&str>> = OnceLock::new();
    IDS.get_or_init(|| all().iter().flat_map(|pack| pack.rules().into_iter().map(|rule| rule.id)).collect())
}

/// Which built-in rules are on.
///
/// By default: those of AWS, and of the other packs, except the generic one, those that are rarely wrong (precision
/// high or very high).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these packs; all but the generic one if `None`.
    pub packs: Option<BTreeSet<String>>,
    /// Rules that are on, whatever their pack and precision.
    pub enable: BTreeSet<String>,
    /// Rules that are off.
    pub disable: BTreeSet<String>,
    is_everything: bool,
}

impl Selection {
    /// What is on by default in these packs.
    pub fn from_packs(packs: impl IntoIterator<Item = String>) -> Self {
        Self { packs: Some(packs.into_iter().collect()), ..Self::default() }
    }

    /// Every rule of every pack.
    pub fn everything() -> Self {
        Self { is_everything: true, ..Self::default() }
    }

    fn has_pack(&self, pack: &str) -> bool {
        self.is_everything
            || pack == JUDGEMENTS
            || self.packs.as_ref().map_or(pack != GENERIC, |packs| packs.contains(pack))
    }

    /// True if rules of a pack may be on.
    pub(super) fn may_have(&self, pack: &str) -> bool {
        self.has_pack(pack) || !self.enable.is_empty()
    }

    /// True if a rule is on.
    pub(super) fn has(&self, pack: &str, rule: &str, precision: Precision) -> bool {
        let is_sure = || precision >= Precision::High || self.is_everything || matches!(pack, AWS | GENERIC);
        !self.disable.contains(rule) && (self.enable.contains(rule) || self.has_pack(pack) && is_sure())
    }
}
