//! Cookies that a server sets on the way through its redirects, for the way ahead.
//!
//! They go back to the very host that set them, below their path, and over TLS alone when they say
//! so. What a domain shares with its subdomains is not followed: a probe needs no more to get
//! through a login page of one host.

/// Cookies that are remembered, and bytes of one.
const COOKIES_MAX: usize = 50;
const COOKIE_BYTES_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    host: String,
    path: String,
    is_secure: bool,
    name: String,
    value: String,
}

impl Cookies {
    /// Remembers a header `Set-Cookie` of an answer from `host`.
    pub(super) fn take(&mut self, host: &str, path: &str, header: &str) {
        let mut parts = header.split(';');
        let pair = parts.next().and_then(|pair| pair.split_once('='));
        let Some((name, value)) = pair.map(|(name, value)| (name.trim(), value.trim())) else {
            return;
        };
        if name.is_empty() || header.len() > COOKIE_BYTES_MAX {
            return;
        }
        // RFC 6265, section 5.1.4: without a path of its own, that of the folder.
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut cookie = Cookie {
            host: host.to_owned(),
            path: if folder.is_empty() { "/".to_owned() } else { folder.to_owned() },
            is_secure: false,
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let mut is_over = false;
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.trim().starts_with('/') => {
                    value.trim().clone_into(&mut cookie.path)
                }
                "secure" => cookie.is_secure = true,
                "max-age" => is_over = value.trim().parse::<i64>().is_ok_and(|age| age <= 0),
                _ => {}
            }
        }
        let same = |one: &Cookie| {
            one.host == cookie.host && one.path == cookie.path && one.name == cookie.name
        };
        self.0.retain(|one| !same(one));
        if !is_over && self.0.len() < COOKIES_MAX {
            self.0.push(cookie);
        }
    }

    /// The header `Cookie` of a request; `None` where nothing is to be sent.
    pub(super) fn header(&self, host: &str, path: &str, over_tls: bool) -> Option<String> {
        let below = |folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| {
                folder.ends_with('/') || rest.is_empty() || rest.starts_with('/')
            })
        };
        let fits =
            |one: &&Cookie| one.host == host && below(&one.path) && (over_tls || !one.is_secure);
        let pairs: Vec<_> =
            self.0.iter().filter(fits).map(|one| format!("{}={}", one.name, one.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_back_where_they_came_from() {
        let mut cookies = Cookies::default();
        for header in
            ["a=1; Path=/", "b=2; path=/in; Secure", "c=3", "gone=1", "gone=; Max-Age=0", "=x", "y"]
        {
            cookies.take("h", "/in/page", header);
        }
        for (host, path, over_tls, expected) in [
            ("h", "/in/side", true, Some("a=1; b=2; c=3")),
            ("h", "/in", false, Some("a=1; c=3")),
            ("h", "/inside", true, Some("a=1")),
            ("other", "/in/side", true, None),
        ] {
            let found = cookies.header(host, path, over_tls);
            assert_eq!(found.as_deref(), expected, "{host} {path} {over_tls}");
        }
    }
}
