//! Makes an authority and a certificate for each server of a herd:
//!
//! ```text
//! cargo run --example certs -- certs [HERD.json]
//! herd --all --peer-cert certs/{name}.pem --peer-key certs/{name}.key --peer-ca certs/ca.pem
//! ```
//!
//! The authority's key is not kept: for one more server, or after a key was lost, make all anew and
//! send each server SIGHUP. Names and addresses: a server's certificate bears its name in the herd,
//! by which its neighbours know it, and its host, by which clients do.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use herd::herd::{Roster, Server};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [folder] => make(Path::new(folder), &Roster::standard()),
        [folder, herd] => read(herd).and_then(|roster| make(Path::new(folder), &roster)),
        _ => Err("expected FOLDER, and perhaps HERD.json".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("certs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &str) -> Result<Roster, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(Roster::parse(&text).map_err(|error| format!("{path}: {error}"))?)
}

fn make(folder: &Path, roster: &Roster) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let authority = authority()?;
    fs::write(folder.join("ca.pem"), authority.pem)?;
    for server in &roster.servers {
        let (certificate, key) = certificate(server, &authority.issuer)?;
        let name = &server.name;
        fs::write(folder.join(format!("{name}.pem")), certificate)?;
        write_secret(&folder.join(format!("{name}.key")), &key)?;
        println!("{name}: {0}/{name}.pem, {0}/{name}.key", folder.display());
    }
    println!("authority: {}/ca.pem", folder.display());
    Ok(())
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Result<Authority, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "herd authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    Ok(Authority { pem, issuer })
}

fn certificate(
    server: &Server,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<(String, String), rcgen::Error> {
    let host = server.address.ip().to_string();
    let mut names = vec![server.name.clone(), host];
    if server.address.ip().is_loopback() {
        names.push(String::from("localhost"));
    }
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, server.name.as_str());
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A server dials its neighbours as well as it is dialled.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?.pem();
    Ok((certificate, key.serialize_pem()))
}

/// Only its owner may read it.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    // A file that stands there already would keep its mode.
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
