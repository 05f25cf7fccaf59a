//! Keeps samples, finds series, survives crashes.
//!
//! Owns the write-ahead log, the head, the blocks, the catalogue and the database of state. Start
//! reading at `source.rs` (how readers read) and `append.rs` (how writers write).
//!
//! Never: PromQL, HTTP, why a sample came.

pub mod append;
pub mod source;
