//! A client of D-Bus that asks and reads answers: enough to ask systemd.
//!
//! Own code and no crate: those that exist bring an async runtime of their own or marshalling by
//! derive, a megabyte in the binary, for three methods whose answers are strings and numbers.
//! Start reading at `connection.rs`; `message.rs` is the wire format, of which basic types, arrays
//! and structs are read, both byte orders.
//!
//! Source: D-Bus Specification 0.43 (message protocol, authentication protocol).
//!
//! Never: waiting past a deadline, a message without a bound, file descriptors.

mod connection;
mod message;

pub use connection::{Connection, DbusError};
pub use message::{Call, Reader, Reply, Value};
