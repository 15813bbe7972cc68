//! The stepper's commands: text in, data out. Pure.

use super::condition::Condition;
use super::words::{Misunderstood, number, wrong};

/// The longest command line, in bytes.
pub const COMMAND_MAX: usize = 4096;

/// What somebody asks of the stepper.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run so many moments: a poll, a callback, a finish.
    Step(u64),
    /// Run so many turns.
    Next(u64),
    /// Run until something stops it.
    Continue,
    /// Run until this, once.
    Until(Condition),
    /// Stop at this from now on.
    Break(Condition),
    /// Forget a breakpoint or watch by its number, or all.
    Delete(Option<u32>),
    /// Hold the running loop.
    Pause,
    /// Show a table.
    Info(Table),
    /// Show one thing.
    Print(String),
    /// Stop when this thing changes.
    Watch(String),
    /// Show how long things took.
    Histogram,
    /// In a replay: go so many moments back.
    Back(u64),
    /// Explain the stepper, or one command.
    Help(String),
    /// Stop the server and leave.
    Quit,
    /// The command before, again.
    Repeat,
}

/// A table of `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Where the loop stands.
    Loop,
    /// The ready queue.
    Ready,
    /// The timers.
    Timers,
    /// The connections.
    Connections,
    /// The neighbours.
    Peers,
    /// The location table.
    Store,
    /// Questions to Places.
    Lookups,
    /// What is used of each limit.
    Limits,
    /// Breakpoints and watches.
    Breakpoints,
    /// All of it.
    All,
}

const TABLES: [(&str, Table); 10] = [
    ("loop", Table::Loop),
    ("ready", Table::Ready),
    ("timers", Table::Timers),
    ("connections", Table::Connections),
    ("peers", Table::Peers),
    ("store", Table::Store),
    ("lookups", Table::Lookups),
    ("limits", Table::Limits),
    ("breakpoints", Table::Breakpoints),
    ("all", Table::All),
];

/// Each command: its name, its arguments, what it does.
const COMMANDS: [(&str, &str, &str); 15] = [
    (
        "step",
        "[N]",
        "run one moment: the poll, or one callback, or the finish of a turn",
    ),
    ("next", "[N]", "run to the end of this turn of the loop"),
    ("continue", "", "run until a breakpoint, or until Ctrl-C"),
    (
        "until",
        "WHAT",
        "run until WHAT happens, once (help break lists what it can be)",
    ),
    ("break", "WHAT", "stop whenever WHAT happens"),
    (
        "delete",
        "[N]",
        "forget breakpoint or watch N, or all of them",
    ),
    (
        "info",
        "TABLE",
        "loop, ready, timers, connections, peers, store, lookups, limits, breakpoints, all",
    ),
    (
        "print",
        "N",
        "connection N; or a client's id; or a path such as store.records",
    ),
    ("pause", "", "hold the running loop"),
    (
        "watch",
        "PATH",
        "stop when what `print PATH` shows has changed",
    ),
    ("help", "[COMMAND]", "this, or more about one command"),
    (
        "histogram",
        "",
        "how long callbacks waited and ran, how long polls and turns took",
    ),
    ("back", "[N]", "in a replay: go back one moment"),
    ("quit", "", "stop the server in good order, and leave"),
    ("(empty)", "", "the last command again"),
];

impl Command {
    /// Reads a command. Names may be cut short as long as they mean one command, in the order of
    /// `help`: `s` is step, `b` break, `c` continue.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(line: &str) -> Result<Command, Misunderstood> {
        if line.len() > COMMAND_MAX {
            return wrong(format!("a command has at most {COMMAND_MAX} bytes"));
        }
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if word.is_empty() {
            return Ok(Command::Repeat);
        }
        match full_name(word)? {
            "step" => count(rest).map(Command::Step),
            "next" => count(rest).map(Command::Next),
            "back" => count(rest).map(Command::Back),
            "until" => Condition::parse(rest).map(Command::Until),
            "break" => Condition::parse(rest).map(Command::Break),
            "delete" => delete(rest),
            "info" => table(rest).map(Command::Info),
            "print" => something(rest, "print").map(Command::Print),
            "watch" => something(rest, "watch").map(Command::Watch),
            "help" => Ok(Command::Help(rest.to_string())),
            name => alone(name, rest),
        }
    }
}

fn full_name(word: &str) -> Result<&'static str, Misunderstood> {
    let names = COMMANDS.iter().map(|(name, _, _)| *name);
    let mut fitting = names.filter(|name| name.starts_with(word));
    match fitting.next() {
        Some(name) => Ok(name),
        None => wrong(format!("{word:?} is not a command; help lists them")),
    }
}

fn alone(name: &str, rest: &str) -> Result<Command, Misunderstood> {
    if !rest.is_empty() {
        return wrong(format!("{name} takes nothing behind it, not {rest:?}"));
    }
    match name {
        "continue" => Ok(Command::Continue),
        "pause" => Ok(Command::Pause),
        "histogram" => Ok(Command::Histogram),
        "quit" => Ok(Command::Quit),
        _ => wrong(format!("{name:?} is not a command; help lists them")),
    }
}

fn count(rest: &str) -> Result<u64, Misunderstood> {
    match rest {
        "" => Ok(1),
        digits => match number(digits) {
            Some(number) if number > 0 => Ok(number),
            _ => wrong(format!("{rest:?}: expected how many, 1 or more")),
        },
    }
}

