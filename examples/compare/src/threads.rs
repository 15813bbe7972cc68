//! A thread for each connection against a loop; many cores against one; and
//! Python's threads against its processes.

use crate::bench::{Bench, part};
use crate::chart::{Chart, Line};
use crate::gil;
use crate::load::{Load, Measured};
use crate::peers::Peer;
use crate::section::{Best, Section, Table};
use crate::stats::{Spread, figure};
use lab::Result;
use lab::servers::{Program, Server};

pub fn measure(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(
        "threads",
        "Threads",
        "Java gives a connection a thread, and threads run on all cores at once; asyncio has one thread and, \
         with the interpreter's lock, one core. The paper weighs parallel work against the cost of threads \
         and of the locks that they need.",
    );
    section.measured.push(
        "First the same load on ever more connections, on one core: what is under test is the cost of \
         waiting. Then 5,000 requests a second on 50 connections, on one core and on all, with and without \
         a request of 20 ms of computing ten times a second. Then Python's threads and processes at pure \
         computing."
            .to_string(),
    );
    sweep(bench, &mut section)?;
    cores(bench, &mut section)?;
    gil::measure(bench, &mut section);
    section.beware.extend([
        "That threads are slow: what costs here is a switch for each request, on one core.",
        "Anything about more cores than this machine has; the load generator needs one of them.",
        "That all of Java's threads are alike: from JDK 21 on a connection has a virtual thread, with an \
         older one a thread of the system. Which JDK this was stands at the top.",
    ]);
    Ok(section)
}

fn some<'b>(bench: &'b Bench, keys: &[&str]) -> (Vec<&'b Peer>, Vec<String>) {
    let peers: Vec<&Peer> = bench
        .peers
        .iter()
        .filter(|peer| keys.contains(&peer.key))
        .collect();
    let names = peers.iter().map(|peer| peer.label.clone()).collect();
    (peers, names)
}

fn spread(values: Vec<Option<f64>>) -> Spread {
    Spread::of(values.into_iter().flatten())
}

fn megabytes(run: &Measured) -> Option<f64> {
    Some(run.report["server"]["rss_anon_after"].as_f64()? / 1e6)
}

/// From ten connections to five thousand.
fn sweep(bench: &Bench, section: &mut Section) -> Result<()> {
    let (peers, names) = some(bench, &["herd", "java-nio", "java-threads"]);
    let counts: &[u32] = bench.sized(&[10, 100, 1000, 5000], &[10, 200]);
    let servers: Vec<Server> = peers
        .iter()
        .map(|peer| bench.alone(&peer.program, false, &[]))
        .collect::<Result<_>>()?;
    let columns = [
        "requests a second",
        "p99 ms",
        "memory after, MB",
        "context switches a request",
    ];
    let mut table = Table::new("One core, ever more connections", &columns);
    let line = |name: &String| Line {
        name: name.clone(),
        points: Vec::new(),
    };
    let mut throughput: Vec<Line> = names.iter().map(line).collect();
    let mut memory: Vec<Line> = names.iter().map(line).collect();
    for &count in counts {
        let run = |index: usize, seconds: f64| {
            Load::new(&servers[index])
                .with("connections", count)
                .with("warmup", 2 * count)
                .with("seconds", seconds)
                .run(&bench.lab)
        };
        for index in 0..peers.len() {
            let _ = run(index, bench.sized(1.0, 0.1));
        }
        let what = format!("{count} connections");
        let rounds = bench.rounds(section, &what, (4, 1), &names, |index| {
            run(index, bench.sized(0.6, 0.2))
        });
        for (index, name) in names.iter().enumerate() {
            let per_second = spread(part(&rounds[index], |run| Some(run.per_second)));
            let held = spread(part(&rounds[index], megabytes));
            throughput[index]
                .points
                .push((f64::from(count), per_second.clone()));
            memory[index].points.push((f64::from(count), held.clone()));
            table.row(
                format!("{name}, {count}"),
                vec![
                    per_second.into(),
                    spread(part(&rounds[index], |run| run.latency_ms("p99"))).into(),
                    held.into(),
                    spread(part(&rounds[index], |run| run.switches)).into(),
                ],
            );
        }
    }
    follow_sweep(section, &throughput);
    section.chart(Chart::lines(
        "Throughput",
        "connections",
        "requests a second",
        throughput,
    ));
    section.chart(Chart::lines(
        "Memory",
        "connections",
        "MB written to",
        memory,
    ));
    section.table(table);
    Ok(())
}

