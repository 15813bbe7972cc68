//! Questions to Places: the gazetteer, HTTP and TLS as bytes, and the stand-in for Google.

#[path = "../common/mod.rs"]
mod common;

mod bounds_tls;
mod evil;
mod gazetteer;
mod https;
mod resolver;
mod samples;
mod tls_engine;
mod verdict;
