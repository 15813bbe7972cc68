//! A tour of the herd for somebody who has never seen it: five real servers,
//! a phone that moves, a server that dies and comes back, another that asks
//! Google, or rather its stand-in.
//!
//! ```text
//! cargo build --bins --examples && cargo run --example tour
//! ```
//!
//! Lines that begin with `>` are sent, lines that begin with `<` come back;
//! with `nc` you could type the first and see the second. The tour checks all
//! that it tells: it ends with status 0 only if every word of it was true.

mod behind;
mod phone;

use std::process::ExitCode;
use std::time::Duration;

use behind::{Herd, StandIn, within};
use phone::Phone;

/// Every step either keeps its promise or says in one sentence how it did not.
type Kept<T = ()> = Result<T, String>;

/// How long anything may take before we call the promise broken.
const PATIENCE: Duration = Duration::from_secs(5);

const NAMES: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];

const LINKS: [(&str, &str); 6] = [
    ("Clark", "Jaquez"),
    ("Clark", "Bona"),
    ("Campbell", "Bailey"),
    ("Campbell", "Bona"),
    ("Campbell", "Jaquez"),
    ("Bona", "Bailey"),
];

const MAP: &str = "
      Jaquez ------ Campbell ------ Bailey
        |               |              |
      Clark ---------- Bona -----------+
";

fn main() -> ExitCode {
    match tour() {
        Ok(()) => ExitCode::SUCCESS,
        Err(broken) => {
            eprintln!("\nNot as promised: {broken}");
            ExitCode::FAILURE
        }
    }
}

fn tour() -> Kept {
    let mut herd = the_herd_wakes_up()?;
    let told = a_phone_says_where_it_is(&herd)?;
    the_farthest_server_is_asked(&herd, &told)?;
    everybody_knows(&herd, &told)?;
    let moved = a_server_dies_and_the_phone_moves_on(&mut herd)?;
    the_server_returns_and_knows_everything(&mut herd, &moved)?;
    a_server_asks_google(&mut herd, &moved)?;
    nonsense_comes_back(&herd)?;
    chapter("The end");
    println!("All was as promised. Try it yourself: `herd --all` starts such a herd,");
    println!("and `nc 127.0.0.1 10003` talks to its Clark.");
    Ok(())
}

// ---- The story ----

fn the_herd_wakes_up() -> Kept<Herd> {
    chapter("Five servers, six links");
    println!("Each server is a process of its own and talks to its neighbours only:");
    println!("{MAP}");
    let herd = Herd::start()?;
    for name in NAMES {
        println!("  {name:8} listens on {}", herd.address(name));
    }
    Ok(herd)
}

fn a_phone_says_where_it_is(herd: &Herd) -> Kept<String> {
    chapter("A phone says where it is");
    println!("It is called kiwi.cs.ucla.edu, it is on the campus of UCLA, and it tells");
    println!("Clark: IAMAT, its name, latitude and longitude, its time.\n");
    let at = herd.report("Clark", "+34.068930-118.445127")?;
    println!("\nThe answer says which server heard it (Clark), by how many seconds the");
    println!("server's clock differs from the phone's, and repeats what it heard.");
    Ok(at)
}

fn the_farthest_server_is_asked(herd: &Herd, told: &str) -> Kept {
    chapter("What is at its place? Somebody else is asked");
    println!("Bailey is two links away from Clark and has never met the phone. Which two");
    println!("places, at most, are within 10 km of it?\n");
    herd.wait_until_known("Bailey", told)?;
    let mut bailey = herd.dial("Bailey")?;
    bailey.say("WHATSAT kiwi.cs.ucla.edu 10 2")?;
    let at = bailey.hear_line()?;
    expect(at == told, || {
        format!("Bailey should have answered with {told:?}")
    })?;
    let places = bailey.hear_places()?.len();
    expect(places <= 2, || {
        format!("at most 2 places were asked for, {places} came")
    })?;
    println!("\nThe first line is the very answer that Clark gave: the servers pass on");
    println!("what they are told. The rest is JSON in the form of Google Places; without a");
    println!("key for it, a gazetteer built into the server knows the world's towns.");
    Ok(())
}

fn everybody_knows(herd: &Herd, told: &str) -> Kept {
    chapter("Everybody knows");
    println!("News floods from neighbour to neighbour until it meets itself. So all five");
    println!("know, whomever the phone has spoken to:\n");
    for name in NAMES {
        let took = herd.wait_until_known(name, told)?;
        println!("  {name:8} knows, and told us within {took:.1?}");
    }
    Ok(())
}

fn a_server_dies_and_the_phone_moves_on(herd: &mut Herd) -> Kept<String> {
    chapter("A server dies");
    println!("kill -9 Bona: no good-bye, nothing saved. Meanwhile the phone flies to");
    println!("Sydney and tells Jaquez.\n");
    herd.kill("Bona")?;
    let moved = herd.report("Jaquez", "-33.867052+151.195700")?;
    for name in ["Bailey", "Campbell", "Clark"] {
        herd.wait_until_known(name, &moved)?;
    }
    println!("\nThe other three know it all the same: the news went around the gap.");
    Ok(moved)
}

