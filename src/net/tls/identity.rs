//! What a server proves itself with, and whom it believes: to its neighbours, to its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::config::add_roots;
use super::engine::{Closing, RustlsEngine};
use super::names::bears;
use crate::net::files::read_regular;

/// By this protocol name (ALPN, RFC 7301) a server is known before any certificate is shown: the
/// same port asks servers for theirs, and clients for none.
pub const ALPN_HERD: &[u8] = b"herd";

/// The files of a server's TLS, all in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityFiles {
    /// How it proves itself to servers: certificate chain, private key, and the authorities that
    /// may vouch for a server.
    pub peer: Option<PeerFiles>,
    /// How it proves itself to clients that speak TLS: certificate chain and private key. Without,
    /// they are shown the certificate for servers.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The files that prove a server to servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerFiles {
    /// Its certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities that may vouch for a server of the herd.
    pub authorities: PathBuf,
}

/// A server's TLS, read from its files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    dialler: Option<Arc<ClientConfig>>,
    for_servers: Option<Arc<ServerConfig>>,
    for_clients: Arc<ServerConfig>,
}

impl Identity {
    /// Reads the files; `None` if none is named.
    ///
    /// # Errors
    /// Text for the operator: the file, and what is wrong with it.
    pub fn read(files: &IdentityFiles) -> Result<Option<Identity>, String> {
        let peer = files.peer.as_ref().map(servers).transpose()?;
        let client = files.client.as_ref();
        let client = client.map(|(chain, key)| clients(chain, key)).transpose()?;
        let (dialler, for_servers, fallback) = match peer {
            None => (None, None, None),
            Some((dialler, acceptor, plain)) => (Some(dialler), Some(acceptor), Some(plain)),
        };
        Ok(client.or(fallback).map(|for_clients| Identity {
            dialler: dialler.map(Arc::new),
            for_servers: for_servers.map(Arc::new),
            for_clients: Arc::new(for_clients),
        }))
    }

    /// What answers a hello: for a server (it offered [`ALPN_HERD`]) or for a client.
    pub(super) fn answerer(&self, is_server: bool) -> Arc<ServerConfig> {
        match &self.for_servers {
            Some(config) if is_server => Arc::clone(config),
            _ => Arc::clone(&self.for_clients),
        }
    }

    /// The dialling side of a link to the server of this name.
    ///
    /// # Errors
    /// Text for the operator: no certificate for servers, or the name fits in none.
    pub(super) fn dial(&self, server: &str) -> Result<RustlsEngine, String> {
        let config = self.dialler.as_ref().ok_or("no --peer-cert was given")?;
        let name = ServerName::try_from(server.to_string())
            .map_err(|_| format!("{server:?} is no name that a certificate can bear"))?;
        let session = ClientConnection::new(Arc::clone(config), name);
        let session = session.map_err(|error| error.to_string())?;
        Ok(RustlsEngine::new(session, Closing::Half))
    }
}

/// True if the first certificate in this file bears `name`, as its neighbours will ask of it.
pub fn bears_name(certificate: &Path, name: &str) -> bool {
    let pem = read_regular(certificate).unwrap_or_default();
    let first = CertificateDer::pem_slice_iter(&pem).next();
    let first = first.and_then(Result::ok);
    first.is_some_and(|first| bears(&first, name))
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Both sides of a link, and what clients are shown if nothing else is given.
fn servers(files: &PeerFiles) -> Result<(ClientConfig, ServerConfig, ServerConfig), String> {
    let (chain, key) = read_chain(&files.certificate, &files.key)?;
    let mut roots = RootCertStore::empty();
    let pem = read(&files.authorities)?;
    add_roots(&mut roots, &pem)
        .map_err(|error| format!("{}: {error}", files.authorities.display()))?;
    let roots = Arc::new(roots);
    let wrong = |error: rustls::Error| format!("{}: {error}", files.certificate.display());
    let mut dialler = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(wrong)?
        .with_root_certificates(Arc::clone(&roots))
        .with_client_auth_cert(chain.clone(), key.clone_key())
        .map_err(wrong)?;
    dialler.alpn_protocols = vec![ALPN_HERD.to_vec()];
    // A session that is taken up again shows no certificate: it would outlive the one it began with.
    dialler.resumption = Resumption::disabled();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| format!("{}: {error}", files.authorities.display()))?;
    let mut acceptor = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(wrong)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(wrong)?;
    acceptor.alpn_protocols = vec![ALPN_HERD.to_vec()];
    acceptor.send_tls13_tickets = 0;
    acceptor.session_storage = Arc::new(NoServerSessionStorage {});
    let plain = clients(&files.certificate, &files.key)?;
    Ok((dialler, acceptor, plain))
}

fn clients(certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
    let (chain, key) = read_chain(certificate, key)?;
    let wrong = |error: rustls::Error| format!("{}: {error}", certificate.display());
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(wrong)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read_chain(certificate: &Path, key: &Path) -> Result<Chain, String> {
    let pem = read(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| format!("{}: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in it", certificate.display()));
    }
    // What the parser says of a key may hold some of it.
    let key_pem = read(key)?;
    let secret = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|_| format!("{}: expected a private key in PEM", key.display()))?;
    Ok((chain, secret))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    read_regular(path).map_err(|error| format!("{}: {error}", path.display()))
}
