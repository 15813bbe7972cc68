//! `herd NAME`: one server in the foreground.

use herd::event_loop::EventLoop;
use herd::server::Node;

use super::look;
use super::start::{begin, end, world};
use super::task::One;

/// Runs one server until it is asked to stop. False if a second request cut the stopping short.
///
/// # Errors
/// In words: what could not be opened, or why the loop could not go on.
pub fn run(one: &One) -> Result<bool, String> {
    let world = world(one)?;
    if !one.look.is_idle() {
        return look::run(world, one);
    }
    let mut event_loop = EventLoop::new(world);
    let mut node = Node::new(one.config.clone());
    begin(one, &mut node, &mut event_loop)?;
    event_loop
        .run_forever(&mut node)
        .map_err(|error| format!("{} cannot poll any more: {error}", one.config.name()))?;
    Ok(end(one, &node))
}
