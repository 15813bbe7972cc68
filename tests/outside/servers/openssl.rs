//! `openssl s_server`: files as raw responses, and a conversation by hand with key updates and a
//! renegotiation.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::{QUESTIONS, ask, herd};
use crate::common::{TempDir, wait_until};
use crate::others::{
    Authority, Identity, LONGEST, Running, UNKNOWN_ERROR, accepting, as_read, framed, free_port,
    known, outcome, program, text, twenty_places, whatsat,
};

/// Every client of `ask` asks at a place of its own, and the file's name is the question.
fn write_files(directory: &TempDir, clients: usize, response: &str) {
    let folder = directory.path().join("maps/api/place/nearbysearch");
    fs::create_dir_all(&folder).expect("a folder");
    for number in 0..clients {
        let name = format!("json?location={number}.5,-118.44&radius=10000");
        fs::write(folder.join(name), response).expect("a file");
    }
}

fn s_server(directory: &TempDir, identity: &Identity, version: &str) -> std::process::Command {
    let mut command = program("openssl", "openssl");
    command
        .args(["s_server", version])
        .args(["-cert", &text(&identity.certificate)])
        .args(["-key", &text(&identity.key)])
        .current_dir(directory.path());
    command
}

/// s_server closes after each answer, whether the head says so or not.
fn files(version: &str, connection: &str) {
    let directory = TempDir::new();
    let authority = Authority::new("An authority", directory.path());
    let identity = authority.localhost();
    let body = twenty_places();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{connection}\r\n");
    write_files(&directory, 1, &format!("{head}{body}"));
    let mut command = s_server(&directory, &identity, version);
    command
        .args(["-accept", "127.0.0.1:0", "-HTTP"])
        .stdin(Stdio::null());
    let (_server, port) = accepting(&mut command);
    let herd = herd(&format!("https://localhost:{port}"), &authority.file());
    println!("{version} {connection:?}:");
    ask(&herd, &body, QUESTIONS / 2, 1);
}

#[test]
fn openssl_with_tls_1_2() {
    files("-tls1_2", "Connection: close\r\n");
    files("-tls1_2", "");
}

#[test]
fn openssl_with_tls_1_3() {
    files("-tls1_3", "Connection: close\r\n");
    files("-tls1_3", "");
}

/// What s_server prints, as it comes.
fn listen(child: &mut Child) -> Receiver<Vec<u8>> {
    let mut output = child.stdout.take().expect("its output");
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            if tell.send(bytes[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    told
}

/// Reads until a text has come.
fn wait_for_text(told: &Receiver<Vec<u8>>, text: &str) {
    let mut heard = String::new();
    while !heard.contains(text) {
        match told.recv_timeout(LONGEST) {
            Ok(bytes) => heard.push_str(&String::from_utf8_lossy(&bytes)),
            Err(why) => panic!("{why} instead of {text:?}: {heard}"),
        }
    }
}

/// The JSON that is typed.
const TYPED: &str = "{\"results\":[],\n\n\"status\":\"ZERO_RESULTS\"}\n";

/// The test types the answer into s_server in two parts, the head and this body, and before each a
/// letter on a line of its own, which s_server takes for a command. Returns the client's AT line, its answer, and what
/// the journal says.
fn typed(version: &str, commands: [&str; 2], body: &str) -> (String, String, String) {
    let directory = TempDir::new();
    let authority = Authority::new("An authority", directory.path());
    let identity = authority.localhost();
    let port = free_port();
    // To a pipe its words would wait for more of them.
    let mut command = program("stdbuf", "coreutils");
    let openssl = s_server(&directory, &identity, version);
    command.arg("-o0").arg(openssl.get_program());
    command.args(openssl.get_args());
    command.args(["-accept", &format!("127.0.0.1:{port}")]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut server = Running::start(&mut command);
    let told = listen(&mut server.0);
    let mut input = server.0.stdin.take().expect("its input");
    wait_for_text(&told, "ACCEPT");
    let herd = herd(&format!("https://localhost:{port}"), &authority.file());
    let (mut client, at) = known(herd.address("Clark"), "phone");
    let asking = thread::spawn(move || whatsat(&mut client, "WHATSAT phone 10 20\n").0);
    wait_for_text(&told, "Connection: keep-alive");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", TYPED.len());
    for (part, command) in [&head[..], body].iter().zip(commands) {
        if !command.is_empty() {
            input.write_all(command.as_bytes()).expect("s_server reads");
            wait_for_text(&told, "SSL_do_handshake -> ");
        }
        input.write_all(part.as_bytes()).expect("s_server reads");
        // A command is one only if s_server reads it by itself.
        wait_until(LONGEST, "the head has come", || {
            herd.journal("Clark").contains(" * Body: ")
        });
    }
    let answer = asking.join().expect("an answer");
    (at, answer, outcome(|| herd.journal("Clark"), 1))
}

#[test]
fn openssl_updates_its_keys_and_asks_for_ours() {
    for commands in [["k\n", "K\n"], ["K\n", "k\n"]] {
        let (at, answer, said) = typed("-tls1_3", commands, TYPED);
        assert_eq!(answer, format!("{at}{}", as_read(&framed(TYPED))));
        assert_eq!(said, format!("200 ZERO_RESULTS, {} bytes", TYPED.len()));
    }
}

#[test]
fn openssl_asks_for_a_renegotiation() {
    // It is told no, by a warning, and takes offence before there is a body.
    let (at, answer, said) = typed("-tls1_2", ["", "r\n"], "");
    assert_eq!(answer, format!("{at}{}", framed(UNKNOWN_ERROR)));
    let reason = "failed: the other side ended TLS with alert 40 (HandshakeFailure)";
    assert_eq!(said, reason);
}
