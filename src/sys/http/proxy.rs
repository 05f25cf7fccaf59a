//! Which proxy a client goes through, and what it tells it.

use crate::model::Problem;
use crate::sys::settings::{HttpClientSettings, ProxyHeaders, ShownUrl};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{ClientBuilder, NoProxy, Proxy};

/// A builder that knows the proxies of the settings. `environment` reads a variable of the process.
///
/// # Errors
/// The URL or a header cannot be read.
pub(super) fn with_proxy(
    builder: ClientBuilder,
    settings: &HttpClientSettings,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ClientBuilder, Problem> {
    let headers = connect_headers(&settings.proxy_connect_header)?;
    if let Some(url) =
        settings.proxy_url.as_ref().map(ShownUrl::reveal).filter(|url| !url.is_empty())
    {
        let without = settings.no_proxy.as_deref().and_then(NoProxy::from_string);
        let Some(headers) = headers else {
            let proxy = Proxy::all(url).map_err(|_| unreadable())?;
            return Ok(builder.no_proxy().proxy(proxy.no_proxy(without)));
        };
        let builder = builder.no_proxy();
        return both(builder, (Some(url), Some(url)), without.as_ref(), headers);
    }
    if settings.proxy_from_environment != Some(true) {
        return Ok(builder.no_proxy());
    }
    // Without headers the crate reads the environment by itself.
    let Some(headers) = headers else { return Ok(builder) };
    let named = |names: [&str; 2]| {
        names.iter().find_map(|name| environment(name)).filter(|url| !url.is_empty())
    };
    let without = named(["NO_PROXY", "no_proxy"]).and_then(|list| NoProxy::from_string(&list));
    let https = named(["HTTPS_PROXY", "https_proxy"]).or_else(|| named(["ALL_PROXY", "all_proxy"]));
    let http = named(["HTTP_PROXY", "http_proxy"]).or_else(|| named(["ALL_PROXY", "all_proxy"]));
    let urls = (http.as_deref(), https.as_deref());
    both(builder.no_proxy(), urls, without.as_ref(), headers)
}

/// A proxy for each scheme. Only the one that is asked to connect gets the headers: with plain HTTP
/// they would reach the target.
fn both(
    mut builder: ClientBuilder,
    (http, https): (Option<&str>, Option<&str>),
    without: Option<&NoProxy>,
    headers: HeaderMap,
) -> Result<ClientBuilder, Problem> {
    if let Some(url) = http {
        let proxy = Proxy::http(url).map_err(|_| unreadable())?;
        builder = builder.proxy(proxy.no_proxy(without.cloned()));
    }
    if let Some(url) = https {
        let proxy = Proxy::https(url).map_err(|_| unreadable())?;
        builder = builder.proxy(proxy.no_proxy(without.cloned()).headers(headers));
    }
    Ok(builder)
}

/// The text is not repeated: it may hold a password.
fn unreadable() -> Problem {
    Problem::new("proxy_url", "cannot read the proxy's URL")
}

/// `None` when there are none.
fn connect_headers(written: &ProxyHeaders) -> Result<Option<HeaderMap>, Problem> {
    let mut map = HeaderMap::new();
    for (name, values) in written {
        for value in values {
            let wrong = || Problem::new("proxy_connect_header", format!("cannot send {name:?}"));
            let name: HeaderName = name.parse().map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            map.append(name, value);
        }
    }
    Ok((!map.is_empty()).then_some(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(yaml: &str, environment: &[(&str, &str)]) -> Result<String, Problem> {
        let settings = serde_yaml::from_str(yaml).expect("reads");
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        with_proxy(reqwest::Client::builder(), &settings, value).map(|made| format!("{made:?}"))
    }

    #[test]
    fn proxies_of_the_environment_get_the_headers_and_none_shows_them() {
        let yaml = "{proxy_from_environment: true, proxy_connect_header: {X-Key: [k3y]}}";
        let shown = made(yaml, &[("https_proxy", "http://p:1"), ("NO_PROXY", "a")]).expect("made");
        assert!(shown.contains("p:1") && !shown.contains("k3y"), "{shown}");
        let shown = made(yaml, &[("ALL_PROXY", "http://q:1"), ("HTTPS_PROXY", "")]).expect("made");
        assert!(shown.contains("q:1"), "{shown}");
        let problem = made(yaml, &[("HTTPS_PROXY", "http://u:hunter2@[")]).expect_err("no URL");
        assert_eq!(problem.to_string(), "proxy_url: cannot read the proxy's URL");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_their_values() {
        for yaml in ["{'X Key': [k3y]}", "{X-Key: [\"k3y\\n\"]}"] {
            let yaml = format!("{{proxy_url: 'http://p:1', proxy_connect_header: {yaml}}}");
            let problem = made(&yaml, &[]).expect_err(&yaml).to_string();
            assert!(problem.starts_with("proxy_connect_header: cannot send"), "{problem}");
            assert!(!problem.contains("k3y"), "{problem}");
        }
    }
}
