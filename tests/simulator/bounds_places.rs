//! Bounds of the questions to Places, in the simulator. Places is the test: it accepts, reads and
//! answers by hand.

use std::time::Duration;

use herd::event_loop::Token;
use herd::server::{
    ADDRESSES_KEPT, CLIENT_LINE_DEADLINE, LOOKUP_DEADLINE, Node, RESOLVE_DEADLINE, UPSTREAM_MAX,
};
use herd::worlds::sim::{End, SimWorld, Simulation, Weather};

use crate::stage::{Play, SECOND, asking, boot};

/// The door of Places.
const LISTENER: Token = Token::listener(0);
const HERD: usize = 0;
const PLACES: usize = 1;
const NAME: &str = "places.test";
const BODY: &str = "{\"status\":\"ZERO_RESULTS\",\"results\":[]}";

struct Stage {
    sim: Simulation<Node<SimWorld>>,
}

impl Stage {
    fn new() -> Stage {
        let mut sim = Simulation::new(2, 1, Weather::default());
        let address = "127.0.0.1:2".parse().expect("an address");
        sim.net_mut().listen(PLACES, address, LISTENER);
        sim.net_mut().name(NAME, vec![address]);
        boot(&mut sim, HERD, asking(NAME));
        let mut stage = Stage { sim };
        stage.ask("IAMAT kiwi +1+1 5\n");
        stage
    }

    fn wait(&mut self, time: Duration) {
        self.sim.wait(time);
    }

    /// A new client says one line.
    fn ask(&mut self, line: &str) -> End {
        let client = self.sim.client(HERD);
        self.sim.say(client, line);
        self.wait(SECOND / 1000);
        client
    }

    /// All that has come to one end of a stream.
    fn take(&mut self, end: End) -> String {
        self.sim.hear(end).0
    }

    /// Places takes a connection that waits.
    fn accept(&mut self) -> Option<End> {
        let accepted = self.sim.net_mut().accept(PLACES, LISTENER).ok();
        accepted.map(|(end, _)| end)
    }

    /// Which radius is asked about on this connection, in kilometres.
    fn radius(&mut self, end: End) -> usize {
        let request = self.take(end);
        let radius = request
            .split("radius=")
            .nth(1)
            .and_then(|rest| rest.split("000").next());
        let radius = radius.and_then(|text| text.parse().ok());
        radius.unwrap_or_else(|| panic!("no question: {request}"))
    }

    /// Places answers what was asked on this connection.
    fn answer(&mut self, end: End) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len());
        let answer = head + BODY;
        self.sim.say(end, &answer);
        self.wait(SECOND / 10);
    }
}

#[test]
fn so_many_connections_are_made_and_the_next_questions_wait_for_one() {
    let mut stage = Stage::new();
    // No two ask the same.
    let question = |radius: usize| format!("WHATSAT kiwi {radius} 5\n");
    let radii = 1..=UPSTREAM_MAX + 3;
    let clients: Vec<End> = radii.map(|radius| stage.ask(&question(radius))).collect();
    stage.wait(SECOND);
    let connections: Vec<End> = std::iter::from_fn(|| stage.accept()).collect();
    assert_eq!(connections.len(), UPSTREAM_MAX);
    // One that is done with serves who waits longest.
    let radius = stage.radius(connections[0]);
    stage.answer(connections[0]);
    let answer = stage.take(clients[radius - 1]);
    assert!(answer.contains("ZERO_RESULTS"), "{answer}");
    assert_eq!(stage.radius(connections[0]), UPSTREAM_MAX + 1);
    assert_eq!(stage.accept(), None);
    // One that ends makes room for another.
    stage.sim.net_mut().close(connections[1]);
    stage.wait(SECOND);
    let next = stage.accept().expect("a new connection");
    assert_eq!(stage.radius(next), UPSTREAM_MAX + 2);
    assert_eq!(stage.accept(), None);
    // The last never got one, and is answered all the same.
    stage.wait(LOOKUP_DEADLINE);
    let last = stage.take(clients[UPSTREAM_MAX + 2]);
    assert!(last.contains("UNKNOWN_ERROR"), "{last}");
}

/// Is Places found, when the resolver has said nothing for so long?
fn is_found(silence: Duration) -> bool {
    let mut stage = Stage::new();
    stage.ask("WHATSAT kiwi 10 5\n");
    // The name was resolved just now.
    let resolved = stage.sim.net().now;
    stage.wait(SECOND);
    let connection = stage.accept().expect("a connection");
    stage.answer(connection);
    stage.sim.net_mut().forget_name(NAME);
    // The resolver is asked first, and given up after its deadline.
    let asks = resolved + silence - RESOLVE_DEADLINE;
    stage.sim.run_until(asks).expect("runs");
    let client = stage.ask("WHATSAT kiwi 10 5\n");
    stage.wait(RESOLVE_DEADLINE + SECOND / 10);
    let connection = stage.accept();
    let answer = stage.take(client);
    assert_eq!(answer.contains("UNKNOWN_ERROR"), connection.is_none());
    connection.is_some()
}

#[test]
fn addresses_are_kept_for_ten_minutes_without_a_resolver() {
    assert!(is_found(ADDRESSES_KEPT - SECOND / 10));
    assert!(!is_found(ADDRESSES_KEPT + SECOND / 10));
}

#[test]
fn a_view_tells_which_connection_asks_places_what() {
    let mut stage = Stage::new();
    stage.ask("WHATSAT kiwi 10 5\n");
    stage.wait(SECOND);
    let connection = stage.accept().expect("a connection");
    let row = |stage: &mut Stage| {
        let (event_loop, node) = stage.sim.take(HERD).expect("it runs");
        let view = node.view(&event_loop);
        let rows = view["connections"]["rows"].as_array().expect("rows");
        let mut rows = rows.iter().filter(|row| row["kind"] == "places");
        let row = rows.next().expect("a row").clone();
        assert_eq!(rows.next(), None);
        row
    };
    let row = row(&mut stage);
    assert_eq!((&row["who"], &row["lookup"]), (&NAME.into(), &1.into()));
    stage.sim.net_mut().close(connection);
}

/// While a client waits, it cannot be served: that time is not taken from its next line's.
#[test]
fn half_a_line_behind_a_question_has_its_time_from_the_answer_on() {
    let mut stage = Stage::new();
    let client = stage.ask("WHATSAT kiwi 10 5\nIAMAT");
    stage.wait(LOOKUP_DEADLINE + SECOND);
    assert!(stage.take(client).contains("UNKNOWN_ERROR"));
    stage.wait(CLIENT_LINE_DEADLINE - SECOND - SECOND / 2);
    assert!(!stage.sim.hear(client).1, "its time is not over");
    stage.wait(SECOND);
    assert!(stage.sim.hear(client).1);
}
