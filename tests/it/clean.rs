//! Nothing is found where there is no key. Each case is a file in `tests/clean`.

use crate::support::{Sandbox, expand};
use std::path::Path;

#[test]
fn no_case_has_a_finding() {
    let sandbox = Sandbox::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clean");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).expect("the cases").map(|entry| entry.expect("an entry")) {
        let text = expand(&std::fs::read_to_string(entry.path()).expect("a case is UTF-8")).text;
        let name = entry.file_name().into_string().expect("a plain name");
        sandbox.write_bytes(&name, text.as_bytes());
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        sandbox.write_bytes(&format!("wide/{name}"), &wide);
        count += 1;
    }
    assert!(count >= 30, "cases are missing");
    let report = sandbox.json(&["."]);
    let findings = report["findings"].as_array().expect("findings");
    let list = findings
        .iter()
        .map(|finding| format!("\n{}: {}: {}", finding["path"], finding["location"]["startLine"], finding["message"]));
    assert!(findings.is_empty(), "{}", list.collect::<String>());
}
