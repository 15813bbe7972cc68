//! The replayed world: it says what a recording holds, and notices when it is asked something else.
//! No network, no clock, no disk.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::tls::{Facts, ReplayTls};
use crate::event_loop::{Event, Token, Wake, World};
use crate::net::{Host, Network, Trust};
use crate::worlds::recording::{Decoder, Ending, Kind, Question, Tape, ended};
use crate::worlds::stage::Stage;

/// A world that is over and done with.
pub struct ReplayWorld {
    tape: Rc<RefCell<Tape>>,
}

/// A stream of which only the name is left.
pub struct ReplayStream {
    token: Token,
    tls: std::cell::Cell<bool>,
}

/// Nobody is there to wake it.
struct NoWaker;

impl Wake for NoWaker {
    fn wake(&self) {}
}

impl ReplayWorld {
    /// Replays a tape.
    pub fn new(tape: Tape) -> ReplayWorld {
        ReplayWorld {
            tape: Rc::new(RefCell::new(tape)),
        }
    }

    /// How far the replay is, and how long the recording is, in bytes.
    pub fn progress(&self) -> (usize, usize) {
        self.tape.borrow().progress()
    }

    /// How many callbacks began, and a hash of their order.
    pub fn order(&self) -> (u64, u64) {
        self.tape.borrow().order()
    }

    fn ask<T>(
        &self,
        question: Question,
        take: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
    ) -> Option<T> {
        self.tape.borrow_mut().ask(question, take)
    }

    fn ask_result<T>(
        &self,
        question: Question,
        take: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
    ) -> io::Result<T> {
        self.ask(question, |from| from.result(take))
            .unwrap_or_else(|| Err(ended()))
    }

    fn ask_done(&self, kind: Kind, token: Token) -> io::Result<()> {
        self.ask_result(Question::about(kind, token), |_| Some(()))
    }
}

impl World for ReplayWorld {
    fn time(&mut self) -> Duration {
        self.ask(Question::new(Kind::Time), |from| from.loop_time())
            .unwrap_or_default()
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        self.ask_result(Question::poll(timeout), |from| from.events(events))
    }

    fn stopwatch(&self) -> Duration {
        self.ask(Question::new(Kind::Stopwatch), |from| from.loop_time())
            .unwrap_or_default()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWaker)
    }
}

impl Network for ReplayWorld {
    /// Its name.
    type Listener = Token;
    type Stream = ReplayStream;
    type Tls = ReplayTls;

    fn resolve(&mut self, host: &str, _: u16, job: u64) -> io::Result<()> {
        self.ask_result(Question::host(Kind::Resolve, job, host), |_| Some(()))
    }

    fn resolved(&mut self, job: u64) -> Option<Result<Vec<SocketAddr>, String>> {
        let question = Question::with(Kind::Resolved, job, 0);
        self.ask(question, |from| match from.number()? {
            0 => Some(None),
            1 => Some(Some(Err(from.text()?.to_string()))),
            count => {
                let addresses: Option<Vec<SocketAddr>> =
                    (2..count).map(|_| from.address()).collect();
                Some(Some(Ok(addresses?)))
            }
        })
        .flatten()
    }

    fn tls(
        &mut self,
        trust: Trust,
        host: &str,
        stream: &ReplayStream,
    ) -> Result<ReplayTls, String> {
        stream.tls.set(true);
        let question = Question::tls(stream.token, trust, host);
        let answer = self.ask(question, |from| match from.flag()? {
            true => Facts::take(from).map(Ok),
            false => Some(Err(from.text()?.to_string())),
        });
        Ok(ReplayTls {
            tape: Rc::clone(&self.tape),
            token: stream.token,
            facts: answer.unwrap_or_else(|| Err(ended().to_string()))?,
        })
    }

    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<Token> {
        self.ask_result(Question::listen(token, address), |_| Some(token))
    }

    fn accept(&mut self, door: &mut Token, token: Token) -> io::Result<(ReplayStream, SocketAddr)> {
        let question = Question::accept(*door, token);
        let address = self.ask_result(question, |from| from.address())?;
        Ok((ReplayStream::new(token), address))
    }

    fn shed(&mut self, door: &mut Token) -> io::Result<SocketAddr> {
        self.ask_result(Question::about(Kind::Shed, *door), |from| from.address())
    }

    fn close_listener(&mut self, door: Token) {
        self.ask(Question::about(Kind::CloseListener, door), |_| Some(()));
    }

    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<ReplayStream> {
        self.ask_result(Question::connect(token, address), |_| Some(()))?;
        Ok(ReplayStream::new(token))
    }

    fn secure(&mut self, stream: &mut ReplayStream, server: &str) -> io::Result<()> {
        let question = Question::host(Kind::Secure, stream.token.to_bits(), server);
        self.ask_result(question, |_| Some(()))
    }

