//! What counts: allow comments and the threshold. It decides, it neither detects nor prints.

pub mod inline;
