//! Messages to rooms: Discord, Teams in both ways, Mattermost, Rocket.Chat. Slack has a file of
//! its own.

use super::{
    LINK, body, body_of, check_answers, check_refused, check_refused_in, outcome, resolved, sent,
    summary,
};

const DONE: (u16, &str, &str) = (200, "", "");
const SUMMARY: &str = "{{ .CommonAnnotations.summary }}";

fn text_at(body: &str, place: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    body.pointer(place).and_then(serde_json::Value::as_str).expect("text").to_owned()
}

#[test]
fn a_message_of_discord_is_upstreams_and_calls_nobody() {
    let item = format!("{{webhook_url: 'http://d/x', message: '{SUMMARY}'}}");
    let expected = |subject: &str, color: u32| {
        format!(
            "{{\"content\":\"\",\"embeds\":[{{\"title\":\"{subject} X \",\"description\":\
             \"\\u003cb\\u003e\\u0026\\r\\nBcc: evil@x\",\"color\":{color}}}],\
             \"allowed_mentions\":{{\"parse\":[]}}}}"
        )
    };
    assert_eq!(body("discord", &item, DONE), expected("[FIRING:2]", 10_038_562));
    assert_eq!(body_of("discord", &item, DONE, resolved), expected("[RESOLVED]", 3_066_993));
    // One that calls everybody itself is meant to.
    let item = "{webhook_url_file: f, content: '@everyone {{ .Status }}', title: t, message: m, \
                username: '{{ u }}', avatar_url: 'http://a'}";
    assert_eq!(
        body("discord", item, DONE),
        concat!(
            r#"{"content":"@everyone firing","embeds":[{"title":"t","description":"m","#,
            r#""color":10038562}],"username":"{{ u }}","avatar_url":"http://a"}"#,
        )
    );
}

#[test]
fn texts_of_discord_are_cut_to_its_limits() {
    for (key, place, max) in [
        ("content", "/content", 2_000),
        ("title", "/embeds/0/title", 256),
        ("message", "/embeds/0/description", 4_096),
    ] {
        for (len, marked) in [(max, false), (max + 1, true)] {
            let item = format!("{{webhook_url: 'http://x', {key}: '{}'}}", "\u{e9}".repeat(len));
            let text = text_at(&body("discord", &item, DONE), place);
            assert_eq!((text.chars().count(), text.ends_with('\u{2026}')), (max, marked), "{key}");
        }
    }
}

#[test]
fn what_discord_and_teams_refuse() {
    for kind in ["discord", "msteams", "msteamsv2"] {
        check_refused(
            kind,
            &[
                ("{}", "one of webhook_url or webhook_url_file must be configured"),
                (
                    "{webhook_url: 'http://x', webhook_url_file: y}",
                    "at most one of webhook_url & webhook_url_file must be configured",
                ),
                ("{webhook_url: 'http://'}", "missing host for URL"),
            ],
        );
        check_answers(
            kind,
            "{webhook_url: 'http://x'}",
            &[
                ((204, "", ""), ""),
                ((400, "", "bad"), "unexpected status code 400: bad"),
                ((429, "", ""), "again: unexpected status code 429"),
                ((502, "", ""), "again: unexpected status code 502"),
            ],
        );
        check_answers(
            kind,
            "{webhook_url_file: missing}",
            &[(DONE, "read webhook_url_file: could not read missing: entity not found")],
        );
        let broken = outcome(kind, "{webhook_url: 'http://x', title: '{{ nope }}'}", &[DONE]);
        assert_eq!((broken.attempts, broken.status, broken.error.is_some()), (1, None, true));
    }
}

#[test]
fn a_card_of_older_teams_is_upstreams() {
    let item = format!("{{webhook_url: 'http://t', text: '{SUMMARY}', summary: 's'}}");
    let expected = |subject: &str, color: &str| {
        format!(
            "{{\"@context\":\"http://schema.org/extensions\",\"type\":\"MessageCard\",\
             \"title\":\"{subject} X \",\"summary\":\"s\",\
             \"text\":\"\\u003cb\\u003e\\u0026\\r\\nBcc: evil@x\",\"themeColor\":\"{color}\"}}"
        )
    };
    assert_eq!(body("msteams", &item, DONE), expected("[FIRING:2]", "8C1A1A"));
    assert_eq!(body_of("msteams", &item, DONE, resolved), expected("[RESOLVED]", "2DC72D"));
}

#[test]
fn a_card_of_workflows_is_upstreams() {
    let item =
        format!("{{webhook_url: 'http://t', title: '{{{{ .Receiver }}}}', text: '{SUMMARY}'}}");
    let expected = |color: &str| {
        format!(
            "{}{color}{}",
            concat!(
                r#"{"type":"message","attachments":[{"#,
                r#""contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"#,
                r#""content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","#,
                r#""type":"AdaptiveCard","version":"1.2","body":[{"type":"TextBlock","text":"team","#,
                r#""weight":"Bolder","size":"Medium","wrap":true,"style":"heading","color":""#,
            ),
            concat!(
                r#""},{"type":"TextBlock","text":"\u003cb\u003e\u0026\r\nBcc: evil@x","wrap":true}],"#,
                r#""msteams":{"width":"full"}}}]}"#,
            )
        )
    };
    assert_eq!(body("msteamsv2", &item, DONE), expected("Attention"));
    assert_eq!(body_of("msteamsv2", &item, DONE, resolved), expected("Good"));
}

