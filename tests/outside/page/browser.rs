//! A browser under control: chromedriver, spoken to as W3C WebDriver says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a page may take to show what it should, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// A browser with one page. It ends with its value.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// The profile; removed at the end.
    profile: crate::common::TempDir,
}

impl Browser {
    /// Starts one, so wide, light or dark.
    pub fn start(width: u32, dark: bool) -> Browser {
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        let mut browser = Browser {
            driver,
            address,
            session: String::new(),
            profile: crate::common::TempDir::new(),
        };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "chromedriver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let profile = browser.profile.path().display().to_string();
        let mut arguments = vec![
            String::from("--headless=new"),
            String::from("--no-sandbox"),
            String::from("--disable-gpu"),
            String::from("--disable-dev-shm-usage"),
            String::from("--no-first-run"),
            String::from("--disable-background-networking"),
            String::from("--disable-component-update"),
            String::from("--disable-sync"),
            format!("--user-data-dir={profile}"),
            format!("--window-size={width},900"),
        ];
        if dark {
            arguments.push(String::from("--force-dark-mode"));
        }
        let answer = browser.ask(
            "POST",
            "/session",
            &json!({"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"},
            }}}),
        );
        let session = answer["sessionId"].as_str();
        browser.session = session
            .unwrap_or_else(|| panic!("no session: {answer}"))
            .to_string();
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.address).expect("chromedriver listens");
        stream
            .set_read_timeout(Some(PATIENCE * 2))
            .expect("a timeout");
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let answer = whole_answer(&mut stream);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        let mut answer: Value = serde_json::from_str(body).expect("JSON");
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{path}: {value}");
        value
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// Opens a page.
    pub fn open(&self, url: &str) {
        self.command("/url", &json!({"url": url}));
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until a script returns true.
    pub fn wait(&self, what: &str, condition: &str) {
        let until = Instant::now() + PATIENCE;
        while self.run(&format!("return Boolean({condition})")) != Value::Bool(true) {
            let text = self.run("return document.body.innerText");
            assert!(
                Instant::now() < until,
                "{what} was due; the page says {text}"
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Presses a key, as somebody at the keyboard does.
    pub fn press(&self, key: &str) {
        self.command(
            "/actions",
            &json!({"actions": [{"type": "key", "id": "keyboard", "actions": [
                {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key},
            ]}]}),
        );
    }

    /// Clicks an element.
    pub fn click(&self, id: &str) {
        let element = self.command(
            "/element",
            &json!({"using": "css selector", "value": format!("#{id}")}),
        );
        let element = element.as_object().and_then(|found| found.values().next());
        let element = element
            .and_then(Value::as_str)
            .expect("an element")
            .to_string();
        self.command(&format!("/element/{element}/click"), &json!({}));
    }

    /// What the page complained of since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Reads one answer: its head, and as many bytes as that tells. The connection may stay open.
fn whole_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length
                .and_then(|l| l.trim().parse().ok())
                .expect("a length");
            if answer.len() >= head.len() + 4 + length {
                return text.into_owned();
            }
        }
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(count > 0, "half an answer: {text}");
        answer.extend_from_slice(&buffer[..count]);
    }
}
