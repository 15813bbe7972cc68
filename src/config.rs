//! What a server was told at start: its place in the herd and its limits.

use std::time::Duration;

use crate::herd::{RECORDS_MAX, Roster, Ties};
use crate::places::{Api, Endpoint, FieldMask, Key};
use crate::portions::Portions;

/// Connections of clients and neighbours that one server holds, unless told otherwise.
pub const CONNECTIONS_MAX: usize = 65_536;

/// Of these, from one address that is not loopback, unless told otherwise.
pub const PER_ADDRESS_MAX: usize = 1_024;

/// Bytes that are held for all clients together, unless told otherwise.
pub const CLIENT_BYTES_MAX: usize = 256 << 20;

/// Bytes of a journal before it becomes FILE.1, unless told otherwise.
pub const MAX_LOG: u64 = 1 << 30;

/// How long a change of the table may be on no disk, unless told otherwise.
pub const SNAPSHOT_EVERY: Duration = Duration::from_secs(10);

/// Where WHATSAT's places come from, if not from the embedded gazetteer.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Which of Google's APIs is spoken.
    pub api: Api,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Without one, none is sent.
    pub key: Option<Key>,
    /// What the new API is asked for.
    pub field_mask: FieldMask,
}

/// One server's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The herd.
    pub roster: Roster,
    /// Which server of the herd this is.
    pub me: usize,
    /// Write a journal.
    pub journal: bool,
    /// A journal of this many bytes becomes FILE.1, and a new one begins; 0: never.
    pub max_log: u64,
    /// Close a client's connection after one answer.
    pub one_shot: bool,
    /// Send the whole table when a link comes up.
    pub catch_up: bool,
    /// A link to a neighbour ends once all is said on it.
    pub short_links: bool,
    /// How far ahead of our clock an IAMAT may be; zero: as far as it likes.
    pub max_ahead: Duration,
    /// Clients the table takes.
    pub max_records: usize,
    /// Connections held at once.
    pub max_connections: usize,
    /// Bytes of input and answers held for all of them together.
    pub max_client_bytes: usize,
    /// Close a client that sent no command for this long; zero: never.
    pub client_idle: Duration,
    /// Connections held at once from one address that is not loopback.
    pub max_per_address: usize,
    /// A change of the table is on disk after this long at most; `None`: no snapshots are kept.
    pub snapshot_every: Option<Duration>,
    /// Links are secured: servers prove their names by certificate.
    pub secured: bool,
    /// What we accept may be TLS.
    pub tls: bool,
    /// Who is asked for places; `None`: the embedded gazetteer.
    pub upstream: Option<Upstream>,
    /// How the table joins reports with equal times. Only experiments change it.
    pub ties: Ties,
    /// How much is done at once. Only the simulator changes it.
    pub portions: Portions,
}

impl Config {
    /// The configuration of the server at `me` in `roster`, with every default.
    pub fn new(roster: Roster, me: usize) -> Config {
        Config {
            roster,
            me,
            journal: true,
            max_log: MAX_LOG,
            one_shot: false,
            catch_up: true,
            short_links: false,
            max_ahead: Duration::ZERO,
            max_records: RECORDS_MAX,
            max_connections: CONNECTIONS_MAX,
            max_client_bytes: CLIENT_BYTES_MAX,
            client_idle: Duration::ZERO,
            max_per_address: PER_ADDRESS_MAX,
            snapshot_every: None,
            secured: false,
            tls: false,
            upstream: None,
            ties: Ties::TotalOrder,
            portions: Portions::default(),
        }
    }

    /// This server's name.
    pub fn name(&self) -> &str {
        &self.roster.servers[self.me].name
    }

    /// The address of a link that others can reach: this server's own or a neighbour's, if there are
    /// neighbours. Where links are plain, whoever reaches it can speak as a server.
    pub fn exposed_link(&self) -> Option<std::net::SocketAddr> {
        let neighbours = self.roster.neighbours(self.me);
        let ends = neighbours.iter().copied().chain([self.me]);
        let mut addresses = ends.map(|index| self.roster.servers[index].address);
        match neighbours.is_empty() {
            true => None,
            false => addresses.find(|address| !address.ip().is_loopback()),
        }
    }

    /// What a user should know before relying on this server.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.upstream.is_none() {
            warnings.push(String::from(
                "WHATSAT is answered from the embedded gazetteer (GeoNames, CC BY 4.0), not by Google: \
                 that takes a key",
            ));
        }
        if let Some(upstream) = self.upstream.as_ref().filter(|it| it.endpoint.is_plain()) {
            warnings.push(format!(
                "Places is asked by plain HTTP, without a key: {}",
                upstream.endpoint
            ));
        }
        let roster = &self.roster;
        if let Some(address) = self.exposed_link().filter(|_| !self.secured) {
            warnings.push(format!(
                "{address} is not loopback: whoever reaches it can speak as a server, since links \
                 are plain",
            ));
        }
        for index in roster.neighbours(self.me) {
            let server = &roster.servers[index];
            if server.course {
                warnings.push(format!(
                    "{} is a course server: AT is believed from any connection from {}",
                    server.name,
                    server.address.ip()
                ));
            }
        }
        warnings
    }
}
