//! What a step changed: the view before and after, compared row by row. Pure.
//!
//! A view shows the first rows of a long table. What only moves into sight or out of it has not
//! changed, and nothing is said of it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Changes told of one step; what is more is counted.
pub const CHANGES_MAX: usize = 24;

/// What changed from one view to the next, a sentence each.
pub fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut said = Vec::new();
    connections(before, after, &mut said);
    peers(before, after, &mut said);
    store(before, after, &mut said);
    lookups(before, after, &mut said);
    scheduled(before, after, &mut said);
    if said.len() > CHANGES_MAX {
        let more = said.len() - CHANGES_MAX;
        said.truncate(CHANGES_MAX);
        said.push(format!("and {more} more changes"));
    }
    said
}

/// The rows of a table by what names each.
fn rows<'a>(table: &'a Value, key: &str) -> BTreeMap<String, &'a Value> {
    let rows = table.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(|row| (text(&row[key]), row)).collect()
}

/// The last row that a view shows, if there are more than it shows.
fn last_in_sight(table: &Value) -> Option<&Value> {
    let rows = table["rows"].as_array()?;
    rows.last()
        .filter(|_| table["total"].as_u64() > Some(rows.len() as u64))
}

/// Would `table`, whose rows are in the order of `key`, have shown this row if it had held it?
fn would_show(table: &Value, row: &Value, key: impl Fn(&Value) -> Option<(f64, u64)>) -> bool {
    last_in_sight(table).is_none_or(|last| key(row) <= key(last))
}

fn by_slot(row: &Value) -> Option<(f64, u64)> {
    Some((0.0, row["slot"].as_u64()?))
}

fn by_time(row: &Value) -> Option<(f64, u64)> {
    Some((row["when"].as_f64()?, row["handle"].as_u64()?))
}

/// A value as people read it: text without quotes.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::from("none"),
        Value::Array(values) if values.is_empty() => String::from("none"),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn compare(what: &str, fields: &[&str], old: &Value, new: &Value, said: &mut Vec<String>) {
    for field in fields {
        if old[field] != new[field] {
            let (old, new) = (text(&old[field]), text(&new[field]));
            said.push(format!("{what}: {field} {old} -> {new}"));
        }
    }
}

fn connections(before: &Value, after: &Value, said: &mut Vec<String>) {
    let old = rows(&before["connections"]["rows"], "id");
    let new = rows(&after["connections"]["rows"], "id");
    let name = |id: &str, row: &Value| format!("{} #{id}", text(&row["kind"]));
    for (id, row) in &new {
        match old.get(id) {
            None if would_show(&before["connections"], row, by_slot) => {
                said.push(format!("{} is new: {}", name(id, row), text(&row["who"])));
            }
            None => {}
            Some(was) => compare(
                &name(id, was),
                &["kind", "state", "unsent", "partial", "flags", "at_end"],
                was,
                row,
                said,
            ),
        }
    }
    for (id, row) in &old {
        if !new.contains_key(id) && would_show(&after["connections"], row, by_slot) {
            said.push(format!("{} is closed", name(id, row)));
        }
    }
}

fn peers(before: &Value, after: &Value, said: &mut Vec<String>) {
    let old = rows(&before["peers"], "name");
    for (name, row) in rows(&after["peers"], "name") {
        if let Some(was) = old.get(&name) {
            let what = format!("neighbour {name}");
            compare(&what, &["state", "owed", "heard"], was, row, said);
        }
    }
}

fn store(before: &Value, after: &Value, said: &mut Vec<String>) {
    let (old, new) = (&before["store"], &after["store"]);
    compare("the table", &["records"], old, new, said);
    let line = |rows: &Value| {
        let rows = rows.as_array().cloned().unwrap_or_default();
        let lines = rows
            .iter()
            .map(|row| (text(&row["id"]), text(&row["line"])));
        lines.collect::<BTreeMap<_, _>>()
    };
    let was = line(&old["rows"]);
    let count = said.len();
    for (id, line) in line(&new["rows"]) {
        if was.get(&id) != Some(&line) {
            said.push(format!("the table holds: {}", line.trim_end()));
        }
    }
    if said.len() == count {
        compare("the table", &["kept"], old, new, said);
    }
}

