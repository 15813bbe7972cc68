//! One request to Places, and the table of all in flight.
//!
//! ```text
//! Queued ─▶ Resolve ─▶ Connect ─▶ Handshake ─▶ Send ─▶ Head ─▶ Body ─▶ Done
//!    └────────────(a kept-alive connection)────▶┘
//!    ◀──(it had died: once more)────────────────┴──────┘
//! ```
//!
//! Every state has its deadline, and the whole has one. Each transition is one line of the journal.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::breaker::Breaker;
use crate::config::Upstream;
use crate::event_loop::{Handle, Token};
use crate::places::{Api, Request};
use crate::server::intent::{Inquiry, Waiter};

/// Clients that may wait for answers of Places; one more is told UNKNOWN_ERROR at once.
pub const WAITING_MAX: usize = 256;
/// Connections to Places, idle ones included.
pub const UPSTREAM_MAX: usize = 32;
/// Idle connections that are kept.
pub const UPSTREAM_IDLE_MAX: usize = 4;
/// An idle connection is kept this long.
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(30);
/// A lookup may take this long in all.
pub const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);
/// Resolving the name may take this long.
pub const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
/// Connecting may take this long.
pub const LOOKUP_CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// The TLS handshake may take this long. (asyncio: 60 s.)
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// The next address is tried after this long beside the first (RFC 8305).
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// Addresses are used this long after the resolver last gave them, if it fails since.
pub const ADDRESSES_KEPT: Duration = Duration::from_secs(600);

/// Where a lookup is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for a connection.
    Queued,
    /// Waits for addresses.
    Resolve,
    /// Connects, to one address after the other, 250 ms apart.
    Connect,
    /// TLS is being set up.
    Handshake,
    /// The request goes out.
    Send,
    /// Waits for the end of the answer's head.
    Head,
    /// Waits for the end of its body.
    Body,
    /// Answered.
    Done,
}

impl State {
    /// How long a lookup may be in this state.
    pub fn patience(self) -> Duration {
        match self {
            State::Resolve => RESOLVE_DEADLINE,
            State::Connect => LOOKUP_CONNECT_DEADLINE,
            State::Handshake => HANDSHAKE_DEADLINE,
            _ => LOOKUP_DEADLINE,
        }
    }
}

/// The request for what is asked.
pub fn request<'a>(inquiry: &'a Inquiry, upstream: &'a Upstream) -> Request<'a> {
    Request {
        api: upstream.api,
        endpoint: &upstream.endpoint,
        key: upstream.key.as_ref(),
        field_mask: &upstream.field_mask,
        latitude: &inquiry.latitude,
        longitude: &inquiry.longitude,
        radius_metres: inquiry.radius_metres,
        bound: inquiry.bound,
    }
}

/// One request to Places.
#[derive(Debug)]
pub struct Lookup {
    /// What is asked.
    pub inquiry: Inquiry,
    /// Who asked.
    pub waiters: Vec<Waiter>,
    /// Where it is.
    pub state: State,
    /// When it began, in loop time.
    pub began: Duration,
    /// The state's deadline.
    pub deadline: Option<Handle>,
    /// Addresses not yet tried.
    pub addresses: VecDeque<SocketAddr>,
    /// Connects under way.
    pub attempts: Vec<Token>,
    /// The timer for the next address.
    pub stagger: Option<Handle>,
    /// Its connection, once there is one.
    pub connection: Option<Token>,
    /// The connection was used before.
    pub reused: bool,
    /// A reused connection died under it once.
    pub retried: bool,
    /// The breaker's probe: its outcome decides.
    pub probe: bool,
}

/// All questions under way, and what they share.
pub struct Lookups {
    /// Whom we ask.
    pub upstream: Upstream,
    /// By number. Ordered, so that a run can be repeated.
    pub table: BTreeMap<u64, Lookup>,
    /// Those that wait for a connection.
    pub queue: VecDeque<u64>,
    /// Idle connections, oldest first.
    pub idle: VecDeque<Token>,
    /// Spares a dead upstream.
    pub breaker: Breaker,
    /// The name is being resolved: the job's number, and since when.
    pub resolving: Option<(u64, Duration)>,
    /// A callback that looks after the queue is under way.
    pub start_queued: bool,
    /// What the resolver last gave, and when.
    pub last_good: Option<(Duration, Vec<SocketAddr>)>,
    next: u64,
}

impl Lookups {
    /// No questions yet.
    pub fn new(upstream: Upstream) -> Lookups {
        Lookups {
            upstream,
            table: BTreeMap::new(),
            queue: VecDeque::new(),
            idle: VecDeque::new(),
            breaker: Breaker::default(),
            resolving: None,
            start_queued: false,
            last_good: None,
            next: 1,
        }
    }

    /// Clients that wait.
    pub fn waiting(&self) -> usize {
        self.table.values().map(|lookup| lookup.waiters.len()).sum()
    }

    /// Connections that are open or spoken for: each lookup that does not queue needs one, or as
    /// many as it tries at once.
    pub fn connections(&self) -> usize {
        let lookups = self
            .table
            .values()
            .filter(|lookup| lookup.state != State::Queued);
        let needed: usize = lookups.map(|lookup| lookup.attempts.len().max(1)).sum();
        needed + self.idle.len()
    }

    /// The number of a lookup that asks the same.
    pub fn same(&self, inquiry: &Inquiry) -> Option<u64> {
        let mut lookups = self.table.iter();
        lookups
            .find(|(_, lookup)| lookup.inquiry == *inquiry)
            .map(|(&number, _)| number)
    }

    /// Adds a question and gives it a number.
    pub fn add(&mut self, inquiry: Inquiry, waiter: Waiter, probe: bool, now: Duration) -> u64 {
        let number = self.next;
        self.next += 1;
        let lookup = Lookup {
            inquiry,
            waiters: vec![waiter],
            state: State::Queued,
            began: now,
            deadline: None,
            addresses: VecDeque::new(),
            attempts: Vec::new(),
            stagger: None,
            connection: None,
            reused: false,
            retried: false,
            probe,
        };
        self.table.insert(number, lookup);
        self.queue.push_back(number);
        number
    }

    /// The bound that goes into an [`Inquiry`].
    pub fn asked_bound(&self, bound: u8) -> u8 {
        match self.upstream.api {
            Api::Legacy => 0,
            Api::New => bound,
        }
    }

    /// The addresses to use when the resolver has none to give.
    pub fn kept_addresses(&self, now: Duration) -> Option<Vec<SocketAddr>> {
        let (since, addresses) = self.last_good.as_ref()?;
        (now <= *since + ADDRESSES_KEPT).then(|| addresses.clone())
    }
}
