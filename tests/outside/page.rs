//! The live page in a real browser: Chromium, driven by chromedriver.

mod browser;

use std::net::TcpListener;

use crate::common::{Herd, Plan, iamat};
use browser::Browser;

/// Two servers of which one can be looked at, and where.
fn herd() -> (Herd, String) {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let plan = Plan::only("Clark").fake("Bona", "Clark");
    let herd = plan.args(&["--inspect", &address.to_string()]).start();
    (herd, format!("http://{address}/"))
}

#[test]
fn the_page_shows_the_loop_and_moves_it() {
    let (herd, url) = herd();
    let browser = Browser::start(1280, false);
    browser.open(&url);
    browser.wait(
        "the view",
        "document.getElementById('state').textContent === 'running'",
    );
    browser.wait(
        "a link that is up",
        "document.querySelector('#map [data-link=\"Bona\"][data-state=\"up\"]')",
    );
    let mut client = herd.client("Clark");
    client.ask(iamat("seen"));
    browser.wait(
        "the client in the tables",
        "document.getElementById('store').innerHTML.includes('seen') \
         && document.querySelectorAll('#connections [data-id]').length >= 2",
    );

    browser.wait(
        "what ran before anybody looked, as a gap",
        "Number(document.querySelector('#recent .gap')?.dataset.unseen) > 0",
    );

    // Held by the keyboard: the client gets no answer, the queue shows why.
    browser.press(" ");
    browser.wait(
        "the pause",
        "document.getElementById('state').textContent === 'held'",
    );
    client.send(iamat("held"));
    browser.press("s");
    browser.wait(
        "the callback in the queue",
        "document.querySelector('#ready [data-handle]')?.textContent.includes('is readable')",
    );
    client.silence(100);
    let moment = browser.run("return document.getElementById('moment').textContent");
    browser.click("step");
    browser.wait(
        "one moment more",
        &format!("document.getElementById('moment').textContent == {moment} - 0 + 1"),
    );
    browser.wait(
        "what it did",
        "document.getElementById('account').textContent.includes('bytes from client #')",
    );
    browser.wait(
        "an empty queue",
        "!document.querySelector('#ready [data-handle]')",
    );
    browser.click("next");
    client.line();
    browser.wait(
        "the place before the poll",
        "document.querySelector('.turn [aria-current]')?.dataset.phase === 'before the poll'",
    );

    command_and_loss(&browser, herd);
}

/// A command is typed, a neighbour goes down, the server goes.
fn command_and_loss(browser: &Browser, mut herd: Herd) {
    browser.press("/");
    browser.run("document.getElementById('command').value = 'info peers'");
    browser.press("\u{e007}");
    browser.wait(
        "the answer",
        "document.getElementById('log').textContent.includes('peers: the neighbours')",
    );
    browser.run("document.activeElement.blur()");
    browser.press("c");
    browser.wait(
        "the loop running",
        "document.getElementById('state').textContent === 'running'",
    );

    // A neighbour goes down.
    drop(herd.fake("Bona"));
    browser.wait(
        "the link down",
        "document.querySelector('#map .down[data-link=\"Bona\"]')",
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // The server goes: the page says so.
    herd.kill("Clark");
    browser.wait(
        "the loss",
        "document.getElementById('state').textContent === 'lost'",
    );
}

#[test]
fn the_page_fits_a_telephone_and_the_dark() {
    let (herd, url) = herd();
    for (width, dark) in [(1280, false), (1280, true), (500, false), (500, true)] {
        let browser = Browser::start(width, dark);
        browser.open(&url);
        browser.wait(
            "the view",
            "document.getElementById('state').textContent === 'running'",
        );
        herd.client("Clark").ask(iamat("kiwi"));
        let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(overflow.as_i64() <= Some(0), "{width} {overflow}");
        // Text on its ground has the contrast that WCAG AA asks for.
        let contrast = browser.run(CONTRAST).as_f64().expect("a number");
        assert!(contrast >= 4.5, "{width} {dark}: {contrast}");
        let scheme = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches");
        assert_eq!(scheme.as_bool(), Some(dark));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

/// The least contrast of ink, soft text, accents and states with their ground.
const CONTRAST: &str = "
    const style = getComputedStyle(document.documentElement);
    const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    const light = (name) => {
        const hex = style.getPropertyValue(name).trim().slice(1);
        const [r, g, b] = [0, 2, 4].map((at) => channel(parseInt(hex.slice(at, at + 2), 16)));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const texts = ['--ink', '--soft', '--held', '--good', '--bad', '--accent'].map(light);
    return Math.min(...texts.flatMap((text) => ['--card', '--ground'].map((ground) => ratio(text, light(ground)))));
";
