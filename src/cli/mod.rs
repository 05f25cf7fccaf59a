//! Commands and flags: arguments in, exit status out.
//!
//! Owns the table of flags and one file a command. Start reading at `flags.rs`.
//!
//! Never: behaviour of its own beyond asking and printing.

mod flags;
