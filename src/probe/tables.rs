//! The view as tables for a terminal. Pure: JSON in, text out.

use std::fmt::Write;
use std::panic::Location;
use std::time::Duration;

use serde_json::Value;

use super::changes::text;
use crate::event_loop::Origin;

/// A duration as people read it: three figures and a unit.
pub fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// Where in the source: file and line.
pub fn place(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}

/// Why a callback is in the queue.
pub fn reason(origin: Origin) -> &'static str {
    match origin {
        Origin::Soon => "call_soon",
        Origin::Timer => "a timer",
        Origin::Io => "the poll",
        Origin::Signal => "a signal",
        Origin::Thread => "another thread",
    }
}

fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s <= 0.0 => return String::from("0"),
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    match value {
        v if v >= 100.0 || unit == "ns" => format!("{v:.0} {unit}"),
        v if v >= 10.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

fn time(value: &Value) -> String {
    value.as_f64().map_or(String::from("-"), seconds)
}

/// Text from the network, on one line and without control characters.
fn safe(value: &Value) -> String {
    text(value)
        .escape_debug()
        .to_string()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{text}");
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn more(out: &mut String, table: &Value) {
    let (shown, total) = (rows(&table["rows"]).len() as u64, table["total"].as_u64());
    if let Some(hidden) = total
        .and_then(|total| total.checked_sub(shown))
        .filter(|&n| n > 0)
    {
        line(out, format_args!("  and {hidden} more"));
    }
}

/// Where the loop stands: turn, last poll, what is next.
pub fn standing(view: &Value) -> String {
    let mut out = String::new();
    let (at, poll) = (&view["loop"], &view["loop"]["poll"]);
    let state = text(&at["state"]);
    let why = match &at["why"] {
        Value::Null => String::new(),
        why => format!(": {}", text(why)),
    };
    line(
        &mut out,
        format_args!(
            "{} is {state}{why}\nturn {}, loop time {:.6} s, moment {}",
            text(&view["server"]),
            at["iteration"],
            at["time"].as_f64().unwrap_or_default(),
            at["moment"],
        ),
    );
    let timeout = match &poll["timeout"] {
        Value::Null => String::from("would have slept for ever"),
        timeout if timeout.as_f64() == Some(0.0) => String::from("would not sleep"),
        timeout => format!("would have slept {}", time(timeout)),
    };
    line(
        &mut out,
        format_args!(
            "the last poll took {} (it {timeout}), told {}; this turn runs {}",
            time(&poll["took"]),
            count(&poll["events"], "event"),
            count(&poll["todo"], "callback"),
        ),
    );
    line(&mut out, format_args!("next: {}", next(view)));
    out
}

/// `1 callback`, `2 callbacks`.
pub fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn count(number: &Value, what: &str) -> String {
    counted(number.as_u64().unwrap_or_default(), what)
}

/// The next moment, in words.
pub fn next(view: &Value) -> String {
    match text(&view["loop"]["phase"]).as_str() {
        "before the poll" if rows(&view["ready"]["rows"]).is_empty() => {
            match rows(&view["timers"]["rows"]).first() {
                Some(timer) => format!(
                    "poll: nothing is ready, so it sleeps until a socket is, or for {} ({})",
                    time(&timer["left"]),
                    safe(&timer["says"])
                ),
                None => String::from("poll: nothing is ready, so it sleeps until a socket is"),
            }
        }
        "before the poll" => String::from("poll, without sleeping: callbacks are ready already"),
        "before finish" => String::from("finish: send what this turn produced"),
        _ => match rows(&view["ready"]["rows"]).first() {
            Some(row) => format!("callback: {}", safe(&row["says"])),
            None => String::from("finish"),
        },
    }
}

/// The ready queue.
pub fn ready(view: &Value) -> String {
    let table = &view["ready"];
    let mut out = String::from("ready: callbacks that wait to run, the next one first\n");
    if rows(&table["rows"]).is_empty() {
        out.push_str("  none: the next poll may sleep\n");
    }
    for row in rows(&table["rows"]) {
        let turn = match row["this_turn"].as_bool() {
            Some(true) => "",
            _ => ", in the next turn",
        };
        line(
            &mut out,
            format_args!(
                "  {:<6} {}\n         queued by {} at {}, waits for {}{turn}",
                text(&row["handle"]),
                safe(&row["says"]),
                text(&row["reason"]),
                text(&row["location"]),
                time(&row["waited"]),
            ),
        );
    }
    more(&mut out, table);
    out
}

/// The timers.
pub fn timers(view: &Value) -> String {
    let table = &view["timers"];
    let mut out = String::from("timers: callbacks that wait for their time, the earliest first\n");
    if rows(&table["rows"]).is_empty() {
        out.push_str("  none: only a socket or a signal can wake the loop\n");
    }
    for row in rows(&table["rows"]) {
        line(
            &mut out,
            format_args!(
                "  {:<6} in {:<8} {}  (set at {})",
                text(&row["handle"]),
                time(&row["left"]),
                safe(&row["says"]),
                text(&row["location"]),
            ),
        );
    }
    more(&mut out, table);
    out
}

/// The connections.
pub fn connections(view: &Value) -> String {
    let table = &view["connections"];
    let mut out = format!(
        "connections: {} of at most {}\n",
        table["total"], table["max"]
    );
    if rows(&table["rows"]).is_empty() {
        out.push_str("  none: nobody is connected\n");
        return out;
    }
    line(
        &mut out,
        format_args!(
            "  {:<6} {:<7} {:<10} {:<22} {:<5} {:>8} {:>8}  flags",
            "id", "kind", "state", "who", "ready", "unsent", "partial"
        ),
    );
    for row in rows(&table["rows"]) {
        let ready = [("readable", "r"), ("writable", "w"), ("at_end", "e")];
        let ready = ready
            .iter()
            .filter(|(flag, _)| row[*flag] == Value::Bool(true));
        let ready: String = ready.map(|(_, letter)| *letter).collect();
        let who = match &row["neighbour"] {
            Value::Null => safe(&row["who"]),
            name => safe(name),
        };
        let flags = match rows(&row["flags"]).is_empty() {
            true => String::new(),
            false => text(&row["flags"]),
        };
        line(
            &mut out,
            format_args!(
                "  {:<6} {:<7} {:<10} {:<22} {:<5} {:>8} {:>8}  {flags}",
                format!("#{}", row["id"]),
                text(&row["kind"]),
                text(&row["state"]),
                who,
                ready,
                text(&row["unsent"]),
                text(&row["partial"]),
            ),
        );
    }
    more(&mut out, table);
    out.push_str("  ready: r a read is worth it, w a write is, e its end was read\n");
    out
}

/// The neighbours.
pub fn peers(view: &Value) -> String {
    let mut out = String::from("peers: the neighbours in the herd, and our link to each\n");
    if rows(&view["peers"]).is_empty() {
        out.push_str("  none: this server is alone\n");
    }
    let now = view["loop"]["time"].as_f64().unwrap_or_default();
    for row in rows(&view["peers"]) {
        let ago = |value: &Value| value.as_f64().map(|then| seconds((now - then).abs()));
        let more = match (ago(&row["since"]), ago(&row["redial"])) {
            (Some(since), _) => format!("up for {since}"),
            (_, Some(redial)) => format!("dialled again in {redial}"),
            _ => String::new(),
        };
        let heard = match &row["heard"] {
            Value::Null => String::from("it has not connected to us"),
            id => format!("it speaks on #{id}"),
        };
        let link = match &row["link"] {
            Value::Null => String::from("no link"),
            id => format!("link #{id}"),
        };
        line(
            &mut out,
            format_args!(
                "  {:<10} {:<9} {link}, {heard}, {} owed, {} unsent; {more}",
                safe(&row["name"]),
                text(&row["state"]),
                count(&row["owed"], "record"),
                count(&row["unsent"], "byte"),
            ),
        );
    }
    out
}

/// The location table.
pub fn store(view: &Value) -> String {
    let table = &view["store"];
    let mut out = format!(
        "store: {} of at most {}, {} bytes; {} kept so far\n",
        count(&table["records"], "client"),
        table["max"],
        table["bytes"],
        count(&table["kept"], "report"),
    );
    for row in rows(&table["rows"]) {
        line(&mut out, format_args!("  {}", safe(&row["line"])));
    }
    let hidden = table["records"].as_u64().unwrap_or(0) - rows(&table["rows"]).len() as u64;
    if hidden > 0 {
        line(&mut out, format_args!("  and {hidden} that came earlier"));
    }
    out
}

/// Questions to Places.
pub fn lookups(view: &Value) -> String {
    let table = &view["lookups"];
    if table.is_null() {
        return String::from("lookups: none, the embedded gazetteer answers\n");
    }
    let mut out = format!(
        "lookups: questions to {} ({}); breaker {}, {} queue, {} connections idle\n",
        safe(&table["host"]),
        text(&table["api"]),
        text(&table["breaker"]),
        table["queued"],
        table["idle"],
    );
    for row in rows(&table["rows"]) {
        line(
            &mut out,
            format_args!(
                "  {:<6} {:<10} for {:<8} {} waiting, connection {}",
                text(&row["number"]),
                text(&row["state"]),
                time(&row["age"]),
                count(&row["waiters"], "client"),
                text(&row["connection"]),
            ),
        );
    }
    out
}

/// What is used of the limits that fill up, and what bounds everything else.
pub fn limits(view: &Value) -> String {
    let mut out = String::from("limits: what is in use of each\n");
    for row in rows(&view["limits"]) {
        let option = match &row["option"] {
            Value::Null => String::new(),
            option => format!("  ({})", text(option)),
        };
        line(
            &mut out,
            format_args!(
                "  {:<38} {:>10} of {:>10}{option}",
                text(&row["name"]),
                text(&row["used"]),
                text(&row["max"]),
            ),
        );
    }
    if !rows(&view["bounds"]).is_empty() {
        out.push_str("bounds: what happens at each\n");
    }
    for row in rows(&view["bounds"]) {
        let option = match &row["option"] {
            Value::Null => String::new(),
            option => format!("  (--{})", text(option)),
        };
        let value = match (&row["value"], &row["option"]) {
            (value, Value::String(_)) if *value == 0 => String::from("none"),
            (value, _) => format!("{value} {}", text(&row["unit"])),
        };
        line(
            &mut out,
            format_args!(
                "  {:<38} {value:>18}  {}{option}",
                text(&row["what"]),
                text(&row["then"]),
            ),
        );
    }
    out
}

/// Bars are this long at most.
const BAR: usize = 40;

/// How long things took.
pub fn histograms(view: &Value) -> String {
    let mut out = String::new();
    for (key, heading) in [
        ("wait", "callbacks waited, from being queued to being run"),
        ("run", "callbacks ran"),
        ("poll", "polls took, asleep or not"),
        ("iteration", "turns took, from the end of the poll"),
    ] {
        let all = &view["histograms"][key];
        line(
            &mut out,
            format_args!(
                "{heading}: {} times, half within {}, 99 % within {}, at most {}",
                all["count"],
                time(&all["p50"]),
                time(&all["p99"]),
                time(&all["max"]),
            ),
        );
        let most = rows(&all["buckets"])
            .iter()
            .filter_map(|row| row["count"].as_u64())
            .max();
        for row in rows(&all["buckets"]) {
            let count = row["count"].as_u64().unwrap_or(0);
            let bar = (count as usize * BAR).div_ceil(most.unwrap_or(1).max(1) as usize);
            line(
                &mut out,
                format_args!(
                    "  from {:>8} {:>8}  {}",
                    time(&row["from"]),
                    count,
                    "#".repeat(bar)
                ),
            );
        }
    }
    out
}

/// All of it: what `herd --ps` prints.
pub fn all(view: &Value) -> String {
    let parts = [
        standing,
        ready,
        timers,
        connections,
        peers,
        store,
        lookups,
        limits,
    ];
    parts.map(|part| part(view)).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_figures_and_a_unit() {
        for (value, wanted) in [
            (0.0, "0"),
            (5e-8, "50 ns"),
            (1.234e-6, "1.23 us"),
            (4.56e-5, "45.6 us"),
            (0.123456, "123 ms"),
            (2.5, "2.50 s"),
            (3600.0, "3600 s"),
        ] {
            assert_eq!(seconds(value), wanted);
        }
    }

    #[test]
    fn what_clients_send_cannot_move_the_cursor() {
        let view =
            serde_json::json!({"store": {"records": 1, "rows": [{"line": "AT \u{1b}[2J\r\n"}]}});
        let text = store(&view);
        assert!(
            !text.contains('\u{1b}') && text.contains("\\u{1b}[2J\\r\\n"),
            "{text}"
        );
    }

    #[test]
    fn a_view_with_nothing_in_it_is_no_reason_to_fail() {
        assert!(all(&Value::Null).contains("next:"));
        assert!(histograms(&Value::Null).contains("polls took"));
    }
}
