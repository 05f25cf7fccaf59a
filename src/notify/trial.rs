//! What keeps receivers that are written without fault from being made: templates that are none,
//! certificates that cannot be read. Whoever starts them is told the same.

use super::config::Receiver;
use super::outside::Outside;
use super::receiver::senders;
use super::revealed::Revealed;
use super::templates::Templates;
use crate::model::Problem;
use crate::sys::clock::SystemClock;
use crate::sys::entropy::SystemEntropy;
use crate::sys::http::SystemHttp;
use crate::sys::local::SystemLocal;
use std::path::Path;
use std::sync::Arc;

/// What of users' files, as base name and text, is no template; the places are the names.
pub fn templates(files: &[(String, String)]) -> Vec<Problem> {
    let faults = Templates::new(files).err().unwrap_or_default();
    faults.into_iter().map(|(name, err)| Problem::new(name, err.to_string())).collect()
}

/// Which receivers have no way to talk; names of files are relative to `base`.
pub fn clients(receivers: &[Receiver], base: &Path) -> Vec<Problem> {
    let outside = Outside {
        http: Arc::new(SystemHttp::new()),
        local: Arc::new(SystemLocal::new()),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        read_file: Arc::new(|path: &Path| std::fs::read(path)),
        // Nothing is expanded.
        read_yaml: Arc::new(|_| None),
        hostname: String::new(),
        base: base.to_owned(),
        revealed: Revealed::default(),
    };
    senders(receivers, &outside).1
}
