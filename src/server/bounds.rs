//! Every bound of a server, from the parts that keep them.

use super::clients::Clients;
use super::door;
use super::journal::Journal;
use super::limits::{Limit, limit};
use super::links::Links;
use super::parts::STOP_DEADLINE;
use super::questions::Questions;
use super::snapshots::Snapshots;
use super::turn::TURN_OUTPUT_MAX;
use crate::config::Config;
use crate::herd::STORE_BYTES_MAX;

/// All limits of a server with this configuration. A value of 0 with an option: none.
#[rustfmt::skip]
pub fn limits(config: &Config) -> Vec<Limit> {
    let (records, refused) = (config.max_records, "new clients are refused, said once a minute");
    let grown = "at 15/16 new clients are refused, at all of it longer reports";
    let mut limits = vec![
        Limit::of("RECORDS_MAX", "records", records, "", refused).option("max-records"),
        limit!(STORE_BYTES_MAX, "the records' lines", "bytes", grown),
        limit!(TURN_OUTPUT_MAX, "answers of a turn, or its news", "bytes", "sent in the middle of it"),
        limit!(STOP_DEADLINE, "stopping", "", "it ends with what is unsent"),
    ];
    limits.extend(door::limits(config));
    limits.extend(Clients::limits(config));
    limits.extend(Links::limits());
    limits.extend(Questions::limits());
    limits.extend(Snapshots::limits(config));
    limits.extend(Journal::limits(config));
    limits
}

/// Limits as text, for `--help`.
pub fn table(limits: &[Limit]) -> String {
    let mut text = String::new();
    for limit in limits {
        let option = limit.option.map(|option| format!(" (--{option})"));
        text += &format!(
            "    {:<38} {:>18}  {}{}\n",
            limit.what,
            limit.amount(),
            limit.then,
            option.unwrap_or_default()
        );
    }
    text
}