#[test]
fn cards_are_cut_to_what_teams_takes_at_once() {
    for (kind, place) in [("msteams", "/text"), ("msteamsv2", "/attachments/0/content/body/1/text")]
    {
        let item = format!("{{webhook_url: 'http://t', text: '{SUMMARY}'}}");
        for len in [30_000, 10_000] {
            let body = body_of(kind, &item, DONE, summary(&"<".repeat(len)));
            assert!((27 << 10..28 << 10).contains(&body.len()), "{}", body.len());
            assert!(text_at(&body, place).ends_with('\u{2026}'), "{kind}");
        }
        let body = body_of(kind, &item, DONE, summary(&"x".repeat(20_000)));
        assert_eq!(text_at(&body, place).len(), 20_000);
    }
}

#[test]
fn a_message_of_mattermost_is_upstreams() {
    let item = "{webhook_url: 'http://mm/x', channel: c, text: t}";
    let expected = |subject: &str, color: &str| {
        format!(
            "{{\"channel\":\"c\",\"username\":\"Alertmanager\",\"attachments\":[{{\
             \"fallback\":\"{subject} X  | {LINK}\",\"color\":\"{color}\",\"text\":\"t\",\
             \"title\":\"{subject} X \",\"title_link\":\"{LINK}\"}}]}}"
        )
    };
    assert_eq!(body("mattermost", item, DONE), expected("[FIRING:2]", "danger"));
    assert_eq!(body_of("mattermost", item, DONE, resolved), expected("[RESOLVED]", "good"));
    let item = format!("{{webhook_url: 'http://mm/x', channel: '{{{{ .Receiver }}}}', username: u,
        text: '{SUMMARY}', fallback: unused, icon_url: i, icon_emoji: e, type: custom, props: {{card: '{{{{ .Status }}}}'}},
        priority: {{priority: URGENT, requested_ack: true, persistent_notifications: true}},
        attachments: [{{fallback: f, color: c, pretext: p, text: x, author_name: n, author_link: l, author_icon: o,
          title: t, title_link: k, thumb_url: h, footer: r, footer_icon: q, image_url: m,
          fields: [{{title: a, value: 1}}, {{title: b, value: '{{{{ .Status }}}}', short: true}}]}}]}}");
    let expected = concat!(
        r#"{"text":"\u003cb\u003e\u0026\r\nBcc: evil@x","channel":"team","username":"u","#,
        r#""icon_url":"i","icon_emoji":"e","attachments":[{"fallback":"f","color":"c","#,
        r#""pretext":"p","text":"x","author_name":"n","author_link":"l","author_icon":"o","#,
        r#""title":"t","title_link":"k","fields":[{"title":"a","value":"1"},"#,
        r#"{"title":"b","value":"firing","short":true}],"thumb_url":"h","footer":"r","#,
        r#""footer_icon":"q","image_url":"m"}],"type":"custom","props":{"card":"firing"},"#,
        r#""priority":{"priority":"urgent","requested_ack":true,"persistent_notifications":true}}"#,
    );
    assert_eq!(body("mattermost", &item, DONE), expected);
}

