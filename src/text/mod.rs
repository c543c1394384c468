//! The ground that all else stands on: alphabets, masks, text that is safe to show, JSON and INI around a place.

pub mod alphabet;
pub mod ini;
pub mod json;
pub mod markers;
pub mod mask;
pub mod report_heads;
pub mod sanitize;
pub mod toml;
pub mod wide;
