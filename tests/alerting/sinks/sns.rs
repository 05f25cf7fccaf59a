//! Amazon SNS.

use super::{fault, send};
use crate::outside::{FakeHttp, Sent, delivery};
use std::collections::BTreeMap;
use watchbell::alerts::DeliveryOutcome;
use watchbell::model::percent;
use watchbell::sys::sim_local::ScriptedLocal;

const KEYS: &str = "sigv4: {region: eu-west-1, access_key: AKIA, secret_key: s3cret}";
const OK: (u16, &str, &str) = (200, "text/xml", "<PublishResponse/>");

fn run(
    item: &str,
    answers: &[(u16, &str, &str)],
    local: &ScriptedLocal,
) -> (DeliveryOutcome, Vec<Sent>) {
    let http = FakeHttp::saying(answers);
    let outcome = send("sns", item, &http, local);
    (outcome, http.sent())
}

fn form(sent: &Sent) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        String::from_utf8(percent::decode_form(text.as_bytes()).expect("escapes")).expect("text")
    };
    let pairs = sent.body.split('&').map(|pair| pair.split_once('=').expect("a pair"));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

#[test]
fn the_request_is_a_signed_form() {
    let item = format!(
        "{{{KEYS}, topic_arn: 'arn:aws:sns:eu-west-1:1:t.fifo', subject: \"{{{{ .Status }}}}\\n2\", \
          message: '{{{{ .CommonAnnotations.summary }}}}', attributes: {{b: '{{{{ .Status }}}}', a: '1'}}}}"
    );
    let (outcome, sent) = run(&item, &[(500, "", ""), OK], &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.attempts), (None, 2));
    let first = sent.first().expect("sent");
    assert_eq!(first.url, "https://sns.eu-west-1.amazonaws.com/");
    assert_eq!(first.header("content-type"), "application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(first.header("x-amz-date"), "20240101T000000Z");
    let authorization = first.header("authorization");
    let start = "AWS4-HMAC-SHA256 Credential=AKIA/20240101/eu-west-1/sns/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, Signature=";
    assert!(authorization.starts_with(start), "{authorization}");
    let delivery = delivery("team", "sns");
    let (hash, key) = (delivery.notification.group_key.hash(), delivery.idempotency_key());
    let expected = [
        ("Action", "Publish"),
        ("Message", "<b>&\r\nBcc: evil@x"),
        ("MessageAttributes.entry.1.Name", "a"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "1"),
        ("MessageAttributes.entry.2.Name", "b"),
        ("MessageAttributes.entry.2.Value.DataType", "String"),
        ("MessageAttributes.entry.2.Value.StringValue", "firing"),
        ("MessageDeduplicationId", &key),
        ("MessageGroupId", &hash),
        ("Subject", "firing 2"),
        ("TopicArn", "arn:aws:sns:eu-west-1:1:t.fifo"),
        ("Version", "2010-03-31"),
    ];
    let found = form(first);
    let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn long_texts_are_cut_to_what_is_taken() {
    for (to, length, kept) in [
        ("target_arn: t", 262_144, None),
        ("target_arn: t", 262_145, Some(262_144)),
        ("phone_number: '+1'", 1_601, Some(1_600)),
    ] {
        let (message, subject) = ("m".repeat(length), "s".repeat(200));
        let item = format!("{{{KEYS}, {to}, message: '{message}', subject: '{subject}'}}");
        let (_, sent) = run(&item, &[OK], &ScriptedLocal::new());
        let form = form(sent.first().expect("sent"));
        assert_eq!(form["Message"].len(), kept.unwrap_or(length), "{to}");
        assert_eq!(form["Subject"].chars().count(), 99);
        assert_eq!(form.contains_key("MessageAttributes.entry.1.Name"), kept.is_some(), "{to}");
    }
}

#[test]
fn keys_and_region_come_from_the_environment_or_a_shared_file() {
    let local = ScriptedLocal::new();
    let item = "{topic_arn: t, sigv4: {}}";
    let (outcome, _) = run(item, &[OK], &local);
    let text = "region not configured in sns.sigv4.region or in default credentials chain";
    assert_eq!(outcome.error.as_deref(), Some(text));
    local.set_variable("AWS_REGION", "cn-north-1");
    let (outcome, _) = run(item, &[OK], &local);
    assert!(outcome.error.is_some_and(|text| text.starts_with("no AWS credentials")));
    local.set_variable("HOME", "/root");
    let (outcome, _) = run(item, &[OK], &local);
    let text = "/root/.aws/credentials has no keys for the profile default";
    assert_eq!(outcome.error.as_deref(), Some(text));
    local.set_variable("AWS_ACCESS_KEY_ID", "AKENV");
    local.set_variable("AWS_SECRET_ACCESS_KEY", "s3cret");
    local.set_variable("AWS_SESSION_TOKEN", "t0ken");
    let (outcome, sent) = run(item, &[OK], &local);
    assert_eq!(outcome.error, None);
    let first = sent.first().expect("sent");
    assert_eq!(first.url, "https://sns.cn-north-1.amazonaws.com.cn/");
    assert_eq!(first.header("x-amz-security-token"), "t0ken");
    let authorization = first.header("authorization");
    assert!(authorization.contains("Credential=AKENV/20240101/cn-north-1/"), "{authorization}");
    assert!(authorization.contains("x-amz-date;x-amz-security-token,"), "{authorization}");
}

#[test]
fn a_role_is_taken_on_and_kept() {
    let session = "<AssumeRoleResponse><Credentials><AccessKeyId>ASIA</AccessKeyId>\
        <SecretAccessKey>r0le</SecretAccessKey><SessionToken>t&amp;k</SessionToken>\
        <Expiration>2024-01-01T00:15:00Z</Expiration></Credentials></AssumeRoleResponse>";
    let item = "{topic_arn: t, api_url: 'http://sink:99/x', sigv4: {region: r, access_key: AKIA, \
        secret_key: s3cret, role_arn: 'arn:role', external_id: e}}";
    let answers = [(200, "", session), (503, "", ""), OK];
    let (outcome, sent) = run(item, &answers, &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.attempts), (None, 2));
    let [role, first, second] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(role.url, "https://sts.r.amazonaws.com/");
    let asked = form(role);
    assert_eq!(
        (&*asked["Action"], &*asked["RoleArn"], &*asked["ExternalId"]),
        ("AssumeRole", "arn:role", "e")
    );
    for one in [first, second] {
        assert_eq!(one.url, "http://sink:99/x/");
        assert_eq!(one.header("x-amz-security-token"), "t&k");
        assert!(one.header("authorization").contains("Credential=ASIA/20240101/r/sns/"));
    }
    let refused = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no &lt;role&gt;</Message></Error></ErrorResponse>";
    let (outcome, _) = run(item, &[(403, "", refused)], &ScriptedLocal::new());
    let text = "assume the role: unexpected status code 403: no <role>";
    assert_eq!((outcome.error.as_deref(), outcome.attempts), (Some(text), 1));
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].sns_configs[0]";
    let one = ": must provide either a Target ARN, Topic ARN, or Phone Number for SNS config";
    for (item, expected) in [
        ("{}", one),
        ("{topic_arn: t, phone_number: p}", one),
        (
            "{topic_arn: t, sigv4: {access_key: a}}",
            ".sigv4: must provide a AWS SigV4 Access key and Secret Key if credentials are \
             specified in the SigV4 config",
        ),
    ] {
        assert_eq!(fault("sns", item), format!("{at}{expected}"));
    }
}
