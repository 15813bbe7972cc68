//! Files that are none: a pipe, a device, a socket or a folder where the server would write or read
//! a file. It says so at once, and nothing of it has started.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::common::{Client, TempDir, fifo, iamat, on_a_full_disk, run_herd};

/// Everything that is no regular file, by names in this folder and outside.
fn odd_files(folder: &Path) -> Vec<&'static str> {
    fifo(&folder.join("fifo"));
    symlink("fifo", folder.join("link")).expect("a link");
    fs::create_dir(folder.join("folder")).expect("a folder");
    UnixListener::bind(folder.join("socket")).expect("a socket");
    vec![
        "fifo",
        "link",
        "folder",
        "socket",
        "/dev/null",
        "/dev/full",
        "/dev/zero",
        "/dev/stdin",
    ]
}

#[test]
fn what_a_server_writes_and_a_recording_that_it_reads_are_regular_files() {
    let folder = TempDir::new();
    let odd = odd_files(folder.path());
    for option in ["--record", "--trace", "--snapshot", "--replay"] {
        for file in &odd {
            let server = if option == "--replay" {
                &[][..]
            } else {
                &["Clark"]
            };
            let words = [server, &[option, file]].concat();
            let exit = run_herd(folder.path(), &words);
            assert_eq!(
                (exit.code, exit.stdout.as_str()),
                (Some(2), ""),
                "{words:?} {exit:?}"
            );
            let said = format!("herd: {option} {file}: expected a regular file\n");
            assert_eq!(exit.stderr, said, "{words:?}");
        }
    }
    assert!(
        !folder.path().join("Clark.log").exists(),
        "a journal was begun"
    );
}

/// One of its servers would not start.
#[test]
fn the_files_of_a_whole_herd_are_looked_at_before_any_server_starts() {
    let folder = TempDir::new();
    fs::create_dir(folder.path().join("out")).expect("a folder");
    for file in ["Clark.recording", "Bona.trace.json", "Jaquez.snapshot"] {
        let path = folder.path().join("out").join(file);
        fifo(&path);
        let words = [
            ["--record", "out"],
            ["--trace", "out"],
            ["--snapshot", "out/{name}.snapshot"],
        ];
        let exit = run_herd(folder.path(), &[&["--all"][..], &words.concat()].concat());
        assert_eq!((exit.code, exit.stdout.as_str()), (Some(2), ""), "{exit:?}");
        let said = format!("out/{file}: expected a regular file\n");
        assert!(exit.stderr.ends_with(&said), "{exit:?}");
        fs::remove_file(path).expect("it is there");
    }
}

#[test]
fn keys_and_certificates_are_regular_files() {
    let folder = TempDir::new();
    let path = folder.path().join("fifo");
    fifo(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(folder.path().join("key"), "AIzaSecret").expect("a file");
    let url = ["--places-url", "https://127.0.0.1:1"];
    for words in [
        &["--key-file", "fifo"][..],
        &[url[0], url[1], "--ca-file", "fifo"],
        &["--tls-cert", "fifo", "--tls-key", "key"],
        &[
            "--peer-cert",
            "fifo",
            "--peer-key",
            "key",
            "--peer-ca",
            "key",
        ],
    ] {
        let exit = run_herd(
            folder.path(),
            &[&["Clark", "--log", "none"], words].concat(),
        );
        assert!(matches!(exit.code, Some(1 | 2)), "{words:?} {exit:?}");
        let said = "fifo: expected a regular file\n";
        assert!(exit.stderr.ends_with(said), "{words:?} {exit:?}");
    }
}

#[test]
fn a_recording_and_a_trace_that_cannot_be_written_stop_no_server() {
    let folder = TempDir::new();
    let files = ["--record=run.recording", "--trace=trace.json"];
    let (mut child, address) = on_a_full_disk(folder.path(), 0, &files);
    let answer = Client::connect(address).ask(iamat("kiwi"));
    assert!(answer.starts_with("AT A "), "{answer}");
    drop(child.stdin.take());
    let exit = child.wait_with_output().expect("it ends");
    assert!(exit.status.success(), "{exit:?}");
    let said = String::from_utf8_lossy(&exit.stderr);
    for what in ["recording", "trace"] {
        let said_of_it = format!("the {what} broke off: File too large");
        assert!(said.contains(&said_of_it), "{said}");
    }
}

/// Two writers of one file lose what each of them wrote.
#[test]
fn each_file_that_is_written_has_a_name_of_its_own() {
    let folder = TempDir::new();
    let herd = r#"{"servers": {"A": "127.0.0.1:9"}, "links": []}"#;
    fs::write(folder.path().join("herd.json"), herd).expect("a herd file");
    fs::write(folder.path().join("there"), "").expect("a file");
    fs::hard_link(folder.path().join("there"), folder.path().join("twin")).expect("a link");
    symlink("nowhere", folder.path().join("link")).expect("a link");
    for (words, said) in [
        (
            &["--log=x", "--record=x"][..],
            "--record x: that is the file of --log",
        ),
        (
            &["--log=x", "--snapshot=./x"],
            "--snapshot ./x: that is the file of --log",
        ),
        (
            &["--trace=there", "--record=twin"],
            "--trace there: that is the file of --record",
        ),
        (
            &["--log=nowhere", "--trace=link"],
            "--trace link: that is the file of --log",
        ),
        (
            &["--record=A.log"],
            "--record A.log: that is the file of --log",
        ),
        // What the journal becomes.
        (
            &["--max-log=9", "--snapshot=A.log.1"],
            "--snapshot A.log.1: that is the file",
        ),
        // What is read is not to be written over.
        (&["--log=herd.json"], "that is the file of --log"),
        (
            &["--record={name}", "--snapshot={name}.log"],
            "that is the file of --log",
        ),
    ] {
        let words = [&["A", "--herd=herd.json"][..], words].concat();
        let exit = run_herd(folder.path(), &words);
        assert_eq!(exit.code, Some(2), "{words:?} {exit:?}");
        assert!(exit.stderr.contains(said), "{words:?} {exit:?}");
    }
    let exit = run_herd(folder.path(), &["--all", "--snapshot={name}.log"]);
    let said = "herd: --snapshot Bailey.log: that is the file of --log\n";
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(2), said));
    let kept = fs::read_to_string(folder.path().join("herd.json")).expect("it is there");
    assert_eq!(kept, herd);
}

