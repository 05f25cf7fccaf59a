//! Which texts Alertmanager's server takes for a URI: those that Go takes in a request line.

use crate::model::percent;

/// Whether `text` is an absolute URL, a path, or a star.
/// Source: go, net/url/url.go (ParseRequestURI).
pub(super) fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = scheme(text) else { return false };
    let rest = rest.split('?').next().unwrap_or_default();
    if !rest.starts_with('/') {
        return !scheme.is_empty();
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        Some(_) | None => ("", rest),
    };
    is_authority(authority) && percent::decode(path.as_bytes()).is_ok()
}

/// The scheme, empty when there is none, and what follows; `None` when its colon comes first.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let Some((scheme, rest)) = text.split_once(':') else { return Some(("", text)) };
    if scheme.is_empty() {
        return None;
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(inner);
    Some(if is_scheme { (scheme, rest) } else { ("", text) })
}

/// User, host and port.
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let user_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(user_byte) || percent::decode(user.as_bytes()).is_err() {
        return false;
    }
    if host.starts_with('[') {
        let Some((inside, port)) = host.rsplit_once(']') else { return false };
        let (address, zone) = match inside.find("%25") {
            Some(at) => inside.split_at(at),
            None => (inside, ""),
        };
        return is_port(port) && is_host(address) && percent::decode(zone.as_bytes()).is_ok();
    }
    let (name, port) = host.split_at(host.rfind(':').unwrap_or(host.len()));
    is_port(port) && is_host(name)
}

/// Nothing, or a colon and digits, or none.
fn is_port(text: &str) -> bool {
    let digits = if text.is_empty() { Some("") } else { text.strip_prefix(':') };
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Only bytes beyond ASCII, and a percent sign, may be escaped in a host.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || !byte.is_ascii()
            || b"!$&'()*+,;=:[]<>\"-_.~%".contains(&byte)
    };
    let escapes = text.split('%').skip(1);
    let foreign = |rest: &str| rest.starts_with("25") || rest.starts_with(|c: char| c >= '8');
    text.bytes().all(plain)
        && percent::decode(text.as_bytes()).is_ok()
        && escapes.into_iter().all(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn uris_are_those_of_go() {
        // Those that begin with http://x/%zz were asked of Alertmanager 0.25; the rest are cases
        // of go, net/url/url_test.go (parseRequestURLTests, pathThatLooksSchemeRelative).
        for (text, ok) in [
            ("http://x/graph?g0.expr=up == 0", true),
            ("http://x/%zz", false),
            ("/foo?x=y", true),
            ("foo", false),
            ("mailto:x", true),
            ("http://[::1", false),
            (":x", false),
            ("a:b:c", true),
            ("1:b", false),
            ("?q=a:b", false),
            ("//x", true),
            ("http://x:port/", false),
            ("http://x/ü", true),
            ("*", true),
            ("http://foo.com", true),
            ("http://foo.com/", true),
            ("http://foo.com/path", true),
            ("/", true),
            ("//not.a.user@%66%6f%6f.com/just/a/path/also", true),
            ("foo.html", false),
            ("../dir/", false),
            (" http://foo.com", false),
            ("http://192.168.0.1:8080/", true),
            ("http://192.168.0.1:foo/", false),
            ("http://[fe80::1]:8080/", true),
            ("http://[fe80::1%25en0]:8080/", true),
            ("http://[fe80::1%25%65%6e%301-._~]/", true),
            ("http://[fe80::%31]/", false),
            ("http://a b.com/", false),
            ("http://user^:passwo^rd@foo.com/", false),
            ("http://hello.世界.com/foo", true),
            ("http://hello.%E4%B8%96%E7%95%8C.com/foo", true),
            ("http://%41:8080/", false),
            ("cache_object:foo/bar", false),
            ("myscheme://authority<\"hi\">/foo", true),
            ("mysql://a,b,c/bar", true),
            ("http://x/\u{7f}", false),
            ("", false),
        ] {
            assert_eq!(is_uri(text), ok, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in "[a:/%\\[\\]@?#ü 0-9.]{0,30}|.{0,30}") {
            is_uri(&text);
        }
    }
}
