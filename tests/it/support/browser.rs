//! A headless browser, driven through the DevTools protocol.
//!
//! Source: [the protocol](https://chromedevtools.github.io/devtools-protocol/).

use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tungstenite::{Message, WebSocket};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with one page.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    last_id: u64,
    /// Loaded pages, by loader id.
    loaded: HashSet<String>,
    /// What the page logged and threw, its dialogs, and its network requests.
    complaints: Vec<String>,
    /// Its own temporary profile.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// An installed browser: Chromium or Chrome, or what `KEYSPILL_BROWSER` names. CI must have one.
    pub fn start() -> Option<Self> {
        let named = std::env::var_os("KEYSPILL_BROWSER").filter(|name| !name.is_empty()).map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = || std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name)));
        let Some(program) = named.or_else(|| in_path().find(|file| file.is_file())) else {
            assert!(std::env::var_os("CI").is_none(), "CI needs a browser: none of {NAMES:?} is in PATH");
            super::skipped("no browser is installed");
            return None;
        };
        let profile = tempfile::tempdir().expect("a directory");
        let mut child = Command::new(program)
            // The browser's own sandbox needs rights that containers do not give; the page is ours.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--remote-debugging-port=0", &format!("--user-data-dir={}", profile.path().display())])
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("DevTools listening on ws://").map(str::to_owned));
        let address = address.expect("the browser prints its address");
        // The browser must not block if it prints more.
        std::thread::spawn(move || lines.for_each(drop));
        let stream = TcpStream::connect(address.split('/').next().expect("a host")).expect("the browser listens");
        // No answer is a failure.
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time limit");
        let (socket, _) = tungstenite::client(format!("ws://{address}"), stream).expect("a web socket");
        let (session, loaded) = (String::new(), HashSet::new());
        let mut browser = Self { child, socket, session, last_id: 0, loaded, complaints: vec![], _profile: profile };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attached);
        browser.session += session["sessionId"].as_str().expect("a session");
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        Some(browser)
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        loop {
            let answer = self.receive();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let mut call = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            call["sessionId"] = self.session.as_str().into();
        }
        self.socket.send(Message::text(call.to_string())).expect("the browser is there");
        self.last_id
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        let page = self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        let loader = page["loaderId"].as_str().expect("a new page").to_owned();
        while !self.loaded.contains(&loader) {
            self.receive();
        }
    }

    /// Evaluates an expression in the page and returns its value as JSON; promises are awaited.
    pub fn value(&mut self, expression: &str) -> Value {
        let how = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", how);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Everything the page has complained about so far.
    pub fn complaints(&mut self) -> &[String] {
        // What it sent before this answer is read, too.
        self.value("1");
        &self.complaints
    }

    fn receive(&mut self) -> Value {
        let message = self.socket.read().expect("the browser answers");
        let message: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        let params = &message["params"];
        let words = match message["method"].as_str() {
            Some("Log.entryAdded") => &params["entry"]["text"],
            Some("Runtime.exceptionThrown") => &params["exceptionDetails"]["exception"]["description"],
            Some("Runtime.consoleAPICalled") => &params["args"],
            Some("Page.javascriptDialogOpening") => &params["message"],
            // The page is a single file.
            Some("Network.requestWillBeSent") if params["documentURL"] != params["request"]["url"] => {
                &params["request"]["url"]
            }
            _ => &Value::Null,
        };
        if !words.is_null() {
            self.complaints.push(words.to_string());
        }
        match message["method"].as_str() {
            Some("Page.lifecycleEvent") if params["name"] == "load" => {
                self.loaded.extend(params["loaderId"].as_str().map(str::to_owned));
            }
            // The page blocks until the dialog is answered.
            Some("Page.javascriptDialogOpening") => {
                self.send("Page.handleJavaScriptDialog", json!({ "accept": false }));
            }
            _ => {}
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
