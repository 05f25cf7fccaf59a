//! Who answers what: every question of the contract, handed to the part that knows.

use super::alerting::SilenceFailure;
use super::pressure::Pressure;
use super::queries::query_error;
use super::start::{CONCURRENT_RULES, Parts, Service, has_feature, host_name};
use super::{forms, history};
use crate::alerts::matchers;
use crate::alerts::{AlertView, GroupView, Notification, NotifiedAlert, Reason, SilenceError};
use crate::ingest::scrape::{LocalTarget as _, printed};
use crate::model::{Labels, Matcher, SilenceId, TimeRange, Timestamp};
use crate::notify::Templates;
use crate::promql::syntax;
use crate::sys::locks::lock;
use crate::sys::process;
use crate::wire::{
    AckRequest, ActiveQuery, AlertFilter, AlertGroup, AlertRow, AlertmanagerStatus,
    AlertmanagerTarget, AlertmanagersAnswer, AlertsAnswer, Answer, BackfillAnswer, BackfillStep,
    BuildInfo, Call, Changes, ClusterStatus, ConfigAnswer, ConfigText, Core, Drill, DrillReport,
    Error, ErrorKind, ExemplarQuery, ExemplarSeries, GettableAlert, GroupingPreview,
    GroupingRequest, HistoryAnswer, HistoryRequest, ImportAnswer, ImportPart, InstantQuery,
    IntegrationTest, MetadataEntry, MetadataRequest, OtlpOutcome, PROMETHEUS_VERSION,
    PostableAlert, PostableSilence, ProbeRequest, PushGroup, QueryData, RangeQuery, RawPush,
    RawWrite, Readiness, ReceiverForm, ReceiverStatus, ReceiverTest, RelabelSteps, RouteTest,
    RouteTestRequest, RulesAnswer, RulesRequest, RuntimeInfo, SeriesRequest, SilenceForm,
    StorageReport, StorageStatus, TargetMetadata, TargetMetadataRequest, TargetState,
    TargetsAnswer, TopQueries, TsdbStatus, VersionInfo, WalReplay, WatchStatus, WriteOutcome,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The Alertmanager whose behaviour is followed.
pub(super) const ALERTMANAGER_VERSION: &str = "0.34.0";

/// Bytes of chunks that one look at the store reads: a few seconds.
const READ_BYTES_MAX: u64 = 1 << 30;

impl Service {
    pub(super) fn running(&self) -> Result<&Parts, Error> {
        self.parts().ok_or_else(|| Error::new(ErrorKind::Busy, "Service Unavailable"))
    }

    fn version_info(&self) -> VersionInfo {
        let info = self.versions();
        VersionInfo {
            version: ALERTMANAGER_VERSION.to_owned(),
            revision: info.revision,
            branch: info.branch,
            build_user: info.build_user,
            build_date: info.build_date,
            go_version: info.go_version,
        }
    }

    fn versions(&self) -> BuildInfo {
        BuildInfo {
            version: PROMETHEUS_VERSION.to_owned(),
            revision: env!("CARGO_PKG_VERSION").to_owned(),
            branch: "main".to_owned(),
            build_user: "watchbell".to_owned(),
            build_date: String::new(),
            go_version: "rust".to_owned(),
            watchbell: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }
    }

    fn receiver_statuses(parts: &Parts) -> Vec<ReceiverStatus> {
        let reports = parts.alerting.view(|engine, _| engine.integrations());
        let status = |report: crate::alerts::IntegrationReport| ReceiverStatus {
            name: report.integration.receiver,
            integration: report.integration.kind,
            last_ok: report.last_ok,
            failing_since: report.failing_since,
            last_error: report.last_error,
            sent: report.sent,
            failed: report.failed,
        };
        reports.into_iter().map(status).collect()
    }

    fn storage_status(parts: &Parts) -> StorageStatus {
        let status = parts.storage.status();
        StorageStatus {
            series: status.series,
            samples_total: status.samples_total,
            refused_total: status.refused_total,
            block_bytes: status.block_bytes,
            blocks: status.blocks,
            wal_bytes: status.wal_bytes,
            free_bytes: status.free_bytes,
            oldest: status.oldest,
            retention: status.retention,
            refusing: status.refusing,
        }
    }

    /// The newest scrape or evaluation: what the screens call live.
    fn newest(parts: &Parts) -> Option<Timestamp> {
        let scraped = parts.scrapes.targets().into_iter().filter_map(|target| target.last_scrape);
        let evaluated = parts.ruling.views();
        let evaluated = evaluated.iter().filter_map(|group| group.last_evaluation);
        scraped.chain(evaluated).max()
    }

    fn rows(&self, parts: &Parts) -> Vec<AlertRow> {
        let config = self.config.load().config.clone();
        let mut rows = forms::alert_rows(
            &parts.ruling.views(),
            parts.alerting.alerts_by_labels(),
            &config.external_labels,
            &config.alerting.alert_relabel,
            self.world.clock.now(),
        );
        forms::add_sending(&mut rows, parts.alerting.sending_by_alert());
        rows
    }
}

/// Reads an expression of the whole language.
fn tree(expr: &str) -> Result<syntax::Expr, Error> {
    syntax::parse(expr, &syntax::Features::ALL)
        .map_err(|err| query_error(&crate::promql::Error::Parse(err)))
}

impl Core for Service {
    fn query(&self, call: &Call, query: &InstantQuery) -> Result<Answer<QueryData>, Error> {
        self.running()?.queries.instant(call, query, self.world.clock.now())
    }

    fn query_range(&self, call: &Call, query: &RangeQuery) -> Result<Answer<QueryData>, Error> {
        self.running()?.queries.range(call, query)
    }

    fn query_exemplars(
        &self,
        _call: &Call,
        query: &ExemplarQuery,
    ) -> Result<Option<Vec<ExemplarSeries>>, Error> {
        let parts = self.running()?;
        let parsed = parts.queries.engine().parse(query.expr.as_str());
        let parsed = parsed.map_err(|err| query_error(&err))?;
        let selectors = syntax::selectors(parsed.expr()).into_iter();
        let selectors: Vec<_> = selectors.map(|selector| selector.matchers.clone()).collect();
        if selectors.is_empty() {
            return Ok(None);
        }
        let found = parts.storage.exemplars(query.range, &selectors).into_iter();
        Ok(Some(found.map(forms::exemplar_series).collect()))
    }

    fn query_hints(&self, _: &Call, expr: &str, range: TimeRange) -> Result<Vec<String>, Error> {
        self.running()?.queries.hints(expr, range)
    }

    fn format_query(&self, expr: &str) -> Result<String, Error> {
        Ok(tree(expr)?.pretty())
    }

    fn parse_query(&self, expr: &str) -> Result<serde_json::Value, Error> {
        Ok(forms::ast(&tree(expr)?))
    }

    fn parse_matchers(&self, selector: &str) -> Result<Vec<Matcher>, Error> {
        syntax::parse_selector(selector).map_err(|err| Error::bad_data(err.to_string()))
    }

    fn parse_alert_matchers(&self, text: &str) -> Result<Vec<Matcher>, Error> {
        let mode = self.config.load().config.alertmanager.alerts.matcher_mode;
        matchers::parse_list(text, mode).map_err(Error::bad_data)
    }

    fn parse_alert_matcher(&self, text: &str) -> Result<Matcher, Error> {
        let mode = self.config.load().config.alertmanager.alerts.matcher_mode;
        matchers::parse_one(text, mode).map_err(Error::bad_data)
    }

    fn series(&self, call: &Call, request: &SeriesRequest) -> Result<Answer<Vec<Labels>>, Error> {
        self.running()?.queries.series(call, request)
    }

    fn label_names(&self, call: &Call, req: &SeriesRequest) -> Result<Answer<Vec<String>>, Error> {
        self.running()?.queries.label_names(call, req)
    }

    fn label_values(
        &self,
        call: &Call,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        self.running()?.queries.label_values(call, name, request)
    }

    fn metadata(
        &self,
        request: &MetadataRequest,
    ) -> Result<BTreeMap<String, Vec<MetadataEntry>>, Error> {
        let known = self.running()?.storage.metadata(request.metric.as_deref());
        let mut answer: BTreeMap<String, Vec<MetadataEntry>> = BTreeMap::new();
        for (name, metadata) in known {
            let full = request.limit > 0 && answer.len() >= request.limit;
            if full && !answer.contains_key(&name) {
                break;
            }
            let entries = answer.entry(name).or_default();
            if request.limit_per_metric == 0 || entries.len() < request.limit_per_metric {
                entries.push(MetadataEntry {
                    kind: metadata.kind.as_str().to_owned(),
                    help: metadata.help,
                    unit: metadata.unit,
                });
            }
        }
        Ok(answer)
    }

    fn targets_metadata(
        &self,
        request: &TargetMetadataRequest,
    ) -> Result<Vec<TargetMetadata>, Error> {
        Ok(forms::targets_metadata(self.running()?.scrapes.targets(), request))
    }

    fn targets(&self, state: TargetState, pool: Option<&str>) -> Result<TargetsAnswer, Error> {
        let scrapes = &self.running()?.scrapes;
        let (active, dropped) = (scrapes.targets(), scrapes.dropped());
        let config = self.config.load().config.clone();
        let (pools, skipped) = (scrapes.pools(), &config.jobs.skipped);
        Ok(forms::targets_answer(active, dropped, &pools, skipped, state, pool))
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Result<RelabelSteps, Error> {
        let rules = self.running()?.scrapes.relabel_rules(pool).ok_or_else(|| {
            let text = format!("error retrieving scrape config: scrape pool {pool:?} not found");
            Error::bad_data(text)
        })?;
        Ok(forms::relabel_steps(&rules, labels))
    }

    fn scrape_pools(&self) -> Result<Vec<String>, Error> {
        let pools = self.running()?.scrapes.pools();
        Ok(pools.into_iter().map(|pool| pool.name).collect())
    }

    fn rules(&self, request: &RulesRequest) -> Result<RulesAnswer, Error> {
        forms::rules_answer(&self.running()?.ruling.views(), request)
    }

    fn alerts(&self) -> Result<AlertsAnswer, Error> {
        Ok(forms::alerts_answer(&self.running()?.ruling.views()))
    }

    fn alertmanagers(&self) -> Result<AlertmanagersAnswer, Error> {
        let (active, dropped) = self.running()?.forwarding.urls();
        let form = |url| AlertmanagerTarget { url };
        Ok(AlertmanagersAnswer {
            active_alertmanagers: active.into_iter().map(form).collect(),
            dropped_alertmanagers: dropped.into_iter().map(form).collect(),
        })
    }

    fn config(&self) -> Result<ConfigAnswer, Error> {
        Ok(ConfigAnswer { yaml: self.config.load().config.shown.clone() })
    }

    fn flags(&self) -> Result<BTreeMap<String, String>, Error> {
        Ok(self.options.flags.clone())
    }

    fn language(&self) -> Result<BTreeMap<String, BTreeMap<String, bool>>, Error> {
        let mut offered = self.running()?.queries.engine().config().offered();
        let rules = [
            ("concurrent_rule_eval", has_feature(&self.options, CONCURRENT_RULES)),
            ("keep_firing_for", true),
            ("query_offset", true),
        ];
        offered.insert("rules".to_owned(), rules.map(|(name, is)| (name.to_owned(), is)).into());
        Ok(offered)
    }

    fn runtime_info(&self) -> Result<RuntimeInfo, Error> {
        let loaded = self.config.load();
        let status = self.parts().map(|parts| parts.storage.status());
        let cwd = std::env::current_dir().map(|path| path.display().to_string());
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(RuntimeInfo {
            start_time: self.started,
            CWD: cwd.unwrap_or_default(),
            hostname: host_name(),
            server_time: self.world.clock.now(),
            reload_config_success: loaded.error.is_none(),
            last_config_time: loaded.at,
            corruption_count: status.as_ref().map_or(0, |status| status.damages.len() as u64),
            goroutine_count: process::facts().threads,
            GOMAXPROCS: cores as u64,
            GOGC: String::new(),
            GODEBUG: String::new(),
            GOMEMLIMIT: 0,
            storage_retention: status.map(|status| status.retention).unwrap_or_default(),
        })
    }

    fn build_info(&self) -> Result<BuildInfo, Error> {
        Ok(self.versions())
    }

    fn tsdb_status(&self, limit: usize) -> Result<TsdbStatus, Error> {
        Ok(forms::tsdb_status(self.running()?.storage.tsdb_stats(limit)))
    }

    fn wal_replay(&self) -> Result<WalReplay, Error> {
        let (min, max, current) = self.progress.segments();
        Ok(WalReplay { min, max, current })
    }

    fn readiness(&self) -> Readiness {
        if self.world.shutdown.is_triggered() {
            return Readiness::Stopping;
        }
        if self.parts().is_some() {
            return Readiness::Ready;
        }
        let (min, max, current) = self.progress.segments();
        Readiness::Starting(WalReplay { min, max, current })
    }

    fn reload(&self) -> Result<Vec<String>, Error> {
        let done = self.load_again();
        done.map_err(|err| Error::internal(format!("failed to reload config: {err}")))?;
        Ok(self.parts().map(|parts| parts.alerting.dead_silences()).unwrap_or_default())
    }

    fn quit(&self) -> Result<(), Error> {
        tracing::info!("asked to stop");
        self.world.shutdown.trigger();
        Ok(())
    }

    fn own_metrics(&self) -> Result<String, Error> {
        let families = match self.parts() {
            Some(parts) => parts.own.gather(),
            None => self.world.registry.gather(),
        };
        Ok(printed(&families))
    }

    fn remote_write(&self, request: RawWrite) -> Result<WriteOutcome, Error> {
        self.take_write(&request)
    }

    fn otlp_write(&self, request: RawWrite) -> Result<OtlpOutcome, Error> {
        self.take_otlp(&request)
    }

    fn push(&self, request: RawPush) -> Result<(), Error> {
        self.take_push(&request)
    }

    fn push_groups(&self) -> Result<Vec<PushGroup>, Error> {
        self.push_list()
    }

    fn push_text(&self) -> Result<String, Error> {
        self.push_metrics()
    }

    fn wipe_push(&self) -> Result<(), Error> {
        self.push_wipe()
    }

    fn probe(&self, request: &ProbeRequest) -> Result<String, Error> {
        self.probe_once(request)
    }

    fn compact(&self) -> Result<(), Error> {
        let storage = &self.running()?.storage;
        storage.compact_all().map_err(|err| Error::internal(err.to_string()))
    }

    fn storage_report(&self, limit: usize) -> Result<StorageReport, Error> {
        Ok(forms::storage_report(&self.running()?.storage, READ_BYTES_MAX, limit))
    }

    fn import(&self, text: Vec<u8>, part: Option<ImportPart>) -> Result<ImportAnswer, Error> {
        let storage = &self.running()?.storage;
        match part {
            None => self.import_whole(storage, &text),
            Some(part) => self.import_part(storage, text, part),
        }
    }

    fn backfill(&self, step: &BackfillStep) -> Result<BackfillAnswer, Error> {
        self.backfill_step(self.running()?, step)
    }

    fn delete_series(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error> {
        let storage = &self.running()?.storage;
        let mut delete = selectors.iter().map(|matchers| storage.delete_series(range, matchers));
        let done = delete.try_for_each(|done| done);
        self.revision.bump();
        done.map_err(|err| Error::internal(err.to_string()))
    }

    fn clean_tombstones(&self) -> Result<(), Error> {
        let storage = &self.running()?.storage;
        storage.clean_tombstones().map_err(|err| Error::internal(err.to_string()))
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, Error> {
        let storage = &self.running()?.storage;
        storage.snapshot(skip_head).map_err(|err| Error::internal(err.to_string()))
    }

    fn alertmanager_status(&self) -> Result<AlertmanagerStatus, Error> {
        Ok(AlertmanagerStatus {
            cluster: ClusterStatus { status: "disabled".to_owned(), peers: Vec::new() },
            version_info: self.version_info(),
            config: ConfigText { original: self.config.load().config.alertmanager.shown.clone() },
            uptime: self.started,
        })
    }

    fn receivers(&self, matchers: &[Matcher]) -> Result<Vec<ReceiverForm>, Error> {
        let view = |engine: &crate::alerts::Engine, _| {
            let plans = engine.receivers().iter();
            plans.filter_map(|plan| forms::receiver(plan, matchers)).collect()
        };
        Ok(self.running()?.alerting.view(view))
    }

    fn alertmanager_alerts(&self, filter: &AlertFilter) -> Result<Vec<GettableAlert>, Error> {
        let receiver = filter.receiver_regex()?;
        let (views, named) = self.running()?.alerting.view(|engine, now| {
            (engine.firing_alerts(now), named(engine, &filter.receiver_matchers))
        });
        let goes = |view: &&AlertView| view.receivers.iter().any(|name| named.contains(name));
        let wanted = views.iter().filter(|view| forms::wants(view, filter, receiver.as_ref()));
        let wanted = wanted.filter(|view| filter.receiver_matchers.is_empty() || goes(view));
        Ok(wanted.map(forms::gettable_alert).collect())
    }

    fn post_alerts(&self, alerts: Vec<PostableAlert>) -> Result<(), Error> {
        let drafts = alerts.into_iter().map(forms::alert_draft).collect();
        let errors = self.running()?.alerting.receive_drafts(drafts);
        if errors.is_empty() { Ok(()) } else { Err(Error::bad_data(errors.join("; "))) }
    }

    fn alert_groups(&self, filter: &AlertFilter) -> Result<Vec<AlertGroup>, Error> {
        let receiver = filter.receiver_regex()?;
        let alerting = &self.running()?.alerting;
        let (groups, named) = alerting.view(|engine, now| {
            (engine.alert_groups(now), named(engine, &filter.receiver_matchers))
        });
        let receivers = alerting.receivers();
        let now = self.world.clock.now();
        let takes = |group: &&GroupView| {
            receiver.as_ref().is_none_or(|regex| regex.is_match(&group.receiver))
        };
        let goes = |group: &&GroupView| {
            filter.receiver_matchers.is_empty() || named.contains(&group.receiver)
        };
        let meant: Vec<&GroupView> = groups.iter().filter(goes).filter(takes).collect();
        let told = forms::told_by(&meant, filter);
        let form = |view: &GroupView| {
            let labels = || route_labels(view, receivers.templates(), now);
            forms::alert_group(view, filter, &told, labels)
        };
        Ok(meant.into_iter().filter_map(form).collect())
    }

    fn silences(&self, filter: &[Matcher]) -> Result<Vec<SilenceForm>, Error> {
        let views = self.running()?.alerting.view(|engine, now| engine.silences(now));
        // As Alertmanager: the silence itself must have each of them.
        let wanted = views
            .iter()
            .filter(|view| filter.iter().all(|wanted| view.silence.matchers.contains(wanted)));
        Ok(wanted.map(forms::silence_form).collect())
    }

    fn silence(&self, id: &str) -> Result<SilenceForm, Error> {
        let id = SilenceId::from_text(id);
        let found = self.running()?.alerting.view(|engine, now| engine.silence(&id, now));
        found.as_ref().map(forms::silence_form).ok_or_else(|| Error::not_found("silence not found"))
    }

    fn post_silence(&self, silence: PostableSilence) -> Result<String, Error> {
        let draft = forms::silence_draft(silence)?;
        let made = self.running()?.alerting.set_silence(draft);
        made.map(|id| id.to_string()).map_err(silence_error)
    }

    fn expire_silence(&self, id: &str) -> Result<(), Error> {
        let ended = self.running()?.alerting.expire_silence(SilenceId::from_text(id));
        ended.map(|_| ()).map_err(silence_error)
    }

    fn history(&self, request: &HistoryRequest) -> Result<HistoryAnswer, Error> {
        let state = &self.running()?.state;
        history::answer(request, |query| {
            state.history_page(query).map_err(|err| Error::internal(err.to_string()))
        })
    }

    fn acknowledge(&self, request: &AckRequest) -> Result<usize, Error> {
        self.take_ack(request)
    }

    fn withdraw_ack(&self, fingerprint: &str, by: &str) -> Result<(), Error> {
        self.take_ack_back(fingerprint, by)
    }

    fn test_receiver(&self, test: &ReceiverTest) -> Result<Vec<IntegrationTest>, Error> {
        self.try_receiver(test)
    }

    fn begin_drill(&self, drill: &Drill) -> Result<DrillReport, Error> {
        self.drill_begin(drill)
    }

    fn drill(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        self.drill_look(fingerprint)
    }

    fn end_drill(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        self.drill_end(fingerprint)
    }

    fn route_test(&self, request: &RouteTestRequest) -> Result<RouteTest, Error> {
        self.try_route(request)
    }

    fn grouping_preview(&self, request: &GroupingRequest) -> Result<GroupingPreview, Error> {
        self.preview_groups(request)
    }

    fn active_queries(&self) -> Result<Vec<ActiveQuery>, Error> {
        Ok(self.running()?.queries.active().list())
    }

    fn top_queries(&self, limit: usize) -> Result<TopQueries, Error> {
        Ok(self.running()?.queries.active().top(limit))
    }

    fn cancel_query(&self, id: &str) -> Result<(), Error> {
        match self.running()?.queries.active().cancel(id) {
            true => Ok(()),
            false => Err(Error::not_found(format!("no query with the id {id:?} is running"))),
        }
    }

    fn alert_rows(&self) -> Result<Vec<AlertRow>, Error> {
        Ok(self.rows(self.running()?))
    }

    fn status(&self) -> Result<WatchStatus, Error> {
        let parts = self.running()?;
        let loaded = self.config.load();
        let facts = process::facts();
        let resolved = self.rows(parts).into_iter().filter(|row| row.resolved_at.is_some());
        let notices = lock(&self.notices).clone();
        let flags = &self.options.warnings;
        let damages = parts.storage.status().damages;
        let heartbeats = parts.heartbeats.reports();
        let silent = forms::silent_heartbeats(&heartbeats);
        let expected = parts.alerting.view(|engine, now| engine.expected(now));
        let pressure = parts.queries.pressure();
        let pressure = (pressure != Pressure::None).then(|| pressure.to_string());
        let dead = parts.alerting.dead_silences();
        let said = pressure
            .iter()
            .chain(&dead)
            .chain(&notices)
            .chain(&silent)
            .chain(&damages)
            .chain(&loaded.config.notes)
            .chain(flags);
        let warnings = said.cloned().collect();
        Ok(WatchStatus {
            server: host_name(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: self.world.clock.now(),
            started: self.started,
            pid: std::process::id(),
            resident_bytes: facts.resident_bytes,
            newest: Self::newest(parts),
            evaluation_interval_seconds: loaded.config.evaluation_interval.as_secs_f64(),
            storage: Self::storage_status(parts),
            heartbeats: heartbeats.into_iter().map(forms::heartbeat_status).collect(),
            expected: expected.into_iter().map(forms::expected_status).collect(),
            receivers: Self::receiver_statuses(parts),
            config_file: self
                .options
                .config_file
                .as_ref()
                .map(|file| file.display().to_string())
                .unwrap_or_default(),
            config_error: loaded.error.clone(),
            warnings,
            listen: self.options.listen.clone(),
            last_resolved: resolved.max_by_key(|row| row.resolved_at).map(Box::new),
        })
    }

    fn changes_after(&self, revision: u64, deadline: Duration) -> Result<Changes, Error> {
        Ok(Changes { revision: self.revision.wait_after(revision, deadline) })
    }
}

/// Names of the receivers whose labels all of `matchers` match.
fn named(engine: &crate::alerts::Engine, matchers: &[Matcher]) -> BTreeSet<String> {
    let forms = engine.receivers().iter().filter_map(|plan| forms::receiver(plan, matchers));
    forms.map(|form| form.name).collect()
}

/// The labels of a group's route, expanded as for a message about its alerts.
fn route_labels(view: &GroupView, templates: &Templates, now: Timestamp) -> Labels {
    if view.route_labels.is_empty() {
        return Labels::empty();
    }
    let told = |alert: &AlertView| NotifiedAlert::of(&alert.alert, alert.status);
    let notification = Notification {
        group_key: view.key.clone(),
        receiver: view.receiver.clone(),
        group_labels: view.labels.clone(),
        route_labels: view.route_labels.clone(),
        alerts: view.alerts.iter().map(told).collect(),
        reason: Reason::Unknown,
        external_url: view.external_url.clone(),
        at: now,
    };
    templates.for_notification(&notification, now).route_labels().clone()
}

fn silence_error(failure: SilenceFailure) -> Error {
    match failure {
        SilenceFailure::Refused(err @ SilenceError::NotFound(_)) => {
            Error::not_found(err.to_string())
        }
        SilenceFailure::Refused(err) => Error::bad_data(err.to_string()),
        SilenceFailure::NotStored(reason) => {
            let text =
                format!("cannot store the silence, so it may not survive a restart: {reason}");
            Error::internal(text)
        }
    }
}
