//! A loop with somebody at the controls: held, let go, stopped again.

use std::collections::VecDeque;
use std::io;

use serde_json::{Value, json};

use super::bounds::limits;
use super::changes::{changes, find, text};
use super::command::Command;
use super::condition::Coming;
use super::console::Console;
use super::driver::{Driver, Moved};
use super::inspection::{Ask, Inspection};
use super::meters::{Moment, Says};
use super::narrate::{Account, narrate};
use super::stops::Stops;
use super::tables;
use super::tracer::Tracer;
use super::view::Phase;
use crate::server::{Limit, SIGINT};
use crate::worlds::{Exchange, Stage, Way};

/// Makes a replay that stands at its beginning.
pub type Rewind<H> = Box<dyn Fn() -> Driver<H>>;

/// While a replay runs, it looks for commands once in so many turns.
const LOOK_EVERY: u64 = 64;

/// How far the loop shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nowhere: it is held.
    Hold,
    /// So many moments.
    Moments(u64),
    /// So many turns.
    Turns(u64),
    /// Until something stops it.
    Forever,
}

/// A loop, and everybody who looks at it.
pub struct Session<H: Stage> {
    pub(super) driver: Driver<H>,
    pub(super) rewind: Option<Rewind<H>>,
    pub(super) inspection: Option<Inspection>,
    pub(super) console: Option<Console>,
    pub(super) tracer: Option<Tracer>,
    pub(super) stops: Stops,
    pub(super) lines: VecDeque<String>,
    pub(super) goal: Goal,
    pub(super) last: Command,
    pub(super) why: Option<String>,
    /// What the last moment did, in words.
    pub(super) account: Option<String>,
    /// It was just let go: what stopped it here shall not stop it again.
    pub(super) resumed: bool,
    pub(super) leaving: bool,
}

impl<H: Stage> Session<H> {
    /// A loop that runs until somebody holds it; with a console it is held from the start. With
    /// `rewind` it is a replay, which can go back.
    pub fn new(driver: Driver<H>, rewind: Option<Rewind<H>>) -> Session<H> {
        Session {
            driver,
            rewind,
            inspection: None,
            console: None,
            tracer: None,
            stops: Stops::default(),
            lines: VecDeque::new(),
            goal: Goal::Forever,
            last: Command::Help(String::new()),
            why: None,
            account: None,
            resumed: false,
            leaving: false,
        }
    }

    /// Lets people in: over the inspection listener, and over standard input and output if there
    /// is a console.
    pub fn open(&mut self, inspection: Inspection, console: Option<Console>) {
        self.inspection = Some(inspection);
        self.console = console;
    }

    /// Writes a trace.
    pub fn trace(&mut self, tracer: Tracer) {
        self.tracer = Some(tracer);
    }

    /// Runs until the server has stopped, or until whoever steps through a replay leaves.
    ///
    /// # Errors
    /// A loop cannot poll any more.
    pub fn run(&mut self) -> io::Result<()> {
        // A replay that somebody can look at waits for them: it would be over in no time.
        if self.console.is_some() || (self.rewind.is_some() && self.is_open()) {
            self.move_on()?;
            self.hold(Some(String::from(
                "before its first callback; help explains",
            )));
        }
        while !self.leaving {
            if self.driver.is_over() && self.goal != Goal::Hold {
                if self.rewind.is_none() || !self.is_open() {
                    break;
                }
                self.hold(None);
            }
            match self.goal {
                Goal::Hold => self.attend(true)?,
                _ => self.go_on()?,
            }
        }
        if let Some(tracer) = &mut self.tracer {
            tracer.end();
        }
        Ok(())
    }

    /// True if somebody can give commands.
    fn is_open(&self) -> bool {
        let visitors = self.inspection.as_ref().and_then(Inspection::address);
        self.console.is_some() || visitors.is_some()
    }

    /// Why the trace ended before the server did. Told once.
    pub fn take_trace_error(&mut self) -> Option<io::Error> {
        self.tracer.as_mut().and_then(Tracer::take_error)
    }

    /// The loop, to see what became of it.
    pub fn driver(&mut self) -> &mut Driver<H> {
        &mut self.driver
    }

