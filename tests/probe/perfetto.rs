//! What Perfetto's importer makes of a trace, modelled: trace_processor comes with no package that
//! could be installed by name (PyPI's `perfetto` fetches it when it runs).
//!
//! The rules are those of its JSON importer and of its `SliceTracker`. A time is a double in
//! microseconds that becomes whole nanoseconds (truncated; a version that rounds must find the same).
//! Events are sorted by time; of two that begin at once the longer comes first, or in older versions the
//! one that was written first. A complete event closes what has ended on its track, and is dropped if it
//! would outlast what is open there.

use std::collections::BTreeMap;

use serde_json::Value;

/// What became of the slices.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Import {
    pub slices: usize,
    pub dropped: usize,
    /// A turn that lies in something, or a part of a turn that does not lie right in one.
    pub misplaced: usize,
    /// Ends of arrows that hang in no part of a turn.
    pub loose: usize,
}

struct Timed<'a> {
    event: &'a Value,
    track: (u64, u64),
    began: i64,
    took: i64,
}

/// Imports a trace by each reading of its rules; all must come to the same.
pub fn import(events: &[Value]) -> Import {
    let truncated = |micros: f64| (micros * 1000.0) as i64;
    let rounded = |micros: f64| (micros * 1000.0).round() as i64;
    let imports = [
        import_by(events, truncated, true),
        import_by(events, truncated, false),
        import_by(events, rounded, true),
        import_by(events, rounded, false),
    ];
    let [first, rest @ ..] = &imports;
    for other in rest {
        assert_eq!(first, other, "each version of the importer finds the same");
    }
    imports.into_iter().next().expect("there are four")
}

fn import_by(events: &[Value], nanos: impl Fn(f64) -> i64, longest_first: bool) -> Import {
    let number = |event: &Value, key: &str| event[key].as_u64().expect("a number");
    let time = |event: &Value, key: &str| nanos(event[key].as_f64().unwrap_or_default());
    let mut timed: Vec<Timed> = events
        .iter()
        .map(|event| Timed {
            event,
            track: (number(event, "pid"), number(event, "tid")),
            began: time(event, "ts"),
            took: time(event, "dur"),
        })
        .collect();
    timed.sort_by_key(|one| (one.began, if longest_first { -one.took } else { 0 }));
    let mut open: BTreeMap<(u64, u64), Vec<&Timed>> = BTreeMap::new();
    let mut import = Import::default();
    for one in &timed {
        let stack = open.entry(one.track).or_default();
        match one.event["ph"].as_str() {
            Some("X") => place(one, stack, &mut import),
            Some("s" | "f") => {
                let holds = |part: &&Timed| part.began + part.took > one.began && !is_turn(part);
                import.loose += usize::from(!stack.last().is_some_and(holds));
            }
            _ => {}
        }
    }
    import
}

fn is_turn(slice: &Timed) -> bool {
    slice.event["name"] == "turn"
}

fn place<'a, 'b>(one: &'a Timed<'b>, stack: &mut Vec<&'a Timed<'b>>, import: &mut Import) {
    import.slices += 1;
    let (began, ended) = (one.began, one.began + one.took);
    while let Some(top) = stack.last() {
        let end = top.began + top.took;
        let both_are_instants = top.took == 0 && one.took == 0;
        if end < began || (end == began && !both_are_instants) {
            stack.pop();
        } else {
            break;
        }
    }
    let outlasts = |outer: &&Timed| {
        let end = outer.began + outer.took;
        began < end && ended > end
    };
    if stack.iter().any(outlasts) {
        import.dropped += 1;
        return;
    }
    import.misplaced += usize::from(match &stack[..] {
        [] => !is_turn(one),
        [outer] => is_turn(one) || !is_turn(outer),
        _ => true,
    });
    stack.push(one);
}

/// The same without an importer: in doubles, two slices of a track are apart or one lies in the other.
pub fn overlaps_in_doubles(events: &[Value]) -> usize {
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap_or_default();
    let slices = events.iter().filter(|event| event["ph"] == "X");
    let mut spans: Vec<_> = slices
        .map(|slice| {
            let began = number(slice, "ts");
            (number(slice, "pid"), began, began + number(slice, "dur"))
        })
        .collect();
    spans.sort_by(|one, other| {
        let longest_first = other.2.total_cmp(&one.2);
        let order = one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1));
        order.then(longest_first)
    });
    let mut overlaps = 0;
    let mut open: Vec<(f64, f64)> = Vec::new();
    for (process, began, ended) in spans {
        open.retain(|(other, end)| *other == process && *end > began);
        overlaps += open.iter().filter(|(_, end)| ended > *end).count();
        open.push((process, ended));
    }
    overlaps
}
