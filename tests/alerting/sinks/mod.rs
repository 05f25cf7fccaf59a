//! Receivers of `watchbell.receivers` and those of `alertmanager.yml` that have no like in
//! Debian's Alertmanager, as their sinks see them.

mod canary;
mod exec;
mod file;
mod gotify;
mod hostile;
mod jira;
mod matrix;
mod ntfy;
mod sns;
mod syslog;
mod wechat;

use crate::outside::{FakeHttp, delivery, drive, outside};
use std::sync::Arc;
use watchbell::alerts::{Delivery, DeliveryOutcome, Options};
use watchbell::notify::config::{Allowed, File};
use watchbell::notify::{Receivers, Templates};
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim_local::ScriptedLocal;

/// What the site allows in these tests.
fn allowed() -> Allowed {
    Allowed {
        commands: vec!["/usr/bin/page".into(), "relative".into()],
        files: vec!["/var/log/alerts".into()],
    }
}

/// Whether a kind belongs to `watchbell.receivers`.
fn own_kind(kind: &str) -> bool {
    ["exec", "ntfy", "gotify", "matrix", "syslog", "file"].contains(&kind)
}

/// Checks an item of `<kind>_configs`, of either file, and gives the first fault.
pub(crate) fn fault(kind: &str, item: &str) -> String {
    let problems = checked(kind, item).expect_err("refused");
    problems.first().cloned().unwrap_or_default()
}

/// The receiver `team` with this item of `<kind>_configs`.
fn checked(
    kind: &str,
    item: &str,
) -> Result<Vec<watchbell::notify::config::Receiver>, Vec<String>> {
    let told = |problems: Vec<watchbell::model::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let item = format!("{{name: team, {kind}_configs: [{item}]}}");
    let own = own_kind(kind);
    let receiver = if own { "{name: team}" } else { item.as_str() };
    let yaml = format!("{{route: {{receiver: team}}, receivers: [{receiver}]}}");
    let file: File = serde_yaml::from_str(&yaml).map_err(|err| vec![err.to_string()])?;
    let mut receivers = Vec::new();
    if own {
        let item = serde_yaml::from_str(&item).map_err(|err| vec![err.to_string()])?;
        receivers = file.check_own(&[item], &allowed()).map_err(told)?.receivers;
    }
    let checked = file.check_with(receivers, &Options::default()).map_err(told)?;
    assert_eq!(checked.warnings, []);
    Ok(checked.receivers)
}

/// Gives a delivery about two firing alerts to an item of `<kind>_configs`; each pause passes at
/// once.
pub(crate) fn send(
    kind: &str,
    item: &str,
    http: &FakeHttp,
    local: &ScriptedLocal,
) -> DeliveryOutcome {
    send_this(&delivery("team", kind), item, http, local)
}

/// The body of the last request, as JSON.
fn body(http: &FakeHttp) -> serde_json::Value {
    let sent = http.sent();
    serde_json::from_str(&sent.last().expect("sent").body).expect("JSON")
}

/// The delivery that tells that both alerts are over.
fn resolved(kind: &str) -> Delivery {
    let mut delivery = delivery("team", kind);
    for alert in &mut delivery.notification.alerts {
        alert.ends_at = Some(delivery.notification.at);
    }
    delivery
}

/// The same with this delivery.
pub(crate) fn send_this(
    delivery: &Delivery,
    item: &str,
    http: &FakeHttp,
    local: &ScriptedLocal,
) -> DeliveryOutcome {
    let receivers = checked(&delivery.integration.kind, item).expect("valid");
    let (mut outside, clock) = outside(http.clone());
    outside.local = Arc::new(local.clone());
    let templates = Templates::new(&[]).expect("templates");
    let (receivers, problems) = Receivers::new(&receivers, templates, outside, &Registry::new());
    assert_eq!(problems, []);
    drive(&clock, receivers.deliver(delivery))
}
