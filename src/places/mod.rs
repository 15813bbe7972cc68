//! What is near a place. Pure: knows no socket, no loop, no clock.

mod answer;
mod api;
mod endpoint;
pub mod gazetteer;
mod key;
mod request;

pub use answer::frame;
pub use api::{Api, DEFAULT_FIELD_MASK, FIELD_MASK_MAX, FieldMask};
pub use endpoint::{Endpoint, URL_MAX};
pub use key::{KEY_MAX, Key};
pub use request::Request;
