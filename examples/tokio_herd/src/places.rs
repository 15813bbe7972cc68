//! Google Places, by hyper's client: it keeps connections, and takes another when a kept one died.
//!
//! Most would take reqwest, which is this client with more around it: thirty more crates, most of
//! them to read addresses in all the world's scripts.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use herd::places::{Api, BODY_MAX, Key, UNKNOWN_ERROR, frame, verdict};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::options::Options;

const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(30);
const IDLE_MAX: usize = 4;

type Failure = Box<dyn Error + Send + Sync>;

/// What is near a position?
pub struct Inquiry {
    /// The AT line that the answer begins with.
    pub line: Vec<u8>,
    pub latitude: f64,
    pub longitude: f64,
    pub radius_metres: u32,
    pub bound: u8,
}

/// Whom to ask.
pub struct Places {
    upstream: Option<Upstream>,
}

struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Everything up to the location.
    address: String,
    key: Option<Key>,
}

impl Places {
    /// Reads the options; the key is in GOOGLE_PLACES_API_KEY.
    pub fn new(options: &Options) -> io::Result<Places> {
        let Some(url) = &options.places_url else {
            return Ok(Places { upstream: None });
        };
        let key = match std::env::var_os("GOOGLE_PLACES_API_KEY") {
            Some(text) if !text.is_empty() => Some(Key::parse(text.as_encoded_bytes())),
            _ => None,
        };
        let base = url.trim_end_matches('/');
        let upstream = Upstream {
            client: client(options.ca_file.as_deref())?,
            address: format!("{base}{}?location=", Api::Legacy.path()),
            key: key.transpose().map_err(io::Error::other)?,
        };
        Ok(Places {
            upstream: Some(upstream),
        })
    }

    /// Appends the JSON and the empty line, whatever happens.
    pub async fn near(&self, inquiry: &Inquiry, out: &mut Vec<u8>) {
        let start = out.len();
        if self.answer(inquiry, out).await.is_err() {
            // The command was valid: an answer that says so little is still one.
            out.extend_from_slice(UNKNOWN_ERROR);
        }
        frame(out, start);
    }

    async fn answer(&self, inquiry: &Inquiry, out: &mut Vec<u8>) -> Result<(), Failure> {
        let upstream = self.upstream.as_ref().ok_or("nobody to ask")?;
        let (status, body) = timeout(DEADLINE, upstream.ask(inquiry)).await??;
        let key = upstream.key.as_ref();
        verdict(Api::Legacy, status, &body, inquiry.bound, key, out)?;
        Ok(())
    }
}

impl Upstream {
    async fn ask(&self, inquiry: &Inquiry) -> Result<(u16, Bytes), Failure> {
        let (latitude, longitude) = (inquiry.latitude, inquiry.longitude);
        let (address, radius) = (&self.address, inquiry.radius_metres);
        let mut address = format!("{address}{latitude},{longitude}&radius={radius}");
        if let Some(key) = &self.key {
            address = address + "&key=" + key.expose();
        }
        let response = self.client.get(address.parse()?).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_MAX);
        Ok((status, body.collect().await?.to_bytes()))
    }
}

fn client(
    ca_file: Option<&Path>,
) -> io::Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = ca_file {
        let certificates = CertificateDer::pem_file_iter(path).map_err(io::Error::other)?;
        for certificate in certificates {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_DEADLINE));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX)
        .build(connector))
}
