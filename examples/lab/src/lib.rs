//! What the measuring programs share: real servers, ours or a peer's, in a
//! directory of their own; conversations with them; what they use; the flood.
//!
//! ```text
//! let lab = Lab::new("goals", None)?;
//! guard::watch(&lab, LIMIT)?;
//! let clark = Start::new("Clark").run(&lab, &Herd::standard()?)?;
//! ```

pub mod flood;
pub mod guard;
pub mod herd;
pub mod proxy;
pub mod servers;
pub mod table;
pub mod talk;
pub mod usage;

/// Whatever went wrong, told once, at the end of `main`.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The manifest of our package, for a copy that stands alone: a workspace of itself.
pub fn alone(manifest: &str) -> String {
    let (package, _) = manifest
        .split_once("\n[workspace]")
        .unwrap_or((manifest, ""));
    format!("{package}\n[workspace]\n")
}
