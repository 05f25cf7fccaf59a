//! Targets, rules, alerts, facts about the server, and what only watchbell tells.

use super::answer::{json, success};
use super::message::Response;
use super::params::{Params, invalid};
use super::route::Asked;
use crate::model::Labels;
use crate::wire::{
    Error, MatcherForm, RuleKind, RulesPage, RulesRequest, TargetState, TargetsAnswer,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Upstream's default and largest length of each list of `status/tsdb`.
const TSDB_LIMIT: usize = 10;
const TSDB_LIMIT_MAX: usize = 10_000;
/// Bytes of the labels of a target, as JSON: they are answered once for each rule.
const RELABEL_LABELS_BYTES_MAX: usize = 64 << 10;
/// VictoriaMetrics' length of each list of top queries.
const TOP_LIMIT: usize = 20;
/// How long a screen waits for a change when it does not say.
const CHANGES_WAIT: Duration = Duration::from_secs(30);
/// Longer waits would be cut by proxies.
const CHANGES_WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) fn targets(asked: &Asked) -> Result<Response, Error> {
    let state = asked.params.get("state").unwrap_or("any").to_ascii_lowercase();
    let state = match state.as_str() {
        "any" => TargetState::Any,
        "active" => TargetState::Active,
        "dropped" => TargetState::Dropped,
        // Upstream shows nothing for a word it does not know.
        _ => return Ok(success(TargetsAnswer::default())),
    };
    Ok(success(asked.core().targets(state, asked.params.get("scrapePool"))?))
}

/// What a job's rules make of the labels that are sent as a JSON object.
pub(super) fn relabel_steps(asked: &Asked) -> Result<Response, Error> {
    let param = |name: &'static str| {
        let value = asked.params.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Error::bad_data(format!("no {name} parameter provided")))
    };
    let (pool, labels) = (param("scrapePool")?, param("labels")?);
    if labels.len() > RELABEL_LABELS_BYTES_MAX {
        let text = format!("error parsing labels: longer than {RELABEL_LABELS_BYTES_MAX} bytes");
        return Err(Error::bad_data(text));
    }
    let labels: BTreeMap<String, String> = serde_json::from_str(labels)
        .map_err(|err| Error::bad_data(format!("error parsing labels: {err}")))?;
    Ok(success(asked.core().relabel_steps(pool, &Labels::from_pairs(labels))?))
}

pub(super) fn active_queries(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().active_queries()?))
}

pub(super) fn top_queries(asked: &Asked) -> Result<Response, Error> {
    let limit = match asked.params.limit()? {
        0 => TOP_LIMIT,
        limit => limit,
    };
    Ok(success(asked.core().top_queries(limit)?))
}

pub(super) fn cancel_query(asked: &Asked) -> Result<Response, Error> {
    asked.core().cancel_query(&asked.slug)?;
    Ok(Response::empty(204))
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ScrapePools {
    scrape_pools: Vec<String>,
}

pub(super) fn scrape_pools(asked: &Asked) -> Result<Response, Error> {
    Ok(success(ScrapePools { scrape_pools: asked.core().scrape_pools()? }))
}

pub(super) fn rules(asked: &Asked) -> Result<Response, Error> {
    let params = &asked.params;
    let kind = match params.get("type").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("alert") => Some(RuleKind::Alerting),
        Some("record") => Some(RuleKind::Recording),
        Some(other) => return Err(invalid("type", &format!("not supported value {other:?}"))),
    };
    let exclude_alerts = params.flag("exclude_alerts").map_err(|text| {
        let wrong = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
        invalid("exclude_alerts", &format!("error converting exclude_alerts: {wrong}"))
    })?;
    let list = |name: &'static str| params.all(name).map(str::to_owned).collect();
    let request = RulesRequest {
        kind,
        rule_names: list("rule_name[]"),
        rule_groups: list("rule_group[]"),
        files: list("file[]"),
        matchers: params.narrow_selectors(asked.core())?,
        exclude_alerts: exclude_alerts.unwrap_or(false),
        // Ours alone: clients that compare answers with Prometheus' do not ask.
        limits: params.get("watchbell_limits") == Some("true"),
        evaluations: params.get("watchbell_evaluations") == Some("true"),
        page: rules_page(params)?,
    };
    Ok(success(asked.core().rules(&request)?))
}

