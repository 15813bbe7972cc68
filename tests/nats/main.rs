//! NATS as bytes: what real servers said, and the machine that keeps a table and a bucket equal against
//! a model of their engine.

mod bucket;
mod dice;
mod engine;
mod said;
mod storms;
mod transcript;
mod transcripts;
mod world;
