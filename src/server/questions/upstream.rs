//! A connection to Places as a state machine: TLS, and one request after the other.

use serde_json::{Value, json};

use crate::event_loop::{Handle, Readiness, Token};
use crate::net::{Network, Read, TlsEngine, TlsState, Transport};
use crate::places::{Progress, Response};
use crate::server::rows::row;

/// A connection to Places.
pub struct Upstream<S> {
    transport: Transport<S>,
    /// TLS, or what stands in for it with plain HTTP, once the stream is connected.
    tls: Option<Box<dyn TlsEngine>>,
    /// The lookup it serves; idle without one.
    lookup: Option<u64>,
    /// A request was given to TLS and its answer is not complete.
    asked: bool,
    /// The answer as far as it has come.
    response: Response,
    /// A `Callback::Again` is queued.
    again: bool,
    /// When its idleness ends.
    idle: Option<Handle>,
}

impl<S> Upstream<S> {
    /// A connection that is being made for a lookup.
    pub fn new(stream: S, token: Token, lookup: u64) -> Upstream<S> {
        Upstream {
            transport: Transport::connecting(stream, token),
            tls: None,
            lookup: Some(lookup),
            asked: false,
            response: Response::new(),
            again: false,
            idle: None,
        }
    }

    /// The stream.
    pub fn stream_mut(&mut self) -> &mut S {
        self.transport.stream_mut()
    }

    /// The lookup it serves.
    pub fn lookup(&self) -> Option<u64> {
        self.lookup
    }

    /// What the poll told.
    pub fn note(&mut self, readiness: Readiness) {
        self.transport.note(readiness);
    }

    /// True while the stream is being connected: TLS comes after.
    pub fn is_connecting(&self) -> bool {
        self.tls.is_none()
    }

    /// The stream is connected, and this is its TLS. (asyncio: Protocol.connection_made.)
    pub fn connection_made(&mut self, tls: Box<dyn TlsEngine>) {
        self.tls = Some(tls);
    }

    /// The queued callback to read on runs.
    pub fn again_comes(&mut self) {
        self.again = false;
    }

    /// True if there may be more to read, of a connection that is made.
    pub fn may_read(&self) -> bool {
        self.tls.is_some() && self.transport.may_read()
    }

    /// True if there may be more to read, and no callback for that is queued: then the caller queues
    /// one.
    pub fn wants_again(&mut self) -> bool {
        self.transport.may_read() && !std::mem::replace(&mut self.again, true)
    }

    /// How TLS was agreed on, once it is and nothing was asked yet.
    pub fn handshake(&self) -> Option<String> {
        let tls = self.tls.as_ref()?;
        let protocol = tls.protocol().unwrap_or("plaintext");
        let kind = match tls.resumed() {
            Some(true) => "resumed",
            _ => "full",
        };
        (tls.state() == TlsState::Wrapped).then(|| format!("{protocol}, {kind} handshake"))
    }

    /// Asks for a lookup, on a connection that is idle or fresh; the timer of its idleness, to be
    /// cancelled.
    pub fn serve(&mut self, lookup: u64) -> Option<Handle> {
        self.lookup = Some(lookup);
        self.idle.take()
    }

    /// Gives TLS a request.
    ///
    /// # Errors
    /// In words: TLS is over.
    pub fn ask(&mut self, request: &[u8]) -> Result<(), String> {
        if let Some(tls) = &mut self.tls {
            tls.send(request).map_err(|error| error.to_string())?;
        }
        self.asked = true;
        Ok(())
    }

    /// Sends what TLS has to say; true once all of it is out.
    ///
    /// # Errors
    /// In words: the connection is lost.
    pub fn flush<N: Network<Stream = S>>(&mut self, network: &mut N) -> Result<bool, String> {
        let mut bytes = Vec::new();
        if let Some(tls) = &mut self.tls {
            tls.output(&mut bytes);
        }
        let written = self.transport.write(network, &bytes);
        let flushed = written.and_then(|()| self.transport.flush(network));
        flushed.map_err(|error| error.to_string())?;
        Ok(self.transport.unsent() == 0)
    }