/// Which part of the groups is asked for.
/// Source: prometheus/prometheus, web/api/v1/api.go (parseListRulesPaginationRequest).
fn rules_page(params: &Params) -> Result<Option<RulesPage>, Error> {
    let token = params.get("group_next_token").map(str::to_owned);
    let wrong = |text: &str| invalid("group_limit", text);
    match params.get("group_limit") {
        None if token.is_some() => {
            let text = "group_limit needs to be present in order to paginate over the groups";
            Err(invalid("group_next_token", text))
        }
        None => Ok(None),
        Some(text) => match text.parse::<i32>().map(usize::try_from) {
            Ok(Ok(limit)) if limit > 0 => Ok(Some(RulesPage { limit, token })),
            Ok(_) => Err(wrong("group_limit needs to be greater than 0")),
            Err(_) => {
                let text = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                Err(wrong(&format!("group_limit needs to be a valid number: {text}")))
            }
        },
    }
}

pub(super) fn alerts(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().alerts()?))
}

pub(super) fn alertmanagers(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().alertmanagers()?))
}

pub(super) fn config(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().config()?))
}

pub(super) fn flags(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().flags()?))
}

pub(super) fn runtime_info(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().runtime_info()?))
}

pub(super) fn build_info(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().build_info()?))
}

pub(super) fn tsdb(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().tsdb_status(ranking_limit(asked)?)?))
}

/// What the store holds.
pub(super) fn storage(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().storage_report(ranking_limit(asked)?)?))
}

fn ranking_limit(asked: &Asked) -> Result<usize, Error> {
    match asked.params.get("limit").map(str::parse::<usize>) {
        None => Ok(TSDB_LIMIT),
        Some(Ok(limit)) if (1..=TSDB_LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => {
            let text = format!("limit must be a positive number up to {TSDB_LIMIT_MAX}");
            Err(Error::bad_data(text))
        }
    }
}

pub(super) fn wal_replay(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().wal_replay()?))
}

/// What clients may rely on beyond the version: category, feature, whether it is there.
pub(super) fn features(asked: &Asked) -> Result<Response, Error> {
    let settings = &asked.api.settings;
    let api = [
        ("admin", settings.enable_admin),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", settings.enable_lifecycle),
        ("otlp_write_receiver", settings.enable_otlp),
        ("query_warnings", true),
        ("remote_write_receiver", settings.enable_remote_write),
        ("time_range_labels", true),
        ("time_range_series", true),
    ];
    let mut features = asked.core().language()?;
    features.insert("api".to_owned(), api.map(|(name, is_on)| (name.to_owned(), is_on)).into());
    Ok(success(features))
}

pub(super) fn watch_status(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().status()?))
}

pub(super) fn watch_alerts(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().alert_rows()?))
}

pub(super) fn watch_changes(asked: &Asked) -> Result<Response, Error> {
    let after = match asked.params.get("after").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => return Err(invalid("after", "a whole number is wanted")),
    };
    let wait = asked.params.span("timeout")?.unwrap_or(CHANGES_WAIT).min(CHANGES_WAIT_MAX);
    Ok(success(asked.core().changes_after(after, wait)?))
}

/// A selector or an alert filter taken apart: `client` has no parser of its own.
pub(super) fn watch_matchers(asked: &Asked) -> Result<Response, Error> {
    let (core, params) = (asked.core(), &asked.params);
    let found = if let Some(selector) = params.get("selector") {
        core.parse_matchers(selector)?
    } else if let Some(filter) = params.get("filter") {
        core.parse_alert_matchers(filter)?
    } else if let Some(matcher) = params.all("matcher").next() {
        vec![core.parse_alert_matcher(matcher)?]
    } else {
        return Err(Error::bad_data("no selector, filter or matcher parameter provided"));
    };
    Ok(success(found.iter().map(MatcherForm::from).collect::<Vec<_>>()))
}

/// Versions without the envelope, as `/version` has them.
pub(super) fn bare_version(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().build_info()?))
}
