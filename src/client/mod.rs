//! `Core` over HTTP: the same questions, asked of another process or another host.
//!
//! Owns `Remote`, which talks to watchbell by URL or unix socket and, for the half that reads, to a
//! Prometheus and an Alertmanager. Start reading at `remote.rs`; `foreign.rs` makes up what those
//! do not tell.
//!
//! Never: anything of this host, a cache of answers.

mod acking;
mod foreign;
mod remote;
mod transport;

pub use remote::Remote;
