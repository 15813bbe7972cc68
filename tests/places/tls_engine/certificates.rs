//! Servers that must not be believed, each with the reason that the operator reads.

use herd::net::{TlsClientConfig, TlsEngine, TlsError, TlsState, bears_name};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{AlertDescription, Error};

use super::peer::{Authority, HOST, Identity, Pair, VERSIONS, leaf};
use crate::common::{TempDir, certificates};

/// Our client, which trusts `authority` and asks for [`HOST`], meets this server: it must refuse
/// for this reason, and the server must hear this alert.
fn refused(
    authority: &Authority,
    identity: impl Fn() -> Identity,
    reason: &TlsError,
    alert: AlertDescription,
) {
    for (name, version) in VERSIONS {
        let client = authority.trusted().engine(HOST).expect("a host");
        let mut pair = Pair::new(client, &identity().server(version));
        pair.client.send(b"secret").expect("kept for later");
        assert_eq!(pair.settle().as_ref(), Err(reason), "{name}");
        assert_eq!(pair.client.state(), TlsState::Unwrapped);
        assert_eq!(
            pair.server_failed,
            Some(Error::AlertReceived(alert)),
            "{name}: {reason}"
        );
        assert_eq!(pair.server_heard, b"", "{name}: {reason}");
        assert_eq!(
            pair.client.receive(b"x", &mut Vec::new()).as_ref(),
            Err(reason)
        );
        assert_eq!(pair.client.send(b"x").as_ref(), Err(reason));
        assert_eq!(pair.client.end_of_stream().as_ref(), Err(reason));
    }
}

fn refused_leaf(params: &CertificateParams, reason: &TlsError, alert: AlertDescription) {
    let authority = Authority::new("An authority");
    refused(&authority, || authority.issue(params), reason, alert);
}

#[test]
fn another_host() {
    let reason = TlsError::WrongHost;
    let alert = AlertDescription::BadCertificate;
    refused_leaf(&leaf(&["other.test"]), &reason, alert);
    refused_leaf(
        &leaf(&["places.test.evil.test", "192.0.2.1"]),
        &reason,
        alert,
    );
    refused_leaf(&leaf(&["*.places.test"]), &reason, alert);
}

#[test]
fn expired() {
    let mut params = leaf(&[HOST]);
    params.not_after = date_time_ymd(2020, 1, 1);
    refused_leaf(
        &params,
        &TlsError::Expired,
        AlertDescription::CertificateExpired,
    );
}

#[test]
fn not_yet_valid() {
    let mut params = leaf(&[HOST]);
    params.not_before = date_time_ymd(4000, 1, 1);
    refused_leaf(
        &params,
        &TlsError::NotYetValid,
        AlertDescription::CertificateExpired,
    );
}

#[test]
fn no_subject_alt_name() {
    let mut params = leaf(&[]);
    params.distinguished_name.push(DnType::CommonName, HOST);
    refused_leaf(
        &params,
        &TlsError::NoNames,
        AlertDescription::BadCertificate,
    );
}

#[test]
fn not_for_servers() {
    let mut params = leaf(&[HOST]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let alert = AlertDescription::UnsupportedCertificate;
    refused_leaf(&params, &TlsError::WrongKeyUsage, alert);
}

#[test]
fn an_authority_that_is_unknown() {
    let (known, unknown) = (Authority::new("Known"), Authority::new("Unknown"));
    refused(
        &known,
        || unknown.issue(&leaf(&[HOST])),
        &TlsError::UnknownIssuer,
        AlertDescription::UnknownCA,
    );
}

#[test]
fn an_impostor_with_the_name_of_an_authority() {
    let (known, impostor) = (Authority::new("The same"), Authority::new("The same"));
    refused(
        &known,
        || impostor.issue(&leaf(&[HOST])),
        &TlsError::BadSignature,
        AlertDescription::DecryptError,
    );
}

fn self_signed(is_ca: IsCa) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let mut params = leaf(&[HOST]);
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity::new(certificate.der().clone(), &key)
}

