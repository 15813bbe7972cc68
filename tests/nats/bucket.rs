//! The machine, one situation at a time.
