//! The stand-in itself: two listeners, and a thread for each connection. It may well block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::authority::{AuthorityFile, server};
use super::manners::{Frame, Manner};
use super::question::{Circle, Question, parse};
use crate::check::log::Log;

/// More connections than this are closed at once.
const CONNECTIONS_MAX: usize = 256;
/// A connection that is idle for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Before it accepts again, if it could not.
const PAUSE: Duration = Duration::from_millis(20);
/// So many questions of a case are remembered, and so many answers.
const KEPT_MAX: usize = 64;
/// Bytes of a chunk: few, so that characters are cut in two.
const CHUNK: usize = 7;

/// Where servers find it.
#[derive(Clone, Debug)]
pub struct Urls {
    /// By TLS.
    pub tls: String,
    /// In plain text.
    pub plain: String,
    /// The file of the authority that vouches for it.
    pub authority: String,
}

impl Urls {
    /// How servers are told: what stands for it in COMMAND, the variable that holds it, and what it is.
    pub fn told(&self) -> [(&'static str, &'static str, &str); 3] {
        [
            ("{places_url}", "HERD_PLACES_URL", &self.tls),
            ("{places_http}", "HERD_PLACES_HTTP", &self.plain),
            ("{ca_file}", "HERD_CA_FILE", &self.authority),
        ]
    }
}

/// A stand-in that runs. Its threads end with the process.
pub struct StandIn {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 2],
    file: AuthorityFile,
}

struct Shared {
    log: Log,
    tls: Arc<ServerConfig>,
    open: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    manner: &'static Manner,
    asked: Vec<Circle>,
    gave: Vec<Vec<u8>>,
}

impl StandIn {
    /// Starts one, on two free ports.
    ///
    /// # Errors
    /// In words.
    pub fn start(log: &Log) -> Result<StandIn, String> {
        let why = |error: io::Error| format!("the stand-in for Google: {error}");
        let shared = Arc::new(Shared {
            log: log.clone(),
            tls: server()?,
            open: AtomicUsize::new(0),
            state: Mutex::new(State {
                manner: Manner::usual(),
                asked: Vec::new(),
                gave: Vec::new(),
            }),
        });
        let file = AuthorityFile::write().map_err(why)?;
        let listen = |is_tls| listen(&shared, is_tls).map_err(why);
        let addresses = [listen(true)?, listen(false)?];
        Ok(StandIn {
            shared,
            addresses,
            file,
        })
    }

    /// Where servers find it.
    pub fn urls(&self) -> Urls {
        let [tls, plain] = self.addresses;
        Urls {
            tls: format!("https://{tls}"),
            plain: format!("http://{plain}"),
            authority: self.file.path().display().to_string(),
        }
    }

    /// Another case begins: nobody has asked yet, and it behaves as usual.
    pub fn begin(&self) {
        let mut state = self.shared.state();
        state.manner = Manner::usual();
        state.asked.clear();
        state.gave.clear();
    }

    /// It behaves like this from now on.
    pub fn behave(&self, manner: &'static Manner) {
        self.shared.state().manner = manner;
        self.shared
            .log
            .note("Google's manner", manner.name.as_bytes());
    }

    /// What it was asked in this case.
    pub fn asked(&self) -> Vec<Circle> {
        self.shared.state().asked.clone()
    }

    /// The bodies that it gave in this case.
    pub fn gave(&self) -> Vec<Vec<u8>> {
        self.shared.state().gave.clone()
    }
}

