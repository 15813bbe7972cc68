//! What the source may not contain, and what each file must.

use crate::source::{Source, assert_none, sources};

/// What a loop asks of its world.
const OF_A_WORLD: [&str; 5] = [
    "SystemTime",
    "Instant",
    "sleep(",
    "std::net::Tcp",
    "TcpStream::connect",
];

#[test]
fn the_source_does_not_contain_what_it_must_not() {
    // (what, where it is allowed, why not elsewhere)
    let banned: [(&str, &[&str], &str); 12] = [
        ("unsafe ", &[], "no unsafe in our crate"),
        (
            "SystemTime",
            &["worlds/os/world.rs"],
            "the wall clock is asked of the world",
        ),
        (
            "Instant",
            &["worlds/os/world.rs", "cli/all.rs"],
            "time is asked of the world",
        ),
        ("sleep(", &["net/input.rs"], "nothing waits but the poll"),
        ("std::net::Tcp", &[], "sockets are asked of the world"),
        (
            "TcpStream::connect",
            &["worlds/os/world.rs", "cli/ps.rs"],
            "sockets are asked of the world",
        ),
        (".unwrap()", &[], "an error has an answer"),
        (".expect(", &[], "an error has an answer"),
        ("panic!", &[], "no panic"),
        ("unreachable!", &[], "no panic"),
        ("todo!", &[], "no stub"),
        (
            "RandomState",
            &["worlds/os/world.rs", "worlds/os/disk.rs", "herd/store.rs"],
            "chance is asked of the world",
        ),
    ];
    let mut findings = Vec::new();
    for source in sources(&["src"]) {
        // The checker is a client, with a thread to itself: it has no world to ask, and waits with deadlines.
        let is_client = source.floor() == "check";
        for (number, line) in source.code() {
            for (word, allowed, why) in banned {
                if is_client && OF_A_WORLD.contains(&word) {
                    continue;
                }
                if line.contains(word) && !allowed.iter().any(|place| source.path.ends_with(place))
                {
                    findings.push(format!(
                        "{}:{number}: {word} ({why})",
                        source.path.display()
                    ));
                }
            }
        }
    }
    assert_none(findings);
}

#[test]
fn each_file_says_what_it_is() {
    let says = |source: &Source| source.text.starts_with("//! ");
    let silent = sources(&["src", "tests", "examples"])
        .into_iter()
        .filter(|source| !says(source));
    assert_none(
        silent
            .map(|source| format!("{}: no //! first line", source.path.display()))
            .collect(),
    );
}
