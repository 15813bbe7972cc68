//! Why a TLS connection failed, in words for an operator.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why a TLS connection is over. Nothing in it was written by the other side, so it may be logged
/// as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// The certificate is for other hosts.
    WrongHost,
    /// The certificate has no subjectAltName; its common name does not count.
    NoNames,
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not begun: often a wrong clock here.
    NotYetValid,
    /// No root that we trust leads to the certificate; so it is with a self-signed one.
    UnknownIssuer,
    /// The certificate was issued for something else than serving.
    WrongKeyUsage,
    /// The certificate claims an issuer who did not sign it, or the handshake's own signature is
    /// wrong.
    BadSignature,
    /// The certificate is an authority's own, and may issue but not serve: a self-signed one, as
    /// `openssl req -x509` makes it, even where it is trusted.
    AuthorityAsServer,
    /// Anything else about the certificate.
    Certificate(String),
    /// No common version: ours are TLS 1.2 and 1.3.
    Version,
    /// The other side ended it with this alert (RFC 8446, 6.2).
    Alert(u8),
    /// The socket ended without `close_notify`.
    Truncated,
    /// What answered does not speak TLS at all; a plain HTTP server, perhaps.
    NotTls,
    /// A record or a handshake message over the limits of 18 KiB and 64 KiB.
    TooLong,
    /// Anything else that TLS does not allow.
    Protocol(String),
    /// Closed before: asked too late.
    Closed,
}

impl TlsError {
    /// rustls' error. `greeted`: the other side has shown already that it speaks TLS.
    pub(super) fn from_rustls(error: Error, greeted: bool) -> TlsError {
        match error {
            Error::InvalidCertificate(error) => TlsError::from_certificate(&error),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsError::Version,
            Error::AlertReceived(alert) => TlsError::Alert(alert.into()),
            Error::PeerSentOversizedRecord
            | Error::InvalidMessage(
                InvalidMessage::MessageTooLarge
                | InvalidMessage::HandshakePayloadTooLarge
                | InvalidMessage::CertificatePayloadTooLarge,
            ) => TlsError::TooLong,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::InvalidEmptyPayload,
            ) if !greeted => TlsError::NotTls,
            error => TlsError::Protocol(error.to_string()),
        }
    }

    fn from_certificate(error: &CertificateError) -> TlsError {
        use CertificateError as E;
        match error {
            E::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                TlsError::NoNames
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => TlsError::WrongHost,
            E::Expired | E::ExpiredContext { .. } => TlsError::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => TlsError::NotYetValid,
            E::UnknownIssuer => TlsError::UnknownIssuer,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => TlsError::WrongKeyUsage,
            E::BadSignature => TlsError::BadSignature,
            // Their contexts hold bytes of the other side's.
            E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                TlsError::Certificate("UnsupportedSignatureAlgorithm".to_string())
            }
            // webpki's own error, whose type rustls does not show.
            E::Other(error) => match error.to_string() {
                name if name == "CaUsedAsEndEntity" => TlsError::AuthorityAsServer,
                name => TlsError::Certificate(name),
            },
            error => TlsError::Certificate(error.to_string()),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsError::WrongHost => "the certificate is for another host",
            TlsError::NoNames => "the certificate names no host (no subjectAltName)",
            TlsError::Expired => "the certificate has expired",
            TlsError::NotYetValid => "the certificate is not valid yet",
            TlsError::UnknownIssuer => "the certificate's issuer is unknown, or it is self-signed",
            TlsError::WrongKeyUsage => "the certificate is not for this use (key usage)",
            TlsError::BadSignature => "the certificate or the handshake has a bad signature",
            TlsError::AuthorityAsServer => {
                "the certificate is self-signed or an authority's, not a server's"
            }
            TlsError::Certificate(what) => return write!(f, "the certificate is bad: {what}"),
            TlsError::Version => "the other side speaks neither TLS 1.2 nor 1.3",
            TlsError::Alert(code) => {
                let alert = AlertDescription::from(*code);
                return write!(f, "the other side ended TLS with alert {code} ({alert:?})");
            }
            TlsError::Truncated => "the connection was cut: no close_notify came",
            TlsError::NotTls => "the other side does not speak TLS",
            TlsError::TooLong => "a TLS record or message is over the limit",
            TlsError::Protocol(what) => return write!(f, "TLS failed: {what}"),
            TlsError::Closed => "TLS was closed before",
        })
    }
}

impl std::error::Error for TlsError {}
