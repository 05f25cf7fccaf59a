//! Stub.

pub mod host;
