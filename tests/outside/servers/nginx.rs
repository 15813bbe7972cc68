//! nginx with TLS: kept connections, an end after seven requests, chunks, a slow line, statuses.

use std::fs;
use std::time::{Duration, Instant};

use super::{CLIENTS, QUESTIONS, ask, herd};
use crate::common::TempDir;
use crate::others::{
    Authority, Running, UNKNOWN_ERROR, framed, free_port, known, outcome, program, silent, text,
    twenty_places, wait_listening, whatsat,
};

/// FOLDER, PORT and INNER are put in.
const CONFIG: &str = r#"
daemon off; master_process off; pid FOLDER/pid; error_log FOLDER/error.log;
events { worker_connections 256; }
http {
  log_format counted '$request_uri $status $connection $connection_requests $sent_http_transfer_encoding';
  access_log FOLDER/access.log counted;
  client_body_temp_path FOLDER/t1; proxy_temp_path FOLDER/t2; fastcgi_temp_path FOLDER/t3;
  uwsgi_temp_path FOLDER/t4; scgi_temp_path FOLDER/t5;
  default_type application/json; tcp_nodelay on; root FOLDER;
  server {
    listen 127.0.0.1:PORT ssl;
    ssl_certificate FOLDER/localhost.crt; ssl_certificate_key FOLDER/localhost.key;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:one:1m;
    keepalive_requests 100000;
    location /kept/ { try_files /body.json =404; }
    location /seven/ { keepalive_requests 7; try_files /body.json =404; }
    location /never/ { keepalive_timeout 0; try_files /body.json =404; }
    location /chunked/ { ssi on; ssi_types application/json; try_files /body.json =404; }
    location /proxied/ { proxy_pass http://127.0.0.1:INNER; proxy_http_version 1.1; }
    location /pieces/ { add_after_body /end.json; addition_types application/json;
                        try_files /begin.json =404; }
    location /slow/ { limit_rate 8k; try_files /body.json =404; }
    location /302/ { return 302 https://localhost:PORT/kept/; }
    location /429/ { return 429; }
    location /503/ { return 503 '{"results":[],"status":"OK"}'; }
    location /404/ { try_files /nothing =404; }
    location /444/ { return 444; }
    location /gzip/ { gzip on; gzip_types application/json; gzip_min_length 1;
                      try_files /body.json =404; }
  }
  server { listen 127.0.0.1:INNER; access_log off; ssi on; ssi_types application/json;
           location / { try_files /body.json =404; } }
}
"#;

/// nginx, running.
struct Nginx {
    directory: TempDir,
    authority: Authority,
    body: String,
    port: u16,
    _process: Running,
}

impl Nginx {
    fn start() -> Nginx {
        let directory = TempDir::new();
        let authority = Authority::new("An authority", directory.path());
        authority.localhost();
        let body = twenty_places();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("body.json"), &body).expect("a file");
        let half = body.len() / 2;
        let half = (half..).find(|&at| body.is_char_boundary(at)).expect("one");
        fs::write(path("begin.json"), &body[..half]).expect("a file");
        fs::write(path("end.json"), &body[half..]).expect("a file");
        let (port, inner) = (free_port(), free_port());
        let config = CONFIG
            .replace("FOLDER", &text(directory.path()))
            .replace("PORT", &port.to_string())
            .replace("INNER", &inner.to_string());
        fs::write(path("nginx.conf"), config).expect("a file");
        let mut command = program("nginx", "nginx-light");
        command.args([
            "-p",
            &text(directory.path()),
            "-c",
            &text(&path("nginx.conf")),
        ]);
        let process = Running::start(silent(&mut command));
        wait_listening(port, "nginx");
        Nginx {
            directory,
            authority,
            body,
            port,
            _process: process,
        }
    }

    /// A thousand questions, or so many, to one of its locations.
    fn good(&self, location: &str, questions: usize, clients: usize) {
        println!("{location}:");
        let url = format!("https://localhost:{}/{location}", self.port);
        let herd = herd(&url, &self.authority.file());
        ask(&herd, &self.body, questions, clients);
    }

    /// The access log's lines about a location.
    fn log(&self, location: &str) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("access.log"));
        let text = text.expect("an access log");
        let here = format!("/{location}/");
        let lines = text.lines().filter(|line| line.starts_with(&here));
        lines.map(str::to_string).collect()
    }
}

#[test]
fn nginx_keeps_connections() {
    let nginx = Nginx::start();
    nginx.good("kept", QUESTIONS, CLIENTS);
    assert_eq!(nginx.log("kept").len(), QUESTIONS);
}

#[test]
fn nginx_ends_after_seven_requests_or_one() {
    let nginx = Nginx::start();
    nginx.good("seven", QUESTIONS, CLIENTS);
    let log = nginx.log("seven");
    assert_eq!(log.len(), QUESTIONS);
    let requests = |line: &String| line.split(' ').nth(3).map(str::to_string);
    let last = log
        .iter()
        .filter(|line| requests(line).as_deref() == Some("7"));
    assert!(
        last.count() >= QUESTIONS / 8,
        "connections were used seven times"
    );
    nginx.good("never", QUESTIONS, CLIENTS);
}

#[test]
fn nginx_sends_chunks() {
    let nginx = Nginx::start();
    for location in ["chunked", "proxied", "pieces"] {
        nginx.good(location, QUESTIONS, CLIENTS);
        let log = nginx.log(location);
        assert_eq!(log.len(), QUESTIONS, "{location}");
        let chunked = log.iter().filter(|line| line.ends_with(" chunked"));
        assert_eq!(chunked.count(), QUESTIONS, "{location}");
    }
}

#[test]
fn nginx_on_a_slow_line_and_with_gzip_for_others() {
    let nginx = Nginx::start();
    let begun = Instant::now();
    nginx.good("slow", 24, 12);
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "the line was slow"
    );
    nginx.good("gzip", 40, CLIENTS);
}

#[test]
fn nginx_gives_other_statuses() {
    let nginx = Nginx::start();
    for (location, reason) in [
        (
            "302",
            "not usable: HTTP status 302: redirects are not followed, ",
        ),
        (
            "429",
            "not usable: HTTP status 429 without a refusal by Google, ",
        ),
        (
            "503",
            "not usable: HTTP status 503 without a refusal by Google, ",
        ),
        (
            "404",
            "not usable: HTTP status 404 without a refusal by Google, ",
        ),
        ("444", "failed: closed before the first byte of an answer"),
    ] {
        let url = format!("https://localhost:{}/{location}", nginx.port);
        let herd = herd(&url, &nginx.authority.file());
        let (mut client, at) = known(herd.address("Clark"), "phone");
        let (answer, _) = whatsat(&mut client, "WHATSAT phone 10 20\n");
        assert_eq!(
            answer,
            format!("{at}{}", framed(UNKNOWN_ERROR)),
            "{location}"
        );
        let said = outcome(|| herd.journal("Clark"), 1);
        assert!(said.starts_with(reason), "{location}: {said}");
        assert_eq!(nginx.log(location).len(), 1, "asked once");
    }
}
