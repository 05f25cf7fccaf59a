//! Every path, its verbs and what answers it.

use super::answer::{alert_failure, compress, failure};
use super::guard::{check_change, check_host};
use super::lanes::Lane;
use super::message::{Origin, Request, Response};
use super::params::{Params, unescape};
use super::{
    Api, alertmanager, alertmanager_read, lifecycle, pages, probe, push, query, series, status,
    watch,
};
use crate::sys::tasks;
use crate::wire::{Call, Core, Error, ErrorKind, Readiness};
use std::sync::Arc;
use std::time::Duration;

/// A request on its way to its handler.
pub(super) struct Asked<'a> {
    pub(super) api: &'a Api,
    pub(super) request: &'a Request,
    pub(super) params: Params,
    /// The part of the path that stands for itself: a label's name, a silence's id.
    pub(super) slug: String,
}

impl Asked<'_> {
    pub(super) fn core(&self) -> &dyn Core {
        self.api.core.as_ref()
    }

    /// The call behind the request: its deadline and whether anybody still waits.
    pub(super) fn call(&self, timeout: Option<Duration>) -> Call {
        let longest = self.api.settings.query_timeout;
        Call {
            timeout: timeout.map_or(longest, |asked| asked.min(longest)),
            canceled: Arc::clone(&self.request.canceled),
            client: self.request.origin.client(),
            kept: self.request.kept.clone(),
            hurry: self.request.hurry.clone(),
        }
    }

    /// Whether the caller may administer without a flag.
    pub(super) fn is_trusted(&self) -> bool {
        self.request.origin == Origin::Socket
    }
}

type Handler = fn(&Asked) -> Result<Response, Error>;

/// One path.
pub(super) struct Route {
    /// Segments; one that begins with a colon takes any text, and a star at the end takes the rest.
    pattern: &'static str,
    verbs: &'static [&'static str],
    handler: Handler,
    pub(super) lane: Lane,
    /// Whether it changes anything.
    changes: bool,
    /// Whether it is refused until the log is read.
    waits: bool,
}

const GET: &[&str] = &["GET"];
const GET_POST: &[&str] = &["GET", "POST"];
const GET_HEAD: &[&str] = &["GET", "HEAD"];
const POST: &[&str] = &["POST"];
const POST_PUT: &[&str] = &["POST", "PUT"];
const PUT: &[&str] = &["PUT"];
const PUT_POST_DELETE: &[&str] = &["PUT", "POST", "DELETE"];
const DELETE: &[&str] = &["DELETE"];

const fn read(
    pattern: &'static str,
    verbs: &'static [&'static str],
    lane: Lane,
    handler: Handler,
) -> Route {
    Route { pattern, verbs, handler, lane, changes: false, waits: true }
}

/// Answers also while the log is read.
const fn early(pattern: &'static str, verbs: &'static [&'static str], handler: Handler) -> Route {
    Route { pattern, verbs, handler, lane: Lane::Cheap, changes: false, waits: false }
}

const fn change(
    pattern: &'static str,
    verbs: &'static [&'static str],
    lane: Lane,
    handler: Handler,
) -> Route {
    Route { pattern, verbs, handler, lane, changes: true, waits: true }
}

