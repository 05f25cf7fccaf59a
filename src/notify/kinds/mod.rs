//! The kinds of receivers, a file each.
//!
//! Each file holds its `Settings`, the item of a `*_configs` list as it is written, which `check`
//! turns into an `Integration`, which makes what sends. `slack.rs` is the one to read first.
//! What they share stands a folder above: `keys.rs` (settings), `sender.rs` (the traits),
//! `vendor.rs` (those that send HTTP requests), `post.rs` (a request), `form.rs` (JSON), `retry.rs`
//! (what an attempt ended in), `truncate.rs`, `mentions.rs`, `deep.rs`.
//!
//! Never: trying again, waiting, deciding whether or to whom.

pub(super) mod discord;
pub(super) mod email;
pub(super) mod exec;
pub(super) mod field;
pub(super) mod file;
pub(super) mod gotify;
pub(super) mod incidentio;
pub(super) mod jira;
pub(super) mod matrix;
pub(super) mod mattermost;
pub(super) mod msteams;
pub(super) mod msteamsv2;
pub(super) mod ntfy;
pub(super) mod opsgenie;
pub(super) mod pagerduty;
pub(super) mod pushover;
pub(super) mod rocketchat;
pub(super) mod slack;
pub(super) mod sns;
pub(super) mod syslog;
pub(super) mod telegram;
pub(super) mod victorops;
pub(super) mod webex;
pub(super) mod webhook;
pub(super) mod wechat;

use super::config::{Allowed, Global, Source, is_set};
use super::sender::Made;
use crate::model::Problem;
use crate::sys::settings::{Authorization, GoSpan, HttpClientSettings, Secret, ShownUrl};
use std::path::PathBuf;
use std::time::Duration;

/// What items are checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// Defaults of `alertmanager.yml`.
    pub(super) global: &'a Global,
    /// What the site allows receivers on this host to do.
    pub(super) allowed: &'a Allowed,
}

impl Context<'_> {
    /// How an item with this `http_config` talks.
    pub(super) fn http(
        &self,
        at: &str,
        own: Option<&HttpClientSettings>,
    ) -> Result<HttpClientSettings, Problem> {
        let http = own.or(self.global.http_config.as_ref()).cloned().unwrap_or_default();
        http.check(&format!("{at}.http_config"))?;
        Ok(http.normalized())
    }
}

/// Whether an item says itself what requests are authorized by.
pub(super) fn is_authorized(own: &HttpClientSettings) -> bool {
    own.clone().normalized().authorization.is_some()
}

/// One item of a `*_configs` list, as written.
pub(super) trait Written {
    /// The item, checked, with the global defaults; `at` is its place.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem>;
}

/// What stands under a key or in the file under the key with `_file`; `None` when neither is there.
pub(super) fn one_of(
    at: &str,
    key: &str,
    inline: &Secret,
    file: Option<&PathBuf>,
) -> Result<Option<Source>, Problem> {
    if !inline.is_empty() && is_set(file) {
        let text = format!("at most one of {key} & {key}_file must be configured");
        return Err(Problem::new(at, text));
    }
    Ok(Source::of(inline, file))
}

/// The same of a URL.
pub(super) fn url_of(
    at: &str,
    key: &str,
    inline: &Secret,
    file: Option<&PathBuf>,
) -> Result<Option<Source>, Problem> {
    if !inline.is_empty() {
        check_url(&format!("{at}.{key}"), inline.reveal())?;
    }
    one_of(at, key, inline, file)
}

/// What a receiver with this token is authorized by.
pub(super) fn bearer(token: Source) -> Authorization {
    let (credentials, credentials_file) = match token {
        Source::Inline(secret) => (secret, None),
        Source::File(path) => (Secret::default(), Some(path)),
    };
    Authorization { scheme: "Bearer".to_owned(), credentials, credentials_file }
}

/// The time for one attempt; none when 0 is written.
pub(super) fn limit(timeout: GoSpan) -> Option<Duration> {
    Some(timeout.0).filter(|timeout| !timeout.is_zero())
}

/// The receiver's own URL of a service under `key`, or else the global one.
pub(super) fn service_url(
    at: &str,
    key: &str,
    own: &ShownUrl,
    global: &ShownUrl,
) -> Result<ShownUrl, Problem> {
    if own.is_empty() {
        return Ok(global.clone());
    }
    check_url(&format!("{at}.{key}"), own.reveal())?;
    Ok(own.clone())
}

/// A URL with `tail` after the path, which ends in a slash before, and `query` after the query.
pub(super) fn below(url: &str, tail: &str, query: &str) -> String {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    let (path, own) = url.split_once('?').unwrap_or((url, ""));
    let slash = if path.ends_with('/') { "" } else { "/" };
    let query: Vec<_> = [own, query].into_iter().filter(|part| !part.is_empty()).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{path}{slash}{tail}{mark}{}", query.join("&"))
}

/// Whether a URL is one that upstream takes. `<secret>` is what a configuration that was shown
/// holds.
pub(super) fn check_url(at: &str, url: &str) -> Result<(), Problem> {
    if url == "<secret>" {
        return Ok(());
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(Problem::new(at, format!("unsupported scheme {scheme:?} for URL")));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.rsplit('@').next().unwrap_or_default().is_empty() {
        return Err(Problem::new(at, "missing host for URL"));
    }
    match url::Url::parse(url) {
        Ok(_) => Ok(()),
        Err(err) => Err(Problem::new(at, format!("cannot read the URL: {err}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_before_queries() {
        for (url, tail, query, expected) in [
            ("http://x", "a/b", "", "http://x/a/b"),
            ("http://x/y/", "a", "c=d", "http://x/y/a?c=d"),
            ("http://x/y?k=v#f", "a", "c=d", "http://x/y/a?k=v&c=d"),
            ("http://x/?k=v", "a", "", "http://x/a?k=v"),
        ] {
            assert_eq!(below(url, tail, query), expected);
        }
    }

    #[test]
    fn urls_are_taken_as_upstream_takes_them() {
        for (url, wrong) in [
            ("http://x", None),
            ("HTTPS://u:p@x:1/y?z#a", None),
            ("http://x/{{ .Status }}", None),
            ("{{ .ExternalURL }}", Some("unsupported scheme \"\" for URL")),
            ("http://{{ .Host }}/", Some("cannot read the URL: invalid international domain name")),
            ("http://x:y/", Some("cannot read the URL: invalid port number")),
            ("http://[::1/", Some("cannot read the URL: invalid IPv6 address")),
            ("<secret>", None),
            ("ftp://x", Some("unsupported scheme \"ftp\" for URL")),
            ("x", Some("unsupported scheme \"\" for URL")),
            ("http://", Some("missing host for URL")),
            ("http:///path", Some("missing host for URL")),
            ("https://u@/path", Some("missing host for URL")),
        ] {
            let found = check_url("at", url).err().map(|problem| problem.message);
            assert_eq!(found.as_deref(), wrong, "{url}");
        }
    }
}
