//! Faults that only a machine can do: cables that swallow, disks that fill, system calls that are
//! interrupted, clocks that jump; and all of it at once. (The faults' rows 15, 17, 18, 19, 27 and 33.)
//!
//! Needs `unshare`, `ip`, `nft`, `strace`, `mkfs.ext4`, `fsfreeze` and libfaketime; `.ci/run` installs them.

mod calls;
mod clocks;
mod frozen_disk;
mod hosts;
mod jepsen;
mod script;
mod slow_disk;
mod small_disk;

fn rounds(default: usize) -> usize {
    match std::env::var("HERD_ROUNDS") {
        Ok(text) => text.parse().expect("HERD_ROUNDS is a number"),
        Err(_) => default,
    }
}
