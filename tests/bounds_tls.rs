//! The bound of TLS' own ciphertext that waits unsent, reached by a certificate chain as long as
//! no honest one is.

mod common;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use common::TempDir;
use common::certificates::{Authority, Papers};
use herd::net::{Identity, IdentityFiles, Layered};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// `OUTBOX_MAX` in `src/net/tls/stream.rs`.
const OUTBOX_MAX: usize = 256 * 1024;

/// A client that has said its hello and takes nothing, for now.
struct Socket {
    come: VecDeque<u8>,
    taken: Vec<u8>,
    deaf: bool,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.come.is_empty() {
            true => Err(ErrorKind::WouldBlock.into()),
            false => self.come.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.deaf {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hello() -> VecDeque<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("Clark").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a hello");
    hello.into()
}

/// A server whose certificates are of about so many bytes, and that client.
fn answers(papers: &Papers, folder: &Path, size: usize) -> Layered<Socket> {
    let der = CertificateDer::from_pem_slice(papers.certificate.as_bytes());
    let one = der.expect("a certificate").len();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let copies = papers.certificate.repeat(size / one);
    std::fs::write(&chain, copies).expect("a file");
    std::fs::write(&key, &papers.key).expect("a file");
    let files = IdentityFiles {
        peer: None,
        client: Some((chain, key)),
    };
    let identity = Identity::read(&files).expect("good papers");
    let socket = Socket {
        come: hello(),
        taken: Vec::new(),
        deaf: true,
    };
    Layered::accepted(socket, &identity.expect("an identity"))
}

#[test]
fn a_client_that_takes_nothing_costs_so_much_ciphertext_and_is_given_up() {
    let folder = TempDir::new();
    let papers = Authority::new().papers("Clark");
    let mut buffer = [0; 4096];
    let slack = OUTBOX_MAX / 16;
    let mut patient = answers(&papers, folder.path(), OUTBOX_MAX - slack);
    let waits = patient.read(&mut buffer).expect_err("nothing was said");
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    patient.socket_mut().deaf = false;
    let waits = patient.read(&mut buffer).expect_err("nothing was said");
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    let taken = patient.socket().taken.len();
    assert!(
        (OUTBOX_MAX - 2 * slack..OUTBOX_MAX).contains(&taken),
        "{taken}"
    );
    let mut over = answers(&papers, folder.path(), OUTBOX_MAX + slack);
    let why = over.read(&mut buffer).expect_err("too much");
    assert_eq!(why.to_string(), "it asks TLS for more than it reads");
}
