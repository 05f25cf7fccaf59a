//! WeChat Work.

use super::{body, fault, send};
use crate::outside::FakeHttp;
use serde_json::json;
use watchbell::sys::http::Method;
use watchbell::sys::sim_local::ScriptedLocal;

const APP: &str = "api_secret: s3cr&t, corp_id: wx, api_url: 'http://sink/cgi-bin'";
const TOKEN: (u16, &str, &str) =
    (200, "application/json", r#"{"errcode":0,"access_token":"t0k+n"}"#);
const OK: (u16, &str, &str) = (200, "application/json", r#"{"errcode":0,"errmsg":"ok"}"#);

fn error(answers: &[(u16, &str, &str)]) -> (Option<String>, u32) {
    let http = FakeHttp::saying(answers);
    let outcome = send("wechat", &format!("{{{APP}}}"), &http, &ScriptedLocal::new());
    (outcome.error, outcome.attempts)
}

#[test]
fn a_token_is_fetched_once_and_the_message_is_upstream_s() {
    let http = FakeHttp::saying(&[TOKEN, (503, "", ""), OK]);
    let item = format!("{{{APP}, message: '{{{{ .Status }}}} <', to_user: '@all', agent_id: 7}}");
    let outcome = send("wechat", &item.replace("7}", "'7'}"), &http, &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.attempts), (None, 2));
    let sent = http.sent();
    let [token, first, second] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(token.method, Method::Get);
    assert_eq!(token.url, "http://sink/cgi-bin/gettoken?corpid=wx&corpsecret=s3cr%26t");
    assert_eq!(first.url, "http://sink/cgi-bin/message/send?access_token=t0k%2Bn");
    assert_eq!((&first.url, &first.body), (&second.url, &second.body));
    assert_eq!(
        first.body,
        concat!(
            r#"{"text":{"content":"firing \u003c"},"touser":"@all","agentid":"7","safe":"0","#,
            r#""msgtype":"text","markdown":{"content":""}}"#,
            "\n"
        )
    );
}

#[test]
fn markdown_is_cut_to_what_the_server_takes() {
    let http = FakeHttp::saying(&[TOKEN, OK]);
    let message = "x".repeat(3_000);
    let item = format!("{{{APP}, message_type: markdown, message: '{message}'}}");
    let outcome = send("wechat", &item, &http, &ScriptedLocal::new());
    assert_eq!(outcome.error, None);
    let body = body(&http);
    assert_eq!(body["text"], json!({ "content": "" }));
    assert_eq!(body["markdown"]["content"].as_str().map(str::len), Some(2_048));
}

#[test]
fn what_the_server_says_decides() {
    let expired = (200, "", r#"{"errcode":42001,"errmsg":"access_token expired"}"#);
    let http = FakeHttp::saying(&[TOKEN, expired, TOKEN, OK]);
    let outcome = send("wechat", &format!("{{{APP}}}"), &http, &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.attempts, http.sent().len()), (None, 2, 4));
    // A token that the server does not know is not kept for two hours either.
    let unknown = (200, "", r#"{"errcode":40014,"errmsg":"invalid access_token"}"#);
    assert_eq!(error(&[TOKEN, unknown, TOKEN, OK]), (None, 2));
    let text = |text: &str| Some(text.to_owned());
    let refused = r#"{"errcode":40001,"errmsg":"invalid credential"}"#;
    assert_eq!(error(&[(200, "", refused)]), (text("invalid APISecret for CorpID: wx"), 1));
    let unknown = r#"{"errcode":81013,"errmsg":"user unknown"}"#;
    assert_eq!(error(&[TOKEN, (200, "", unknown)]), (text("user unknown"), 1));
    let busy = r#"{"errcode":-1,"errmsg":"system busy"}"#;
    assert_eq!(error(&[TOKEN, (200, "", busy), OK]), (None, 2));
    assert_eq!(error(&[TOKEN, (200, "", "<html>"), OK]), (None, 2));
    let (failed, attempts) = error(&[(404, "", "")]);
    assert_eq!(failed, text("unexpected status code 404"));
    assert!(attempts > 1, "all but 200 is tried again, as upstream does");
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].wechat_configs[0]";
    for (item, expected) in [
        (
            "{message_type: x}",
            ".message_type: weChat message type \"x\" does not match valid options ^(text|markdown)$",
        ),
        (
            "{api_secret: a, api_secret_file: b}",
            ": at most one of api_secret & api_secret_file must be configured",
        ),
        ("{}", ": no global Wechat Api Secret set either inline or in a file"),
        ("{api_secret: a}", ": no global Wechat CorpID set"),
    ] {
        assert_eq!(fault("wechat", item), format!("{at}{expected}"));
    }
}
