//! Looks at the server and its loop, from above: nothing below knows that it exists. Without it the
//! server runs the same code; with it, another driver calls the same three parts of a turn.

mod bounds;
mod changes;
mod command;
mod condition;
mod console;
mod driver;
mod header;
mod histogram;
mod http;
mod inspection;
mod inspector;
mod meters;
mod narrate;
mod obey;
mod pace;
mod probed;
mod replay;
mod session;
mod stops;
mod tables;
mod trace;
mod tracer;
mod view;
mod visitors;
mod words;

pub use bounds::limits;
pub use changes::CHANGES_MAX;
pub use command::{COMMAND_MAX, Command, help};
pub use condition::Condition;
pub use console::{Console, LINES_MAX};
pub use driver::{Driver, Moved};
pub use header::{config, header};
pub use histogram::Histogram;
pub use http::{BODY_MAX, HEAD_MAX, HEADERS_MAX};
pub use inspection::Inspection;
pub use inspector::{
    ACCEPTS_A_TURN, Ask, InspectCallback, InspectLoop, Inspector, NOISE_MAX, REQUEST_DEADLINE,
    SUBSCRIBER_UNSENT_MAX,
};
pub use meters::{Meters, RECENT_MAX};
pub use narrate::SHOWN_BYTES_MAX;
pub use pace::{LOOK_MAX, LOOK_SHARE, Pace, REST_MIN};
pub use probed::{Probed, Ran};
pub use replay::{Outcome, Recording, Replayed, outcome};
pub use session::{Rewind, Session};
pub use stops::STOPS_MAX;
pub use tables::all as tables;
pub use trace::{FlowEnd, TRACE_BUFFER_MAX, Trace};
pub use tracer::{PARTIAL_LINES_MAX, Tracer, flow_id};
pub use view::{Phase, Stand, State};
pub use visitors::VISITORS_MAX;