fn the_server_returns_and_knows_everything(herd: &mut Herd, moved: &str) -> Kept {
    chapter("The server comes back");
    println!("Bona starts again with an empty memory. Nobody tells it anything; but its");
    println!("neighbours find it and give it all they know.\n");
    herd.run("Bona", &[])?;
    let took = herd.wait_until_known("Bona", moved)?;
    let mut bona = herd.dial("Bona")?;
    bona.say("WHATSAT kiwi.cs.ucla.edu 10 0")?;
    let at = bona.hear_line()?;
    expect(at == moved, || {
        format!("Bona should have answered with {moved:?}")
    })?;
    bona.hear_places()?;
    println!("\nThat took {took:.1?} from the moment it listened.");
    Ok(())
}

fn a_server_asks_google(herd: &mut Herd, moved: &str) -> Kept {
    chapter("Places over HTTPS");
    println!("A server can ask Google for places. We ask a stand-in on this machine, over");
    println!("real TLS, which knows the world's towns as well. Clark starts again, told");
    println!("where to ask and whose certificate to believe:\n");
    let stand_in = StandIn::start(herd)?;
    println!("  herd Clark --places legacy \\");
    println!("    --places-url {} --ca-file places.pem\n", stand_in.url);
    let ca_file = stand_in.ca_file.to_string_lossy().into_owned();
    herd.kill("Clark")?;
    let options = ["--places", "legacy", "--places-url", &stand_in.url];
    herd.run("Clark", &[&options[..], &["--ca-file", &ca_file]].concat())?;
    // Bailey asks the gazetteer in its own process: both must say the same.
    herd.wait_until_known("Bailey", moved)?;
    let mut bailey = herd.dial("Bailey")?;
    bailey.whisper("WHATSAT kiwi.cs.ucla.edu 10 2")?;
    bailey.overhear()?;
    let wanted = bailey.overhear_json()?;
    let mut clark = herd.dial("Clark")?;
    for _ in 0..2 {
        let at = ask_until_known(&mut clark, "WHATSAT kiwi.cs.ucla.edu 10 2")?;
        expect(at == moved, || {
            format!("Clark should have answered with {moved:?}")
        })?;
        let json = clark.hear_json()?;
        expect(json == wanted, || {
            format!("Clark should have passed on {wanted:?}, not {json:?}")
        })?;
    }
    println!("\nIts journal says how each question went; the second found the connection");
    println!("of the one before still open:\n");
    the_journal_tells(herd)?;
    let said = stand_in.said();
    let handshakes = said.matches("connection ").count();
    expect(handshakes == 1, || {
        format!("one handshake should do, not {handshakes}: {said}")
    })
}

/// Asks a server that has just started, until its neighbours have told it of the phone; only the
/// last question is shown.
fn ask_until_known(phone: &mut Phone, question: &str) -> Kept<String> {
    let mut heard = Ok(String::new());
    within("the server should know of the phone", || {
        heard = phone.whisper(question).and_then(|()| phone.overhear());
        heard.as_ref().map_or(true, |line| line.starts_with("AT "))
    })?;
    let at = heard?;
    println!("  {:8} > {question}\n  {:8} < {at}", phone.name, phone.name);
    Ok(at)
}

/// Shows what Clark's journal says about the lookups, and checks their course.
fn the_journal_tells(herd: &Herd) -> Kept {
    let mut entries: Vec<String> = Vec::new();
    within("the journal should tell of two lookups", || {
        let journal = herd.journal("Clark");
        let texts = journal
            .lines()
            .filter_map(|line| line.split_once(" - places "));
        entries = texts.map(|(_, text)| text.replacen(" *", " ", 1)).collect();
        entries
            .iter()
            .filter(|entry| entry.contains("Done: "))
            .count()
            == 2
    })?;
    for entry in &entries {
        println!("  lookup {entry}");
    }
    Ok(())
}

fn nonsense_comes_back(herd: &Herd) -> Kept {
    chapter("Nonsense comes back");
    println!("What a server does not understand it gives back after a question mark,");
    println!("as it came, and listens on:\n");
    let mut campbell = herd.dial("Campbell")?;
    for line in [
        "IAMAT kiwi.cs.ucla.edu somewhere around noon",
        "WHATSAT nobody.has.met.me 10 5",
        "AT Bailey +0.5 kiwi.cs.ucla.edu +0+0 99999999999",
    ] {
        campbell.say(line)?;
        let back = campbell.hear_line()?;
        expect(back == format!("? {line}"), || {
            format!("\"? {line}\" should have come back")
        })?;
    }
    println!("\nThe last is what servers say to each other. A phone may not say it, or it");
    println!("could move everybody else's.");
    Ok(())
}

fn chapter(title: &str) {
    println!("\n== {title} ==\n");
}

fn expect(kept: bool, otherwise: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(otherwise()) }
}