/// Prometheus' paths and our own.
static ROUTES: &[Route] = &[
    read("/api/v1/query", GET_POST, Lane::Query { small: true }, query::instant),
    read("/api/v1/query_range", GET_POST, Lane::Query { small: false }, query::range),
    read("/api/v1/query_exemplars", GET_POST, Lane::Cheap, query::exemplars),
    read("/api/v1/format_query", GET_POST, Lane::Cheap, query::format),
    read("/api/v1/parse_query", GET_POST, Lane::Cheap, query::parse),
    read("/api/v1/series", GET_POST, Lane::Heavy, series::series),
    read("/api/v1/series", DELETE, Lane::Cheap, series::drop_series),
    read("/api/v1/labels", GET_POST, Lane::Heavy, series::label_names),
    read("/api/v1/label/:name/values", GET, Lane::Heavy, series::label_values),
    read("/api/v1/metadata", GET, Lane::Cheap, series::metadata),
    read("/api/v1/targets", GET, Lane::Cheap, status::targets),
    read("/api/v1/targets/metadata", GET, Lane::Cheap, series::targets_metadata),
    read("/api/v1/targets/relabel_steps", GET, Lane::Cheap, status::relabel_steps),
    read("/api/v1/scrape_pools", GET, Lane::Cheap, status::scrape_pools),
    read("/api/v1/rules", GET, Lane::Cheap, status::rules),
    read("/api/v1/alerts", GET, Lane::Cheap, status::alerts),
    read("/api/v1/alertmanagers", GET, Lane::Cheap, status::alertmanagers),
    early("/api/v1/status/config", GET, status::config),
    early("/api/v1/status/flags", GET, status::flags),
    early("/api/v1/status/runtimeinfo", GET, status::runtime_info),
    early("/api/v1/status/buildinfo", GET, status::build_info),
    read("/api/v1/status/tsdb", GET, Lane::Heavy, status::tsdb),
    early("/api/v1/status/walreplay", GET, status::wal_replay),
    early("/api/v1/features", GET, status::features),
    // Short, and not to wait behind heavy queries: agents give up.
    change("/api/v1/write", POST, Lane::Cheap, lifecycle::write),
    change("/api/v1/otlp/v1/metrics", POST, Lane::Cheap, lifecycle::otlp_write),
    change("/api/v1/admin/tsdb/compact", POST_PUT, Lane::Heavy, lifecycle::compact),
    change("/api/v1/import/openmetrics", POST, Lane::Heavy, lifecycle::import),
    change("/api/v1/watchbell/backfill", POST, Lane::Heavy, lifecycle::backfill),
    read("/api/v1/watchbell/backfill", GET, Lane::Wait, lifecycle::backfill_progress),
    read("/api/v1/watchbell/storage", GET, Lane::Heavy, status::storage),
    change("/api/v1/admin/tsdb/delete_series", POST_PUT, Lane::Heavy, lifecycle::delete_series),
    change(
        "/api/v1/admin/tsdb/clean_tombstones",
        POST_PUT,
        Lane::Heavy,
        lifecycle::clean_tombstones,
    ),
    change("/api/v1/admin/tsdb/snapshot", POST_PUT, Lane::Heavy, lifecycle::snapshot),
    read("/api/v1/watchbell/hints", GET_POST, Lane::Heavy, query::hints),
    early("/api/v1/watchbell/status", GET, status::watch_status),
    read("/api/v1/watchbell/alerts", GET, Lane::Cheap, status::watch_alerts),
    read("/api/v1/watchbell/history", GET, Lane::Heavy, watch::history),
    change("/api/v1/watchbell/ack", POST, Lane::Cheap, watch::acknowledge),
    change("/api/v1/watchbell/ack/:id", DELETE, Lane::Cheap, watch::withdraw_ack),
    change("/api/v1/watchbell/receivers/:name/test", POST, Lane::Heavy, watch::test_receiver),
    change("/api/v1/watchbell/drills", POST, Lane::Cheap, watch::begin_drill),
    read("/api/v1/watchbell/drills/:id", GET, Lane::Heavy, watch::drill),
    change("/api/v1/watchbell/drills/:id", DELETE, Lane::Heavy, watch::end_drill),
    read("/api/v1/watchbell/routes/test", POST, Lane::Cheap, watch::route_test),
    read("/api/v1/watchbell/routes/groups", POST, Lane::Cheap, watch::grouping_preview),
    early("/api/v1/watchbell/matchers", GET, status::watch_matchers),
    read("/api/v1/watchbell/active_queries", GET, Lane::Cheap, status::active_queries),
    read("/api/v1/watchbell/top_queries", GET, Lane::Cheap, status::top_queries),
    change("/api/v1/watchbell/cancel_query/:id", POST_PUT, Lane::Cheap, status::cancel_query),
    Route {
        pattern: "/api/v1/watchbell/changes",
        verbs: GET,
        handler: status::watch_changes,
        lane: Lane::Wait,
        changes: false,
        waits: false,
    },
    read("/probe", GET, Lane::Probe, probe::probe),
    early("/-/healthy", GET_HEAD, lifecycle::healthy),
    early("/-/ready", GET_HEAD, lifecycle::ready),
    change("/-/reload", POST_PUT, Lane::Cheap, lifecycle::reload),
    change("/-/quit", POST_PUT, Lane::Cheap, lifecycle::quit),
    early("/metrics", GET, lifecycle::metrics),
    early("/version", GET, lifecycle::version),
    early("/", GET, pages::front),
    read("/graph", GET, Lane::Query { small: true }, pages::graph),
    change("/metrics/job/*", PUT_POST_DELETE, Lane::Cheap, push::push),
    change("/metrics/job@base64/*", PUT_POST_DELETE, Lane::Cheap, push::push_base64),
    read("/api/v1/metrics", GET, Lane::Heavy, push::groups),
    early("/api/v1/status", GET, push::status),
    change("/api/v1/admin/wipe", PUT, Lane::Cheap, push::wipe),
];

