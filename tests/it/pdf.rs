//! PDF documents as real programs write them: `tests/pdf/README.md` says which.

use crate::support::Sandbox;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// The key pairs in each document, as fingerprints.
fn expected() -> BTreeMap<String, BTreeSet<String>> {
    serde_json::from_str(include_str!("../pdf/pairs.json")).expect("JSON")
}

#[test]
fn keys_are_paired_as_a_reader_would_pair_them() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pdf");
    let sandbox = Sandbox::new();
    let mut table = String::new();
    for (name, expected) in expected() {
        sandbox.write_bytes(&name, &std::fs::read(dir.join(&name)).expect("a case"));
        let report = sandbox.json(&[&name]);
        let findings = report["findings"].as_array().expect("findings");
        let pairs = findings.iter().filter(|finding| finding["rule"] == "aws-access-key-pair");
        let pairs: BTreeSet<_> = pairs.map(|pair| pair["fingerprint"].as_str().expect("one").to_owned()).collect();
        let (right, wrong) = (pairs.intersection(&expected).count(), pairs.difference(&expected).count());
        writeln!(table, "{name}: {right} of {} right, {wrong} wrong", expected.len()).expect("memory");
        assert_eq!(report["skipped"], Value::Array(Vec::new()), "{name}");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_page_that_is_a_picture_is_told() {
    let sandbox = Sandbox::new();
    let page = |content: &str| {
        format!(
            "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
             3 0 obj\n<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>/Font<</F 6 0 R>>>>>>\nendobj\n\
             4 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\n\
             5 0 obj\n<</Subtype/Image/Width 1/Height 1/Length 1>>\nstream\n0\nendstream\nendobj\n\
             6 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n",
            content.len()
        )
    };
    sandbox.write_bytes("scanned.pdf", page("/I Do").as_bytes());
    sandbox.write_bytes("caption.pdf", page("/I Do BT /F 9 Tf (a caption) Tj ET").as_bytes());
    let report = sandbox.json(&["."]);
    let skipped = report["skipped"].as_array().expect("a list");
    let told: Vec<_> = skipped.iter().map(|skip| (&skip["path"], &skip["message"], &skip["failure"])).collect();
    assert_eq!(told.len(), 1, "{skipped:?}");
    assert_eq!(told[0].0, "scanned.pdf");
    assert!(told[0].1.as_str().is_some_and(|message| message.contains("pictures")), "{told:?}");
    assert_eq!(told[0].2, false);
}