/// Rows of a table that a view does not show.
fn hidden(table: &Value) -> usize {
    let shown = table["rows"].as_array().map_or(0, Vec::len);
    let total = table["total"].as_u64().unwrap_or_default();
    (total as usize).saturating_sub(shown)
}

fn lookups(before: &Value, after: &Value, said: &mut Vec<String>) {
    let old = rows(&before["lookups"]["rows"], "number");
    let new = rows(&after["lookups"]["rows"], "number");
    for (number, row) in &new {
        match old.get(number) {
            None => said.push(format!("lookup {number} begins: {}", text(&row["state"]))),
            Some(was) => {
                let what = format!("lookup {number}");
                compare(&what, &["state", "waiters", "connection"], was, row, said);
            }
        }
    }
    for number in old.keys().filter(|number| !new.contains_key(*number)) {
        said.push(format!("lookup {number} is done"));
    }
}

fn scheduled(before: &Value, after: &Value, said: &mut Vec<String>) {
    let old_ready = rows(&before["ready"]["rows"], "handle");
    let old_timers = rows(&before["timers"]["rows"], "handle");
    let new_timers = rows(&after["timers"]["rows"], "handle");
    let new_ready = rows(&after["ready"]["rows"], "handle");
    let unseen = |handle: &String| !old_ready.contains_key(handle);
    // The queue moves up: what waited out of sight comes into it before what is new.
    for (handle, row) in new_ready
        .iter()
        .filter(|(handle, _)| unseen(handle))
        .skip(hidden(&before["ready"]))
    {
        let says = text(&row["says"]);
        said.push(format!("queued: {says} (handle {handle})"));
    }
    for (handle, row) in &new_timers {
        if !old_timers.contains_key(handle) && would_show(&before["timers"], row, by_time) {
            let left = row["left"].as_f64().unwrap_or_default();
            let says = text(&row["says"]);
            said.push(format!(
                "timer set: {says}, in {left:.3} s (handle {handle})"
            ));
        }
    }
    for (handle, row) in &old_timers {
        let is_gone = !new_timers.contains_key(handle) && !new_ready.contains_key(handle);
        // One that is due may wait in the queue, out of sight.
        let is_due = row["when"].as_f64() <= after["loop"]["time"].as_f64();
        let may_wait = is_due && last_in_sight(&after["ready"]).is_some();
        if is_gone && !may_wait && would_show(&after["timers"], row, by_time) {
            said.push(format!("timer cancelled: {}", text(&row["says"])));
        }
    }
    if before["stopping"] != after["stopping"] {
        said.push(String::from("the server begins to stop"));
    }
}

/// A value of the view by its path: fields, and rows by their name or number, dots between.
pub fn find<'a>(view: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = view;
    for part in path.split('.') {
        value = match value {
            Value::Object(object) if object.contains_key(part) => &object[part],
            // A table is an object with rows: print connections.3.
            Value::Object(object) => row(object.get("rows")?, part)?,
            other => row(other, part)?,
        };
    }
    Some(value)
}

