//! Which files a server proves itself with, from the command line.

use std::path::PathBuf;

use getopts::Matches;
use herd::net::{IdentityFiles, PeerFiles};

use super::words::os;

/// A file that an option names; `{name}` in it stands for the server's name.
pub fn file(matches: &Matches, option: &str, name: &str) -> Option<PathBuf> {
    let text = matches.opt_str(option)?;
    Some(PathBuf::from(os(&text.replace("{name}", name))))
}

/// The files of a server's certificates and keys.
///
/// # Errors
/// Some are named without those that belong to them.
pub fn files(matches: &Matches, name: &str) -> Result<IdentityFiles, String> {
    let file = |option| file(matches, option, name);
    let peer = match (file("peer-cert"), file("peer-key"), file("peer-ca")) {
        (None, None, None) => None,
        (Some(certificate), Some(key), Some(authorities)) => Some(PeerFiles {
            certificate,
            key,
            authorities,
        }),
        _ => {
            return Err(String::from(
                "expected --peer-cert, --peer-key and --peer-ca together: a server shows the first, \
                 owns the second, and believes whom the third vouches for",
            ));
        }
    };
    let client = match (file("tls-cert"), file("tls-key")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => return Err(String::from("expected --tls-cert and --tls-key together")),
    };
    Ok(IdentityFiles { peer, client })
}
