//! Goal 4: memory, the first reply, and the quiet of an idle herd.
//!
//! Memory is `RssAnon` of `/proc/PID/status`: what the process has written
//! to, without the pages of its binary. A megabyte is 10^6 bytes here.

use lab::herd::{Herd, NAMES};
use lab::servers::{Lab, Server, Start};
use lab::table::Table;
use lab::talk::{Client, Feeder, record_id};
use lab::usage::{Memory, Usage};
use lab::{Result, flood, talk};
use std::thread;
use std::time::{Duration, Instant};

const IDLE_CONNECTIONS: usize = 10_000;
const RECORDS: u32 = 1_000_000;
const STARTS: usize = 51;
const QUIET: Duration = Duration::from_secs(10);

pub fn measure(lab: &Lab, table: &mut Table) -> Result<()> {
    start_and_idle_connections(lab, table)?;
    records(lab, table)?;
    first_reply(lab, table)?;
    wakeups(lab, table)
}

/// Anonymous memory in bytes.
fn rss_anon(server: &Server) -> Result<f64> {
    Ok(Memory::of(server.pid())?.anonymous as f64)
}

fn start_and_idle_connections(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::standard()?;
    let server = Start::new("Clark").run(lab, &herd)?;
    let mut client = Client::connect(server.addr)?;
    client.report("first")?;
    table.at_most("RssAnon after start, MB", 4.0, rss_anon(&server)? / 1e6);
    let before = rss_anon(&server)?;
    let mut idle = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        let mut client = Client::connect(server.addr)?;
        // All with one id: the table's memory is another goal.
        client.report("first")?;
        idle.push(client);
    }
    let each = (rss_anon(&server)? - before) / IDLE_CONNECTIONS as f64;
    table.at_most("bytes of each of 10,000 idle connections", 256.0, each);
    Ok(())
}

fn records(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::new(&["Clark", "Jaquez"], &[("Clark", "Jaquez")])?;
    let server = Start::new("Clark").run(lab, &herd)?;
    let lines = talk::records("Jaquez", RECORDS);
    let begun = Instant::now();
    Feeder::greet(server.addr, "Jaquez")?.feed(&lines)?;
    let mut client = Client::connect(server.addr)?;
    client.wait_until_known(&record_id(RECORDS - 1))?;
    let rate = f64::from(RECORDS) / begun.elapsed().as_secs_f64();
    let memory = rss_anon(&server)? / 1e6;
    table.at_most("RssAnon with 1,000,000 records, MB", 200.0, memory);
    table.told("records a second taken from a neighbour", rate);
    Ok(())
}

/// From before the spawn to the first answer, the median of many.
fn first_reply(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::standard()?;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let begun = Instant::now();
        let server = Start::new("Clark").run(lab, &herd)?;
        Client::connect(server.addr)?.report("first")?;
        times.push(begun.elapsed());
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let goal = "first reply after spawn, ms, median of 51";
    table.at_most(goal, 5.0, ms(times[STARTS / 2]));
    table.told(
        "first reply after spawn, ms, slowest",
        ms(times[STARTS - 1]),
    );
    Ok(())
}

/// Five servers with all links up and nobody talking.
fn wakeups(lab: &Lab, table: &mut Table) -> Result<()> {
    let herd = Herd::standard()?;
    let servers: Vec<Server> = NAMES
        .iter()
        .map(|name| Start::new(name).run(lab, &herd))
        .collect::<Result<_>>()?;
    herd.wait_for_links()?;
    Client::connect(servers[0].addr)?.report("first")?;
    for server in &servers {
        Client::connect(server.addr)?.wait_until_known("first")?;
    }
    flood::wait_until_quiet(&servers)?;
    let before = usages(&servers)?;
    thread::sleep(QUIET);
    let after = usages(&servers)?;
    let woken = |(after, before): (&Usage, &Usage)| after.voluntary - before.voluntary;
    let most = after.iter().zip(&before).map(woken).max().unwrap_or(0);
    let goal = "wakeups of an idle server in 10 s, the most of five";
    table.at_most(goal, 0.0, most as f64);
    Ok(())
}

fn usages(servers: &[Server]) -> Result<Vec<Usage>> {
    servers
        .iter()
        .map(|server| Ok(Usage::of(server.pid())?))
        .collect()
}
