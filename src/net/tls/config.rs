//! What all our TLS connections have in common: whom to trust, what to offer, old sessions.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::engine::{Closing, RustlsEngine};

/// Sessions that can be taken up again. rustls keeps up to eight for each host, so this is room
/// for four hosts; two are in use at most.
const SESSIONS_MAX: usize = 32;

/// A client's side of TLS 1.2 and 1.3. Cheap to clone; clones share the sessions.
/// (asyncio: ssl.create_default_context.)
#[derive(Clone, Debug)]
pub struct TlsClientConfig {
    config: Arc<ClientConfig>,
}

impl TlsClientConfig {
    /// Trusts Mozilla's roots, and the authorities in `extra_roots_pem` (a PEM file's content,
    /// one or more certificates) besides.
    ///
    /// It offers `http/1.1` by ALPN, takes sessions up again, and never sends early data.
    ///
    /// # Errors
    /// Text for the operator: the PEM is broken, holds no certificate, or one that cannot be an
    /// authority.
    pub fn new(extra_roots_pem: Option<&[u8]>) -> Result<TlsClientConfig, String> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = extra_roots_pem {
            add_roots(&mut roots, pem)?;
        }
        // Named here rather than installed for the process: no order of calls can matter.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        // A replayed request would be a second request. (It is the default, too.)
        config.enable_early_data = false;
        let config = Arc::new(config);
        Ok(TlsClientConfig { config })
    }

    /// A connection to `host`: a name, which is also sent as SNI, or an IP address (no brackets),
    /// which is not. The certificate must be for it.
    ///
    /// # Errors
    /// Text for the operator: `host` is neither a name nor an address.
    pub fn engine(&self, host: &str) -> Result<RustlsEngine, String> {
        let name = ServerName::try_from(host.to_string())
            .map_err(|_| format!("neither a host name nor an IP address: {host:?}"))?;
        let session = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| error.to_string())?;
        Ok(RustlsEngine::new(session, Closing::Both))
    }
}

pub(super) fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let certificate = certificate.map_err(|error| format!("certificate {count}: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("certificate {count}: {error}"))?;
    }
    match count {
        0 => Err("no certificate in it".to_string()),
        _ => Ok(()),
    }
}