#[test]
fn self_signed_as_a_server() {
    refused(
        &Authority::new("An authority"),
        || self_signed(IsCa::ExplicitNoCa),
        &TlsError::UnknownIssuer,
        AlertDescription::UnknownCA,
    );
}

#[test]
fn self_signed_as_an_authority() {
    // What `openssl req -x509` makes unless told otherwise.
    refused(
        &Authority::new("An authority"),
        || self_signed(IsCa::Ca(BasicConstraints::Unconstrained)),
        &TlsError::AuthorityAsServer,
        AlertDescription::CertificateUnknown,
    );
}

#[test]
fn mozillas_roots_alone_trust_none_of_ours() {
    let authority = Authority::new("An authority");
    let config = TlsClientConfig::new(None).expect("a configuration");
    for (_, version) in VERSIONS {
        let client = config.engine(HOST).expect("a host");
        let mut pair = Pair::new(client, &authority.server(version));
        assert_eq!(pair.settle(), Err(TlsError::UnknownIssuer));
    }
}

#[test]
fn an_address_is_a_host_too() {
    let authority = Authority::new("An authority");
    for address in ["192.0.2.1", "2001:db8::1"] {
        let server = authority.issue(&leaf(&[address])).server(VERSIONS[1].1);
        let client = authority.trusted().engine(address).expect("an address");
        let mut pair = Pair::new(client, &server);
        assert_eq!(pair.settle(), Ok(()));
        assert_eq!(pair.server.server_name(), None);

        let client = authority.trusted().engine("192.0.2.2").expect("an address");
        assert_eq!(
            Pair::new(client, &server).settle(),
            Err(TlsError::WrongHost)
        );
    }
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let authority = Authority::new("An authority");
    let server = authority
        .issue(&leaf(&["*.places.test"]))
        .server(VERSIONS[1].1);
    let verdict = |host| {
        let client = authority.trusted().engine(host).expect("a host");
        Pair::new(client, &server).settle()
    };
    assert_eq!(verdict("a.places.test"), Ok(()));
    assert_eq!(verdict("a.b.places.test"), Err(TlsError::WrongHost));
}

#[test]
fn a_file_of_authorities_is_read_whole() {
    let (one, two) = (Authority::new("One"), Authority::new("Two"));
    let both = format!("# ours\n{}\nand\n{}", one.pem, two.pem);
    let config = TlsClientConfig::new(Some(both.as_bytes())).expect("two authorities");
    for authority in [one, two] {
        let client = config.engine(HOST).expect("a host");
        let mut pair = Pair::new(client, &authority.server(VERSIONS[1].1));
        assert_eq!(pair.settle(), Ok(()));
    }
}

#[test]
fn a_file_without_authorities_is_refused() {
    let refusal = |pem: &[u8]| TlsClientConfig::new(Some(pem)).expect_err("refused");
    assert_eq!(refusal(b""), "no certificate in it");
    let key = KeyPair::generate().expect("a key").serialize_pem();
    assert_eq!(refusal(key.as_bytes()), "no certificate in it");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refusal(broken.as_bytes()).starts_with("certificate 1: "));
    let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    assert!(refusal(cut.as_bytes()).starts_with("certificate 1: "));
}

#[test]
fn what_is_no_host_is_refused() {
    let config = TlsClientConfig::new(None).expect("a configuration");
    for host in ["", " ", "a b", "[::1]", "places.test:443", "ü.test"] {
        let refusal = config.engine(host).expect_err("refused");
        assert!(refusal.contains(&format!("{host:?}")), "{refusal}");
    }
}

/// What a server is warned of at its start.
#[test]
fn a_file_bears_the_name_that_its_certificate_has_byte_by_byte() {
    let folder = TempDir::new();
    certificates::Authority::new().equip(folder.path());
    let file = folder.path().join("Bona.pem");
    assert!(bears_name(&file, "Bona"));
    assert!(!bears_name(&file, "bona") && !bears_name(&file, "Clark"));
    assert!(!bears_name(&folder.path().join("none.pem"), "Bona"));
}
