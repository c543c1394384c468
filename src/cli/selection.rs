//! Which rules are on: packs and rules on the command line, in the configuration, and in files.

use super::session::Refused;
use crate::config::Config;
use crate::rule::{RuleSet, pack};
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use std::ffi::OsStr;
use std::path::PathBuf;

/// Arguments as typed.
#[derive(Debug, Default, clap::Args)]
pub struct RuleArgs {
    /// Use only the rules of these packs, separated by commas [default: all but generic].
    #[arg(long, value_name = "PACK", value_delimiter = ',', value_parser = packs(), help_heading = "Rules")]
    packs: Vec<String>,

    /// Turn a rule on, such as one that is off by default because of false positives. May be repeated.
    #[arg(long, value_name = "RULE", value_parser = RuleIds, hide_possible_values = true, help_heading = "Rules")]
    enable: Vec<String>,

    /// Turn a rule off. May be repeated.
    #[arg(long, value_name = "RULE", value_parser = RuleIds, hide_possible_values = true, help_heading = "Rules")]
    disable: Vec<String>,

    /// Add the rules of a TOML file. May be repeated.
    #[arg(long = "rules", value_name = "FILE", help_heading = "Rules")]
    files: Vec<PathBuf>,

    /// Add the rules of a configuration of gitleaks, as it is. May be repeated.
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    gitleaks_config: Vec<PathBuf>,
}

fn packs() -> PossibleValuesParser {
    PossibleValuesParser::new(pack::all().iter().map(|pack| pack.name))
}

/// Any text, which shells complete to the id of a built-in rule: files may have more rules.
#[derive(Debug, Clone, Copy)]
struct RuleIds;

impl TypedValueParser for RuleIds {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(pack::ids().iter().map(PossibleValue::new)))
    }
}

impl RuleArgs {
    /// The rules of files, which a configuration may name as it may any built-in one.
    pub fn known(&self, refused: &mut Vec<Refused>) -> RuleSet {
        let mut rules = RuleSet::default();
        self.add_files(&mut rules, refused);
        rules
    }

    /// The rules that are on with a configuration: built-in ones, those of its files, and those of [`Self::known`].
    pub fn selected(&self, config: &Config, known: &RuleSet, refused: &mut Vec<Refused>) -> RuleSet {
        let mut selection = config.selection.clone();
        if !self.packs.is_empty() {
            selection.packs = Some(self.packs.iter().cloned().collect());
        }
        for id in &self.enable {
            selection.disable.remove(id);
        }
        selection.enable.extend(self.enable.iter().cloned());
        selection.disable.extend(self.disable.iter().cloned());
        let mut rules = RuleSet::selected(&selection);
        for file in &config.rule_files {
            // The configuration has read it.
            if let Err(error) = rules.add(file) {
                refused.push(error.into());
            }
        }
        rules.add_all(known);
        rules
    }

    /// Words for a rule that is turned on or off and does not exist.
    pub fn unknown(&self, known: &RuleSet) -> Option<String> {
        let id = self.enable.iter().chain(&self.disable).find(|id| !known.knows(id))?;
        let hint = known.nearest(id).map_or_else(
            || "see `keyspill rules list --all`".to_owned(),
            |nearest| format!("did you mean `{nearest}`?"),
        );
        Some(format!("there is no rule {}; {hint}", crate::text::mask::name_shown(id)))
    }

    fn add_files(&self, rules: &mut RuleSet, refused: &mut Vec<Refused>) {
        for file in &self.files {
            if let Err(error) = rules.add(file) {
                refused.push(error.into());
            }
        }
        for file in &self.gitleaks_config {
            if let Err(error) = rules.add_gitleaks(file) {
                refused.push(error.into());
            }
        }
    }
}
