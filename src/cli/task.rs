//! What the command line asks for, as data.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use herd::check::Check;
use herd::config::Config;
use herd::herd::Roster;
use herd::net::{IdentityFiles, TlsClientConfig};

/// What the command line asks for.
pub enum Task {
    /// Print this and exit with 0.
    Print(String),
    /// Run one server.
    One(Box<One>),
    /// Run every server of the herd, each as a child process.
    All {
        /// The herd.
        roster: Roster,
        /// Options that each child gets as well, by its place in the herd.
        pass_on: Vec<Vec<OsString>>,
        /// Start a server that has ended again.
        restart: bool,
    },
    /// Check servers of anybody's.
    Check(Check),
    /// Print what a running server looks like.
    Ps {
        /// Its inspection listener.
        address: SocketAddr,
        /// As JSON.
        json: bool,
    },
    /// Run a server from a recording.
    Replay {
        /// The recording.
        path: PathBuf,
        /// How it is looked at.
        look: Look,
    },
}

/// One server to run.
pub struct One {
    /// Its configuration.
    pub config: Config,
    /// Where its journal goes.
    pub log: Option<PathBuf>,
    /// What it proves itself with, to servers and to clients.
    pub identity: IdentityFiles,
    /// Where its snapshots go.
    pub snapshot: Option<PathBuf>,
    /// How connections to Places are secured, if there are any.
    pub tls: Option<TlsClientConfig>,
    /// Stop when standard input ends.
    pub until_stdin_ends: bool,
    /// How it is looked at.
    pub look: Look,
}

/// How a server is looked at.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Hold it before its first callback, and take commands.
    pub step: bool,
    /// Let visitors in here.
    pub inspect: Option<SocketAddr>,
    /// Write a trace.
    pub trace: Option<PathBuf>,
    /// Write a recording.
    pub record: Option<PathBuf>,
}

impl Look {
    /// True if nobody looks.
    pub fn is_idle(&self) -> bool {
        !self.step && self.inspect.is_none() && self.trace.is_none() && self.record.is_none()
    }

    /// True if somebody may hold the loop or wants to see bytes.
    pub fn is_close(&self) -> bool {
        self.step || self.inspect.is_some() || self.trace.is_some()
    }
}
