//! How much is done at once: lines a turn, bytes that wait, work that a turn may spend.
//!
//! Every server has these constants. The simulator makes them small at random, so that what happens
//! at them happens in every storm.

/// Lines that one turn takes before it becomes sparing: some 2 ms.
pub const LINES_A_TURN: usize = 4096;
/// Lines of one connection that such a turn takes, a client's or a neighbour's; the rest wait behind
/// everybody else's. Each turn ends with a write for each link, so fewer lines a turn are more writes: when
/// clients had 20, a flood cost three times as many.
pub const LINES_A_VISIT: usize = 1024;
/// Lines of each connection that a turn takes all the same, once it is sparing.
pub const LINES_AT_LEAST: usize = 20;
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
    /// [`LINES_A_TURN`].
    pub lines_a_turn: usize,
    /// [`LINES_A_VISIT`].
    pub lines_a_visit: usize,
    /// [`LINES_AT_LEAST`].
    pub lines_at_least: usize,
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
            lines_a_turn: LINES_A_TURN,
            lines_a_visit: LINES_A_VISIT,
            lines_at_least: LINES_AT_LEAST,
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
