//! The loop: against a script, against the system, and beside asyncio's.

mod edge_triggered;
mod order;
mod os;
mod scheduling;
mod stage;
mod turn;