    /// Reads once, and lets TLS and the response take what came; how far the answer has come. (asyncio: Protocol.data_received
    /// and eof_received.)
    ///
    /// # Errors
    /// In words: the connection is lost, or says what it must not.
    pub fn data_received<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        scratch: &mut [u8],
    ) -> Result<Progress, String> {
        let Some(tls) = &mut self.tls else {
            return Ok(Progress::NeedMore);
        };
        let read = self
            .transport
            .read(network, scratch)
            .map_err(|error| error.to_string())?;
        let mut plaintext = Vec::new();
        let received = match read {
            Read::Bytes(count) => tls.receive(&scratch[..count], &mut plaintext),
            _ => Ok(()),
        };
        // What came before a fault is authentic, and may be all that was wanted.
        let mut progress = Progress::NeedMore;
        if !plaintext.is_empty() {
            if !self.asked {
                return Err(String::from("bytes came before they were asked for"));
            }
            progress = self
                .response
                .feed(&plaintext)
                .map_err(|error| error.to_string())?;
        }
        if progress != Progress::Complete {
            let ended = match (read, tls.at_end()) {
                (Read::End, _) => Some(tls.end_of_stream()),
                (_, true) => Some(Ok(())),
                _ => None,
            };
            if let Some(end) = ended {
                let complete = self.response.end_of_stream(end.is_ok());
                return complete
                    .map(|()| Progress::Complete)
                    .map_err(|error| match end {
                        Ok(()) => error.to_string(),
                        Err(tls) => format!("{error}; {tls}"),
                    });
            }
            // Closing the connection sends the alert that tells the other side.
            received.map_err(|error| error.to_string())?;
        }
        Ok(progress)
    }

    /// True if the answer has begun to come.
    pub fn has_begun(&self) -> bool {
        self.response.has_begun()
    }

    /// The complete answer, its lookup, and whether the connection is good for another.
    pub fn take_answer(&mut self) -> Option<(u64, Response, bool)> {
        let response = std::mem::take(&mut self.response);
        self.asked = false;
        let tls = self.tls.as_ref().map(|tls| tls.state());
        let sound = tls == Some(TlsState::Wrapped) && !self.transport.at_end();
        let keep = response.keep_alive() && sound;
        Some((self.lookup.take()?, response, keep))
    }

    /// It is kept, until this timer ends its idleness.
    pub fn rest(&mut self, until: Handle) {
        self.idle = Some(until);
    }

    /// The timer of its idleness has fired.
    pub fn rested(&mut self) {
        self.idle = None;
    }

    /// Says TLS's farewell and closes the stream; the timer of its idleness, to be cancelled.
    pub fn close<N: Network<Stream = S>>(mut self, network: &mut N) -> Option<Handle> {
        if let Some(tls) = &mut self.tls {
            tls.close();
            // What cannot be sent now is not worth waiting for.
            let _ = self.flush(network);
        }
        self.transport.close(network);
        self.idle
    }

    /// What must hold between two calls. Checked in debug builds.
    pub fn check_invariants(&self) {
        debug_assert!(
            self.lookup.is_some() != self.idle.is_some(),
            "it serves a lookup, or it is idle and a timer will end that"
        );
        debug_assert!(
            self.lookup.is_some() || !self.asked,
            "an answer will come that nobody waits for"
        );
    }

    /// For the view.
    pub fn row(&self, host: &str) -> Value {
        let state = match (&self.tls, self.lookup) {
            (None, _) => String::from("connecting"),
            (Some(_), None) => String::from("idle"),
            (Some(tls), Some(_)) => format!("{:?}", tls.state()).to_lowercase(),
        };
        let mut row = row(&self.transport, "places", &state);
        row["who"] = host.into();
        row["lookup"] = json!(self.lookup);
        row
    }
}