#[test]
fn priorities_that_mattermost_would_refuse_are_made_ones_that_it_takes() {
    for (priority, expected) in [
        ("important", r#"{"priority":"important","requested_ack":true}"#),
        ("standard", r#"{"priority":"standard"}"#),
        ("whatever", r#"{"priority":"standard"}"#),
    ] {
        let item = format!(
            "{{webhook_url: 'http://x', priority: {{priority: {priority}, requested_ack: true, \
             persistent_notifications: true}}}}"
        );
        let body = body("mattermost", &item, DONE);
        assert!(body.ends_with(&format!(",\"priority\":{expected}}}")), "{body}");
    }
    let body =
        body("mattermost", "{webhook_url: 'http://x', priority: {requested_ack: true}}", DONE);
    assert!(!body.contains("priority"), "{body}");
}

#[test]
fn mattermost_s_limits_answers_and_refusals() {
    for (attachments, place) in
        [("", "/attachments/0/text"), (", attachments: [{text: a}]", "/text")]
    {
        let item = format!("{{webhook_url: 'http://x', text: '{SUMMARY}'{attachments}}}");
        let said = |text: &str| text_at(&body_of("mattermost", &item, DONE, summary(text)), place);
        assert_eq!(said(&"x".repeat(16_383)).len(), 16_383);
        assert_eq!(said(&"x".repeat(16_384)), format!("{}\u{2026}", "x".repeat(16_382)));
        assert_eq!(said("@all @Channel a@all"), "@\u{200d}all @\u{200d}Channel a@all");
    }
    check_answers(
        "mattermost",
        "{webhook_url: 'http://x', channel: c}",
        &[
            ((400, "", "no"), "channel \"c\": unexpected status code 400: no"),
            ((500, "", ""), "again: channel \"c\": unexpected status code 500"),
        ],
    );
    check_refused(
        "mattermost",
        &[
            ("{}", "missing webhook_url or webhook_url_file on mattermost_config"),
            (
                "{webhook_url: 'http://x', webhook_url_file: y}",
                "at most one of webhook_url & webhook_url_file must be configured",
            ),
            (
                "{webhook_url: 'http://x', fields: [{value: y}]}",
                "missing title in Mattermost field configuration",
            ),
            (
                "{webhook_url: 'http://x', attachments: [{fields: [{title: y}]}]}",
                "missing value in Mattermost field configuration",
            ),
        ],
    );
    check_refused_in("mattermost_webhook_url: 'http://x'", "mattermost", &[("{}", "")]);
}

#[test]
fn a_message_of_rocket_chat_is_upstreams() {
    let good = (200, "application/json", r#"{"success":true}"#);
    let item = "{api_url: 'http://rc/base/', token: t, token_id_file: u, channel: '#c'}";
    let sent = sent("rocketchat", item, good);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "http://rc/base/api/v1/chat.postMessage");
    assert_eq!(one.header("x-auth-token"), "t");
    assert_eq!(one.header("x-user-id"), "http://from-file/etc/watchbell/u");
    assert_eq!(
        one.body,
        format!(
            "{{\"channel\":\"#c\",\"attachments\":[{{\"title\":\"[FIRING:2] X \",\
             \"title_link\":\"{LINK}\",\"color\":\"red\"}}]}}\n"
        )
    );
    let item = format!("{{token: t, token_id: u, channel: c, text: '{SUMMARY}', title: t, title_link: l, color: x,
        emoji: ':e:', icon_url: i, image_url: m, thumb_url: h, short_fields: true, link_names: true,
        fields: [{{title: a, value: '{{{{ .Status }}}}'}}, {{title: b, value: c, short: false}}],
        actions: [{{type: other, text: go, url: 'http://u', image_url: n}},
          {{text: say, msg: '{{{{ .Status }}}}', msg_in_chat_window: true, msgprocessingtype: sendMessage}}]}}");
    let expected = concat!(
        r#"{"channel":"c","emoji":":e:","avatar":"i","attachments":[{"title":"t","title_link":"l","#,
        r#""text":"\u003cb\u003e\u0026\r\nBcc: evil@x","image_url":"m","thumb_url":"h","color":"x","#,
        r#""fields":[{"short":true,"title":"a","value":"firing"},"#,
        r#"{"short":false,"title":"b","value":"c"}],"#,
        r#""actions":[{"type":"button","text":"go","url":"http://u","is_webview":false,"#,
        r#""msg_in_chat_window":false},{"type":"button","text":"say","is_webview":false,"#,
        r#""msg":"firing","msg_in_chat_window":false}]}]}"#,
    );
    assert_eq!(body("rocketchat", &item, good), expected);
    let said = body_of("rocketchat", &item, good, summary("@all"));
    assert!(said.contains("\"text\":\"@\u{200d}all\""), "{said}");
    let item = format!("{{token: t, token_id: u, title: '{}'}}", "x".repeat(1_025));
    let title = text_at(&body("rocketchat", &item, good), "/attachments/0/title");
    assert_eq!(title, format!("{}\u{2026}", "x".repeat(1_023)));
}

#[test]
fn rocket_chat_s_answers_and_refusals() {
    let item = "{token: t, token_id: u, channel: c}";
    check_answers(
        "rocketchat",
        item,
        &[
            (
                (200, "", r#"{"success":false,"error":"no-such-room"}"#),
                "channel \"c\": error response from Rocketchat: no-such-room",
            ),
            ((401, "", "who"), "channel \"c\": unexpected status code 401: who"),
            ((500, "", ""), "again: channel \"c\": unexpected status code 500"),
        ],
    );
    let unread = outcome("rocketchat", item, &[(200, "", "<html>")]);
    assert!(unread.attempts > 1 && unread.error.is_some_and(|error| error.contains("unmarshal")));
    check_refused(
        "rocketchat",
        &[
            ("{token: t}", "no global Rocketchat TokenID set either inline or in a file"),
            ("{token_id: t}", "no global Rocketchat Token set either inline or in a file"),
            ("{token: t, token_file: f}", "at most one of token & token_file must be configured"),
            (
                "{token: t, token_id: a, token_id_file: f}",
                "at most one of token_id & token_id_file must be configured",
            ),
        ],
    );
    check_refused_in(
        "rocketchat_token: t, rocketchat_token_id_file: f",
        "rocketchat",
        &[("{}", "")],
    );
}