fn row<'a>(rows: &'a Value, name: &str) -> Option<&'a Value> {
    let named = |row: &&Value| {
        let keys = ["id", "name", "number", "handle"];
        let mut ids = keys.iter().filter_map(|key| row.get(key));
        ids.any(|id| text(id) == name.trim_start_matches('#'))
    };
    rows.as_array()?.iter().find(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_change_is_told() {
        let before = json!({
            "stopping": false,
            "connections": {"rows": [
                {"id": 1, "kind": "link", "who": "Bona", "state": "dialling", "unsent": 0},
                {"id": 2, "kind": "client", "who": "127.0.0.1:5", "state": "open", "unsent": 0},
            ]},
            "peers": [{"name": "Bona", "state": "dialling", "owed": 0}],
            "store": {"records": 0, "rows": []},
            "timers": {"rows": [{"handle": 3, "says": "give up dialling Bona", "left": 3.0}]},
            "ready": {"rows": []},
        });
        let after = json!({
            "stopping": true,
            "connections": {"rows": [
                {"id": 1, "kind": "link", "who": "Bona", "state": "up", "unsent": 9},
                {"id": 3, "kind": "client", "who": "127.0.0.1:6", "state": "open"},
            ]},
            "peers": [{"name": "Bona", "state": "up", "owed": 0}],
            "store": {"records": 1, "rows": [{"id": "kiwi", "line": "AT Clark +1 kiwi +1-1 5\n"}]},
            "timers": {"rows": [{"handle": 4, "says": "dial again", "left": 1.5}]},
            "ready": {"rows": [{"handle": 5, "says": "go on"}]},
            "lookups": {"rows": [{"number": 7, "state": "Queued"}]},
        });
        assert_eq!(
            changes(&before, &after),
            [
                "link #1: state dialling -> up",
                "link #1: unsent 0 -> 9",
                "client #3 is new: 127.0.0.1:6",
                "client #2 is closed",
                "neighbour Bona: state dialling -> up",
                "the table: records 0 -> 1",
                "the table holds: AT Clark +1 kiwi +1-1 5",
                "lookup 7 begins: Queued",
                "queued: go on (handle 5)",
                "timer set: dial again, in 1.500 s (handle 4)",
                "timer cancelled: give up dialling Bona",
                "the server begins to stop",
            ]
        );
        assert!(changes(&before, &before).is_empty());
    }

    #[test]
    fn many_changes_are_counted() {
        let rows = |count: u64| -> Vec<Value> {
            (0..count)
                .map(|id| json!({"id": id, "kind": "client", "who": "x"}))
                .collect()
        };
        let (before, after) = (json!({}), json!({"connections": {"rows": rows(100)}}));
        let said = changes(&before, &after);
        assert_eq!(said.len(), CHANGES_MAX + 1);
        assert_eq!(said[CHANGES_MAX], "and 76 more changes");
    }

    /// Rows with these numbers out of so many.
    fn table(total: u64, numbers: std::ops::Range<u64>) -> Value {
        let row = |number: u64| {
            json!({
                "id": number, "slot": number, "handle": number, "kind": "client", "who": "x",
                "when": number as f64, "left": 1.0, "says": format!("callback {number}"),
            })
        };
        json!({"total": total, "rows": numbers.map(row).collect::<Vec<_>>()})
    }

    #[test]
    fn what_moves_into_sight_or_out_of_it_has_not_changed() {
        let all = |table: &Value| {
            json!({
                "connections": table, "ready": {"rows": []}, "timers": table,
                "loop": {"time": 0.0}, "store": {"kept": 1},
            })
        };
        let ready = |table: &Value| json!({"ready": table, "timers": {"rows": []}});
        // The first goes, and a fourth comes into sight; and the other way round.
        let (low, high) = (table(9, 1..4), table(8, 2..5));
        assert_eq!(
            changes(&all(&low), &all(&high)),
            ["client #1 is closed", "timer cancelled: callback 1"]
        );
        assert_eq!(
            changes(&all(&high), &all(&low)),
            [
                "client #1 is new: x",
                "timer set: callback 1, in 1.000 s (handle 1)"
            ]
        );
        assert!(changes(&ready(&low), &ready(&high)).is_empty());
        let short = table(4, 1..4);
        assert_eq!(
            changes(&ready(&short), &ready(&table(4, 2..6))),
            ["queued: callback 5 (handle 5)"]
        );
        // A timer that is due waits in a queue that is longer than what is shown.
        let mut after = all(&table(2, 2..4));
        after["ready"] = table(9, 11..14);
        after["loop"]["time"] = json!(1.5);
        let before = json!({"connections": after["connections"], "ready": {"rows": []},
            "timers": table(3, 1..4), "store": {"kept": 1}});
        assert!(!changes(&before, &after).contains(&String::from("timer cancelled: callback 1")));
    }

    #[test]
    fn a_report_of_a_client_out_of_sight_is_told() {
        let store = |kept: u64| json!({"store": {"records": 90, "kept": kept, "rows": []}});
        assert_eq!(changes(&store(7), &store(8)), ["the table: kept 7 -> 8"]);
    }

    #[test]
    fn a_path_finds_fields_and_rows() {
        let view = json!({
            "loop": {"iteration": 4},
            "connections": {"total": 1, "rows": [{"id": 3, "unsent": 7}]},
            "peers": [{"name": "Bona", "state": "up"}],
        });
        for (path, wanted) in [
            ("loop.iteration", Some(json!(4))),
            ("connections.3.unsent", Some(json!(7))),
            ("connections.#3.unsent", Some(json!(7))),
            ("connections.total", Some(json!(1))),
            ("peers.Bona.state", Some(json!("up"))),
            ("peers.Clark", None),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(find(&view, path), wanted.as_ref(), "{path}");
        }
    }
}
