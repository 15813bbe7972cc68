//! Certificates that must not be believed, shown by `openssl s_server` to the real program: each is
//! refused with the reason in the journal, and the client has its answer all the same.

use std::process::Stdio;

use crate::common::{Herd, Plan, TempDir, as_time, nanos};
use crate::others::{
    Authority, Identity, Running, UNKNOWN_ERROR, framed, leaf, outcome, program, text, whatsat,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

/// An `openssl s_server` that answers every request with a file named by its path.
fn s_server(directory: &TempDir, identity: &Identity, args: &[&str]) -> (Running, u16) {
    let mut command = program("openssl", "openssl");
    command
        .args(["s_server", "-accept", "127.0.0.1:0", "-HTTP"])
        .args(["-cert", &text(&identity.certificate)])
        .args(["-key", &text(&identity.key)])
        .args(args)
        .current_dir(directory.path())
        .stdin(Stdio::null());
    crate::others::accepting(&mut command)
}

fn herd(port: u16, ca: &str) -> Herd {
    let url = format!("https://localhost:{port}");
    let args = ["--places", "legacy", "--places-url", &url, "--ca-file", ca];
    Plan::only("Clark").args(&args).start()
}

/// Asks a server that shows this: the journal must say just that.
fn said(directory: &TempDir, ca: &str, identity: &Identity, args: &[&str]) -> String {
    let (_server, port) = s_server(directory, identity, args);
    let herd = herd(port, ca);
    let (mut client, at) = crate::others::known(herd.address("Clark"), "phone");
    let (answer, took) = whatsat(&mut client, "WHATSAT phone 10 20\n");
    assert_eq!(answer, format!("{at}{}", framed(UNKNOWN_ERROR)), "{args:?}");
    assert!(took.as_secs() < 4, "{args:?}: {took:?}");
    let said = outcome(|| herd.journal("Clark"), 1);
    // The herd goes on: positions need no Places.
    let time = as_time(nanos());
    let line = client.ask(format!("IAMAT other +1+1 {time}\n"));
    assert!(line.ends_with(&format!(" other +1+1 {time}\n")), "{line}");
    said
}

/// A certificate issued by the authority that the herd trusts.
fn refused(name: &str, params: &CertificateParams, reason: &str) {
    let directory = TempDir::new();
    let authority = Authority::new("An authority", directory.path());
    let identity = authority.issue(name, params);
    for version in VERSIONS {
        let said = said(&directory, &authority.file(), &identity, &[version]);
        assert_eq!(said, format!("failed: {reason}"), "{name} {version}");
    }
}

#[test]
fn another_host() {
    let reason = "the certificate is for another host";
    refused("other", &leaf(&["other.test"]), reason);
    refused("longer", &leaf(&["localhost.evil.test"]), reason);
    refused("wildcard", &leaf(&["*.localhost"]), reason);
    // The address is right, but the question was for a name.
    refused("address", &leaf(&["127.0.0.1"]), reason);
}

#[test]
fn expired() {
    let mut params = leaf(&["localhost"]);
    params.not_after = date_time_ymd(2020, 1, 1);
    refused("expired", &params, "the certificate has expired");
}

#[test]
fn not_valid_yet() {
    let mut params = leaf(&["localhost"]);
    params.not_before = date_time_ymd(4000, 1, 1);
    refused("future", &params, "the certificate is not valid yet");
}

#[test]
fn no_subject_alt_name() {
    let mut params = leaf(&[]);
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    let reason = "the certificate names no host (no subjectAltName)";
    refused("nameless", &params, reason);
}

#[test]
fn not_for_servers() {
    let mut params = leaf(&["localhost"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let reason = "the certificate is not for this use (key usage)";
    refused("client", &params, reason);
}

#[test]
fn an_authority_that_is_unknown() {
    let (ours, theirs) = (TempDir::new(), TempDir::new());
    let known = Authority::new("Known", ours.path());
    let identity = Authority::new("Unknown", theirs.path()).localhost();
    for version in VERSIONS {
        assert_eq!(
            said(&theirs, &known.file(), &identity, &[version]),
            "failed: the certificate's issuer is unknown, or it is self-signed"
        );
    }
}

#[test]
fn an_impostor_with_the_name_of_an_authority() {
    let (ours, theirs) = (TempDir::new(), TempDir::new());
    let known = Authority::new("The same", ours.path());
    let identity = Authority::new("The same", theirs.path()).localhost();
    assert_eq!(
        said(&theirs, &known.file(), &identity, &["-tls1_3"]),
        "failed: the certificate or the handshake has a bad signature"
    );
}

#[test]
fn self_signed() {
    for (is_ca, reason) in [
        (
            IsCa::ExplicitNoCa,
            "the certificate's issuer is unknown, or it is self-signed",
        ),
        (
            IsCa::Ca(BasicConstraints::Unconstrained),
            "the certificate is self-signed or an authority's, not a server's",
        ),
    ] {
        let directory = TempDir::new();
        let authority = Authority::new("An authority", directory.path());
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf(&["localhost"]);
        params.is_ca = is_ca;
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let identity = Identity::write(directory.path(), "self", &pem, &key);
        for version in VERSIONS {
            let said = said(&directory, &authority.file(), &identity, &[version]);
            assert_eq!(said, format!("failed: {reason}"), "{version}");
        }
    }
}

#[test]
fn tls_1_1_only() {
    let directory = TempDir::new();
    let authority = Authority::new("An authority", directory.path());
    let identity = authority.localhost();
    let args = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    assert_eq!(
        said(&directory, &authority.file(), &identity, &args),
        "failed: the other side speaks neither TLS 1.2 nor 1.3"
    );
}

#[test]
fn the_same_without_a_fault_is_believed() {
    let directory = TempDir::new();
    let authority = Authority::new("An authority", directory.path());
    let identity = authority.localhost();
    for version in VERSIONS {
        let (_server, port) = s_server(&directory, &identity, &[version]);
        let herd = herd(port, &authority.file());
        let (mut client, _) = crate::others::known(herd.address("Clark"), "phone");
        whatsat(&mut client, "WHATSAT phone 10 20\n");
        // Past TLS: it has no such file, and says so without HTTP's form.
        let journal = herd.journal("Clark");
        assert!(journal.contains("the request is out"), "{journal}");
    }
}