/// The Pushgateway's paths below `/pushgateway`; those that Prometheus does not have are at the
/// root too, where clients expect them.
static PUSH_ROUTES: &[Route] = &[
    change("/metrics/job/*", PUT_POST_DELETE, Lane::Cheap, push::push),
    change("/metrics/job@base64/*", PUT_POST_DELETE, Lane::Cheap, push::push_base64),
    read("/metrics", GET, Lane::Heavy, push::metrics),
    read("/api/v1/metrics", GET, Lane::Heavy, push::groups),
    early("/api/v1/status", GET, push::status),
    change("/api/v1/admin/wipe", PUT, Lane::Cheap, push::wipe),
    early("/-/healthy", GET_HEAD, lifecycle::alert_ok),
    early("/-/ready", GET_HEAD, lifecycle::alert_ok),
    early("/", GET, pages::front),
];

/// Alertmanager's paths, below `/alertmanager` and, for `/api/v2`, at the root.
static ALERT_ROUTES: &[Route] = &[
    early("/api/v2/status", GET, alertmanager_read::status),
    read("/api/v2/receivers", GET, Lane::Cheap, alertmanager_read::receivers),
    read("/api/v2/alerts", GET, Lane::Cheap, alertmanager_read::alerts),
    change("/api/v2/alerts", POST, Lane::Cheap, alertmanager::post_alerts),
    read("/api/v2/alerts/groups", GET, Lane::Cheap, alertmanager_read::groups),
    read("/api/v2/silences", GET, Lane::Cheap, alertmanager_read::silences),
    change("/api/v2/silences", POST, Lane::Cheap, alertmanager::post_silence),
    read("/api/v2/silence/:id", GET, Lane::Cheap, alertmanager_read::silence),
    change("/api/v2/silence/:id", DELETE, Lane::Cheap, alertmanager::expire_silence),
    early("/-/healthy", GET_HEAD, lifecycle::alert_ok),
    early("/-/ready", GET_HEAD, lifecycle::alert_ok),
    change("/-/reload", POST_PUT, Lane::Cheap, lifecycle::reload),
    early("/metrics", GET, lifecycle::metrics),
    early("/", GET, pages::front),
];

/// A longer body is no small query's.
const QUICK_BODY_BYTES: usize = 4 << 10;

/// Answers one request. Blocks as long as the core does; never fails, and a panic in it is a 500.
pub fn handle(api: &Api, request: &Request) -> Response {
    let started = api.clock.elapsed();
    let answered = tasks::guarded("http request", || {
        let (handler, response) = dispatch(api, request);
        if request.hurry.was_given_up() {
            return (handler, response);
        }
        (handler, compress(request, cors(api, request, response)))
    });
    let broken = || ("/", Response::text(500, "internal error; the log says more\n"));
    let (handler, response) = answered.unwrap_or_else(broken);
    if !request.hurry.was_given_up() {
        let took = api.clock.elapsed().saturating_sub(started);
        api.counts.count(handler, &response, took);
    }
    response
}

/// Whether it is a query that may be answered at once: then `handle` is asked to hurry first.
pub(super) fn may_be_quick(api: &Api, request: &Request) -> bool {
    let Some(place) = Place::of(api, &request.path) else { return false };
    let mut routes = place.routes();
    routes.any(|(route, _)| matches!(route.lane, Lane::Query { .. }))
        && request.body.len() <= QUICK_BODY_BYTES
}