fn delete(rest: &str) -> Result<Command, Misunderstood> {
    match rest {
        "" => Ok(Command::Delete(None)),
        digits => match number(digits) {
            Some(number) => Ok(Command::Delete(Some(number))),
            None => wrong(format!(
                "{rest:?}: expected a number that info breakpoints shows"
            )),
        },
    }
}

fn table(rest: &str) -> Result<Table, Misunderstood> {
    let mut fitting = TABLES.iter().filter(|(name, _)| name.starts_with(rest));
    match fitting.next() {
        Some((_, table)) if !rest.is_empty() => Ok(*table),
        _ => {
            let names: Vec<_> = TABLES.iter().map(|(name, _)| *name).collect();
            wrong(format!("info: expected one of {}", names.join(", ")))
        }
    }
}

fn something(rest: &str, name: &str) -> Result<String, Misunderstood> {
    match rest {
        "" => wrong(format!("{name}: expected what; help {name} says more")),
        what => Ok(what.to_string()),
    }
}

/// What `help` says.
pub fn help(topic: &str) -> String {
    if topic.is_empty() {
        let mut text = String::from(INTRODUCTION);
        for (name, arguments, what) in COMMANDS {
            text.push_str(&format!("  {:<20} {what}\n", format!("{name} {arguments}")));
        }
        text.push_str(
            "\nA command may be cut short: s, n, c, b. help break, help step and so on say more.\n",
        );
        return text;
    }
    match full_name(topic) {
        Err(error) => format!("{error}\n"),
        Ok(name) => {
            let (_, arguments, what) = COMMANDS
                .into_iter()
                .find(|(other, _, _)| *other == name)
                .unwrap_or_default();
            format!("{name} {arguments}\n  {what}\n{}", more(name))
        }
    }
}

const INTRODUCTION: &str = "\
An event loop runs one thing at a time, for ever, in turns. A turn has three parts:
  poll     ask the system which sockets are ready, and sleep if none is and nothing else is due;
  ready    for each ready socket and each timer that is due, queue a callback; run those queued;
  finish   send what they produced.
You stand between two such moments; while you do, the loop's clock stands still.

";

fn more(name: &str) -> &'static str {
    match name {
        "break" | "until" => super::condition::HELP,
        "step" => {
            "  It shows what ran, why it was queued and where in the source, what it read and wrote,\n  \
             and what changed because of it. A poll can sleep: Ctrl-C comes back.\n"
        }
        "next" => {
            "  All callbacks of the turn run, then its finish; you stand before the next poll.\n"
        }
        "print" | "watch" => {
            "  print 3                       connection #3\n  \
             print kiwi.cs.ucla.edu        what is known of a client\n  \
             print loop.iteration          a value of the view (herd --ps ADDR --json shows all of it)\n  \
             print peers.Bona.state        a row by its name or number\n"
        }
        "back" => {
            "  A replay can go back because it is exact: it runs again from the start, to just before.\n  \
             A running server cannot: record it (--record FILE), then herd --replay FILE --step.\n"
        }
        "info" => {
            "  loop         where the loop stands, what the last poll returned, what is next\n  \
             ready        callbacks that wait to run, why each is there, queued where, for how long\n  \
             timers       callbacks that wait for their time\n  \
             connections  a row for each, with its state, its buffers and its flags\n  \
             peers        the neighbours, and our link to each\n  \
             store        the location table, and the clients that came last\n  \
             lookups      questions to Places that are under way\n  \
             limits       what is in use of each limit, and what happens at it\n  \
             breakpoints  what break, until and watch have set\n  \
             all          all of these, but for breakpoints\n"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn commands_and_their_short_forms() {
        for (line, wanted) in [
            ("step", Command::Step(1)),
            (" s 5 ", Command::Step(5)),
            ("n", Command::Next(1)),
            ("c", Command::Continue),
            ("", Command::Repeat),
            ("   ", Command::Repeat),
            ("d", Command::Delete(None)),
            ("delete 2", Command::Delete(Some(2))),
            ("info r", Command::Info(Table::Ready)),
            ("i timers", Command::Info(Table::Timers)),
            ("p 3", Command::Print("3".into())),
            (
                "print store.records",
                Command::Print("store.records".into()),
            ),
            (
                "b slow 5ms",
                Command::Break(Condition::Slow(Duration::from_millis(5))),
            ),
            ("h break", Command::Help("break".into())),
            ("q", Command::Quit),
            ("back 3", Command::Back(3)),
            ("pause", Command::Pause),
        ] {
            assert_eq!(Command::parse(line), Ok(wanted), "{line:?}");
        }
        for line in [
            "jump",
            "step 0",
            "step x",
            "info",
            "info x",
            "print",
            "c 3",
            "delete x",
            "until",
            "step +3",
            "next +1",
            "back +1",
            "delete +2",
        ] {
            let error = Command::parse(line).expect_err(line);
            assert!(!error.0.is_empty());
        }
        assert!(Command::parse(&"x".repeat(COMMAND_MAX + 1)).is_err());
    }

    #[test]
    fn help_knows_each_command() {
        let all = help("");
        for (name, _, _) in COMMANDS {
            assert!(all.contains(name), "{name}");
            assert!(help(name).contains(name));
        }
    }
}
