//! Prepares the built-in rules: reads the packs in `rules/`, finds out what a search can look for, and writes both in a
//! form that takes no time to load. Every start of the program would have to do this otherwise.

use detect::finder::placement::{self, Effort, LookUp, Placement};
use detect::marks;
use rule::fault::Fault;
use rule::prepared::{self, Prepared, Texts};
use rule::program::Program;
use rule::shape::{self, Shape};
use rule::syntax::{Example, Precision, RuleFile, RuleSyntax};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

#[path = "src/rule"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod rule {
    pub mod fault;
    pub mod prepared;
    pub mod program;
    pub mod run;
    pub mod severity;
    pub mod shape;
    pub mod syntax;
}

#[path = "src/detect"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod detect {
    pub mod finder {
        pub mod bigrams;
        pub mod fragments;
        pub mod placement;
    }
    pub mod marks;
}

#[path = "src/text"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod text {
    pub mod alphabet;
    pub mod markers;
}

fn main() {
    for input in ["rules", "src/rule", "src/detect/finder", "src/detect/marks.rs", "src/text"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let mut names: Vec<String> = fs::read_dir("rules")
        .expect("the folder of rules")
        .filter_map(|entry| entry.expect("an entry").file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
        .collect();
    // AWS's first, then by name: the order of rules is that of reports.
    names.sort_by_key(|name| (name != "aws", name.clone()));
    let mut list = String::new();
    let count = names.len();
    let mut problems = Vec::new();
    let mut literals = LiteralSets::new();
    for name in names {
        let file = format!("rules/{name}.toml");
        let text = fs::read_to_string(&file).expect("a file of rules");
        let file_of_rules: RuleFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (mut rules, mut texts, mut examples) = (Vec::new(), Vec::new(), Vec::<[Vec<Example>; 2]>::new());
        for mut rule in file_of_rules.rule {
            let is_aws = name == "aws";
            // AWS's literals are searched anyway.
            let shape = match (is_aws, rule.token.is_some() || rule.assigned.is_some()) {
                (true, true) => Err(Fault::Field {
                    field: "token",
                    expected: "is not for this pack, which goes by `keywords` and a `regex`",
                }),
                (true, false) => Ok(Shape::Keywords),
                (false, _) => shape::derive(&rule),
            };
            match shape.and_then(|shape| Ok((prepared::source(&rule, &shape, !is_aws)?, shape))) {
                Ok((source, shape)) => {
                    let regex = prepare_regex(source.as_ref().map_or("", |(_, source)| source), &rule, &shape);
                    examples.push([std::mem::take(&mut rule.positives), std::mem::take(&mut rule.negatives)]);
                    texts.push(Texts::take(&mut rule));
                    rules.push((rule, source, shape, regex));
                }
                Err(error) => problems.push(format!("{file}: {}: {error}", rule.id)),
            }
        }
        let rules: Vec<Prepared> =
            rules.iter().map(|(rule, source, shape, regex)| prepare(rule, source.as_ref(), shape, regex)).collect();
        rules.iter().for_each(|rule| literals.add(&name, rule));
        let write = |kind: &str, bytes: Vec<u8>| {
            fs::write(Path::new(&out).join(format!("{name}.{kind}")), bytes).expect("cargo's folder can be written");
        };
        write("rules", postcard::to_stdvec(&rules).expect("rules can be written"));
        write("texts", postcard::to_stdvec(&texts).expect("texts can be written"));
        write("examples", postcard::to_stdvec(&examples).expect("examples can be written"));
        let include = |kind| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.{kind}\"))");
        list += &format!(
            "    Pack {{ name: {name:?}, rules: {}, texts: {}, examples: {}, cache: OnceLock::new() }},\n",
            include("rules"),
            include("texts"),
            include("examples")
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let packs = format!("static PACKS: [Pack; {count}] = [\n{list}];\n");
    let write = |name, text| fs::write(Path::new(&out).join(name), text).expect("cargo's folder can be written");
    write("packs.rs", packs);
    write("placements.rs", literals.place());
}

/// What the search for literals looks for: the literals of AWS's rules, of those that are on by default, and of all.
struct LiteralSets {
    aws: BTreeSet<Vec<u8>>,
    default: BTreeSet<Vec<u8>>,
    all: BTreeSet<Vec<u8>>,
}

impl LiteralSets {
    fn new() -> Self {
        let marks: BTreeSet<Vec<u8>> = marks::all().into_iter().map(|(literal, _)| literal).collect();
        Self { aws: marks.clone(), default: marks.clone(), all: marks }
    }

    fn add(&mut self, pack: &str, rule: &Prepared) {
        let literals = literals_of(rule);
        if pack == "aws" {
            self.aws.extend(literals.clone());
        }
        if pack == "aws" || rule.precision >= Precision::High {
            self.default.extend(literals.clone());
        }
        self.all.extend(literals);
    }

    /// Two lists, in Rust, of literals with their placements.
    fn place(self) -> String {
        let Self { aws, default, all } = self;
        let default = placements(default, &BTreeMap::new());
        // The others must not worsen the placements of those.
        let all = placements(all, &default);
        list("PLACEMENTS", &all) + &list("PLACEMENTS_OF_AWS", &placements(aws, &BTreeMap::new()))
    }
}

fn literals_of(rule: &Prepared) -> Vec<Vec<u8>> {
    match &rule.shape {
        Shape::Keywords => rule.keywords.iter().map(|keyword| keyword.as_bytes().to_vec()).collect(),
        Shape::Texts(texts) => texts.clone(),
        _ => vec![],
    }
}

/// By bytes and by nibbles.
type Placements = BTreeMap<Vec<u8>, [Placement; 2]>;

fn placements(literals: BTreeSet<Vec<u8>>, known: &Placements) -> Placements {
    const EFFORT: Effort = Effort { windows: 8, rounds: 4 };
    let texts: Vec<Vec<u8>> = literals.into_iter().collect();
    let place = |n: usize, look_up| {
        placement::place(&texts, false, look_up, EFFORT, |text| known.get(text).map(|placements| placements[n]))
    };
    let both = place(0, LookUp::Bytes).into_iter().zip(place(1, LookUp::Nibbles));
    let both: Vec<[Placement; 2]> = both.map(|(by_bytes, by_nibbles)| [by_bytes, by_nibbles]).collect();
    texts.into_iter().zip(both).collect()
}

fn list(name: &str, placements: &Placements) -> String {
    let show = |Placement { offset, bucket }: &Placement| format!("Placement {{ offset: {offset}, bucket: {bucket} }}");
    let lines = placements.iter().map(|(text, [by_bytes, by_nibbles])| {
        format!("    (b\"{}\", {}, {}),\n", text.escape_ascii(), show(by_bytes), show(by_nibbles))
    });
    format!(
        "/// Literals of built-in rules in order, each with its placement by bytes and by nibbles.\n\
         static {name}: &[(&[u8], Placement, Placement)] = &[\n{}];\n",
        lines.collect::<String>()
    )
}

/// What is known of a regex: see [`Prepared`].
struct Regex {
    max_len: Option<usize>,
    lead: Option<usize>,
    program: Vec<u8>,
}

fn prepare_regex(source: &str, rule: &RuleSyntax, shape: &Shape) -> Regex {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(source).expect("a regex");
    let words: Vec<&[u8]> = match shape {
        Shape::Keywords => rule.keywords.iter().map(String::as_bytes).collect(),
        Shape::Texts(texts) => texts.iter().map(Vec::as_slice).collect(),
        _ => vec![],
    };
    let program = Program::of(&hir).map(|program| postcard::to_stdvec(&program).expect("programs can be written"));
    Regex {
        max_len: hir.properties().maximum_len(),
        lead: shape::lead(&hir, &words),
        program: program.unwrap_or_default(),
    }
}

fn prepare<'a>(
    rule: &'a RuleSyntax,
    source: Option<&'a (prepared::Form, String)>,
    shape: &Shape,
    regex: &'a Regex,
) -> Prepared<'a> {
    let is_searched = matches!(shape, Shape::Keywords | Shape::AnyCase | Shape::Url { .. });
    Prepared {
        id: &rule.id,
        severity: rule.severity,
        security_severity: rule.security_severity,
        precision: rule.precision,
        keywords: rule.keywords.iter().filter(|_| is_searched).map(String::as_str).collect(),
        form: source.map(|(form, _)| *form),
        source: source.map_or("", |(_, source)| source),
        max_len: regex.max_len,
        lead: regex.lead,
        program: &regex.program,
        path: rule.path.as_deref(),
        min_entropy: rule.min_entropy,
        check: rule.check,
        signed_request: rule.signed_request,
        finder: rule.finder,
        shape: shape.clone(),
    }
}
