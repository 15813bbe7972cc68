//! Runs a server with somebody looking, and replays what was recorded.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use herd::config::Config;
use herd::event_loop::EventLoop;
use herd::net::{Host, private_file};
use herd::probe::{
    Console, Driver, Inspection, Outcome, Probed, Recording, Session, Trace, Tracer, header,
    outcome,
};
use herd::server::{Node, SIGINT, SIGTERM};
use herd::worlds::os::OsWorld;
use herd::worlds::recording::Recorder;
use herd::worlds::watched::Watched;
use herd::worlds::{Stage, Tap};

use super::say::{print, say};
use super::start::{begin, end};
use super::task::{Look, One};

/// Runs a server until it has stopped. False if a second signal cut the stopping short.
///
/// # Errors
/// In words: what could not be opened, or why the loop could not go on.
pub fn run(mut world: OsWorld, one: &One) -> Result<bool, String> {
    let (config, look) = (&one.config, &one.look);
    let epoch = world.epoch();
    let inspection = inspection(look, config, Some(&mut world))?;
    let recorder = look
        .record
        .as_ref()
        .map(|path| recorder(path, config))
        .transpose()?;
    let trace = trace(look)?;
    let tap = look.is_close().then(Tap::default);
    let key = config
        .upstream
        .as_ref()
        .and_then(|upstream| upstream.key.as_ref());
    let secret = key.map_or("", |key| key.expose());
    let mut event_loop = EventLoop::new(Watched::new(world, recorder, tap, secret));
    let mut probed = Probed::new(Node::new(config.clone()));
    begin(one, &mut probed.node, &mut event_loop)?;
    if !look.is_close() {
        event_loop
            .run_forever(&mut probed)
            .map_err(|error| gone(&error))?;
        event_loop.world.finish();
        warn_of_recording(&mut event_loop.world);
        return Ok(end(one, &probed.node));
    }
    let mut session = Session::new(Driver::new(event_loop, probed), None);
    open(&mut session, inspection, look, config.name());
    if let Some(file) = trace {
        let trace = Trace::new(file, config.name(), std::process::id(), epoch);
        session.trace(Tracer::new(trace));
    }
    session.run().map_err(|error| gone(&error))?;
    warn_of_trace(&mut session);
    warn_of_recording(session.driver().world());
    Ok(end(one, session.driver().node()))
}

/// Replays a recording, and says whether the code still does the same: the exit status.
///
/// # Errors
/// In words: the file cannot be read, or is no recording.
pub fn replay(path: &Path, look: &Look) -> Result<u8, String> {
    let say_where = |why: &dyn std::fmt::Display| format!("--replay {}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|error| say_where(&error))?;
    let recording = Recording::new(&bytes).map_err(|error| say_where(&error))?;
    drop(bytes);
    if !look.is_close() {
        return Ok(report(&recording.run()));
    }
    let tap = || Some(Tap::default());
    let begin = move |recording: &Recording| {
        let (event_loop, probed) = recording.begin(tap());
        Driver::new(event_loop, probed)
    };
    let inspection = inspection(look, recording.config(), None)?;
    let trace = trace(look)?;
    let driver = begin(&recording);
    let name = recording.config().name().to_string();
    let rewind = Box::new(move || begin(&recording));
    let mut session = Session::new(driver, Some(rewind));
    open(&mut session, inspection, look, &name);
    if let Some(file) = trace {
        let trace = Trace::new(file, &name, std::process::id(), Duration::ZERO);
        session.trace(Tracer::new(trace));
    }
    session.run().map_err(|error| gone(&error))?;
    warn_of_trace(&mut session);
    if !session.driver().is_over() {
        return Ok(0);
    }
    Ok(report(&outcome(session.driver().world())))
}

/// Says how a replay ended.
fn report(outcome: &Outcome) -> u8 {
    match print(&format!("{outcome}\n")) {
        Ok(()) => outcome.status(),
        Err(why) => {
            say(&mut io::stderr(), &format!("herd: {why}\n"));
            1
        }
    }
}

fn open<H: Stage + Host>(
    session: &mut Session<H>,
    inspection: Inspection,
    look: &Look,
    name: &str,
) {
    if let Some(address) = inspection.address() {
        let text = format!("{name} can be looked at on http://{address}\n");
        say(&mut io::stdout(), &text);
    }
    session.open(inspection, look.step.then(Console::new));
}

/// The small loop through which people look, nested in the server's.
fn inspection(
    look: &Look,
    config: &Config,
    world: Option<&mut OsWorld>,
) -> Result<Inspection, String> {
    let problem = |what: &str, error: io::Error| format!("{}: {what}: {error}", config.name());
    let mut inspection = Inspection::new().map_err(|error| problem("--inspect", error))?;
    if let Some(address) = look.inspect {
        inspection
            .listen(address)
            .map_err(|error| problem(&format!("--inspect {address}"), error))?;
    }
    if look.step {
        inspection
            .read_input()
            .map_err(|error| problem("--step", error))?;
    }
    let replay = world.is_none();
    if let Some(world) = world {
        let nested = world.attend_to(inspection.world());
        nested.map_err(|error| problem("--inspect", error))?;
    }
    // Held, the server does not see its own signals; in a replay nobody else does.
    for signal in [SIGINT, SIGTERM] {
        if look.step || look.inspect.is_some() || replay {
            let watched = inspection.watch_signal(signal);
            watched.map_err(|error| problem("signals", error))?;
        }
    }
    Ok(inspection)
}

fn recorder(path: &Path, config: &Config) -> Result<Recorder, String> {
    Ok(Recorder::new(late("--record", path)?, &header(config)))
}

/// Opened before the server promises anything, so that a folder which is not there is said in time.
fn trace(look: &Look) -> Result<Option<Box<dyn Write>>, String> {
    let path = look.trace.as_ref();
    path.map(|path| late("--trace", path)).transpose()
}

fn late(option: &str, path: &Path) -> Result<Box<dyn Write>, String> {
    let file = private_file()
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(|error| format!("{option} {}: {error}", path.display()))?;
    Ok(Box::new(LateFile { file, fresh: true }))
}

/// A file that is emptied by the first write: a second server started by mistake cannot destroy the
/// recording or the trace of the one that runs.
struct LateFile {
    file: File,
    fresh: bool,
}

impl Write for LateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.fresh, false) && self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn warn_of_recording(world: &mut Watched<OsWorld>) {
    if let Some(error) = world.take_recording_error() {
        say(
            &mut io::stderr(),
            &format!("herd: the recording broke off: {error}\n"),
        );
    }
}

fn warn_of_trace<H: Stage>(session: &mut Session<H>) {
    if let Some(error) = session.take_trace_error() {
        say(
            &mut io::stderr(),
            &format!("herd: the trace broke off: {error}\n"),
        );
    }
}

fn gone(error: &io::Error) -> String {
    format!("the loop cannot poll any more: {error}")
}
