//! What is near a place. Pure: knows no socket, no loop, no clock.

mod answer;
mod api;
mod bounds;
mod chunked;
mod endpoint;
pub mod gazetteer;
mod head;
mod json;
mod key;
mod request;
mod response;
mod response_error;
mod verdict;

pub use answer::{UNKNOWN_ERROR, frame};
pub use api::{Api, DEFAULT_FIELD_MASK, FIELD_MASK_MAX, FieldMask};
pub use bounds::{
    BODY_MAX, CHUNK_EXTENSIONS_MAX, CHUNK_LINE_MAX, HEAD_MAX, HEADERS_MAX, INTERIM_MAX,
    TRAILERS_MAX,
};
pub use endpoint::{Endpoint, URL_MAX};
pub use key::{KEY_MAX, Key};
pub use request::Request;
pub use response::{Progress, Response};
pub use response_error::ResponseError;
pub use verdict::{Judged, Unusable, is_failure, judge, verdict};
