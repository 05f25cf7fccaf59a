//! Whatever sinks answer, a delivery ends before its deadline, and little is kept.

use crate::outside::{FakeHttp, delivery, drive, outside};
use watchbell::alerts::Options;
use watchbell::notify::config::{File, Receiver};
use watchbell::notify::{Receivers, Templates};
use watchbell::sys::metrics::Registry;

/// Kinds that look into answers, and where they stand.
const UPSTREAM: [(&str, &str); 3] = [
    ("wechat", "{api_secret: s3cret, corp_id: c, api_url: 'http://sink/'}"),
    (
        "jira",
        "{api_url: 'http://jira/', project: p, issue_type: t, reopen_transition: a, \
          resolve_transition: b, http_config: {bearer_token: s3cret}}",
    ),
    ("sns", "{topic_arn: t, sigv4: {region: r, access_key: a, secret_key: s3cret, role_arn: x}}"),
];
const OWN: [(&str, &str); 1] =
    [("matrix", "{homeserver_url: 'http://hs', room_id: '!r', access_token: s3cret}")];
const STATUSES: [u16; 8] = [200, 200, 200, 201, 302, 400, 429, 503];

fn receivers(kind: &str, item: &str, own: bool) -> Vec<Receiver> {
    let item = format!("{{name: team, {kind}_configs: [{item}]}}");
    let written = if own { "{name: team}" } else { item.as_str() };
    let yaml = format!("{{route: {{receiver: team}}, receivers: [{written}]}}");
    let file: File = serde_yaml::from_str(&yaml).expect("reads");
    let mut receivers = Vec::new();
    if own {
        let item = serde_yaml::from_str(&item).expect("reads");
        receivers = file.check_own(&[item], &Default::default()).expect("valid").receivers;
    }
    file.check_with(receivers, &Options::default()).expect("valid").receivers
}

/// Sends to each kind. The first byte of an answer chooses its status and its type, 0xff ends it;
/// the last answer repeats.
pub(crate) fn all_end(bytes: &[u8]) {
    let texts = bytes.split(|byte| *byte == 0xff).take(8);
    let texts: Vec<_> = texts.map(String::from_utf8_lossy).collect();
    let answers: Vec<_> = texts
        .iter()
        .map(|text| {
            let choice = text.bytes().next().unwrap_or_default();
            let kind = if choice & 8 == 0 { "application/json" } else { "text/plain" };
            let status = STATUSES.get(usize::from(choice & 7)).copied().unwrap_or(200);
            (status, kind, text.get(1..).unwrap_or_default())
        })
        .collect();
    let templates = Templates::new(&[]).expect("templates");
    let upstream = UPSTREAM.iter().map(|row| (row, false));
    for ((kind, item), own) in upstream.chain(OWN.iter().map(|row| (row, true))) {
        let receivers = receivers(kind, item, own);
        let (outside, clock) = outside(FakeHttp::saying(&answers));
        let (receivers, problems) =
            Receivers::new(&receivers, templates.clone(), outside, &Registry::new());
        assert_eq!(problems, []);
        let outcome = drive(&clock, receivers.deliver(&delivery("team", kind)));
        assert!(outcome.answer.chars().count() <= 200);
        let error = outcome.error.unwrap_or_default();
        assert!(error.chars().count() <= 500 && !error.contains("s3cret"), "{kind}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::all_end;
    use proptest::prelude::*;

    /// Pieces of what the kinds look for.
    const PIECES: [&str; 12] = [
        "{\"issues\":[{\"key\":\"K\",\"fields\":{\"status\":{\"statusCategory\":{\"key\":\"done\"}}}}]}",
        "{\"transitions\":[{\"id\":\"1\",\"name\":\"a\"}]}",
        "{\"errcode\":0,\"access_token\":\"s3cret\"}",
        "{\"errcode\":42001,\"errmsg\":\"s3cret\"}",
        "{\"errcode\":\"M_X\",\"error\":\"e\",\"retry_after_ms\":18446744073709551615}",
        "<AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey>",
        "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>",
        "<Message>&lt;s3cret</Message>",
        "s3cret",
        "[[[[{",
        "null",
        "\u{202e}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_delivery_ends(
            answers in proptest::collection::vec(
                (any::<u8>(), proptest::sample::select(PIECES.to_vec()), ".{0,8}", any::<bool>()),
                1..5,
            ),
        ) {
            let mut bytes = Vec::new();
            for (choice, piece, other, whole) in answers {
                bytes.push(choice & 0x0f);
                bytes.extend(if whole { String::new() } else { other }.bytes());
                bytes.extend(piece.bytes());
                bytes.push(0xff);
            }
            all_end(&bytes);
        }
    }
}
