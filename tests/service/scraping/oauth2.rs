//! Tokens beside Debian's Prometheus: the same requests to the same token server, and the same
//! header at the target.

use super::cases::Case;
use super::exporter::{Exporter, Step, Who, whole};
use super::{Pair, config, target};

/// Scrapes that are waited for.
const SCRAPES: usize = 3;

/// A job that gets its token from a path of its own.
fn case(
    exporter: &Exporter,
    name: &str,
    keys: &str,
    error: Option<&'static str>,
    answers: &[(u16, &str, &str)],
) -> Case {
    let server = format!("/token_{name}");
    let answer = |&(status, media, body): &(u16, &str, &str)| {
        Step::Raw(whole(status, media, "", body.as_bytes()))
    };
    exporter.script(&server, answers.iter().map(answer).collect());
    let url = format!("http://{}{server}", exporter.address);
    let keys = format!("oauth2: {{client_id: 'me & b', token_url: '{url}', {keys}}}");
    let steps = vec![Step::Text("a 1\n".to_owned())];
    Case { error, ..Case::new(format!("oauth_{name}"), keys, steps) }
}

#[test]
fn the_real_prometheus_asks_for_the_same_tokens() {
    let exporter = Exporter::start();
    let json = "application/json";
    let good = (200, json, r#"{"access_token": "t/1+", "expires_in": 3600}"#);
    let secret = "client_secret: 's&c r=t%'";
    let more =
        format!("{secret}, scopes: [a, 'b:c'], endpoint_params: {{audience: 'x y', b: '1'}}");
    let grant = format!("{secret}, endpoint_params: {{grant_type: password, z: '*~é'}}");
    let form = "access_token=t%2B2&token_type=mac&expires_in=3600";
    let lower = r#"{"access_token": "t3", "token_type": "bearer", "expires_in": "3600"}"#;
    let other = r#"{"access_token": "t4", "token_type": "Own"}"#;
    let refused = (401, json, r#"{"error": "invalid_client"}"#);
    let make = |name, keys, error, answers: &[_]| case(&exporter, name, keys, error, answers);
    let fails = Some("oauth2: cannot fetch token: 401 Unauthorized");
    let none = Some("oauth2: server response missing access_token");
    let cases = [
        make("json", secret, None, &[good]),
        make("more", &more, None, &[good]),
        make("grant", &grant, None, &[good]),
        make("form", secret, None, &[(200, "application/x-www-form-urlencoded", form)]),
        make("lower", secret, None, &[(201, json, lower)]),
        make("other_word", secret, None, &[(200, "", other)]),
        make("in_parameters", &more, None, &[refused, good]),
        make("refused", secret, fails, &[refused]),
        make("no_token", secret, none, &[(200, json, "{}")]),
        // The words for it are of the release.
        make("broken", secret, Some("/oauth_broken\": "), &[(200, json, "{")]),
    ];
    for case in &cases {
        exporter.script(&format!("/{}", case.name), case.steps.clone());
    }
    let Some(pair) = Pair::start(exporter.clone(), &config(&cases, exporter.address)) else {
        return;
    };
    let path = |case: &Case| match case.error {
        // Each scrape asks twice: with a header, then with parameters.
        Some(_) => format!("/{}", case.name.replace("oauth_", "token_")),
        None => format!("/{}", case.name),
    };
    exporter.wait(&cases.iter().map(path).collect::<Vec<_>>(), 2 * SCRAPES);
    for case in &cases {
        let name = &case.name;
        for path in [format!("/{name}"), format!("/{}", name.replace("oauth_", "token_"))] {
            let (ours, real) = (exporter.told(Who::Ours, &path), exporter.told(Who::Real, &path));
            // Two that alternate, where each scrape asks both ways: the first two say it all.
            let both = |told: &[String]| told.iter().take(2).cloned().collect::<Vec<_>>();
            assert_eq!(both(&ours), both(&real), "{path}");
            assert_eq!(ours.is_empty(), case.error.is_some() && path.contains("oauth_"), "{path}");
        }
        let (ours, our_error) = target(&pair, Who::Ours, name, false);
        let (real, real_error) = target(&pair, Who::Real, name, false);
        assert_eq!(ours, real, "{our_error:?} {real_error:?}");
        let wanted = case.error.unwrap_or_default();
        for error in [our_error, real_error] {
            assert!(error.contains(wanted) && error.is_empty() == wanted.is_empty(), "{error:?}");
        }
    }
}
