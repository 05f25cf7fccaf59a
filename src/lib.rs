//! watchbell: scrape, store, query, alert and show, in one process on one host.
//!
//! Data falls from top to bottom; imports point the other way, as `tests/layers.txt` has it and
//! `tests/tidy.rs` checks.
//!
//! ```text
//!    this host   targets   applications, agents      other alert sources
//!        |  read    |  scrape     |  push, write             |
//!        v          v             v                          |
//!    ingest     discover, relabel, scrape, receive           |
//!        | samples                                           |
//!        v                                                   |
//!    storage    WAL, head, blocks | index and meta in SQLite |
//!        | series                                            |
//!        |------> remote (write out, read)                   |
//!        v                                                   |
//!    promql     parse, plan, evaluate                        |
//!        | vectors                                           |
//!        v                                                   |
//!    rules      record, back into storage; alert             |
//!        | alerts                                            |
//!        v                                                   v
//!    alerts     route, group, inhibit, silence, decide when
//!        | notifications
//!        v
//!    notify     receivers, templates, retry ---> mail, web hooks
//!
//!    service    the parts above, running; answers through wire::Core
//!    api        HTTP for any Core      tui   screens over any Core
//!    client     a Core over HTTP       cli   commands
//!
//!    beside all of it: model (values), sys (the world), exposition and template (text formats),
//!    config (one file, composed), app (order of start and stop)
//! ```

pub mod model;
pub mod sys;

pub mod exposition;
pub mod template;
pub mod wire;

pub mod storage;

pub mod ingest;
pub mod promql;
pub mod rules;

pub mod alerts;
pub mod notify;

pub mod config;
pub mod service;

pub mod client;

pub mod api;
pub mod app;
pub mod tui;

pub mod cli;
