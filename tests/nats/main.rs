//! NATS as bytes: what real servers said, and the machine that keeps a table and a bucket equal against
//! a model of their engine.

mod said;
mod transcript;
mod transcripts;
