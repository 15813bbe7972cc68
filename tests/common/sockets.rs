//! Who has a socket on a port of loopback, as `lsof -ti:PORT` would list them.

use std::collections::BTreeSet;
use std::fs;

/// The processes with any socket on this port, at either end of it.
pub fn holders(port: u16) -> BTreeSet<i32> {
    let sockets: BTreeSet<String> = inodes(port)
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").expect("there is a /proc");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        // It may have ended meanwhile, or be somebody else's.
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        descriptors.into_iter().flatten().flatten().any(|entry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            sockets.contains(target.to_string_lossy().as_ref())
        })
    })
    .collect()
}

/// The sockets on this port that belong to somebody. Of a closed one whose port rests (TIME_WAIT) the
/// number is 0. proc(5).
fn inodes(port: u16) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let ends = format!(":{port:04X}");
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, inode) = (fields.get(1)?, fields.get(2)?, fields.get(9)?);
        let is_on_it = local.ends_with(&ends) || remote.ends_with(&ends);
        (is_on_it && *inode != "0").then(|| inode.to_string())
    });
    rows.collect()
}
