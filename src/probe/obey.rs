//! What the stepper does for each command.

use serde_json::Value;

use super::changes::{find, text};
use super::command::{Command, Table, help};
use super::condition::{Coming, Condition};
use super::driver::Driver;
use super::session::{Goal, Session};
use super::stops::Stops;
use super::tables;
use super::words::number;
use crate::server::SIGTERM;
use crate::worlds::Stage;

impl<H: Stage> Session<H> {
    /// A line of the console.
    pub(super) fn obey_console(&mut self, line: &str) {
        if let Some(console) = &mut self.console {
            console.echo(line);
        }
        let said = Command::parse(line)
            .map_err(|error| error.to_string())
            .and_then(|command| self.obey(command));
        match said {
            Ok(text) => self.say(&text),
            Err(text) => self.say(&format!("{text}\n")),
        }
    }

    /// Does what was asked; what there is to say about it.
    pub(super) fn obey(&mut self, command: Command) -> Result<String, String> {
        let command = match command {
            Command::Repeat => self.last.clone(),
            other => other,
        };
        self.last = command.clone();
        match command {
            Command::Step(count) => self.go(Goal::Moments(count)),
            Command::Next(count) => self.go(Goal::Turns(count)),
            Command::Continue => self.go(Goal::Forever),
            Command::Until(condition) => self.until(condition),
            Command::Break(condition) => {
                match self.behind(&condition).filter(|_| self.rewind.is_none()) {
                    None => self.stops.add(condition, false),
                    Some(behind) => Err(behind),
                }
            }
            Command::Delete(number) => self.stops.delete(number),
            Command::Pause => {
                self.hold(Some(String::from("pause")));
                Ok(String::from("held\n"))
            }
            Command::Info(table) => Ok(self.table(table)),
            Command::Print(what) => self.print(&what),
            Command::Watch(path) => self.stops.watch(&path, &self.driver.view(None, true)),
            Command::Histogram => Ok(tables::histograms(&self.view())),
            Command::Back(count) => self.back(count),
            Command::Help(topic) => Ok(help(&topic)),
            Command::Quit => Ok(self.quit()),
            Command::Repeat => Ok(String::new()),
        }
    }

    pub(super) fn go(&mut self, goal: Goal) -> Result<String, String> {
        if self.driver.is_over() {
            return Err(String::from("there is nothing more to run; back goes back"));
        }
        self.goal = goal;
        self.why = None;
        self.resumed = true;
        Ok(String::new())
    }

    /// Runs until something happens. What is behind does not happen again, but a replay can go there.
    fn until(&mut self, condition: Condition) -> Result<String, String> {
        let is_there = |driver: &Driver<H>| {
            let is_turn_or_time = condition.is_reached(driver.place());
            is_turn_or_time
                && Coming::of(driver).is_some_and(|coming| condition.holds_before(&coming))
        };
        if let Some(behind) = self.behind(&condition) {
            return self.run_again(behind, condition.to_string(), is_there);
        }
        if is_there(&self.driver) {
            return Err(format!("{condition} is now"));
        }
        if !self.driver.is_over() {
            self.stops.add(condition, true)?;
        }
        self.go(Goal::Forever)
    }

    /// What there is to say of a turn or a time that is behind.
    fn behind(&self, condition: &Condition) -> Option<String> {
        let passed = self.driver.passed().filter(|at| condition.is_reached(*at));
        passed.map(|(turn, time)| {
            let time = time.as_secs_f64();
            format!("{condition} is behind: turn {turn} has begun, at loop time {time:.6} s")
        })
    }

    fn table(&self, table: Table) -> String {
        let view = self.view();
        match table {
            Table::Loop => tables::standing(&view),
            Table::Ready => tables::ready(&view),
            Table::Timers => tables::timers(&view),
            Table::Connections => tables::connections(&view),
            Table::Peers => tables::peers(&view),
            Table::Store => tables::store(&view),
            Table::Lookups => tables::lookups(&view),
            Table::Limits => tables::limits(&view),
            Table::Breakpoints => self.stops.list(),
            Table::All => tables::all(&view),
        }
    }

    fn print(&self, what: &str) -> Result<String, String> {
        let view = self.view();
        let connection = number::<u32>(what.trim_start_matches('#')).is_some();
        let path = match connection {
            true => format!("connections.{what}"),
            false => what.to_string(),
        };
        match (find(&view, &path), self.driver.node().record(what)) {
            (Some(Value::Object(row)), _) => Ok(row
                .iter()
                .map(|(key, value)| format!("  {key:<12} {}\n", text(value)))
                .collect()),
            (Some(value), _) => Ok(format!("{what} is {}\n", text(value))),
            (None, Some(record)) => Ok(format!("{}\n", record.escape_debug())),
            (None, None) => Err(format!(
                "{what:?} is no connection, no client and no path of the view; help print"
            )),
        }
    }

    fn back(&mut self, count: u64) -> Result<String, String> {
        let only =
            "only a replay can go back: record with --record FILE, then herd --replay FILE --step";
        // The first moment is the poll before the first callback, where the stepper begins.
        let target = self.driver.moment().saturating_sub(count).max(1);
        let why = format!("back at moment {target}");
        self.run_again(only.to_string(), why, |driver| driver.moment() >= target)
    }

    /// A replay runs again from its start until it is there, and is held; anything else cannot.
    fn run_again(
        &mut self,
        cannot: String,
        why: String,
        is_there: impl Fn(&Driver<H>) -> bool,
    ) -> Result<String, String> {
        let mut driver = self.rewind.as_ref().ok_or(cannot)?();
        while !is_there(&driver) && !driver.is_over() {
            driver.advance().map_err(|error| error.to_string())?;
            driver.take_exchanges();
        }
        self.driver = driver;
        self.account = None;
        self.hold(Some(why));
        Ok(String::new())
    }

    fn quit(&mut self) -> String {
        if self.rewind.is_some() {
            self.leaving = true;
            return String::new();
        }
        // It comes out of the poll like any other signal, so that a recording has it too.
        let _ = signal_hook::low_level::raise(SIGTERM);
        self.stops = Stops::default();
        // It has stopped already if this fails.
        let _ = self.go(Goal::Forever);
        String::from("stopping\n")
    }
}
