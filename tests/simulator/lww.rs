//! The table's laws: the join is commutative, associative, idempotent and total, so that servers
//! that heard the same reports in any order agree.

use herd::herd::{At, Command, Decimal, Source, Store, Ties};
use proptest::prelude::*;

/// Reports of one client from few values, so that ties of every kind are common.
fn line() -> impl Strategy<Value = String> {
    let server = prop::sample::select(vec!["Bona", "Clark"]);
    let skew = prop::sample::select(vec!["+0.1", "-0.1", "+0.10"]);
    let position = prop::sample::select(vec!["+1-1", "+1.0-1", "-5+5"]);
    let time = prop::sample::select(vec!["5", "5.0", "05", "5.000000000000000001", "6", "16"]);
    (server, skew, position, time).prop_map(|(server, skew, position, time)| {
        format!("AT {server} {skew} a {position} {time}")
    })
}

fn at(line: &str) -> At<'_> {
    match Command::parse(line.as_bytes()) {
        Some(Command::At(at)) => at,
        other => panic!("{line}: {other:?}"),
    }
}

/// The table after hearing these lines in this order.
fn heard<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let mut store = Store::new(10, 10_000, Ties::TotalOrder);
    for line in lines {
        let canonical = format!("{line}\n");
        store.offer(&at(line).report, canonical.as_bytes(), Source::Server);
    }
    store.line(0).map(<[u8]>::to_vec).unwrap_or_default()
}

/// `HERD_CASES=100000 cargo test --test simulator lww` takes more.
fn cases() -> u32 {
    let cases = std::env::var("HERD_CASES").ok();
    cases.map_or(20_000, |text| text.parse().expect("HERD_CASES is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn any_order_and_any_repetition_give_the_same_record(
        (lines, shuffled) in prop::collection::vec(line(), 1..8)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        again in 0usize..8,
    ) {
        let once = heard(&lines);
        prop_assert_eq!(&once, &heard(&shuffled));
        let repeated = lines.iter().chain(lines.iter().skip(again));
        prop_assert_eq!(&once, &heard(repeated));
    }

    #[test]
    fn the_order_is_total(a in line(), b in line(), c in line()) {
        use std::cmp::Ordering::{Equal, Less};
        let order = |x: &String, y: &String| at(x).precedence(&at(y));
        prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        prop_assert_eq!(order(&a, &b) == Equal, a == b);
        if order(&a, &b) == Less && order(&b, &c) == Less {
            prop_assert_eq!(order(&a, &c), Less);
        }
    }

    #[test]
    fn decimals_compare_as_integers_do_when_scaled(a in 0u64..10_000_000, b in 0u64..10_000_000) {
        let text = |value: u64| format!("{}.{:04}", value / 10_000, value % 10_000);
        let (a_text, b_text) = (text(a), text(b));
        let decimal = |text: &str| Decimal::parse(text.as_bytes()).map(|d| d.scaled(4));
        prop_assert_eq!(decimal(&a_text), Some(Some(a)));
        let (x, y) = (Decimal::parse(a_text.as_bytes()), Decimal::parse(b_text.as_bytes()));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    /// No line panics, and what is accepted as AT prints back to what is read as the same.
    #[test]
    fn what_is_accepted_prints_back(bytes in prop::collection::vec(any::<u8>(), 0..80), word in "(AT|IAMAT|WHATSAT|PEER) [ -~]{0,60}") {
        let _ = Command::parse(&bytes);
        if let Some(Command::At(at)) = Command::parse(word.as_bytes()) {
            let mut out = Vec::new();
            at.write(&mut out);
            prop_assert_eq!(At::stored(&out), Some(at));
        }
    }
}
