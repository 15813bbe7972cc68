//! Row 18: system calls are interrupted, and take less than they were given.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use regex::Regex;

use crate::common::{TempDir, UCLA, wait_for};

/// What a client says; the answers are the same but for the skews.
fn script() -> String {
    let mut text = String::new();
    for n in 0..300 {
        text += &format!("IAMAT client-{n} {UCLA} 1621464827.{n:03}\nnonsense {n}\n");
        text += &format!("WHATSAT client-{n} 10 {}\n", n % 3);
    }
    text
}

struct Server {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Server {
    /// A server under strace, which does to its calls what `inject` says.
    fn start(inject: &[&str]) -> Server {
        let directory = TempDir::new();
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port");
        let herd = format!(r#"{{"servers": {{"Clark": "{address}"}}, "links": []}}"#);
        std::fs::write(directory.path().join("herd.json"), herd).expect("a herd file");
        let mut command = Command::new("strace");
        command.args(["-f", "-qqq", "-o", "/dev/null", "-e", "trace=none"]);
        for what in inject {
            command.args(["-e", &format!("inject={what}")]);
        }
        let child = command
            .arg(env!("CARGO_BIN_EXE_herd"))
            // strace that is killed lets go of it; the end of this pipe does not.
            .args(["Clark", "--herd", "herd.json", "--until-stdin-ends"])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace, which .ci/run installs");
        Server {
            child,
            address,
            _directory: directory,
        }
    }

    /// Says the script and reads all answers; `slowly` through a small buffer, with rests.
    fn answers(&self, slowly: bool) -> String {
        let mut stream = wait_for(Duration::from_secs(10), "it listens", || {
            TcpStream::connect(self.address).ok()
        });
        if slowly {
            let socket = socket2::SockRef::from(&stream);
            socket.set_recv_buffer_size(2_048).expect("a socket");
        }
        let mut writer = stream.try_clone().expect("a socket");
        let sender = thread::spawn(move || {
            writer
                .write_all(script().as_bytes())
                .expect("it takes bytes");
            writer.shutdown(std::net::Shutdown::Write).expect("an end");
        });
        let mut heard = Vec::new();
        let mut buffer = [0; 1_500];
        loop {
            let count = stream.read(&mut buffer).expect("it answers");
            if count == 0 {
                break;
            }
            heard.extend_from_slice(&buffer[..count]);
            if slowly && heard.len() % 7 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
        }
        sender.join().expect("no panic");
        let skew = Regex::new(r"AT Clark [+-][0-9.]+ ").expect("a pattern");
        let text = String::from_utf8(heard).expect("text");
        skew.replace_all(&text, "AT Clark SKEW ").into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn interrupted_and_short_calls_change_no_byte() {
    let wanted = Server::start(&[]).answers(false);
    assert_eq!(wanted.matches("AT Clark SKEW").count(), 600);
    let mut cases = 0;
    for call in ["recvfrom", "sendto", "accept4", "epoll_wait", "write"] {
        for when in ["1", "2+2", "3+5"] {
            for slowly in [false, true] {
                let inject = format!("{call}:error=EINTR:when={when}");
                let found = Server::start(&[&inject]).answers(slowly);
                assert!(found == wanted, "{inject}, slowly: {slowly}");
                cases += 1;
            }
        }
    }
    // The journal's file alone: there the system may say that it would block, at any time.
    for when in ["1", "2+2"] {
        let found = Server::start(&[&format!("write:error=EAGAIN:when={when}")]).answers(true);
        assert!(found == wanted, "EAGAIN");
        cases += 1;
    }
    println!("{cases} ways to interrupt; the same {} bytes", wanted.len());
}
