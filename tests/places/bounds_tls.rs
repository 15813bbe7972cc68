//! The bound of TLS' own ciphertext that waits unsent, reached by a certificate chain as long as
//! no honest one is; key updates, of which a client may ask for as many as it likes, do not reach it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::common::TempDir;
use crate::common::certificates::{Authority, Papers};
use herd::net::{Identity, IdentityFiles, Layered};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// `OUTBOX_MAX` in `src/net/tls/stream.rs`.
const OUTBOX_MAX: usize = 256 * 1024;

/// The server's side of a connection; the client takes nothing while it is deaf.
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

fn client(authority: &Authority) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("a root");
    roots.add(root).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("Clark").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// A server whose certificates are of about so many bytes.
fn server(papers: &Papers, folder: &Path, size: usize) -> Layered<Socket> {
    let der = CertificateDer::from_pem_slice(papers.certificate.as_bytes());
    let one = der.expect("a certificate").len();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let copies = papers.certificate.repeat((size / one).max(1));
    std::fs::write(&chain, copies).expect("a file");
    std::fs::write(&key, &papers.key).expect("a file");
    let files = IdentityFiles {
        peer: None,
        client: Some((chain, key)),
    };
    let identity = Identity::read(&files).expect("good papers");
    let socket = Socket {
        come: VecDeque::new(),
        taken: Vec::new(),
        deaf: false,
    };
    Layered::accepted(socket, &identity.expect("an identity"))
}

/// What the client has to say comes to the server.
fn says(client: &mut ClientConnection, server: &mut Layered<Socket>) {
    while client.wants_write() {
        let come = &mut server.socket_mut().come;
        client.write_tls(come).expect("a queue");
    }
}

#[test]
fn a_client_that_takes_nothing_costs_so_much_ciphertext_and_is_given_up() {
    let (folder, authority) = (TempDir::new(), Authority::new());
    let papers = authority.papers("Clark");
    let slack = OUTBOX_MAX / 16;
    let deaf = |size: usize| {
        let mut server = server(&papers, folder.path(), size);
        says(&mut client(&authority), &mut server);
        server.socket_mut().deaf = true;
        let error = server.read(&mut [0; 4096]).expect_err("nothing was said");
        (server, error)
    };
    let (mut server, error) = deaf(OUTBOX_MAX - slack);
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    server.socket_mut().deaf = false;
    let error = server.read(&mut [0; 4096]).expect_err("nothing was said");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let taken = server.socket().taken.len();
    let most_of_it = OUTBOX_MAX - 2 * slack..OUTBOX_MAX;
    assert!(most_of_it.contains(&taken), "{taken}");
    let (_, error) = deaf(OUTBOX_MAX + slack);
    assert_eq!(error.to_string(), "it asks TLS for more than it reads");
}

/// rustls keeps one answer to all of them.
#[test]
fn a_client_that_asks_for_new_keys_again_and_again_costs_one_answer() {
    let (folder, authority) = (TempDir::new(), Authority::new());
    let mut server = server(&authority.papers("Clark"), folder.path(), 0);
    let mut client = client(&authority);
    let mut buffer = [0; 4096];
    // The second time is for the client's last word, and the tickets that answer it.
    for _ in 0..2 {
        says(&mut client, &mut server);
        let error = server.read(&mut buffer).expect_err("nothing was said");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let taken = std::mem::take(&mut server.socket_mut().taken);
        client.read_tls(&mut &taken[..]).expect("room");
        client.process_new_packets().expect("a handshake");
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    server.socket_mut().deaf = true;
    for _ in 0..OUTBOX_MAX / 64 {
        client.refresh_traffic_keys().expect("TLS 1.3");
        client.writer().write_all(b"x").expect("room");
        says(&mut client, &mut server);
        assert_eq!(server.read(&mut buffer).expect("open"), 1);
    }
    let error = server.write(b"y").expect_err("it takes nothing");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    server.socket_mut().deaf = false;
    assert_eq!(server.write(b"y").expect("open"), 1);
    let taken = server.socket().taken.len();
    assert!(taken < 1024, "{taken}");
}

/// How long it may take is counted in virtual time, in tests/simulator/deadlines.rs.
#[test]
fn a_handshake_has_begun_with_its_first_byte() {
    let (folder, authority) = (TempDir::new(), Authority::new());
    let papers = authority.papers("Clark");
    let mut buffer = [0; 4096];
    for hello in [&b"\x16"[..], b"\x16\x03", b"\x16\x03\x01\x02\x00\x01"] {
        let mut server = server(&papers, folder.path(), 0);
        let error = server.read(&mut buffer).expect_err("nothing was said");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(!server.is_handshaking(), "who says nothing begins nothing");
        server.socket_mut().come.extend(hello);
        let error = server.read(&mut buffer).expect_err("half a hello");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(server.is_handshaking(), "{hello:?}");
    }
}