    /// One moment, unless something stops the loop before it.
    fn go_on(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.resumed)
            && let Some(reason) = self.stopped_before()
        {
            self.hold(Some(reason));
            return Ok(());
        }
        if self.driver.phase() == Phase::BeforePoll
            && let Some(inspection) = &mut self.inspection
        {
            let wish = inspection.wish();
            self.driver.world().attend(!wish.rests, wish.within);
        }
        if let Some(reason) = self.move_on()? {
            self.hold(Some(reason));
        } else {
            self.count_down();
        }
        self.attend_if_asked()
    }

    fn count_down(&mut self) {
        let turn_is_over = self.driver.phase() == Phase::BeforePoll;
        self.goal = match self.goal {
            Goal::Moments(left) => Goal::Moments(left - 1),
            Goal::Turns(left) if turn_is_over => Goal::Turns(left - 1),
            other => other,
        };
        if matches!(self.goal, Goal::Moments(0) | Goal::Turns(0)) {
            self.hold(None);
        }
    }

    fn stopped_before(&mut self) -> Option<String> {
        if self.stops.is_empty() {
            return None;
        }
        self.stops.before(&Coming::of(&self.driver)?)
    }

    /// Runs one moment and tells of it. What stops the loop after it, if something does.
    fn move_on(&mut self) -> io::Result<Option<String>> {
        let told = matches!(self.goal, Goal::Moments(_) | Goal::Turns(_));
        let before = told.then(|| self.driver.view(None, true));
        let turn = self.driver.event_loop().iteration();
        let coming = self.driver.coming().map(|(_, pending)| pending.callback);
        let looked_at = told || self.is_looked_at();
        // Words that somebody reads now are made before the connection may be gone.
        let now = told || self.goal == Goal::Hold || self.tracer.is_some();
        let mut words = coming
            .filter(|_| now)
            .map(|callback| self.driver.node().describe(&callback));
        self.driver.world().release();
        let moved = self.driver.advance()?;
        if told {
            // To look takes time too; the loop shall not notice.
            self.driver.world().hold();
        }
        let exchanges = self.driver.take_exchanges();
        if told && matches!(moved, Moved::Polled) {
            words = Some(self.driver.last_poll().says());
        }
        let says = match (&words, coming, &moved) {
            (Some(words), ..) => Says::Words(words.clone()),
            (None, Some(callback), _) => Says::Callback(callback),
            (None, None, Moved::Polled) => Says::Poll(self.driver.last_poll()),
            (None, None, _) => Says::Words(String::new()),
        };
        let words = words.unwrap_or_default();
        // Whoever looks wakes the loop now and then: turns with nothing in them are not worth a row.
        let idle = self.goal == Goal::Forever && self.driver.last_poll().todo == 0;
        match idle && exchanges.is_empty() {
            true => {}
            false if looked_at => self.remember(&moved, says, &exchanges),
            false => self.driver.meters().miss(),
        }
        if let Some(tracer) = &mut self.tracer {
            tracer.moment(&self.driver, &moved, &words, &exchanges);
        }
        let after = (told || self.stops.watches()).then(|| self.driver.view(None, true));
        if let (Some(before), Some(after)) = (&before, &after) {
            let turn = turn.max(self.driver.event_loop().iteration());
            self.tell(&moved, turn, &words, exchanges.clone(), before, after);
        }
        let watched = after.and_then(|view| self.stops.changed(&view));
        Ok(self.stops.after(&moved, &exchanges).or(watched))
    }

    fn is_looked_at(&self) -> bool {
        self.goal == Goal::Hold || self.inspection.as_ref().is_some_and(Inspection::is_watched)
    }

    fn remember(&mut self, moved: &Moved, says: Says, exchanges: &[Exchange]) {
        let sum = |way: Way| {
            let mine = exchanges.iter().filter(|exchange| exchange.way == way);
            mine.map(|exchange| exchange.length).sum()
        };
        let poll = self.driver.meters().last_poll;
        let (what, kind, took) = match moved {
            Moved::Polled => ("poll", "", poll.took),
            Moved::Ran(ran) => ("callback", ran.callback.kind(), ran.took),
            Moved::Finished => ("finish", "", std::time::Duration::ZERO),
        };
        let moment = Moment {
            moment: self.driver.moment(),
            iteration: self.driver.event_loop().iteration(),
            what,
            kind,
            says,
            took,
            read: sum(Way::Read),
            wrote: sum(Way::Written),
        };
        self.driver.meters().remember(moment);
    }

    fn tell(
        &mut self,
        moved: &Moved,
        turn: u64,
        says: &str,
        exchanges: Vec<Exchange>,
        before: &Value,
        after: &Value,
    ) {
        let name = |exchange: &Exchange| {
            let id = format!("connections.{}.kind", exchange.token.generation);
            // Who was a client may be a peer now, and who is closed now was somebody before.
            let kind = find(after, &id).or_else(|| find(before, &id));
            let kind = kind.map_or(String::from("connection"), text);
            format!("{kind} {:?}", exchange.token)
        };
        let exchanges: Vec<_> = exchanges
            .into_iter()
            .map(|exchange| (name(&exchange), exchange))
            .collect();
        let account = Account {
            moved,
            turn,
            says,
            exchanges: &exchanges,
            changes: &changes(before, after),
        };
        let account = narrate(&account);
        self.say(&account);
        self.account = Some(account);
    }

    pub(super) fn say(&mut self, text: &str) {
        if let Some(console) = &mut self.console {
            console.say(text);
        }
    }

    /// Holds the loop and says where it stands.
    pub(super) fn hold(&mut self, why: Option<String>) {
        self.goal = Goal::Hold;
        self.why = why;
        if self.driver.is_over() {
            self.why = Some(self.how_it_ended());
        }
        self.driver.world().hold();
        let view = self.view();
        // After a step only what is next is news.
        let text = match &self.why {
            None => format!("next: {}\n", tables::next(&view)),
            Some(_) => format!("\n{}", tables::standing(&view)),
        };
        self.say(&text);
        self.publish(&view);
    }

    fn how_it_ended(&self) -> String {
        let ending = self.driver.event_loop().world.ending();
        ending.map_or(String::from("it has stopped"), |ending| ending.to_string())
    }

    /// Everything there is to see.
    pub(super) fn view(&self) -> Value {
        let held = self.goal == Goal::Hold;
        let mut view = self.driver.view(self.why.as_deref(), held);
        view["loop"]["account"] = json!(self.account.as_ref().filter(|_| held));
        let usage = self.inspection.as_ref().map(Inspection::usage);
        if let Some(usage) = usage.filter(|rows| !rows.is_empty()) {
            extend(&mut view["limits"], usage);
            extend(
                &mut view["bounds"],
                limits().iter().map(Limit::row).collect(),
            );
        }
        view
    }

    fn publish(&mut self, view: &Value) {
        if let Some(inspection) = self.inspection.as_mut().filter(|all| all.is_watched()) {
            inspection.publish(view.to_string());
        }
    }

    /// Looks after those who look, if they have asked for something.
    fn attend_if_asked(&mut self) -> io::Result<()> {
        let told = matches!(self.goal, Goal::Moments(_) | Goal::Turns(_));
        // In the middle of a turn a look would count for the callback behind it. But moments that are
        // told or watched take long, and so can a turn of them.
        match self.driver.phase() {
            Phase::BeforePoll => {}
            Phase::BetweenCallbacks if told || self.stops.watches() => {}
            _ => return Ok(()),
        }
        let Some(inspection) = &mut self.inspection else {
            return Ok(());
        };
        let turn = self.driver.event_loop().iteration();
        let replay = self.rewind.is_some() && turn.is_multiple_of(LOOK_EVERY);
        let wish = inspection.wish();
        if wish.rests && !told {
            return Ok(());
        }
        match self.driver.world().take_attention() || told || replay || wish.is_due() {
            true => self.attend(false),
            false => Ok(()),
        }
    }

    /// Takes what people ask for; with `wait` it sleeps until they do.
    fn attend(&mut self, wait: bool) -> io::Result<()> {
        if wait && let Some(line) = self.lines.pop_front() {
            self.with_inspection(|all| all.line_obeyed());
            self.obey_console(&line);
            return Ok(());
        }
        if wait && let Some(console) = &mut self.console {
            console.prompt();
        }
        // Somebody who steps through it wants to look, and nobody else is kept waiting.
        let runs = self.goal == Goal::Forever;
        let Some(inspection) = &mut self.inspection else {
            return Ok(());
        };
        inspection.begin(runs);
        inspection.turn(wait)?;
        while let Some(ask) = self.inspection.as_mut().and_then(Inspection::take_ask) {
            self.serve(ask);
            if self.inspection.as_mut().is_some_and(Inspection::is_spent) {
                break;
            }
        }
        if let Some(inspection) = &mut self.inspection {
            let took = inspection.end()?;
            self.driver.meters().looked(took);
        }
        Ok(())
    }

    fn serve(&mut self, ask: Ask) {
        match ask {
            Ask::Line(line) => self.typed(line, "you typed something"),
            Ask::InputEnded => self.typed(String::from("quit"), "the end of your input"),
            Ask::Signal(number) => self.signal(number),
            Ask::View => {
                let view = self.view().to_string();
                self.with_inspection(|all| all.show(view));
            }
            Ask::Command(to, line) => {
                let said = Command::parse(&line)
                    .map_err(|error| error.to_string())
                    .and_then(|command| self.obey(command));
                let (ok, text) = match said {
                    Ok(text) => (true, text),
                    Err(text) => (false, text),
                };
                let answer = json!({"ok": ok, "text": text}).to_string();
                self.with_inspection(|all| all.answer(to, &answer));
            }
        }
    }

    /// A line waits until the loop is held; one that was typed holds it.
    fn typed(&mut self, line: String, why: &str) {
        self.lines.push_back(line);
        let typed = self.console.as_ref().is_some_and(Console::is_terminal);
        if typed && self.goal != Goal::Hold {
            self.hold(Some(String::from(why)));
        }
    }

    /// Ctrl-C holds the loop. A signal to stop lets it go, so that the server can.
    fn signal(&mut self, number: i32) {
        let held = self.goal == Goal::Hold;
        match (self.console.is_some() && number == SIGINT, held) {
            (true, true) => self.say("(quit leaves)\n"),
            (true, false) => self.hold(Some(String::from("Ctrl-C"))),
            (false, true) if self.rewind.is_some() => self.leaving = true,
            (false, true) => {
                self.stops = Stops::default();
                // If it has stopped already, all is well.
                let _ = self.go(Goal::Forever);
            }
            (false, false) => {}
        }
    }

    fn with_inspection(&mut self, answer: impl FnOnce(&mut Inspection)) {
        if let Some(inspection) = &mut self.inspection {
            answer(inspection);
        }
    }
}

/// More rows for a list of the view.
fn extend(list: &mut Value, more: Vec<Value>) {
    if let Some(rows) = list.as_array_mut() {
        rows.extend(more);
    }
}
