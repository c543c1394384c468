//! Prepares the built-in rules: reads the packs in `rules/`, finds out what a search can look for, and writes both in a
//! form that takes no time to load. Every start of the program would have to do this otherwise.

use rule::shape::{self, Shape};
use rule::syntax::{Example, RuleFile, RuleSyntax};
use std::path::Path;
use std::{env, fs};

#[path = "src/rule"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod rule {
    pub mod severity;
    pub mod shape;
    pub mod syntax;
}

fn main() {
    println!("cargo:rerun-if-changed=rules");
    println!("cargo:rerun-if-changed=src/rule");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let mut names: Vec<String> = fs::read_dir("rules")
        .expect("the folder of rules")
        .filter_map(|entry| entry.expect("an entry").file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
        .collect();
    // AWS's first, then by name: the order of rules is that of reports.
    names.sort_by_key(|name| (name != "aws", name.clone()));
    let mut list = String::from("&[\n");
    let mut problems = Vec::new();
    for name in names {
        let file = format!("rules/{name}.toml");
        let text = fs::read_to_string(&file).expect("a file of rules");
        let file_of_rules: RuleFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (mut rules, mut examples): (Vec<(RuleSyntax, Shape)>, Vec<[Vec<Example>; 2]>) = Default::default();
        for mut rule in file_of_rules.rule {
            // AWS's literals are searched anyway.
            match if name == "aws" { Ok(Shape::Keywords) } else { shape::of(&rule) } {
                Ok(shape) => {
                    examples.push([std::mem::take(&mut rule.positives), std::mem::take(&mut rule.negatives)]);
                    rules.push((rule, shape));
                }
                Err(error) => problems.push(format!("{file}: {}: {error}", rule.id)),
            }
        }
        let write = |kind: &str, bytes: Vec<u8>| {
            fs::write(Path::new(&out).join(format!("{name}.{kind}")), bytes).expect("cargo's folder can be written");
        };
        write("rules", postcard::to_stdvec(&rules).expect("rules can be written"));
        write("examples", postcard::to_stdvec(&examples).expect("examples can be written"));
        let include = |kind| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.{kind}\"))");
        list += &format!(
            "    Pack {{ name: {name:?}, rules: {}, examples: {} }},\n",
            include("rules"),
            include("examples")
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    fs::write(Path::new(&out).join("packs.rs"), list + "]\n").expect("cargo's folder can be written");
}
