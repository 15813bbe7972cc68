//! Good servers that nobody here wrote: nginx, `openssl s_server`, Python's ssl. A thousand
//! WHATSATs each, compared by the byte with what they serve.

mod nginx;
mod openssl;

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use crate::common::{Herd, PATIENCE, Plan, TempDir, wait_until};
use crate::others::{
    Authority, Running, as_read, framed, free_port, known, program, text, twenty_places,
    wait_listening, whatsat,
};

/// Questions to each of the good ones.
const QUESTIONS: usize = 1000;
/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// One server of the herd that asks there.
fn herd(url: &str, ca: &str) -> Herd {
    let args = ["--places", "legacy", "--places-url", url, "--ca-file", ca];
    Plan::only("Clark").args(&args).start()
}

/// Asks so many times, from a few clients at once, each at a place of its own so that no two share
/// a request; every answer must be this body in its frame.
fn ask(herd: &Herd, body: &str, questions: usize, clients: usize) {
    let wanted = as_read(&framed(body));
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..clients {
            let wanted = &wanted;
            scope.spawn(move || {
                let (mut client, _) = known(herd.address("Clark"), "nobody");
                let id = format!("phone-{number}");
                let time = crate::common::now();
                let at = client.ask(format!("IAMAT {id} +{number}.5-118.44 {time}\n"));
                let at = at.as_str();
                for question in 0..questions / clients {
                    let (answer, _) = whatsat(&mut client, &format!("WHATSAT {id} 10 20\n"));
                    let fits = answer.strip_prefix(at) == Some(wanted);
                    assert!(fits, "{id}, question {question}: {answer:?}");
                }
            });
        }
    });
    let done = || herd.journal("Clark").matches(" * Done: ").count();
    wait_until(PATIENCE, "the journal is written", || done() == questions);
    let journal = herd.journal("Clark");
    let count = |text: &str| journal.matches(text).count();
    println!(
        "{questions} questions in {:?}: {} full and {} resumed handshakes, {} on kept connections, \
         {} asked once more",
        begun.elapsed(),
        count("full handshake"),
        count("resumed handshake"),
        count("on a kept connection"),
        count("had died"),
    );
    assert_eq!(count(" * Done: 200 OK, "), questions, "the journal's count");
    assert_eq!(count("failed") + count("not usable"), 0, "no failures");
}

/// http.server with ssl: HTTP/1.1, kept alive, a thread for each connection.
const PYTHON: &str = r#"
import http.server, ssl, sys
certificate, key, port, body = sys.argv[1:]
body = open(body, "rb").read()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"#;

#[test]
fn python() {
    let directory = TempDir::new();
    let authority = Authority::new("An authority", directory.path());
    let identity = authority.localhost();
    let (body, port) = (twenty_places(), free_port());
    let file = directory.path().join("body.json");
    fs::write(&file, &body).expect("a file");
    let mut command = program("python3", "python3");
    command
        .args(["-c", PYTHON, &text(&identity.certificate)])
        .args([&text(&identity.key), &port.to_string(), &text(&file)])
        .stdin(Stdio::null());
    let _python = Running::start(&mut command);
    wait_listening(port, "python3");
    let herd = herd(&format!("https://localhost:{port}"), &authority.file());
    ask(&herd, &body, QUESTIONS, CLIENTS);
}
