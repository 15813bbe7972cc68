//! How a bucket is used.

/// What the machine must know from its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The bucket's name.
    pub bucket: String,
    /// How many servers of a cluster keep it, if we make it.
    pub replicas: u8,
    /// How many bytes it takes, if we make it.
    pub bytes_max: u64,
    /// Our server's name.
    pub me: String,
    /// The names of our herd, ordered.
    pub herd: Vec<String>,
    /// What the machine is good for.
    pub rules: Rules,
}

/// What can be switched off. Only for the experiment that shows that each is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A put says which revision it follows.
    pub compare_and_set: bool,
    /// What the register lacks is put again, whoever put it first.
    pub repair: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            compare_and_set: true,
            repair: true,
        }
    }
}