    fn is_handshaking(&mut self, stream: &ReplayStream) -> bool {
        let question = Question::about(Kind::IsHandshaking, stream.token);
        self.ask(question, |from| from.flag()).unwrap_or_default()
    }

    fn proves(&mut self, stream: &ReplayStream, server: &str) -> bool {
        let question = Question::host(Kind::Proves, stream.token.to_bits(), server);
        self.ask(question, |from| from.flag()).unwrap_or_default()
    }

    fn connected(&mut self, stream: &mut ReplayStream) -> io::Result<bool> {
        self.ask_result(Question::about(Kind::Connected, stream.token), |from| {
            from.flag()
        })
    }

    fn register(&mut self, _: &mut ReplayStream, token: Token) -> io::Result<()> {
        self.ask_done(Kind::Register, token)
    }

    fn keep_alive(&mut self, stream: &ReplayStream) -> io::Result<()> {
        self.ask_done(Kind::KeepAlive, stream.token)
    }

    fn read(&mut self, stream: &mut ReplayStream, buffer: &mut [u8]) -> io::Result<usize> {
        let question = Question::sized(Kind::Read, stream.token, buffer.len());
        let tls = stream.tls.get();
        self.ask_result(question, |from| {
            if tls {
                // Which bytes they were, only the engine knew.
                let count = usize::try_from(from.number()?).ok()?;
                buffer.get_mut(..count)?.fill(0);
                return Some(count);
            }
            let bytes = from.bytes()?;
            buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(bytes.len())
        })
    }

    fn write(&mut self, stream: &mut ReplayStream, bytes: &[u8]) -> io::Result<usize> {
        let question = match stream.tls.get() {
            true => Question::sized(Kind::WriteTls, stream.token, bytes.len()),
            false => Question::write(stream.token, bytes),
        };
        self.ask_result(question, |from| {
            let count = usize::try_from(from.number()?).ok()?;
            (count <= bytes.len()).then_some(count)
        })
    }

    fn shutdown_write(&mut self, stream: &mut ReplayStream) -> io::Result<()> {
        self.ask_done(Kind::ShutdownWrite, stream.token)
    }

    fn close(&mut self, stream: ReplayStream) {
        self.ask(Question::about(Kind::Close, stream.token), |_| Some(()));
    }
}

impl Host for ReplayWorld {
    fn wall_clock(&mut self) -> Duration {
        self.ask(Question::new(Kind::WallClock), |from| from.wall_clock())
            .unwrap_or_default()
    }

    fn random(&mut self) -> u64 {
        self.ask(Question::new(Kind::Random), |from| from.number())
            .unwrap_or_default()
    }

    fn append_journal(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        self.ask_result(Question::digest(Kind::AppendJournal, bytes), |from| {
            let count = usize::try_from(from.number()?).ok()?;
            (count <= bytes.len()).then_some(count)
        })
    }

    fn reload_identity(&mut self) -> Result<bool, String> {
        let question = Question::new(Kind::ReloadIdentity);
        self.ask_result(question, |from| from.flag())
            .map_err(|error| error.to_string())
    }

    fn load_snapshot(&mut self) -> io::Result<Vec<u8>> {
        self.ask_result(Question::new(Kind::LoadSnapshot), |from| {
            from.bytes().map(<[u8]>::to_vec)
        })
    }

    fn write_snapshot(&mut self, piece: &[u8], _: u64) -> io::Result<()> {
        self.ask_result(Question::digest(Kind::WriteSnapshot, piece), |_| Some(()))
    }

    fn end_snapshot(&mut self, job: u64) -> io::Result<()> {
        self.ask_result(Question::with(Kind::EndSnapshot, job, 0), |_| Some(()))
    }

    fn snapshot_written(&mut self) -> Result<u64, String> {
        let question = Question::new(Kind::SnapshotWritten);
        self.ask_result(question, |from| from.number())
            .map_err(|error| error.to_string())
    }

    fn reopen_journal(&mut self, job: u64) {
        self.ask(Question::with(Kind::ReopenJournal, job, 0), |_| Some(()));
    }

    fn journal_reopened(&mut self) -> Result<(), String> {
        let question = Question::new(Kind::JournalReopened);
        self.ask_result(question, |_| Some(()))
            .map_err(|error| error.to_string())
    }
}

impl Stage for ReplayWorld {
    fn begin(&mut self, callback: u32) {
        self.tape.borrow_mut().begin(callback);
    }

    fn has_ended(&self) -> bool {
        self.tape.borrow().ending().is_some()
    }

    fn ending(&self) -> Option<Ending> {
        self.tape.borrow().ending().cloned()
    }

    fn finish(&mut self) {
        self.tape.borrow_mut().finish();
    }
}

impl ReplayStream {
    fn new(token: Token) -> ReplayStream {
        ReplayStream {
            token,
            tls: std::cell::Cell::new(false),
        }
    }
}
