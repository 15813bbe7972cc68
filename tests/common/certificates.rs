//! Certificates for servers of a herd, and visitors that show them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The course's servers.
pub const FIVE: [&str; 5] = ["Bailey", "Bona", "Campbell", "Clark", "Jaquez"];

/// Somebody who vouches for servers.
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Papers {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("an authority").pem();
        let issuer = Issuer::new(params, key);
        Authority { pem, issuer }
    }

    /// What a server of this name should have.
    pub fn papers(&self, name: &str) -> Papers {
        self.issue(&params(name))
    }

    /// What these parameters ask for.
    pub fn issue(&self, params: &CertificateParams) -> Papers {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Papers {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes what a herd of the five needs: `ca.pem`, `Clark.pem`, `Clark.key`, …
    pub fn equip(&self, folder: &Path) {
        let write = |name: String, text: &str| {
            std::fs::write(folder.join(name), text).expect("a writable folder");
        };
        write(String::from("ca.pem"), &self.pem);
        for name in FIVE {
            let papers = self.papers(name);
            write(format!("{name}.pem"), &papers.certificate);
            write(format!("{name}.key"), &papers.key);
        }
    }
}

/// A server's certificate, before anything is wrong with it.
pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_string()]).expect("a name");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

/// The options that make a server of `folder` a secured one.
pub fn options(folder: &Path) -> [String; 3] {
    let folder = folder.display();
    [
        format!("--peer-cert={folder}/{{name}}.pem"),
        format!("--peer-key={folder}/{{name}}.key"),
        format!("--peer-ca={folder}/ca.pem"),
    ]
}

/// A TLS connection to a server.
pub struct Visitor(pub StreamOwned<ClientConnection, TcpStream>);

impl Visitor {
    /// Connects to `server` as one who trusts `authority_pem`, shows `papers`, and offers `alpn`.
    pub fn connect(
        address: SocketAddr,
        server: &str,
        authority_pem: &str,
        papers: Option<&Papers>,
        alpn: &[&[u8]],
    ) -> Visitor {
        let config = client_config(authority_pem, papers, alpn);
        Visitor::by(&Arc::new(config), address, server)
    }

    /// The same, with what earlier connections of this configuration have left.
    pub fn by(config: &Arc<ClientConfig>, address: SocketAddr, server: &str) -> Visitor {
        let name = ServerName::try_from(server.to_string()).expect("a name");
        let session = ClientConnection::new(Arc::clone(config), name).expect("a session");
        let socket = TcpStream::connect(address).expect("it listens");
        let patience = Some(Duration::from_secs(5));
        socket.set_read_timeout(patience).expect("a socket");
        Visitor(StreamOwned::new(session, socket))
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("it takes bytes");
        self.0.flush().expect("it takes bytes");
    }

    /// The next line, with its LF; what came before the end if there is none.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            match self.0.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => break,
            }
        }
        String::from_utf8(line).expect("text")
    }

    /// Says that nothing more will come, and reads to the end.
    pub fn rest(&mut self) -> String {
        self.0.conn.send_close_notify();
        self.0.flush().expect("it takes bytes");
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("a proper end");
        String::from_utf8(rest).expect("text")
    }

    /// Sends a line, and says how the server takes it: an answer, or the end of everything.
    pub fn outcome(&mut self, line: &str) -> Result<String, String> {
        let mut talk = || {
            self.0.write_all(line.as_bytes())?;
            self.0.flush()?;
            let mut answer = [0; 4096];
            let count = self.0.read(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
        };
        talk().map_err(|error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => String::from("silence"),
            _ => error.to_string(),
        })
    }
}

/// A client's TLS: it trusts `authority_pem`, shows `papers`, and offers `alpn`.
pub fn client_config(authority_pem: &str, papers: Option<&Papers>, alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority_pem.as_bytes()).expect("a root");
    roots.add(root).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match papers {
        None => builder.with_no_client_auth(),
        Some(papers) => {
            let chain = CertificateDer::from_pem_slice(papers.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(papers.key.as_bytes());
            builder
                .with_client_auth_cert(vec![chain.expect("a chain")], key.expect("a key"))
                .expect("papers that fit")
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}