/// The lane that a request belongs in.
pub(super) fn lane(api: &Api, request: &Request) -> Lane {
    let Some(place) = Place::of(api, &request.path) else { return Lane::Cheap };
    let fitting = place.routes().find(|(route, _)| route.verbs.contains(&request.method.as_str()));
    match fitting.map(|(route, _)| route.lane) {
        Some(Lane::Query { small }) => Lane::Query { small: small && query::is_small(request) },
        Some(lane) => lane,
        None => Lane::Cheap,
    }
}

/// Whose paths are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    Prometheus,
    Alertmanager,
    Pushgateway,
}

/// A path without prefixes, and the table it is looked up in.
struct Place<'a> {
    path: &'a str,
    kin: Kin,
}

impl<'a> Place<'a> {
    fn of(api: &Api, path: &'a str) -> Option<Self> {
        let prefix = api.settings.route_prefix.trim_end_matches('/');
        let path = path.strip_prefix(prefix)?;
        let homes = [("/alertmanager", Kin::Alertmanager), ("/pushgateway", Kin::Pushgateway)];
        for (home, kin) in homes {
            if let Some(rest) = path.strip_prefix(home)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                let path = if rest.is_empty() { "/" } else { rest };
                return Some(Self { path, kin });
            }
        }
        let at_root = path.starts_with("/api/v2/");
        Some(Self { path, kin: if at_root { Kin::Alertmanager } else { Kin::Prometheus } })
    }

    /// Whether it is one of Alertmanager's API.
    fn is_v2(&self) -> bool {
        self.kin == Kin::Alertmanager && self.path.starts_with("/api/v2/")
    }

    fn routes(&self) -> impl Iterator<Item = (&'static Route, &'a str)> {
        let table = match self.kin {
            Kin::Prometheus => ROUTES,
            Kin::Alertmanager => ALERT_ROUTES,
            Kin::Pushgateway => PUSH_ROUTES,
        };
        // Alertmanager's router cleans paths.
        let path = if self.is_v2() { self.path.trim_end_matches('/') } else { self.path };
        table.iter().filter_map(move |route| Some((route, fits(route.pattern, path)?)))
    }
}

/// The part of `path` that the pattern's open segment takes, or the rest that its star takes; empty
/// without one.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    if let Some(head) = pattern.strip_suffix('*') {
        // The one sign in these patterns that clients may escape.
        let escaped = || path.strip_prefix(head.replace('@', "%40").as_str());
        return path.strip_prefix(head).or_else(escaped);
    }
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    let mut slug = "";
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(slug),
            (Some(open), Some(text)) if open.starts_with(':') && !text.is_empty() => slug = text,
            (Some(one), Some(other)) if one == other => {}
            (Some(_) | None, Some(_)) | (Some(_), None) => return None,
        }
    }
}

/// The pattern for the metrics, and the answer.
fn dispatch(api: &Api, request: &Request) -> (&'static str, Response) {
    let (pattern, response) = answered(api, request);
    let place = Place::of(api, &request.path);
    match place.is_some_and(|place| place.is_v2()) {
        true => (pattern, response.with("cache-control", "no-store")),
        false => (pattern, response),
    }
}

fn answered(api: &Api, request: &Request) -> (&'static str, Response) {
    const NONE: &str = "/";
    if let Err(refused) = check_host(&api.settings, request) {
        return (NONE, refused);
    }
    let Some(place) = Place::of(api, &request.path) else {
        return (NONE, Response::text(404, "404 page not found\n"));
    };
    if place.kin == Kin::Alertmanager && place.path.starts_with("/api/v1/") {
        let text = "the Alertmanager v1 API was deprecated in version 0.16.0 and is removed since version 0.27.0; use /api/v2\n";
        return (NONE, Response::text(410, text));
    }
    if request.method == "OPTIONS" && place.path.starts_with("/api/v1/") {
        return (NONE, Response::empty(204));
    }
    let mut verbs = Vec::new();
    for (route, slug) in place.routes() {
        if route.verbs.contains(&request.method.as_str()) {
            return (route.pattern, run(api, request, route, slug, place.kin == Kin::Alertmanager));
        }
        verbs.extend(route.verbs);
    }
    (NONE, unrouted(&place, request, &verbs))
}

