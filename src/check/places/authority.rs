//! The stand-in's certificate, and the authority that vouches for it: made once, for `localhost` and the
//! addresses of loopback, until 2119. The authority's key was thrown away when it had signed this one
//! certificate, whose own key everybody may read here: whoever trusts it trusts this machine, and no other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const AUTHORITY: &str = include_str!("authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("server.pem");
const KEY: &[u8] = include_bytes!("server.key");

/// So many names are tried for the folder.
const NAMES_MAX: u32 = 100;

/// A server's side of TLS 1.2 and 1.3.
///
/// # Errors
/// What is in this folder cannot be read: a test sees that.
pub fn server() -> Result<Arc<ServerConfig>, String> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE);
    let certificate = certificate.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(KEY).map_err(|error| error.to_string())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(vec![certificate], key));
    config.map(Arc::new).map_err(|error| error.to_string())
}

/// The authority in a file, in a folder of its own, which goes with this value.
pub struct AuthorityFile {
    folder: PathBuf,
    file: PathBuf,
}

impl AuthorityFile {
    /// Writes it.
    ///
    /// # Errors
    /// As the system says.
    pub fn write() -> io::Result<AuthorityFile> {
        let folder = folder()?;
        let file = folder.join("authority.pem");
        let written = AuthorityFile { folder, file };
        fs::write(&written.file, AUTHORITY)?;
        Ok(written)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file
    }
}

impl Drop for AuthorityFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder that was not there: nobody else has put anything into it.
fn folder() -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let name = format!("herd-check-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if number == NAMES_MAX => return Err(error),
            Err(_) => number += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_this_folder_is_a_certificate_and_its_key() {
        server().expect("a server's side");
        let file = AuthorityFile::write().expect("a file");
        let text = fs::read(file.path()).expect("it is there");
        CertificateDer::from_pem_slice(&text).expect("a certificate");
        let path = file.path().to_path_buf();
        drop(file);
        assert!(!path.exists());
    }
}