fn listen(shared: &Arc<Shared>, is_tls: bool) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let shared = Arc::clone(shared);
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Mostly for want of descriptors, and so will the next be.
                thread::sleep(PAUSE);
                continue;
            };
            let shared = Arc::clone(&shared);
            // Without a thread for it, it closes.
            let _ = thread::Builder::new().spawn(move || shared.serve(stream, is_tls));
        }
    };
    thread::Builder::new().spawn(accept)?;
    Ok(address)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, is_tls: bool) {
        if self.open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS_MAX {
            // A server may go away whenever it likes.
            if let Err(error) = self.converse_on(stream, is_tls) {
                self.log
                    .note("Google's connection ends", error.to_string().as_bytes());
            }
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn converse_on(&self, mut stream: TcpStream, is_tls: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        if !is_tls {
            return self.converse(&mut stream);
        }
        let session = ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(session, stream);
        let conversed = self.converse(&mut tls);
        tls.conn.send_close_notify();
        let flushed = tls.flush();
        conversed.and(flushed)
    }

    fn converse(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let mut input = Vec::new();
        while let Some(question) = next(stream, &mut input)? {
            let manner = {
                let mut state = self.state();
                if state.asked.len() < KEPT_MAX {
                    state.asked.extend(question.circle);
                }
                state.manner
            };
            self.log
                .note("a server > Google", shown(&question).as_bytes());
            thread::sleep(manner.delay);
            let (status, body) = manner.answer(&question);
            {
                let mut state = self.state();
                if state.gave.len() < KEPT_MAX {
                    state.gave.push(body.clone().into_bytes());
                }
            }
            self.log.note("a server < Google", body.as_bytes());
            if !reply(stream, manner.frame, status, body.as_bytes())? || !question.stays {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The next question; none if the server has no more.
fn next(stream: &mut impl Read, input: &mut Vec<u8>) -> io::Result<Option<Question>> {
    let mut piece = [0; 4096];
    loop {
        if let Some((question, length)) = parse(input).map_err(io::Error::other)? {
            input.drain(..length);
            return Ok(Some(question));
        }
        match stream.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(count) => input.extend_from_slice(&piece[..count]),
            // It went away without a word, in good order or not.
            Err(error) if input.is_empty() && error.kind() == ErrorKind::UnexpectedEof => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Answers; false if the connection is over.
fn reply(
    stream: &mut (impl Read + Write),
    frame: Frame,
    status: u16,
    body: &[u8],
) -> io::Result<bool> {
    let about = match frame {
        Frame::Length | Frame::Cut => format!("Content-Length: {}\r\n", body.len()),
        Frame::Chunked => String::from("Transfer-Encoding: chunked\r\n"),
        Frame::ToTheEnd => String::from("Connection: close\r\n"),
        Frame::Closed => return Ok(false),
        Frame::Hang => return io::copy(stream, &mut io::sink()).map(|_| false),
        Frame::Garbage => {
            stream.write_all(b"\0\0this is no HTTP\r\n\r\n")?;
            return Ok(false);
        }
    };
    let kind = "Content-Type: application/json; charset=UTF-8\r\n";
    stream.write_all(format!("HTTP/1.1 {status} Said\r\n{kind}{about}\r\n").as_bytes())?;
    let stays = match frame {
        Frame::Chunked => {
            for piece in body.chunks(CHUNK) {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                stream.write_all(piece)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            true
        }
        Frame::Cut => {
            stream.write_all(&body[..body.len() / 2])?;
            false
        }
        _ => {
            stream.write_all(body)?;
            frame == Frame::Length
        }
    };
    stream.flush()?;
    Ok(stays)
}

fn shown(question: &Question) -> String {
    let search = if question.is_new {
        "searchNearby"
    } else {
        "nearbysearch"
    };
    match question.circle {
        Some(it) => {
            let Circle {
                latitude,
                longitude,
                radius,
            } = it;
            format!("{search} {latitude},{longitude} within {radius} m")
        }
        None => format!("{search} without a place or a radius"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &[u8] = b"GET /json?location=34.5,-118.25&radius=2500 HTTP/1.1\r\n\r\n";

    fn connect(google: &StandIn) -> TcpStream {
        let stream = TcpStream::connect(google.addresses[1]).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a socket");
        stream
    }

    /// Asks, and reads until the answer holds this.
    fn ask(stream: &mut TcpStream, until: &[u8]) {
        stream.write_all(ASKS).expect("it reads");
        let mut got = Vec::new();
        let mut piece = [0; 4096];
        while !got.windows(until.len()).any(|window| window == until) {
            let count = stream.read(&mut piece).expect("an answer");
            assert!(count > 0, "{}", got.escape_ascii());
            got.extend_from_slice(&piece[..count]);
        }
    }

    #[test]
    fn it_remembers_so_much_of_a_case() {
        let google = StandIn::start(&Log::new(false)).expect("it starts");
        google.behave(Manner::named("none").expect("a manner"));
        let mut stream = connect(&google);
        for _ in 0..=KEPT_MAX {
            ask(&mut stream, b"ZERO_RESULTS\"\n}\n");
        }
        assert_eq!(
            (google.asked().len(), google.gave().len()),
            (KEPT_MAX, KEPT_MAX)
        );
        assert!((google.asked()[0].radius - 2500.0).abs() < 1e-9);
        google.begin();
        assert!(google.asked().is_empty() && google.gave().is_empty());
        ask(&mut stream, b"\"status\" : \"OK\"");
        assert_eq!(google.asked().len(), 1);
    }

    #[test]
    fn so_many_may_be_connected() {
        let google = StandIn::start(&Log::new(false)).expect("it starts");
        google.behave(Manner::named("none").expect("a manner"));
        let mut streams: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| connect(&google)).collect();
        for stream in &mut streams {
            ask(stream, b"ZERO_RESULTS");
        }
        assert_eq!(connect(&google).read(&mut [0]).expect("an end"), 0);
        ask(&mut streams[0], b"ZERO_RESULTS");
    }
}
