//! What the tests against programs of others share: certificates, processes that die with their
//! value, a client's question and the journal's answer to why.
//!
//! Every test crate compiles this module for itself and uses its own part of it.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::common::{Client, iamat, latin1, wait_until};

/// What a client gets when there is nothing to pass on.
pub const UNKNOWN_ERROR: &str = r#"{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}"#;

/// The longest that any lookup takes, and a little more.
pub const LONGEST: Duration = Duration::from_secs(12);

/// A program that must be there, by name; the test fails with the package to install.
pub fn program(name: &str, package: &str) -> Command {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Debian's servers are in a folder that is on root's path only.
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    let path = found.unwrap_or_else(|| {
        panic!("this test needs {name}: install it with `apt-get install {package}`")
    });
    Command::new(path)
}

/// A process that ends with its value.
pub struct Running(pub Child);

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Running {
        match command.spawn() {
            Ok(child) => Running(child),
            Err(error) => panic!("{command:?} does not start: {error}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener
        .local_addr()
        .expect("a listener has an address")
        .port()
}

/// Waits until somebody listens there.
pub fn wait_listening(port: u16, who: &str) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until(Duration::from_secs(10), &format!("{who} listens"), || {
        TcpStream::connect(address).is_ok()
    });
}

/// Somebody who issues certificates, as files.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
    folder: PathBuf,
}

/// A certificate and its key, in files.
pub struct Identity {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

impl Authority {
    /// An authority that writes its files to `folder`, its own certificate to `ca.pem`.
    pub fn new(name: &str, folder: &Path) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        fs::write(folder.join("ca.pem"), &pem).expect("a file");
        Authority {
            issuer: Issuer::new(params, key),
            pem,
            folder: folder.to_path_buf(),
        }
    }

    /// The file of its certificate.
    pub fn file(&self) -> String {
        text(&self.folder.join("ca.pem"))
    }

    /// Issues a certificate, in files of this name.
    pub fn issue(&self, name: &str, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity::write(&self.folder, name, &certificate.pem(), &key)
    }

    /// A good certificate for localhost.
    pub fn localhost(&self) -> Identity {
        self.issue("localhost", &leaf(&["localhost"]))
    }
}

impl Identity {
    /// Writes a certificate and its key to files of this name.
    pub fn write(folder: &Path, name: &str, pem: &str, key: &KeyPair) -> Identity {
        let identity = Identity {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&identity.certificate, pem).expect("a file");
        fs::write(&identity.key, key.serialize_pem()).expect("a file");
        identity
    }
}

/// A server's certificate for these names, as it should be.
pub fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_string()
}

/// The protocol's frame, in other words than the program's: every run of newlines (CR LF is one)
/// becomes one, those at the end go, two end it.
pub fn framed(json: &str) -> String {
    let lines = json.replace("\r\n", "\n");
    let mut out = String::new();
    for line in lines.split('\n') {
        // What stands between two newlines of a run is empty.
        if !line.is_empty() || out.is_empty() {
            out.push_str(line);
            out.push('\n');
        }
    }
    format!("{}\n\n", out.trim_end_matches('\n'))
}

/// Twenty places as Google prints them, with all that a reader might stumble over.
pub fn twenty_places() -> String {
    let place = |n: usize| {
        format!(
            "      {{\r\n\r\n         \"geometry\" : {{ \"location\" : {{ \"lat\" : 34.{n:02}00, \"lng\" : \
             -118.4430 }} }},\n\n\n         \"name\" : \"Café \\n\\n №{n} ☕ ]}},{{\",\n         \
             \"rating\" : 4.50e0, \"text\" : \"{}\"\n      }}",
            "lorem ipsum \\\"dolor\\\" ".repeat(40)
        )
    };
    let places: Vec<String> = (0..20).map(place).collect();
    format!(
        "{{\n   \"html_attributions\" : [],\n   \"results\" : [\n{}\n   ],\n\n   \"status\" : \
         \"OK\"\n}}\n\n\n",
        places.join(",\n")
    )
}

/// A client whose report the server knows, and its AT line.
pub fn known(address: SocketAddr, id: &str) -> (Client, String) {
    let mut client = Client::connect(address);
    let at = client.ask(iamat(id));
    assert!(at.starts_with("AT "), "{at:?}");
    (client, at)
}

/// The answer to a WHATSAT, bytes and all, and how long it took. It must be there in time, in its
/// frame, with nothing behind it.
pub fn whatsat(client: &mut Client, question: &str) -> (String, Duration) {
    let begun = Instant::now();
    client.send(question);
    let mut answer = String::new();
    loop {
        match client.try_line(LONGEST) {
            Ok(line) => answer.push_str(&line),
            Err(why) => panic!("{why:?} instead of an answer to {question:?}: {answer:?}"),
        }
        if answer.ends_with("\n\n") {
            break;
        }
    }
    assert_eq!(latin1(client.pending()), "", "bytes after the answer");
    (answer, begun.elapsed())
}

/// Text as the client reads it: a character for each byte.
pub fn as_read(text: &str) -> String {
    latin1(text.as_bytes())
}

/// What came of a question to Places, once the journal tells.
pub fn outcome(journal: impl Fn() -> String, number: u64) -> String {
    let mark = format!(" - places {number} * Done: ");
    let mut found = String::new();
    wait_until(LONGEST, &format!("the journal tells of {number}"), || {
        let journal = journal();
        let line = journal.lines().find_map(|line| line.split_once(&mark));
        found = line.map_or(String::new(), |(_, text)| text.to_string());
        !found.is_empty()
    });
    found
}

/// No standard streams but for what is said.
pub fn silent(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Starts an `openssl s_server` that was told to accept on port 0, and waits until it says where.
/// What it says later is read and thrown away.
pub fn accepting(command: &mut Command) -> (Running, u16) {
    let mut server = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let output = server.0.stdout.take().expect("its output");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port = lines
        .find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok())
        .expect("openssl s_server says ACCEPT and a port");
    std::thread::spawn(move || lines.for_each(drop));
    (server, port)
}
