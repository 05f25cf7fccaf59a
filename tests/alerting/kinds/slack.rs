//! Slack: web hooks, bots, messages that are kept up to date, calls to everybody.

use super::{
    LINK, body, body_of, check_answers, check_refused, check_refused_in, outcome, resolved, sent,
    sent_of, summary,
};
use crate::outside::{FakeHttp, run};
use std::time::Duration;
use watchbell::sys::http::Method;

const OK: (u16, &str, &str) = (200, "text/html", "ok");
const JSON: &str = "application/json; charset=utf-8";

#[test]
fn the_message_is_upstreams_byte_for_byte() {
    let expected = |word: &str, count: &str, color: &str| {
        format!(
            "{{\"channel\":\"#ops\",\"username\":\"Alertmanager\",\"attachments\":[{{\
             \"title\":\"[{word}{count}] X \",\"title_link\":\"{LINK}\",\"text\":\"\",\
             \"fallback\":\"[{word}{count}] X  | {LINK}\",\"callback_id\":\"\",\"footer\":\"\",\
             \"color\":\"{color}\",\"mrkdwn_in\":[\"fallback\",\"pretext\",\"text\"]}}]}}"
        )
    };
    let item = "{api_url: 'https://hooks/x', channel: '#ops'}";
    assert_eq!(body("slack", item, OK), expected("FIRING", ":2", "danger"));
    assert_eq!(body_of("slack", item, OK, resolved), expected("RESOLVED", "", "good"));
}

#[test]
fn every_field_is_a_template_and_what_is_empty_is_left_out() {
    let item = "{api_url: 'http://x', channel: '{{ .Receiver }}', username: u, color: c,
        title: 't<', title_link: l, pretext: p, text: '{{ .CommonAnnotations.summary }}',
        message_text: 'm{{ len .Alerts }}', footer: f, fallback: b, callback_id: i, icon_emoji: ':e:',
        icon_url: '', image_url: 'http://i', thumb_url: 'http://t', link_names: true, mrkdwn_in: [text],
        short_fields: true,
        fields: [{title: a, value: 7}, {title: b, value: '{{ .Status }}', short: false}],
        actions: [
          {type: button, text: go, url: 'http://go', name: n, value: v, confirm: {text: sure}},
          {type: button, text: say, name: n, value: v, style: danger, confirm: {text: sure, ok_text: y}}]}";
    let expected = concat!(
        r#"{"channel":"team","username":"u","icon_emoji":":e:","link_names":true,"text":"m2","#,
        r#""attachments":[{"title":"t\u003c","title_link":"l","pretext":"p","#,
        r#""text":"\u003cb\u003e\u0026\r\nBcc: evil@x","fallback":"b","callback_id":"i","#,
        r#""fields":[{"title":"a","value":"7","short":true},"#,
        r#"{"title":"b","value":"firing","short":false}],"#,
        r#""actions":[{"type":"button","text":"go","url":"http://go"},"#,
        r#"{"type":"button","text":"say","style":"danger","name":"n","value":"v","#,
        r#""confirm":{"text":"sure","ok_text":"y"}}],"#,
        r#""image_url":"http://i","thumb_url":"http://t","footer":"f","color":"c","#,
        r#""mrkdwn_in":["text"]}]}"#,
    );
    assert_eq!(body("slack", item, OK), expected);
}

#[test]
fn titles_and_texts_are_cut_to_what_slack_takes() {
    for (len, cut) in [(1_024, 1_024), (1_025, 1_023)] {
        let item = format!("{{api_url: 'http://x', title: '{}'}}", "\u{e9}".repeat(len));
        let body = body("slack", &item, OK);
        assert_eq!(body.matches('\u{e9}').count(), cut);
        assert_eq!(body.contains('\u{2026}'), len != cut);
    }
    let item = format!("{{api_url: 'http://x', text: '{}'}}", "\u{e9}".repeat(40_001));
    assert_eq!(body("slack", &item, OK).matches('\u{e9}').count(), 39_999);
}

