//! The house rules that a machine can check: which floor may import which, how long a function, a
//! file and a part may be, what the source may not contain, and what the card says about dependencies.

mod dependencies;
mod floors;
mod imports;
mod sizes;
mod source;
mod text;
