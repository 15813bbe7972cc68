//! A world whose every answer is written to a recording, and whose bytes are kept for whoever
//! looks: it asks another world, and notes what it says.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::notes::Notes;
use super::tls::{WatchedTls, facts};
use crate::event_loop::{Event, Token, Wake, World};
use crate::net::{Host, Network, Trust};
use crate::worlds::recording::{Encoder, Ending, Kind, Mask, Question, Recorder};
use crate::worlds::stage::Stage;
use crate::worlds::tap::{Exchange, Tap, Way};

/// Another world, watched.
pub struct Watched<W> {
    inner: W,
    notes: Rc<RefCell<Notes>>,
    secret: String,
}

/// A stream of the other world, with its name.
pub struct WatchedStream<S> {
    inner: S,
    token: Token,
    /// It carries TLS: its bytes are counted, and not kept.
    tls: Cell<bool>,
}

/// A listener of the other world, with its name.
pub struct WatchedListener<L> {
    inner: L,
    door: Token,
}

impl<W> Watched<W> {
    /// Watches `inner`: writes a recording if there is a recorder, keeps exchanges if there is a
    /// tap. `secret`, the key of Places, is masked in what TLS connections say.
    pub fn new(inner: W, recorder: Option<Recorder>, tap: Option<Tap>, secret: &str) -> Watched<W> {
        Watched {
            inner,
            notes: Rc::new(RefCell::new(Notes { recorder, tap })),
            secret: secret.to_string(),
        }
    }

    /// The other world.
    pub fn inner(&mut self) -> &mut W {
        &mut self.inner
    }

    /// How many callbacks were recorded, and a hash of their order.
    pub fn order(&self) -> (u64, u64) {
        let notes = self.notes.borrow();
        notes.recorder.as_ref().map_or((0, 0), Recorder::order)
    }

    fn record(&self, question: Question, put: impl FnOnce(&mut Encoder)) {
        self.notes.borrow_mut().record(question, put);
    }

    fn record_done(&self, kind: Kind, token: Token, answer: &io::Result<()>) {
        self.record(Question::about(kind, token), |out| {
            out.result(answer, |_, ()| ())
        });
    }
}

impl<W: World> World for Watched<W> {
    fn time(&mut self) -> Duration {
        let time = self.inner.time();
        self.record(Question::new(Kind::Time), |out| out.loop_time(time));
        time
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        if timeout != Some(Duration::ZERO)
            && let Some(recorder) = &mut self.notes.borrow_mut().recorder
        {
            recorder.flush();
        }
        let before = events.len();
        let answer = self.inner.poll(timeout, events);
        self.record(Question::poll(timeout), |out| {
            out.result(&answer, |out, ()| out.events(&events[before..]));
        });
        answer
    }

    fn spend(&mut self, units: usize) {
        self.inner.spend(units);
    }

    fn stopwatch(&self) -> Duration {
        let time = self.inner.stopwatch();
        self.record(Question::new(Kind::Stopwatch), |out| out.loop_time(time));
        time
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.inner.waker()
    }
}

impl<W: Network> Network for Watched<W> {
    type Listener = WatchedListener<W::Listener>;
    type Stream = WatchedStream<W::Stream>;
    type Tls = WatchedTls<W::Tls>;

    fn resolve(&mut self, host: &str, port: u16, job: u64) -> io::Result<()> {
        let answer = self.inner.resolve(host, port, job);
        self.record(Question::host(Kind::Resolve, job, host), |out| {
            out.result(&answer, |_, ()| ());
        });
        answer
    }

    fn resolved(&mut self, job: u64) -> Option<Result<Vec<SocketAddr>, String>> {
        let answer = self.inner.resolved(job);
        self.record(
            Question::with(Kind::Resolved, job, 0),
            |out| match &answer {
                None => out.number(0),
                Some(Err(why)) => {
                    out.number(1);
                    out.bytes(why.as_bytes());
                }
                Some(Ok(addresses)) => {
                    out.number(addresses.len() as u64 + 2);
                    for &address in addresses {
                        out.address(address);
                    }
                }
            },
        );
        answer
    }

    fn tls(
        &mut self,
        trust: Trust,
        host: &str,
        stream: &Self::Stream,
    ) -> Result<Self::Tls, String> {
        let answer = self.inner.tls(trust, host, &stream.inner);
        stream.tls.set(true);
        self.record(
            Question::tls(stream.token, trust, host),
            |out| match &answer {
                Ok(engine) => {
                    out.flag(true);
                    facts(engine, out);
                }
                Err(why) => {
                    out.flag(false);
                    out.bytes(why.as_bytes());
                }
            },
        );
        Ok(WatchedTls {
            inner: answer?,
            token: stream.token,
            notes: Rc::clone(&self.notes),
            mask: Mask::new(&self.secret),
        })
    }

