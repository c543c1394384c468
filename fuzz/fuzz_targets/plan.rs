//! Plans of reports and inventories that anybody may have written, with answers that anybody may have given: every plan can
//! be written in every form, and its commands are one line each.

#![no_main]

use keyspill::internals::plan::{Form, Plan};

const NOW: i64 = 1_800_000_000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (report, answers) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let answers = answers.get(1..).filter(|answers| !answers.is_empty());
    let Ok(plan) = Plan::from_report(report, answers, NOW) else { return };
    for form in [Form::Text, Form::Markdown, Form::Json] {
        let mut out = Vec::new();
        plan.write(form, &mut out).expect("memory can be written");
        assert!(std::str::from_utf8(&out).is_ok_and(|text| !text.contains('\u{1b}')), "{form:?}");
        if form == Form::Json {
            let written: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            let commands = written["sections"].as_array().into_iter().flatten().flat_map(|section| {
                section["steps"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|step| step["commands"].as_array())
                    .flatten()
            });
            for command in commands {
                assert!(!command.as_str().expect("text").contains('\n'), "{command}");
            }
        }
    }
});