/// Runs a server that is told of one client, to its end.
fn run_once(folder: &Path, files: &[&str]) {
    let (mut child, address) = on_a_full_disk(folder, 1 << 20, files);
    let answer = Client::connect(address).ask(iamat("kiwi"));
    assert!(answer.starts_with("AT A "), "{answer}");
    drop(child.stdin.take());
    let exit = child.wait_with_output().expect("it ends");
    assert!(exit.status.success(), "{exit:?}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o777
}

const ALL: [(&str, &str); 3] = [
    ("--snapshot=kept", "kept"),
    ("--record=run.recording", "run.recording"),
    ("--trace=trace.json", "trace.json"),
];

/// They hold where phones are. (The journal: as these, by the same function.)
#[test]
fn what_a_server_writes_is_for_its_owner_alone() {
    let folder = TempDir::new();
    run_once(folder.path(), &ALL.map(|(option, _)| option));
    for (_, name) in ALL {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    let exit = run_herd(
        folder.path(),
        &["A", "--herd=herd.json", "--until-stdin-ends"],
    );
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(mode(&folder.path().join("A.log")), 0o600);
}

#[test]
fn a_file_that_is_there_keeps_its_mode_and_its_links() {
    for wanted in [0o644, 0o400, 0o620] {
        let folder = TempDir::new();
        let real = folder.path().join("real");
        fs::create_dir(&real).expect("a folder");
        for (_, name) in ALL {
            fs::write(real.join(name), "").expect("a file");
            let mode = if name == "kept" {
                wanted
            } else {
                wanted | 0o200
            };
            let rights = fs::Permissions::from_mode(mode);
            fs::set_permissions(real.join(name), rights).expect("ours");
            symlink(format!("real/{name}"), folder.path().join(name)).expect("a link");
        }
        run_once(folder.path(), &ALL.map(|(option, _)| option));
        for (_, name) in ALL {
            let link = fs::symlink_metadata(folder.path().join(name)).expect("it is there");
            assert!(link.is_symlink(), "{name} is no link any more");
            let file = real.join(name);
            let mode = mode(&file);
            assert!(mode == wanted || mode == wanted | 0o200, "{name}: {mode:o}");
            assert!(
                fs::metadata(&file).expect("it is there").len() > 0,
                "{name}"
            );
        }
        assert_eq!(mode(&real.join("kept")), wanted);
    }
}

/// Whoever may write in the folder waits there with links under each name that can be guessed.
#[test]
fn a_link_in_the_way_does_not_lead_to_somebody_elses_file() {
    let folder = TempDir::new();
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").expect("a file");
    for name in ["kept.new", "kept.tmp", ".kept.new", "kept~", "kept.before"] {
        symlink("victim", folder.path().join(name)).expect("a link");
    }
    fs::write(folder.path().join("kept"), "no snapshot\n").expect("a file");
    run_once(folder.path(), &["--snapshot=kept", "--snapshot-every=0"]);
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "mine");
    let kept = fs::read_to_string(folder.path().join("kept")).expect("a snapshot");
    assert!(kept.contains(" kiwi "), "{kept}");
    let before = fs::read_to_string(folder.path().join("kept.before.2")).expect("a copy");
    assert_eq!(before, "no snapshot\n");
}

#[test]
fn the_herd_files_that_were_faults_are_refused() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults");
    let why = fs::read_to_string(data.join("WHY.md")).expect("a table");
    let rows = why.lines().filter(|line| line.contains(".json |"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (file, said) = (data.join(cells[1]), cells[3]);
        let folder = TempDir::new();
        for server in ["A", "--all"] {
            let herd = file.to_str().expect("a plain path");
            let exit = run_herd(folder.path(), &[server, "--herd", herd]);
            assert_eq!((exit.code, exit.stdout.as_str()), (Some(2), ""), "{row}");
            assert!(exit.stderr.contains(said), "{row}: {}", exit.stderr);
        }
        count += 1;
    }
    let files = fs::read_dir(data).expect("a folder").count();
    assert_eq!(count, files - 1, "each has its row");
}
