//! The HTML report in a real browser: what a person sees, with and without scripts, and what hostile input must not do.
//!
//! Skipped if there is no browser, except in CI, which installs one.

use crate::support::Sandbox;
use crate::support::browser::Browser;
use serde_json::json;

/// Opens the report on `sandbox` in the browser.
fn open(browser: &mut Browser, sandbox: &Sandbox) {
    let file = sandbox.path().join("report.html");
    let name = file.to_str().expect("a name in UTF-8");
    let run = sandbox.run(&["scan", "--history", ".", "--format", "html", "--output", name]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    browser.open(&file);
}

/// A repository with a key in a file.
fn one_key() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.env", "{{akia}} {{secret}}\n");
    sandbox.commit(0, "keys");
    sandbox
}

/// The text of one column of the table, in the visible rows.
fn column(browser: &mut Browser, number: usize) -> Vec<String> {
    let rows = "Array.from(document.querySelectorAll('#findings tbody tr')).filter(row => row.offsetParent)";
    let cells = browser.value(&format!("{rows}.map(row => row.cells[{number}].textContent)"));
    serde_json::from_value(cells).expect("a list of text")
}

#[test]
fn it_is_sorted_and_filtered() {
    let Some(mut browser) = Browser::start() else { return };
    let sandbox = Sandbox::new();
    sandbox.init();
    for (number, name) in ["c", "a", "b"].iter().enumerate() {
        let lines = "\n".repeat(9 * number);
        sandbox.write(&format!("{name}.env"), &format!("{lines}{{{{akia {name}}}}} {{{{secret {name}}}}}\n"));
    }
    sandbox.commit(0, "keys");
    open(&mut browser, &sandbox);
    assert_eq!(column(&mut browser, 2).len(), 3);
    let click = |browser: &mut Browser, head: usize| {
        browser.value(&format!("document.querySelectorAll('#findings th button')[{head}].click()"));
        column(browser, head)
    };
    assert_eq!(click(&mut browser, 2), ["a.env", "b.env", "c.env"]);
    assert_eq!(click(&mut browser, 2), ["c.env", "b.env", "a.env"]);
    assert_eq!(click(&mut browser, 3), ["1", "10", "19"], "numbers are sorted as such");
    let type_in = |browser: &mut Browser, words: &str| {
        let event = "document.getElementById('filter').dispatchEvent(new Event('input'))";
        browser.value(&format!("document.getElementById('filter').value = '{words}'; {event}"));
        column(browser, 2)
    };
    assert_eq!(type_in(&mut browser, "B.env error"), ["b.env"]);
    assert_eq!(browser.value("document.getElementById('shown').textContent"), "1 of 3");
    assert_eq!(type_in(&mut browser, "").len(), 3);
    // Each row links to its key's card, and each card is visible.
    assert_eq!(browser.value("document.querySelectorAll('#findings a').length"), 3);
    let links = "Array.from(document.querySelectorAll('#findings a')).every(a => document.querySelector(a.hash).offsetHeight > 50)";
    assert_eq!(browser.value(links), true);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn it_is_whole_without_scripts_and_without_a_network() {
    let Some(mut browser) = Browser::start() else { return };
    let sandbox = one_key();
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    browser.call("Network.emulateNetworkConditions", offline);
    open(&mut browser, &sandbox);
    assert_eq!(column(&mut browser, 2), ["a.env"]);
    assert_eq!(browser.value("document.querySelectorAll('.card').length"), 1);
    assert_eq!(
        browser.value("document.querySelector('.tools').offsetParent === null"),
        true,
        "tools that need scripts are hidden"
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn it_is_light_or_dark_as_the_reader_wants() {
    let Some(mut browser) = Browser::start() else { return };
    open(&mut browser, &one_key());
    let mut brightness = |scheme: &str| {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.call("Emulation.setEmulatedMedia", json!({ "features": features }));
        ["backgroundColor", "color"].map(|property| {
            let sum = "match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b)";
            let sum = browser.value(&format!("getComputedStyle(document.body).{property}.{sum}"));
            sum.as_u64().expect("a number")
        })
    };
    let [paper, ink] = brightness("light");
    assert!(paper > ink + 300, "{paper} {ink}");
    let [paper, ink] = brightness("dark");
    assert!(ink > paper + 300, "{paper} {ink}");
}

#[test]
fn what_a_page_complains_of_is_heard() {
    let Some(mut browser) = Browser::start() else { return };
    open(&mut browser, &one_key());
    browser.value(
        "console.log('x'); setTimeout(() => { throw new Error('y') }); new Image().src = 'file:///z'; alert('w')",
    );
    browser.value("new Promise(done => setTimeout(done, 50))");
    let heard = browser.complaints().concat();
    assert!(
        heard.contains('x') && heard.contains("Error: y") && heard.contains("file:///z") && heard.contains('w'),
        "{heard}"
    );
}

#[test]
fn hostile_names_do_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let sandbox = Sandbox::hostile();
    open(&mut browser, &sandbox);
    assert_eq!(browser.value("document.scripts.length"), 1, "the page's own");
    assert_eq!(browser.value("document.querySelectorAll('img, iframe, object, link, [onerror]').length"), 0);
    assert!(
        column(&mut browser, 2).iter().any(|path| path.contains("<img src=x onerror=alert(1)>")),
        "they are shown as text"
    );
    assert_eq!(browser.complaints(), [""; 0]);
}