#[test]
fn answers_mean_what_they_mean_to_upstream() {
    check_answers(
        "slack",
        "{api_url: 'http://x', channel: '#ops'}",
        &[
            (OK, ""),
            (
                (200, "text/html", "no_text"),
                "channel \"#ops\": received an error response from Slack: no_text",
            ),
            ((200, JSON, r#"{"ok":true}"#), ""),
            (
                (200, JSON, r#"{"ok":false,"error":"not_in_channel"}"#),
                "channel \"#ops\": error response from Slack: not_in_channel",
            ),
            (
                (404, "", "channel_not_found"),
                "channel \"#ops\": unexpected status code 404: channel_not_found",
            ),
            ((503, "", ""), "again: channel \"#ops\": unexpected status code 503"),
            ((429, "", ""), "again: channel \"#ops\": unexpected status code 429"),
        ],
    );
    let unread = outcome("slack", "{api_url: 'http://x'}", &[(200, JSON, "{"), (200, JSON, "{")]);
    assert!(unread.attempts > 1);
    assert!(unread.error.is_some_and(|error| {
        error.starts_with("channel \"\": could not unmarshal JSON response \"{\": ")
    }));
    // One that limits says when to come back.
    let http = FakeHttp::saying(&[(429, "", ""), OK]).retry_after(9);
    let (done, _) = run("{name: team, slack_configs: [{api_url: 'http://x'}]}", "slack", &http);
    assert_eq!((done.error, done.attempts), (None, 2));
    assert_eq!(http.sent().last().map(|one| one.at), Some(Duration::from_secs(9)));
}

#[test]
fn one_message_is_kept_up_to_date() {
    let item = "{api_url: 'https://slack.com/api/chat.postMessage', channel: '#ops', \
                update_message: true, http_config: {authorization: {credentials: t}}}";
    let said = (200, JSON, r#"{"ok":true,"channel":"C1","ts":"17.5"}"#);
    let first = outcome("slack", item, &[said]);
    let known = |(name, value): (&String, &String)| format!("{name}={value}");
    let data: Vec<_> = first.data.iter().map(known).collect();
    assert_eq!(data, ["channelId=C1", "threadTs=17.5"]);
    let sent = sent_of("slack", item, said, |delivery| delivery.data = first.data);
    let [update] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(
        (update.method, update.url.as_str()),
        (Method::Post, "https://slack.com/api/chat.update")
    );
    assert!(update.body.starts_with(r##"{"channel":"C1","ts":"17.5","username":"##), "{update:?}");
    // What is remembered is of no use to one that does not update.
    let other = outcome("slack", "{api_url: 'http://x'}", &[said]);
    assert_eq!(other.data.len(), 0);
}

#[test]
fn nobody_who_raises_an_alert_can_call_everybody() {
    let text = "{{ .CommonAnnotations.summary }}";
    let item = |more: &str| format!("{{api_url: 'http://x', text: '{text}'{more}}}");
    let calling = || summary("<!channel> @here");
    let body = body_of("slack", &item(""), OK, calling());
    assert!(body.contains("\"text\":\"\\u003c\u{200b}!channel\\u003e @\u{200d}here\""), "{body}");
    // A receiver that does so itself is meant to.
    let body = body_of("slack", &item(", message_text: '<!here>'"), OK, calling());
    assert!(body.contains("\"text\":\"\\u003c!channel\\u003e @here\""), "{body}");
}

#[test]
fn a_field_that_cannot_be_expanded_is_empty_and_the_rest_is_told() {
    let item = "{api_url: 'http://x', text: '{{ .Nope.Nope }}', footer: f}";
    let body = body("slack", item, OK);
    assert!(body.contains(r#""text":"","fallback":"[FIRING:2] X "#), "{body}");
    assert!(body.contains(r#""footer":"f""#), "{body}");
}

#[test]
fn hooks_and_tokens_come_from_files_and_from_global() {
    let url = |item: &str| sent("slack", item, OK).first().map(|one| one.url.clone());
    let file = url("{api_url_file: hook.txt}");
    assert_eq!(file.as_deref(), Some("http://from-file/etc/watchbell/hook.txt"));
    let bot = url("{app_token: t, app_url: 'http://bots'}");
    assert_eq!(bot.as_deref(), Some("http://bots"));
    let bot = url("{app_token_file: token.txt}");
    assert_eq!(bot.as_deref(), Some("https://slack.com/api/chat.postMessage"));
    check_refused_in("slack_app_token: t", "slack", &[("{}", "")]);
    check_refused_in("slack_api_url_file: f", "slack", &[("{}", "")]);
    check_refused_in(
        "slack_app_token: t, http_config: {authorization: {credentials: c}}",
        "slack",
        &[
            ("{}", "http authorization can't be set when using Slack App tokens"),
            ("{api_url: 'http://x'}", ""),
        ],
    );
}

#[test]
fn what_upstream_refuses_is_refused() {
    let one_of_both =
        "at most one of api_url/api_url_file & app_token/app_token_file must be configured";
    check_refused(
        "slack",
        &[
            ("{}", "no Slack API URL nor App token set either inline or in a file"),
            (
                "{api_url: 'http://x', api_url_file: y}",
                "at most one of api_url & api_url_file must be configured",
            ),
            (
                "{app_token: x, app_token_file: y}",
                "at most one of app_token & app_token_file must be configured",
            ),
            ("{api_url: 'http://x', app_token: y}", one_of_both),
            ("{api_url_file: x, app_token_file: y}", one_of_both),
            ("{api_url: 'ftp://x'}", "unsupported scheme \"ftp\" for URL"),
            ("{api_url: '<secret>'}", ""),
            (
                "{api_url: 'http://x', update_message: true}",
                "update_message can only be used with bot tokens. api_url must be set to \
                 https://slack.com/api/chat.postMessage",
            ),
            (
                "{api_url: 'http://x', fields: [{value: y}]}",
                "missing title in Slack field configuration",
            ),
            (
                "{api_url: 'http://x', fields: [{title: y}]}",
                "missing value in Slack field configuration",
            ),
            (
                "{api_url: 'http://x', actions: [{text: y}]}",
                "missing type in Slack action configuration",
            ),
            (
                "{api_url: 'http://x', actions: [{type: y}]}",
                "missing text in Slack action configuration",
            ),
            (
                "{api_url: 'http://x', actions: [{type: y, text: z}]}",
                "missing name or url in Slack action configuration",
            ),
            (
                "{api_url: 'http://x', actions: [{type: y, text: z, name: n, confirm: {title: t}}]}",
                "missing text in Slack confirmation configuration",
            ),
        ],
    );
}
