//! The other side: a rustls server in memory, authorities and certificates made for the occasion,
//! and a wire that moves bytes in pieces of any size.

use std::io::{Read, Write};
use std::sync::Arc;

use herd::net::{RustlsEngine, TlsClientConfig, TlsEngine, TlsError};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, ServerConnection, SupportedProtocolVersion};

/// The host that good certificates are for.
pub const HOST: &str = "places.test";
/// Both versions, by name.
pub const VERSIONS: [(&str, &SupportedProtocolVersion); 2] =
    [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)];

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What a client needs to trust it.
    pub pem: String,
}

impl Authority {
    /// An authority called `name`, with a key of its own.
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        Authority { issuer, pem }
    }

    /// A client that trusts it.
    pub fn trusted(&self) -> TlsClientConfig {
        TlsClientConfig::new(Some(self.pem.as_bytes())).expect("a configuration")
    }

    /// A certificate and its key.
    pub fn issue(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity::new(certificate.der().clone(), &key)
    }

    /// A server with a good certificate.
    pub fn server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        self.issue(&leaf(&[HOST])).server(version)
    }
}

/// What a server shows.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A certificate with its key.
    pub fn new(certificate: CertificateDer<'static>, key: &KeyPair) -> Identity {
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        Identity { certificate, key }
    }

    /// A server that shows it.
    pub fn server(self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate], self.key)
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// A server's certificate for these names, as it should be.
pub fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

/// A client, a server, and what each has heard from the other.
pub struct Pair {
    pub client: RustlsEngine,
    pub server: ServerConnection,
    pub client_heard: Vec<u8>,
    pub server_heard: Vec<u8>,
    /// How the server failed, if it did: a fatal alert of the client's, most often.
    pub server_failed: Option<Error>,
    /// Bytes under way at most in one move.
    pub piece: usize,
}

impl Pair {
    /// Nothing is said yet.
    pub fn new(client: RustlsEngine, server: &Arc<ServerConfig>) -> Pair {
        Pair {
            client,
            server: ServerConnection::new(Arc::clone(server)).expect("a server"),
            client_heard: Vec::new(),
            server_heard: Vec::new(),
            server_failed: None,
            piece: usize::MAX,
        }
    }

    /// Moves bytes both ways until neither side has any left.
    pub fn settle(&mut self) -> Result<(), TlsError> {
        loop {
            let there = self.client_says();
            let back = self.take_from_server();
            for piece in back.chunks(self.piece) {
                if let Err(error) = self.client.receive(piece, &mut self.client_heard) {
                    self.client_says();
                    return Err(error);
                }
            }
            if there == 0 && back.is_empty() {
                return Ok(());
            }
        }
    }

    /// All that the server wants to say now.
    pub fn take_from_server(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut out).expect("a Vec takes all");
        }
        out
    }

    /// Moves what the client wants to say; how much it was.
    pub fn client_says(&mut self) -> usize {
        let mut out = Vec::new();
        self.client.output(&mut out);
        for piece in out.chunks(self.piece) {
            self.feed_server(piece);
        }
        out.len()
    }

    /// Lets the server hear these bytes.
    pub fn feed_server(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.server_failed.is_none() {
            if self.server.read_tls(&mut bytes).expect("room") == 0 {
                return;
            }
            self.server_failed = self.server.process_new_packets().err();
            // WouldBlock ends it; what was read stays.
            let _ = self.server.reader().read_to_end(&mut self.server_heard);
        }
    }

    /// The server says `bytes`, in records of `record` bytes.
    pub fn server_says(&mut self, bytes: &[u8], record: usize) {
        for piece in bytes.chunks(record) {
            self.server.writer().write_all(piece).expect("room");
            // Its queue has a limit, so the wire runs.
            let out = self.take_from_server();
            for piece in out.chunks(self.piece) {
                let heard = &mut self.client_heard;
                self.client.receive(piece, heard).expect("good records");
            }
        }
    }
}

/// A client and a server that have shaken hands.
pub fn connected(version: &'static SupportedProtocolVersion) -> Pair {
    let authority = Authority::new("An authority");
    let client = authority.trusted().engine(HOST).expect("a host");
    let mut pair = Pair::new(client, &authority.server(version));
    pair.settle().expect("a handshake");
    pair
}

/// A client that has said nothing yet.
pub fn engine() -> RustlsEngine {
    let authority = Authority::new("An authority");
    authority.trusted().engine(HOST).expect("a host")
}

/// A fatal alert as a record without encryption.
pub const fn fatal(alert: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, alert]
}
