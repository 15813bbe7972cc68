//! Signals as events of the poll. (asyncio: add_signal_handler, and its self-pipe.)

use std::io::{self, Read};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::event_loop::Event;

/// A signal that is told as another, if this holds when it comes.
struct Instead {
    signal: i32,
    other: i32,
    if_so: fn() -> bool,
}

/// The signals that are watched.
#[derive(Default)]
pub struct Signals {
    pipes: Vec<(i32, UnixStream)>,
    instead: Option<Instead>,
}

impl Signals {
    /// Has a signal come out of the poll, by the token `first` and as many as are watched.
    ///
    /// # Errors
    /// As the system says.
    pub fn watch(&mut self, number: i32, registry: &Registry, first: usize) -> io::Result<()> {
        let (mut receiver, sender) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, sender)?;
        let token = Token(first + self.pipes.len());
        registry.register(&mut receiver, token, Interest::READABLE)?;
        self.pipes.push((number, receiver));
        Ok(())
    }

    /// Tells of a signal as of another, if `if_so` when it comes.
    pub fn hear_instead(&mut self, signal: i32, other: i32, if_so: fn() -> bool) {
        self.instead = Some(Instead {
            signal,
            other,
            if_so,
        });
    }

    /// Tells of all that came through one of the pipes.
    pub fn drain(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some((number, receiver)) = self.pipes.get_mut(index) else {
            return;
        };
        let mut bytes = [0; 64];
        while let Ok(count) = receiver.read(&mut bytes) {
            if count == 0 {
                break;
            }
            let instead = self.instead.as_ref();
            let instead = instead.filter(|it| it.signal == *number && (it.if_so)());
            let number = instead.map_or(*number, |it| it.other);
            // One event for each byte: a second Ctrl-C means something else than the first.
            events.extend((0..count).map(|_| Event::Signal(number)));
        }
    }
}
