//! What a step changed: the view before and after, compared row by row. Pure.

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
            None => said.push(format!("{} is new: {}", name(id, row), text(&row["who"]))),
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
        if !new.contains_key(id) {
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
    for (id, line) in line(&new["rows"]) {
        if was.get(&id) != Some(&line) {
            said.push(format!("the table holds: {}", line.trim_end()));
        }
    }
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
    for (handle, row) in &new_ready {
        if !old_ready.contains_key(handle) {
            let says = text(&row["says"]);
            said.push(format!("queued: {says} (handle {handle})"));
        }
    }
    for (handle, row) in &new_timers {
        if !old_timers.contains_key(handle) {
            let left = row["left"].as_f64().unwrap_or_default();
            let says = text(&row["says"]);
            said.push(format!(
                "timer set: {says}, in {left:.3} s (handle {handle})"
            ));
        }
    }
    for (handle, row) in &old_timers {
        if !new_timers.contains_key(handle) && !new_ready.contains_key(handle) {
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
