//! NATS, as a client of its key-value buckets speaks it: frames, headers, keys, requests, and the
//! machine that keeps a table and a bucket equal. Pure: bytes and time in, bytes and intents out.

pub mod answer;
mod bounds;
pub mod bucket;
pub mod command;
mod delivery;
mod frame;
mod frame_error;
mod headers;
mod info;
pub mod key;
pub mod request;

pub use answer::{Answer, Consumer, Malformed, Put, Refusal, Stream};
pub use bounds::{
    CONNECT_URL_MAX, CONNECT_URLS_MAX, CONTROL_LINE_MAX, HEADERS_MAX, INFO_MAX, KEY_MAX,
    PAYLOAD_MAX,
};
pub use delivery::Delivery;
pub use frame::{Frame, Frames, Message};
pub use frame_error::{Flaw, FrameError};
pub use headers::Headers;
pub use info::{Info, Version};
