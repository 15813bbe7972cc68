//! How much is done at once: lines a turn, bytes that wait, work that a turn may spend.
//!
//! Every server has these constants. The simulator makes them small at random, so that what happens
//! at them happens in every storm.

/// Lines of one client that one turn answers; the rest wait behind everybody else's.
pub const CLIENT_LINES_A_TURN: usize = 20;
/// Lines of one neighbour that one turn takes: a dump must not hold up clients.
pub const PEER_LINES_A_TURN: usize = 256;
/// Above this many unsent bytes nothing is read from a client. (asyncio: transports, high water.)
pub const UNSENT_HIGH: usize = 64 * 1024;
/// At this many, reading goes on. (asyncio: high / 4.)
pub const UNSENT_LOW: usize = UNSENT_HIGH / 4;
/// Unsent bytes beyond which a link queues no more lines, only positions.
pub const LINK_UNSENT_MAX: usize = 1 << 20;
/// Below this many unsent bytes a link takes more of what it owes, up to this many in a turn.
pub const LINK_UNSENT_LOW: usize = 64 * 1024;
/// What a turn may spend on costly work, in units: one is about what a search of the gazetteer pays
/// to look at one place, or to write one byte of its answer: some 3 ns. Counted and not measured, so
/// that a replay and the simulator spend the same.
pub const WORK_A_TURN: usize = 1_000_000;
/// Of that, what one connection may spend before it queues behind the others.
pub const WORK_A_VISIT: usize = 120_000;
/// Connections of that queue that one turn looks after at most.
pub const VISITS_A_TURN: usize = 64;

/// How much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portions {
    /// [`CLIENT_LINES_A_TURN`].
    pub client_lines: usize,
    /// [`PEER_LINES_A_TURN`].
    pub peer_lines: usize,
    /// [`UNSENT_HIGH`].
    pub unsent_high: usize,
    /// [`UNSENT_LOW`].
    pub unsent_low: usize,
    /// [`LINK_UNSENT_MAX`].
    pub link_unsent_max: usize,
    /// [`LINK_UNSENT_LOW`].
    pub link_unsent_low: usize,
    /// [`WORK_A_TURN`].
    pub work_a_turn: usize,
    /// [`WORK_A_VISIT`].
    pub work_a_visit: usize,
    /// [`VISITS_A_TURN`].
    pub visits_a_turn: usize,
}

/// What every server outside the simulator has.
impl Default for Portions {
    fn default() -> Portions {
        Portions {
            client_lines: CLIENT_LINES_A_TURN,
            peer_lines: PEER_LINES_A_TURN,
            unsent_high: UNSENT_HIGH,
            unsent_low: UNSENT_LOW,
            link_unsent_max: LINK_UNSENT_MAX,
            link_unsent_low: LINK_UNSENT_LOW,
            work_a_turn: WORK_A_TURN,
            work_a_visit: WORK_A_VISIT,
            visits_a_turn: VISITS_A_TURN,
        }
    }
}