    fn listen(&mut self, address: SocketAddr, token: Token) -> io::Result<Self::Listener> {
        let answer = self.inner.listen(address, token);
        self.record(Question::listen(token, address), |out| {
            out.result(&answer, |_, _| ())
        });
        answer.map(|inner| WatchedListener { inner, door: token })
    }

    fn accept(
        &mut self,
        listener: &mut Self::Listener,
        token: Token,
    ) -> io::Result<(Self::Stream, SocketAddr)> {
        let answer = self.inner.accept(&mut listener.inner, token);
        self.record(Question::accept(listener.door, token), |out| {
            out.result(&answer, |out, (_, address)| out.address(*address));
        });
        answer.map(|(stream, address)| (WatchedStream::new(stream, token), address))
    }

    fn shed(&mut self, listener: &mut Self::Listener) -> io::Result<SocketAddr> {
        let answer = self.inner.shed(&mut listener.inner);
        self.record(Question::about(Kind::Shed, listener.door), |out| {
            out.result(&answer, |out, address| out.address(*address));
        });
        answer
    }

    fn close_listener(&mut self, listener: Self::Listener) {
        self.inner.close_listener(listener.inner);
        let question = Question::about(Kind::CloseListener, listener.door);
        self.record(question, |_| ());
    }

    fn connect(&mut self, address: SocketAddr, token: Token) -> io::Result<Self::Stream> {
        let answer = self.inner.connect(address, token);
        self.record(Question::connect(token, address), |out| {
            out.result(&answer, |_, _| ());
        });
        answer.map(|stream| WatchedStream::new(stream, token))
    }

    fn secure(&mut self, stream: &mut Self::Stream, server: &str) -> io::Result<()> {
        let answer = self.inner.secure(&mut stream.inner, server);
        let question = Question::host(Kind::Secure, stream.token.to_bits(), server);
        self.record(question, |out| out.result(&answer, |_, ()| ()));
        answer
    }

    fn is_handshaking(&mut self, stream: &Self::Stream) -> bool {
        let answer = self.inner.is_handshaking(&stream.inner);
        self.record(Question::about(Kind::IsHandshaking, stream.token), |out| {
            out.flag(answer);
        });
        answer
    }

    fn proves(&mut self, stream: &Self::Stream, server: &str) -> bool {
        let answer = self.inner.proves(&stream.inner, server);
        let question = Question::host(Kind::Proves, stream.token.to_bits(), server);
        self.record(question, |out| out.flag(answer));
        answer
    }

    fn connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool> {
        let answer = self.inner.connected(&mut stream.inner);
        self.record(Question::about(Kind::Connected, stream.token), |out| {
            out.result(&answer, |out, up| out.flag(*up));
        });
        answer
    }

    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()> {
        let answer = self.inner.register(&mut stream.inner, token);
        self.record_done(Kind::Register, token, &answer);
        answer
    }

    fn keep_alive(&mut self, stream: &Self::Stream) -> io::Result<()> {
        let answer = self.inner.keep_alive(&stream.inner);
        self.record_done(Kind::KeepAlive, stream.token, &answer);
        answer
    }

    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = self.inner.read(&mut stream.inner, buffer);
        let (token, tls) = (stream.token, stream.tls.get());
        let mut notes = self.notes.borrow_mut();
        notes.record(Question::sized(Kind::Read, token, buffer.len()), |out| {
            out.result(&answer, |out, &count| match tls {
                true => out.number(count as u64),
                false => out.bytes(&buffer[..count]),
            });
        });
        match &answer {
            Ok(0) => notes.exchange(token, Way::End, 0, &[]),
            Ok(count) if tls => notes.exchange(token, Way::Read, *count, &[]),
            Ok(count) => notes.exchange(token, Way::Read, *count, &buffer[..*count]),
            Err(error) => note_failure(&mut notes, token, error),
        }
        drop(notes);
        answer
    }

    fn write(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize> {
        let answer = self.inner.write(&mut stream.inner, bytes);
        let (token, tls) = (stream.token, stream.tls.get());
        let mut notes = self.notes.borrow_mut();
        if notes.recorder.is_some() {
            let question = match tls {
                true => Question::sized(Kind::WriteTls, token, bytes.len()),
                false => Question::write(token, bytes),
            };
            notes.record(question, |out| {
                out.result(&answer, |out, &count| out.number(count as u64));
            });
        }
        match &answer {
            Ok(count) if tls => notes.exchange(token, Way::Written, *count, &[]),
            Ok(count) => notes.exchange(token, Way::Written, *count, &bytes[..*count]),
            Err(error) => note_failure(&mut notes, token, error),
        }
        drop(notes);
        answer
    }

    fn shutdown_write(&mut self, stream: &mut Self::Stream) -> io::Result<()> {
        let answer = self.inner.shutdown_write(&mut stream.inner);
        self.record_done(Kind::ShutdownWrite, stream.token, &answer);
        answer
    }

    fn close(&mut self, stream: Self::Stream) {
        self.inner.close(stream.inner);
        let mut notes = self.notes.borrow_mut();
        notes.record(Question::about(Kind::Close, stream.token), |_| ());
        notes.exchange(stream.token, Way::Closed, 0, &[]);
    }
}

