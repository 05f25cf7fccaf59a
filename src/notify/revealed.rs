//! Secrets that were used, so that no text about a delivery repeats one: a sink's answer may, and
//! so may an error.

use crate::model::percent;
use crate::sys::dial;
use crate::sys::locks::lock;
use crate::sys::settings::HttpClientSettings;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A shorter text is no secret, and hiding it would spoil words.
const SECRET_BYTES_MIN: usize = 4;
/// A shorter part of a secret URL is a word of its API.
const PART_BYTES_MIN: usize = 12;
/// Stands for what is hidden.
const HIDDEN: &str = "<secret>";

/// What must not be repeated. Clones share it.
#[derive(Clone, Default)]
pub struct Revealed(Arc<Mutex<Known>>);

#[derive(Clone, Default)]
struct Known {
    texts: BTreeSet<String>,
    /// Files that are read by others than us.
    files: BTreeSet<PathBuf>,
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Revealed {
    /// The same secrets, to which others may be added.
    pub(super) fn branch(&self) -> Self {
        Self(Arc::new(Mutex::new(self.lock().clone())))
    }

    /// Remembers a secret; of a URL also each part that lets one in.
    pub(super) fn note(&self, secret: &str) {
        let secret = secret.trim();
        let mut known = self.lock();
        known.add(secret, SECRET_BYTES_MIN);
        known.add(&percent::encode(secret, b""), SECRET_BYTES_MIN);
        known.add(&percent::encode_form(secret), SECRET_BYTES_MIN);
        let Some((authority, path)) = halves(secret) else { return };
        known.add_user(authority);
        known.add(path, SECRET_BYTES_MIN);
        for part in path.split(['/', '?', '&', '=', '#']) {
            known.add(part, PART_BYTES_MIN);
            let decoded = percent::decode_leniently(part.as_bytes());
            known.add(&String::from_utf8_lossy(&decoded), PART_BYTES_MIN);
        }
    }

    /// Remembers user and password of a URL that is no secret otherwise.
    pub(super) fn note_user(&self, url: &str) {
        if let Some((authority, _)) = halves(url) {
            self.lock().add_user(authority);
        }
    }

    /// Remembers the secrets of a client's settings.
    pub(super) fn note_client(&self, settings: &HttpClientSettings) {
        let (secrets, files) = settings.secrets();
        for secret in secrets {
            self.note(secret);
        }
        if let Some(basic) = &settings.basic_auth {
            let header = dial::basic(&basic.username, basic.password.reveal());
            self.note(header.trim_start_matches("Basic "));
        }
        self.lock().files.extend(files.into_iter().map(PathBuf::from));
    }

    /// The files of which `hide` has to know what stands in them.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.lock().files.iter().cloned().collect()
    }

    /// The text without secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        let known = self.lock();
        let mut found: Vec<_> =
            known.texts.iter().filter(|secret| text.contains(secret.as_str())).collect();
        // The whole before its parts.
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        lock(&self.0)
    }
}

/// Of a URL, what stands before its path, and the rest.
fn halves(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

impl Known {
    fn add_user(&mut self, authority: &str) {
        let Some((user, _host)) = authority.rsplit_once('@') else { return };
        let (name, password) = user.split_once(':').unwrap_or(("", user));
        for part in [user, name, password] {
            self.add(part, SECRET_BYTES_MIN);
        }
    }

    fn add(&mut self, text: &str, bytes_min: usize) {
        if text.len() >= bytes_min {
            self.texts.insert(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_hidden_whole_and_in_its_parts() {
        let revealed = Revealed::default();
        revealed
            .note(" https://me:hunter2@x.example/services/T00000000000/b?key=abcdefghijkl%2F \n");
        for (text, hidden) in [
            ("no /services/T00000000000/b?key=abcdefghijkl%2F here", "no <secret> here"),
            (r#""\/services\/T00000000000\/b""#, r#""\/services\/<secret>\/b""#),
            (
                "Post \"https://me:hunter2@x.example/services/T00000000000/b?key=abcdefghijkl%2F\": EOF",
                "Post \"<secret>\": EOF",
            ),
            ("user me, password hunter2", "user me, password <secret>"),
            ("abcdefghijkl/", "<secret>"),
            ("/services of x.example", "/services of x.example"),
        ] {
            assert_eq!(revealed.hide(text), hidden);
        }
    }

    #[test]
    fn a_branch_keeps_what_it_learns_to_itself() {
        let all = Revealed::default();
        all.note("first");
        let one = all.branch();
        one.note("s p");
        one.note("sec ond");
        assert_eq!(
            one.hide("first sec ond sec+ond sec%20ond s p"),
            "<secret> <secret> <secret> <secret> s p"
        );
        assert_eq!(all.hide("first sec ond"), "<secret> sec ond");
        assert_eq!(format!("{one:?}"), "<secret>");
    }
}
