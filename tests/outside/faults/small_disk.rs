//! Row 17: the journal's disk is full, and then it is not.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::rounds;
use super::script::Script;
use crate::common::{Client, wait_until};

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address: SocketAddr = free.expect("a port");
    let herd = format!(r#"{{"servers": {{"Clark": "{address}"}}, "links": []}}"#);
    let mut script = Script::start("small_disk.sh", &["--mount"], &herd);
    wait_until(Duration::from_secs(5), "it listens", || {
        script.file("Clark.out").contains("listens")
    });
    let rounds = rounds(3);
    let mut client = Client::connect(address);
    for round in 1..=rounds {
        script.tell("fill");
        // More than the journal's buffer holds: some must be dropped.
        let line = format!("{round} {}\n", "w".repeat(8_000));
        for _ in 0..600 {
            assert_eq!(client.ask(&line), format!("? {line}"), "round {round}");
        }
        script.tell("free");
        let mut shown = String::new();
        // What waits is larger than the disk: each write takes what fits, and then it is emptied.
        wait_until(Duration::from_secs(20), "the drops are counted", || {
            client.ask("on\n");
            // The end of the disk may cut a line in two.
            shown.push_str(&script.tell("show").replace('|', ""));
            shown.contains("lines were dropped")
        });
        wait_until(Duration::from_secs(20), "the journal goes on", || {
            client.ask(format!("well again {round}\n"));
            shown = script.tell("show");
            shown.contains(&format!("< well again {round}|"))
        });
    }
    println!("{rounds} times full and free again");
}