/// A failure in words, as the recording keeps errors.
fn worded<T: Copy>(answer: &Result<T, String>) -> io::Result<T> {
    answer.clone().map_err(io::Error::other)
}

fn note_failure(notes: &mut Notes, token: Token, error: &io::Error) {
    if error.kind() != io::ErrorKind::WouldBlock && notes.tap.is_some() {
        notes.exchange(token, Way::Failed, 0, error.to_string().as_bytes());
    }
}

impl<W: Host> Host for Watched<W> {
    fn wall_clock(&mut self) -> Duration {
        let time = self.inner.wall_clock();
        self.record(Question::new(Kind::WallClock), |out| out.wall_clock(time));
        time
    }

    fn random(&mut self) -> u64 {
        let random = self.inner.random();
        self.record(Question::new(Kind::Random), |out| out.number(random));
        random
    }

    fn append_journal(&mut self, bytes: &[u8], last: bool) -> io::Result<usize> {
        let answer = self.inner.append_journal(bytes, last);
        self.record(Question::digest(Kind::AppendJournal, bytes), |out| {
            out.result(&answer, |out, &count| out.number(count as u64));
        });
        answer
    }

    fn reload_identity(&mut self) -> Result<bool, String> {
        let answer = self.inner.reload_identity();
        self.record(Question::new(Kind::ReloadIdentity), |out| {
            out.result(&worded(&answer), |out, &any| out.flag(any));
        });
        answer
    }

    fn load_snapshot(&mut self) -> io::Result<Vec<u8>> {
        let answer = self.inner.load_snapshot();
        self.record(Question::new(Kind::LoadSnapshot), |out| {
            out.result(&answer, |out, bytes| out.bytes(bytes));
        });
        answer
    }

    fn write_snapshot(&mut self, piece: &[u8], job: u64) -> io::Result<()> {
        let answer = self.inner.write_snapshot(piece, job);
        self.record(Question::digest(Kind::WriteSnapshot, piece), |out| {
            out.result(&answer, |_, ()| ());
        });
        answer
    }

    fn end_snapshot(&mut self, job: u64) -> io::Result<()> {
        let answer = self.inner.end_snapshot(job);
        self.record(Question::with(Kind::EndSnapshot, job, 0), |out| {
            out.result(&answer, |_, ()| ());
        });
        answer
    }

    fn snapshot_written(&mut self) -> Result<u64, String> {
        let answer = self.inner.snapshot_written();
        self.record(Question::new(Kind::SnapshotWritten), |out| {
            out.result(&worded(&answer), |out, &length| out.number(length));
        });
        answer
    }

    fn reopen_journal(&mut self, job: u64) {
        self.inner.reopen_journal(job);
        self.record(Question::with(Kind::ReopenJournal, job, 0), |_| ());
    }

    fn journal_reopened(&mut self) -> Result<(), String> {
        let answer = self.inner.journal_reopened();
        self.record(Question::new(Kind::JournalReopened), |out| {
            out.result(&worded(&answer), |_, ()| ());
        });
        answer
    }
}

impl<W: Stage> Stage for Watched<W> {
    fn begin(&mut self, callback: u32) {
        self.inner.begin(callback);
        if let Some(recorder) = &mut self.notes.borrow_mut().recorder {
            recorder.begin(callback);
        }
    }

    fn hold(&mut self) {
        self.inner.hold();
    }

    fn release(&mut self) {
        self.inner.release();
    }

    fn take_attention(&mut self) -> bool {
        self.inner.take_attention()
    }

    fn attend(&mut self, heed: bool, within: Option<Duration>) {
        self.inner.attend(heed, within);
    }

    fn has_ended(&self) -> bool {
        self.inner.has_ended()
    }

    fn ending(&self) -> Option<Ending> {
        self.inner.ending()
    }

    fn take_exchanges(&mut self) -> Vec<Exchange> {
        let mut notes = self.notes.borrow_mut();
        notes.tap.as_mut().map(Tap::take).unwrap_or_default()
    }

    fn take_recording_error(&mut self) -> Option<io::Error> {
        let mut notes = self.notes.borrow_mut();
        notes.recorder.as_mut().and_then(Recorder::take_error)
    }

    fn finish(&mut self) {
        self.inner.finish();
        if let Some(recorder) = &mut self.notes.borrow_mut().recorder {
            recorder.finish();
        }
    }
}

impl<S> WatchedStream<S> {
    fn new(inner: S, token: Token) -> WatchedStream<S> {
        WatchedStream {
            inner,
            token,
            tls: Cell::new(false),
        }
    }
}