fn unrouted(place: &Place, request: &Request, verbs: &[&str]) -> Response {
    let v2 = place.is_v2();
    if verbs.is_empty() && v2 {
        let text = format!("path {} was not found", place.path);
        return alertmanager::validation(404, 404, &text);
    }
    if verbs.is_empty() {
        return Response::text(404, "404 page not found\n");
    }
    let allowed = verbs.join(", ");
    let response = if v2 {
        let text =
            format!("method {} is not allowed, but [{}] are", request.method, verbs.join(","));
        alertmanager::validation(405, 405, &text)
    } else {
        Response::text(405, "Method Not Allowed\n")
    };
    response.with("allow", allowed)
}

fn run(api: &Api, request: &Request, route: &Route, slug: &str, alerting: bool) -> Response {
    if route.changes
        && let Err(refused) = check_change(&api.settings, request)
    {
        return refused;
    }
    if route.waits && !matches!(api.core.readiness(), Readiness::Ready) {
        return lifecycle::not_ready(&api.core.readiness());
    }
    let Some(slug) = unescape(slug.as_bytes(), false) else {
        return Response::text(400, "the path has a broken escape\n");
    };
    let asked = Asked { api, request, params: Params::of(request), slug };
    match (route.handler)(&asked) {
        Ok(response) => response,
        Err(err) if alerting => alert_failure(&err),
        Err(err) => failure(&err),
    }
}

fn cors(api: &Api, request: &Request, response: Response) -> Response {
    let (Some(allowed), Some(origin)) = (&api.settings.cors_origin, request.header("origin"))
    else {
        return response;
    };
    if !allowed.is_match(origin) {
        return response;
    }
    response
        .with("access-control-allow-headers", "Accept, Authorization, Content-Type, Origin")
        .with("access-control-allow-methods", "GET, POST, OPTIONS")
        .with("access-control-allow-origin", origin)
        .with("access-control-expose-headers", "Date")
        .with("vary", "Origin")
}

/// The answer when all threads are busy.
pub(super) fn overloaded() -> Response {
    failure(&Error::new(ErrorKind::Busy, "too many requests are running; try again in a moment"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_take_one_segment_and_no_more() {
        for (pattern, path, slug) in [
            ("/api/v1/label/:name/values", "/api/v1/label/job/values", Some("job")),
            ("/api/v1/label/:name/values", "/api/v1/label/a%2Fb/values", Some("a%2Fb")),
            ("/api/v1/label/:name/values", "/api/v1/label/a/b/values", None),
            ("/api/v1/label/:name/values", "/api/v1/label//values", None),
            ("/api/v1/query", "/api/v1/query/", None),
            ("/", "/", Some("")),
            ("/metrics/job/*", "/metrics/job/a/b/c%2F", Some("a/b/c%2F")),
            ("/metrics/job/*", "/metrics/job", None),
            ("/metrics/job@base64/*", "/metrics/job%40base64/YQ", Some("YQ")),
        ] {
            assert_eq!(fits(pattern, path), slug, "{path}");
        }
    }

    #[test]
    fn no_two_routes_answer_the_same_request() {
        for table in [ROUTES, ALERT_ROUTES, PUSH_ROUTES] {
            let mut seen = std::collections::BTreeSet::new();
            for route in table {
                for verb in route.verbs {
                    assert!(seen.insert((route.pattern, verb)), "{verb} {}", route.pattern);
                }
            }
        }
    }

    #[test]
    fn whatever_changes_state_has_no_get() {
        let all = ROUTES.iter().chain(ALERT_ROUTES).chain(PUSH_ROUTES);
        for route in all.filter(|route| route.changes) {
            assert!(!route.verbs.contains(&"GET"), "{}", route.pattern);
        }
    }

    proptest! {
        #[test]
        fn any_path_is_looked_up(path in ".{0,60}") {
            for route in ROUTES {
                let _ = fits(route.pattern, &path);
            }
        }
    }
}