fn follow_sweep(section: &mut Section, lines: &[Line]) {
    let last = |name: &str| lines.iter().find(|line| line.name == name)?.points.last();
    if let (Some((count, threads)), Some((_, selector))) = (last("Java threads"), last("Java NIO"))
        && !threads.is_empty()
        && !selector.is_empty()
    {
        section.follows.push(format!(
            "At {} connections Java with a thread for each answers {} a second, Java with a selector {}: \
             the same language, the same table, another way to wait.",
            figure(*count),
            figure(threads.median()),
            figure(selector.median())
        ));
    }
}

/// With all cores, and with somebody who computes.
fn cores(bench: &Bench, section: &mut Section) -> Result<()> {
    let keys = [
        "herd",
        "tokio-current",
        "tokio-multi",
        "java-nio",
        "java-threads",
    ];
    let (peers, _) = some(bench, &keys);
    let mut entrants: Vec<(String, Program, bool)> = Vec::new();
    for peer in &peers {
        let Some(burner) = &peer.burner else { continue };
        for (place, everywhere) in [("one core", false), ("all cores", true)] {
            let program = if everywhere {
                bench.on_all_cores(burner)
            } else {
                burner.clone()
            };
            entrants.push((format!("{}, {place}", peer.label), program, everywhere));
        }
    }
    let names: Vec<String> = entrants.iter().map(|(name, ..)| name.clone()).collect();
    let seconds = bench.sized(1.5, 0.3);
    let rounds = bench.rounds(section, "cores", (3, 1), &names, |index| {
        let (_, program, everywhere) = &entrants[index];
        let server = match everywhere {
            true => bench.alone_anywhere(program, &["--burn"])?,
            false => bench.alone(program, false, &["--burn"])?,
        };
        let load = || {
            let load = Load::new(&server).with("connections", 50);
            load.with("rate", 5_000).with("seconds", seconds)
        };
        let calm = load().run(&bench.lab)?;
        let mixed = load()
            .with("burn", 20)
            .with("burn-every", 0.1)
            .run(&bench.lab)?;
        Ok((calm, mixed))
    });
    let columns = [
        "calm: p50 ms",
        "calm: p99 ms",
        "with computing: p50 ms",
        "with computing: p99 ms",
    ];
    let caption = "5,000 requests a second, and 20 ms of computing ten times a second";
    let mut table = Table::new(caption, &columns).ranked(3, Best::Least);
    let mut rows = Vec::new();
    for (name, rounds) in names.iter().zip(&rounds) {
        let calm = |q| spread(part(rounds, |(calm, _)| calm.latency_ms(q)));
        let mixed = |q| spread(part(rounds, |(_, mixed)| mixed.latency_ms(q)));
        rows.push((name.clone(), vec![calm("p99"), mixed("p99")]));
        let cells = vec![
            calm("p50").into(),
            calm("p99").into(),
            mixed("p50").into(),
            mixed("p99").into(),
        ];
        table.row(name, cells);
    }
    follow_cores(section, &rows);
    let title = "p99 in milliseconds, calm and with somebody who computes (logarithmic)";
    section.chart(Chart::dots(title, &["calm", "with computing"], rows));
    section.table(table);
    Ok(())
}

fn follow_cores(section: &mut Section, rows: &[(String, Vec<Spread>)]) {
    let p99 = |name: &str| {
        let (_, spreads) = rows.iter().find(|(other, _)| other == name)?;
        (!spreads[1].is_empty()).then(|| spreads[1].median())
    };
    let Some(ours) = p99("herd (mio), one core") else {
        return;
    };
    section.follows.push(format!(
        "With somebody who computes on the loop, the slowest in a hundred of the others waits {} ms on our \
         one thread.",
        figure(ours)
    ));
    for name in ["tokio, many threads, all cores", "Java threads, all cores"] {
        let Some(many) = p99(name) else { continue };
        let words = match many / ours {
            less if less < 0.67 => "threads help here",
            more if more > 1.5 => "threads make it worse here",
            _ => "threads change little here",
        };
        let many = figure(many);
        section
            .follows
            .push(format!("{name}: {many} ms, so {words}."));
    }
}
