//! Which servers a certificate is for. The rules for hosts (RFC 9525) take `CLARK` and `*` for Clark:
//! among servers of a herd these are others, so their names are compared byte by byte.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// True if the certificate bears this name, as it is written.
pub fn bears(certificate: &CertificateDer<'_>, name: &str) -> bool {
    EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.valid_dns_names().any(|borne| borne == name))
}
