//! The table of commands and flags; help, completions and the flags page come from it.

use super::alerts::{AlertsFlags, WhichFlags};
use super::check::CheckKind;
use super::heartbeats::HeartbeatsFlags;
use super::receivers::ReceiversFlags;
use super::routes::RoutesQuestion;
use super::rules::RulesFlags;
use super::silence::SilenceQuestion;
use crate::ingest::config::ScrapeProtocol;
use crate::ingest::limits::SafetyLimits;
use crate::model::duration;
use crate::sys::settings::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

/// Flags of Prometheus and Alertmanager that mean nothing here, and whether they take a value.
/// They are accepted with one warning, so that unit files and container arguments go on working.
pub(super) const MEANINGLESS: [(&str, bool); 41] = [
    ("auto-gomaxprocs", false),
    ("no-auto-gomaxprocs", false),
    ("auto-gomemlimit", false),
    ("no-auto-gomemlimit", false),
    ("auto-gomemlimit.ratio", true),
    ("storage.tsdb.wal-compression", false),
    ("no-storage.tsdb.wal-compression", false),
    ("storage.tsdb.wal-compression-type", true),
    ("storage.tsdb.no-lockfile", false),
    ("storage.tsdb.head-chunks-write-queue-size", true),
    ("storage.tsdb.min-block-duration", true),
    ("storage.tsdb.max-block-duration", true),
    ("web.console.templates", true),
    ("web.console.libraries", true),
    ("web.user-assets", true),
    ("cluster.listen-address", true),
    ("cluster.peer", true),
    ("cluster.advertise-address", true),
    ("cluster.settle-timeout", true),
    ("alertmanager.timeout", true),
    ("alerts.gc-interval", true),
    ("data.maintenance-interval", true),
    ("dispatch.maintenance-interval", true),
    // Upstream waits for alerts to be sent again after a start; here they are still known.
    ("dispatch.start-delay", true),
    ("web.get-concurrency", true),
    ("web.timeout", true),
    ("cluster.peer-timeout", true),
    ("cluster.peers-resolve-timeout", true),
    ("cluster.gossip-interval", true),
    ("cluster.pushpull-interval", true),
    ("cluster.tcp-timeout", true),
    ("cluster.probe-timeout", true),
    ("cluster.probe-interval", true),
    ("cluster.reconnect-interval", true),
    ("cluster.reconnect-timeout", true),
    ("cluster.tls-config", true),
    ("cluster.label", true),
    ("cluster.peer-name", true),
    ("cluster.allow-insecure-public-advertise-address-discovery", false),
    ("log.silences", false),
    ("no-log.silences", false),
];

/// Takes the meaningless flags out of the arguments; returns what is left and their names.
pub(super) fn without_meaningless(args: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let name = arg.strip_prefix("--").map(|rest| rest.split_once('=').unwrap_or((rest, "")));
        let known = name
            .and_then(|(name, _)| MEANINGLESS.iter().find(|(meaningless, _)| *meaningless == name));
        let Some((name, takes_value)) = known else {
            kept.push(arg);
            continue;
        };
        dropped.push((*name).to_owned());
        if *takes_value && !arg.contains('=') {
            // Its value is the next argument, and means as little.
            let _ = args.next();
        }
    }
    (kept, dropped)
}

/// Everything that may stand on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "watchbell",
    version,
    about = "Scrapes, stores, queries, alerts and shows it all in a terminal, for one host",
    long_about = "watchbell stands in for Prometheus, Alertmanager and node_exporter on one host, and \
                  shows what they know in a terminal.\n\nWithout a command it opens the terminal \
                  interface on the server that runs here, and starts one when none does; without a \
                  terminal it serves. No file is needed: the built-in configuration watches this host.",
    after_help = "Examples:\n  watchbell                                          watch this host\n  \
                  watchbell serve --config.file prometheus.yml       run as Prometheus would\n  \
                  watchbell query instant 'up == 0'                  ask the server that runs here"
)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of the server, for the form without a command.
    #[command(flatten)]
    pub server: ServerFlags,
    /// Flags of the terminal interface, for the form without a command.
    #[command(flatten)]
    pub screen: ScreenFlags,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server without a terminal
    #[command(
        after_help = "Examples:\n  watchbell serve\n  watchbell serve --config.file prometheus.yml \
                            --alertmanager.config-file alertmanager.yml --storage.path /var/lib/watchbell"
    )]
    Serve(Box<ServerFlags>),
    /// Open the terminal interface on a running server
    #[command(
        after_help = "Examples:\n  watchbell tui\n  watchbell tui --url http://prometheus:9090 \
                            --alertmanager http://alertmanager:9093\n  watchbell tui --once alerts"
    )]
    Tui(TuiFlags),
    /// Ask a server for values
    #[command(after_help = "Examples:\n  watchbell query instant 'sum by (job) (up)'\n  \
                      watchbell query range 'rate(node_forks_total[1m])' --start 1h --plot\n  \
                      watchbell query series 'node_load1' --url http://prometheus:9090\n  \
                      watchbell query labels job\n\nAny server with Prometheus' API can be \
                      asked. The answer goes to standard output, what is to be said about it to \
                      standard error.\nExit status: 0 answered (also when no series fits), 1 an \
                      error, 2 a wrong flag.")]
    Query(QueryFlags),
    /// Look at what is scraped
    #[command(
        after_help = "Examples:\n  watchbell targets explain node\n  watchbell targets explain \
                            --address db-1:9100 -o json"
    )]
    Targets {
        /// What is asked
        #[command(subcommand)]
        question: TargetsQuestion,
    },
    /// Scrape a target once, and show what came instead of storing it
    #[command(after_help = "Examples:\n  watchbell scrape localhost:9100\n  watchbell scrape \
                      https://db-1:9187/metrics --insecure --header 'X-Tenant: a'\n  watchbell \
                      scrape localhost:8080 --protocol PrometheusProto -o json\n  watchbell scrape \
                      10.0.0.5:9100 --config.file prometheus.yml --job node\n  watchbell scrape \
                      localhost:9100 --match '{__name__=~\"node_disk.*\"}' -o text\n\nWhat is asked \
                      for, the limits and the relabelling are those of a scrape.\nExit status: 0 a \
                      scrape would have succeeded, 1 it would have failed, 2 a wrong flag.")]
    Scrape(Box<ScrapeFlags>),
    /// Probe a server once, and tell what happened
    #[command(after_help = "Examples:\n  watchbell probe https://example.org\n  \
                      watchbell probe db-1:5432 --module tcp_connect\n  \
                      watchbell probe 192.0.2.1 --module icmp\n\n\
                      The server that runs here probes, with a module of its configuration.\n\
                      Exit status: 0 the probe succeeded, 1 it failed, 2 a wrong flag.")]
    Probe(ProbeFlags),
    /// Take in old samples, whatever their age
    #[command(
        after_help = "Examples:\n  watchbell import openmetrics history.om --storage.path /var/lib/watchbell\n  \
                      promtool tsdb dump-openmetrics data | watchbell import openmetrics - --url http://localhost:9090"
    )]
    Import {
        /// In which form
        #[command(subcommand)]
        kind: ImportKind,
    },
    /// Look inside the store
    #[command(
        after_help = "Examples:\n  watchbell storage status\n  watchbell storage status --limit 20 -o json"
    )]
    Storage {
        /// What is asked
        #[command(subcommand)]
        question: StorageQuestion,
    },
    /// Read a stopped store whole, and tell what is damaged
    #[command(
        after_help = "Examples:\n  watchbell fsck --storage.path /var/lib/watchbell\n  watchbell fsck --repair\n\n\
                      Exit status: 0 all whole, 1 something is damaged."
    )]
    Fsck(FsckFlags),
    /// Look at alerts; without a word more, list them
    #[command(
        after_help = "Examples:\n  watchbell alerts\n  watchbell alerts severity=critical -o \
                            json\n  watchbell alerts list DiskFull --state all\n  watchbell alerts \
                            show 5f3759df\n\nExit status of the list: 0 nothing fires, 1 something \
                            does, 2 something critical does, 3 nobody can tell, 64 a wrong flag."
    )]
    Alerts(Box<AlertsFlags>),
    /// Say why an alert was told, was not, or does not fire
    #[command(after_help = super::alerts::WHY_HELP)]
    Why(WhichFlags),
    /// Make, list, lengthen and end silences
    #[command(
        after_help = "Examples:\n  watchbell silence add DiskFull instance=db-1 -d 2h -c 'disk swap'\n  \
                      watchbell silence list\n  watchbell silence expire $(watchbell silence list \
                      -q DiskFull)"
    )]
    Silence {
        /// What is done
        #[command(subcommand)]
        question: SilenceQuestion,
    },
    /// Look at the routing tree, and try it
    #[command(
        after_help = "Examples:\n  watchbell routes show\n  watchbell routes test severity=critical \
                      team=db\n  watchbell routes test --config.file alertmanager.yml --tree \
                      a=b\n  \
                      watchbell routes group-by alertname,instance"
    )]
    Routes {
        /// What is asked
        #[command(subcommand)]
        question: RoutesQuestion,
    },
    /// Look at who is told, and whether it works; without a word more, list them
    #[command(
        after_help = "Examples:\n  watchbell receivers\n  watchbell receivers list -o json\n  \
                      watchbell receivers test team-db"
    )]
    Receivers(ReceiversFlags),
    /// Look at the dead man's switch: who is told that this server works, and what must keep coming
    #[command(
        after_help = "Examples:\n  watchbell heartbeats\n  watchbell heartbeats -o json\n\nThey are \
                      watchbell.heartbeats and watchbell.expected in the configuration.\nExit \
                      status: 0 all arrive, 1 one does not, or the server cannot be asked, 2 a \
                      wrong flag."
    )]
    Heartbeats(HeartbeatsFlags),
    /// Look at the rules that run; without a word more, list them
    #[command(
        after_help = "Examples:\n  watchbell rules\n  watchbell rules --failing\n  watchbell rules \
                      list --type alert --group node -o json\n  watchbell rules show DiskFull"
    )]
    Rules(RulesFlags),
    /// Check files before they are used
    #[command(
        after_help = "Examples:\n  watchbell check config prometheus.yml\n  watchbell check rules \
                            rules/*.yml\n  watchbell check alertmanager alertmanager.yml"
    )]
    Check {
        /// What kind of file
        #[command(subcommand)]
        kind: CheckKind,
    },
    /// Run unit tests
    Test {
        /// Of what
        #[command(subcommand)]
        kind: super::test_rules::TestKind,
    },
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  watchbell completions bash > /etc/bash_completion.d/watchbell"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// A flag that is a span of time.
///
/// # Errors
/// The text is none.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text)
}

fn size(text: &str) -> Result<u64, String> {
    ByteSize::parse(text).map(|size| size.0)
}

/// A limit of which 0 is none; upstream takes what is negative for none as well.
fn limit(text: &str) -> Result<usize, String> {
    let limit: i64 = text.parse().map_err(|err| format!("{err}"))?;
    Ok(usize::try_from(limit.max(0)).unwrap_or(usize::MAX))
}

fn header(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once(':').filter(|(name, _)| !name.trim().is_empty());
    let (name, value) = pair.ok_or("write NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Flags of the server: Prometheus' and Alertmanager's names where the meaning is theirs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerFlags {
    /// prometheus.yml, unchanged; without it the built-in configuration watches this host
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// alertmanager.yml, unchanged
    #[arg(long = "alertmanager.config-file", value_name = "FILE")]
    pub alertmanager_file: Option<PathBuf>,
    /// Where samples and state are kept
    #[arg(long = "storage.path", alias = "storage.tsdb.path", value_name = "DIR")]
    pub storage_path: Option<PathBuf>,
    /// How long samples are kept [default: 15d]
    #[arg(long = "storage.tsdb.retention.time", value_name = "TIME", value_parser = span)]
    pub retention_time: Option<Duration>,
    /// How many bytes of samples are kept, 512MB or 10GB [default: any]
    #[arg(long = "storage.tsdb.retention.size", value_name = "SIZE", value_parser = size)]
    pub retention_size: Option<u64>,
    /// When the log reaches the disk: always, off, or an interval
    #[arg(long = "storage.wal-sync", value_name = "WHEN", default_value = "900ms")]
    pub wal_sync: String,
    /// Free space below which nothing is taken in [default: 3 % or 512MB, the smaller]
    #[arg(long = "storage.min-free", value_name = "SIZE", value_parser = size)]
    pub min_free: Option<u64>,
    /// Series that are kept in memory at most [default: what half of the memory holds]
    #[arg(long = "storage.max-series", value_name = "COUNT")]
    pub storage_series_max: Option<usize>,
    /// Where HTTP is served; may stand more than once
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub listen: Vec<String>,
    /// The socket of the terminal interface and the commands
    #[arg(long = "web.unix-socket", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The URL under which others reach this server
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,
    /// Prefix of all paths [default: the path of the external URL]
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<String>,
    /// Allow reload and quit over HTTP
    #[arg(long = "web.enable-lifecycle")]
    pub lifecycle: bool,
    /// Allow administration over HTTP
    #[arg(long = "web.enable-admin-api")]
    pub admin: bool,
    /// Take remote writes from other hosts too; from this one they are always taken
    #[arg(long = "web.enable-remote-write-receiver")]
    pub remote_write: bool,
    /// Take OTLP metrics from other hosts too; from this one they are always taken
    #[arg(long = "web.enable-otlp-receiver")]
    pub otlp: bool,
    /// Allow UTF-8 in names that are pushed; in paths as U__ and codes
    #[arg(long = "push.enable-utf8-names")]
    pub push_utf8: bool,
    /// Take pushes that contradict themselves or others, answered with 202 whatever they say
    #[arg(long = "push.disable-consistency-check")]
    pub push_unchecked: bool,
    /// The most connections at a time
    #[arg(long = "web.max-connections", value_name = "COUNT", default_value_t = 512)]
    pub max_connections: usize,
    /// How far back an instant query looks for a sample
    #[arg(long = "query.lookback-delta", value_name = "TIME", default_value = "5m", value_parser = span)]
    pub lookback: Duration,
    /// How long a query may run
    #[arg(long = "query.timeout", value_name = "TIME", default_value = "2m", value_parser = span)]
    pub query_timeout: Duration,
    /// Heavy queries at a time, waiting ones among them; small ones pass by
    #[arg(long = "query.max-concurrency", value_name = "COUNT", default_value_t = 20)]
    pub query_concurrency: usize,
    /// Samples that one query may load
    #[arg(long = "query.max-samples", value_name = "COUNT", default_value_t = 50_000_000)]
    pub query_samples: usize,
    /// Memory of all queries together; a fifth of the memory when missing, at most 256MB
    #[arg(long = "query.max-bytes", value_name = "SIZE", value_parser = size)]
    pub query_bytes: Option<u64>,
    /// How often a firing alert is sent again
    #[arg(long = "rules.alert.resend-delay", value_name = "TIME", default_value = "1m", value_parser = span)]
    pub resend_delay: Duration,
    /// The longest outage over which `for` counts on
    #[arg(long = "rules.alert.for-outage-tolerance", value_name = "TIME", default_value = "1h", value_parser = span)]
    pub outage_tolerance: Duration,
    /// The shortest `for` that is looked up in the store where no record of the alert is left
    #[arg(long = "rules.alert.for-grace-period", value_name = "TIME", default_value = "10m", value_parser = span)]
    pub grace_period: Duration,
    /// Quick rule groups that are evaluated at a time; slow ones have a lane of their own
    #[arg(long = "rules.max-concurrent-evals", value_name = "COUNT", default_value_t = 4)]
    pub rule_concurrency: usize,
    /// The longest answer of a target, decompressed
    #[arg(long = "scrape.max-body-bytes", value_name = "SIZE", default_value = "32MB", value_parser = size)]
    pub body_max: u64,
    /// Samples of one scrape
    #[arg(long = "scrape.max-samples", value_name = "COUNT", default_value_t = 200_000)]
    pub samples_max: usize,
    /// Series of one target
    #[arg(long = "scrape.max-series", value_name = "COUNT", default_value_t = 200_000)]
    pub series_max: usize,
    /// Labels of one series
    #[arg(long = "scrape.max-labels", value_name = "COUNT", default_value_t = 64)]
    pub labels_max: usize,
    /// Bytes of a label's name
    #[arg(long = "scrape.max-label-name-bytes", value_name = "COUNT", default_value_t = 128)]
    pub label_name_max: usize,
    /// Bytes of a label's value
    #[arg(long = "scrape.max-label-value-bytes", value_name = "COUNT", default_value_t = 4096)]
    pub label_value_max: usize,
    /// How long notifications and ended silences are kept
    #[arg(long = "data.retention", value_name = "TIME", default_value = "120h", value_parser = span)]
    pub data_retention: Duration,
    /// How long the history of alerts is kept, of which there are at most 1,000,000 entries
    #[arg(
        long = "alertmanager.history-retention",
        value_name = "TIME",
        default_value = "90d",
        value_parser = span
    )]
    pub history_retention: Duration,
    /// Silences that are kept, ended ones included; 0 or less for no limit
    #[arg(
        long = "silences.max-silences",
        value_name = "COUNT",
        default_value = "0",
        value_parser = limit,
        allow_negative_numbers = true
    )]
    pub silences_max: usize,
    /// Bytes of one silence; 0 or less for no limit
    #[arg(
        long = "silences.max-silence-size-bytes",
        value_name = "COUNT",
        default_value = "0",
        value_parser = limit,
        allow_negative_numbers = true
    )]
    pub silence_bytes_max: usize,
    /// Firing alerts of one name; 0 or less for no limit
    #[arg(
        long = "alerts.per-alertname-limit",
        value_name = "COUNT",
        default_value = "0",
        value_parser = limit,
        allow_negative_numbers = true
    )]
    pub alerts_per_name_max: usize,
    /// Alerts that wait for one Alertmanager of alerting.alertmanagers; the oldest make room
    #[arg(
        long = "alertmanager.notification-queue-capacity",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub notification_queue: usize,
    /// Alerts in one request to it
    #[arg(
        long = "alertmanager.notification-batch-size",
        value_name = "COUNT",
        default_value_t = 256
    )]
    pub notification_batch: usize,
    /// Send what waits for it before the server stops; this is the default
    #[arg(long = "alertmanager.drain-notification-queue-on-shutdown", overrides_with = "no_drain")]
    pub drain: bool,
    /// Drop it instead
    #[arg(long = "no-alertmanager.drain-notification-queue-on-shutdown")]
    pub no_drain: bool,
    /// Send alerts of rules to alerting.alertmanagers alone, not to the built-in Alertmanager
    #[arg(long = "no-alertmanager.built-in")]
    pub no_built_in: bool,
    /// Features to switch on, separated by commas; may stand more than once
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    pub features: Vec<String>,
    /// debug, info, warn or error
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,
    /// logfmt or json
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: LogFormat,
}

impl ServerFlags {
    /// What a target or a sender may bring.
    pub(super) fn limits(&self) -> SafetyLimits {
        SafetyLimits {
            body_bytes_max: usize::try_from(self.body_max).unwrap_or(usize::MAX),
            samples_max: self.samples_max,
            series_max: self.series_max,
            labels_max: self.labels_max,
            label_name_bytes_max: self.label_name_max,
            label_value_bytes_max: self.label_value_max,
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What an operator should look at.
    Warn,
    /// What is broken.
    Error,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Logfmt,
    /// For programs.
    Json,
}

/// Flags of the terminal interface.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Terminal")]
pub(super) struct ScreenFlags {
    /// Look, and change nothing
    #[arg(long)]
    pub read_only: bool,
    /// The screen to open: overview, alerts, explore, targets, rules or silences
    #[arg(long, value_name = "NAME")]
    pub screen: Option<String>,
    /// Show times in UTC instead of the host's zone
    #[arg(long)]
    pub utc: bool,
    /// Characters of charts: auto, braille, block or ascii
    #[arg(long, value_name = "SET", default_value = "auto", hide_possible_values = true)]
    pub charset: CharsetFlag,
    /// The terminal's 16 colors: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorFlag,
}

/// Characters of charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CharsetFlag {
    /// By locale and terminal.
    Auto,
    /// Braille dots.
    Braille,
    /// Eighths of blocks.
    Block,
    /// Plain ASCII.
    Ascii,
}

/// Whether color is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorFlag {
    /// By `NO_COLOR` and terminal.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// Which server is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct ServerChoice {
    /// The server: http://HOST:PORT or unix:PATH [default: the one that runs here]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The Alertmanager, when it is another server
    #[arg(long, value_name = "URL")]
    pub alertmanager: Option<String>,
}

/// Flags of `watchbell tui`.
#[derive(Clone, Debug, Args)]
pub(super) struct TuiFlags {
    /// Which server
    #[command(flatten)]
    pub server: ServerChoice,
    /// How it looks
    #[command(flatten)]
    pub screen: ScreenFlags,
    /// Print this screen as text, and end
    #[arg(long, value_name = "SCREEN")]
    pub once: Option<String>,
    /// Columns of the printed screen
    #[arg(long, default_value_t = 120, value_name = "COUNT")]
    pub width: u16,
    /// Rows of the printed screen
    #[arg(long, default_value_t = 40, value_name = "COUNT")]
    pub height: u16,
}

/// Flags of `watchbell query`.
#[derive(Clone, Debug, Args)]
pub(super) struct QueryFlags {
    /// What is asked
    #[command(subcommand)]
    pub question: Question,
}

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Question {
    /// Values at one instant
    #[command(after_help = "Examples:\n  watchbell query instant 'sum by (job) (up)'\n  \
                      watchbell query instant 'up == 0' --time 2026-01-31T12:00:00Z -o csv\n  \
                      watchbell query instant 'node_load1[1h]' --plot\n  \
                      watchbell query instant 'rate(node_forks_total[1m]) > 5' --explain\n  \
                      watchbell query instant up --url http://prometheus:9090 -o json")]
    Instant {
        /// PromQL
        expr: String,
        /// When: RFC 3339, seconds since the epoch, or a span ago [default: now]
        #[arg(long, value_name = "TIME")]
        time: Option<String>,
        /// Tell where the time went, node by node, instead of the values
        #[arg(long, conflicts_with = "plot")]
        explain: bool,
        /// A chart instead
        #[command(flatten)]
        plot: PlotFlags,
        /// Where and how
        #[command(flatten)]
        common: QueryCommon,
    },
    /// Values over a range
    #[command(
        after_help = "Examples:\n  watchbell query range 'rate(node_forks_total[1m])' --plot\n  \
                      watchbell query range up --start 1d --end 12h --step 5m -o csv\n  \
                      watchbell query range node_load1 --start 6h --plot --charset ascii\n  \
                      watchbell query range up --url http://prometheus:9090 -o json"
    )]
    Range {
        /// PromQL
        expr: String,
        /// First instant: RFC 3339, seconds since the epoch, or a span ago
        #[arg(long, value_name = "TIME", default_value = "1h")]
        start: String,
        /// Last instant [default: now]
        #[arg(long, value_name = "TIME")]
        end: Option<String>,
        /// Between values [default: a 250th of the range]
        #[arg(long, value_name = "TIME", value_parser = span)]
        step: Option<Duration>,
        /// Tell where the time went, node by node, instead of the values
        #[arg(long, conflicts_with = "plot")]
        explain: bool,
        /// A chart instead
        #[command(flatten)]
        plot: PlotFlags,
        /// Where and how
        #[command(flatten)]
        common: QueryCommon,
    },
    /// Label sets of series
    #[command(after_help = "Examples:\n  watchbell query series up\n  watchbell query series \
                      'node_filesystem_avail_bytes{mountpoint=~\"/var.*\"}' '{job=\"node\"}' -o csv")]
    Series {
        /// Series selectors
        #[arg(required = true)]
        selectors: Vec<String>,
        /// Where and how
        #[command(flatten)]
        common: QueryCommon,
    },
    /// Values of a label, or names of labels
    #[command(after_help = "Examples:\n  watchbell query labels\n  watchbell query labels job\n  \
                            watchbell query labels __name__ -o json")]
    Labels {
        /// The label; without it, names of labels
        name: Option<String>,
        /// Where and how
        #[command(flatten)]
        common: QueryCommon,
    },
}

/// Where is asked, and how the answer looks.
#[derive(Clone, Debug, Args)]
pub(super) struct QueryCommon {
    /// Which server
    #[command(flatten)]
    pub server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: OutputForm,
}

/// A chart in place of the values.
#[derive(Clone, Debug, Args)]
pub(super) struct PlotFlags {
    /// Draw the values over time as a chart
    #[arg(long, conflicts_with = "output")]
    pub plot: bool,
    /// Characters of the chart: auto, braille, block or ascii
    #[arg(long, value_name = "SET", default_value = "auto", hide_possible_values = true)]
    pub charset: CharsetFlag,
    /// Colors of the chart: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorFlag,
    /// Times of the chart in UTC instead of the host's zone
    #[arg(long)]
    pub utc: bool,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputForm {
    /// Columns, for people.
    Table,
    /// The API's `data`.
    Json,
    /// Comma-separated values: a heading, then a column for each label.
    Csv,
    /// promtool's lines.
    Plain,
}

/// What is asked about targets.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum TargetsQuestion {
    /// Why a target has its labels, or is dropped: rule by rule
    #[command(
        after_help = "Examples:\n  watchbell targets explain\n  watchbell targets explain docker \
                      --address 172.18.0.2:9100\n  watchbell targets explain node -o json\n\n\
                      Each relabel_configs rule is shown with the labels that it changes: + set, - \
                      removed, ~ changed.\nExit status: 0 answered, 1 there is no such target or \
                      job, 2 a wrong flag."
    )]
    Explain(ExplainFlags),
}

/// Flags of `watchbell probe`.
#[derive(Clone, Debug, Args)]
pub(super) struct ProbeFlags {
    /// What is probed: a URL, HOST:PORT or a host, as the module wants it
    pub target: String,
    /// How: a module of the configuration
    #[arg(long, value_name = "NAME", default_value = "http_2xx")]
    pub module: String,
    /// The name that the server is asked for instead of its own
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// When to give up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub timeout: Duration,
    /// Which server probes
    #[command(flatten)]
    pub server: ServerChoice,
}

/// Flags of `watchbell targets explain`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExplainFlags {
    /// The job [default: all]
    pub pool: Option<String>,
    /// Only targets of this address, before relabelling or as their instance
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// Targets that are explained at most
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// Which server
    #[command(flatten)]
    pub server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: StatusForm,
}

/// Flags of `watchbell scrape`.
#[derive(Clone, Debug, Args)]
pub(super) struct ScrapeFlags {
    /// The target: HOST:PORT, or http(s)://HOST:PORT/PATH
    #[arg(value_name = "URL")]
    pub url: String,
    /// How long the target has [default: 10s, or the job's]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub timeout: Option<Duration>,
    /// A header to send; may stand more than once
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// A format to ask for, as in scrape_protocols; may stand more than once
    #[arg(long = "protocol", value_name = "NAME", value_parser = ScrapeProtocol::from_str)]
    pub protocols: Vec<ScrapeProtocol>,
    /// The format of an answer that does not say
    #[arg(long, value_name = "NAME", value_parser = ScrapeProtocol::from_str)]
    pub fallback: Option<ScrapeProtocol>,
    /// Trust any certificate
    #[arg(long, conflicts_with = "job")]
    pub insecure: bool,
    /// A file with the token to send
    #[arg(long, value_name = "FILE", conflicts_with = "job")]
    pub bearer_token_file: Option<PathBuf>,
    /// Connect to this socket instead of the host
    #[arg(long, value_name = "PATH")]
    pub unix_socket: Option<PathBuf>,
    /// prometheus.yml, for --job
    #[arg(long = "config.file", value_name = "FILE", requires = "job")]
    pub config_file: Option<PathBuf>,
    /// Scrape as this job of the file does: its client, limits, labels and relabelling
    #[arg(long, value_name = "NAME", requires = "config_file")]
    pub job: Option<String>,
    /// Show samples of these series only
    #[arg(long = "match", value_name = "SELECTOR")]
    pub matching: Option<String>,
    /// Samples that are shown at most, but in text
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub samples: usize,
    /// How the answer looks: table, json, or text for the samples alone
    #[arg(short, long, value_name = "FORM", default_value = "table", hide_possible_values = true)]
    pub output: LookForm,
}

/// How a scrape is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LookForm {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// The samples, a line each.
    Text,
}

/// In which form old samples come.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ImportKind {
    /// OpenMetrics text with a timestamp on every line
    Openmetrics {
        /// The file; `-` for standard input, `.gz` is unpacked
        file: PathBuf,
        /// Into which store
        #[command(flatten)]
        store: StoreChoice,
    },
    /// What recording rules would have written over stored history
    Rules(super::backfill::BackfillFlags),
}

/// Which store is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreChoice {
    /// The data folder of a stopped server
    #[arg(long = "storage.path", value_name = "DIR", conflicts_with = "url")]
    pub storage_path: Option<PathBuf>,
    /// A running server: http://HOST:PORT or unix:PATH
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// What is asked about the store.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum StorageQuestion {
    /// Blocks, bytes a sample, and which labels make many series
    Status(StatusFlags),
}

/// Flags of `watchbell storage status`.
#[derive(Clone, Debug, Args)]
pub(super) struct StatusFlags {
    /// Which store [default: that of the server that runs here]
    #[command(flatten)]
    pub store: StoreChoice,
    /// Places of each ranking
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: usize,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: StatusForm,
}

/// How a look inside the store is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusForm {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Flags of `watchbell fsck`.
#[derive(Clone, Debug, Args)]
pub(super) struct FsckFlags {
    /// The data folder
    #[arg(long = "storage.path", value_name = "DIR")]
    pub storage_path: Option<PathBuf>,
    /// Make lost indexes of blocks anew
    #[arg(long)]
    pub repair: bool,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: StatusForm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_table_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn limits_have_the_defaults_that_they_document() {
        let cli = Cli::try_parse_from(["watchbell"]).expect("no flag is needed");
        assert_eq!(cli.server.limits(), SafetyLimits::default());
    }

    #[test]
    fn prometheus_command_lines_work() {
        let args = "watchbell serve --config.file=/etc/prometheus.yml --storage.tsdb.path /data \
                    --storage.tsdb.retention.time=30d --web.listen-address=:9090 --web.enable-lifecycle \
                    --web.console.templates=/x --storage.tsdb.no-lockfile --log.level=warn \
                    --enable-feature=a,b";
        let args = args.split_whitespace().map(str::to_owned).collect();
        let (kept, dropped) = without_meaningless(args);
        assert_eq!(dropped, ["web.console.templates", "storage.tsdb.no-lockfile"]);
        let cli = Cli::try_parse_from(kept).expect("parses");
        let Some(Command::Serve(flags)) = cli.command else { panic!("not serve") };
        assert_eq!(flags.retention_time, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(flags.storage_path, Some(PathBuf::from("/data")));
        assert_eq!(flags.features, ["a", "b"]);
        assert!(flags.lifecycle && !flags.admin);
    }

    #[test]
    fn alertmanager_command_lines_work() {
        let args = "watchbell serve --silences.max-silences=7 --silences.max-silence-size-bytes=8 \
                    --alerts.per-alertname-limit=9 --cluster.peer-timeout 15s --log.silences \
                    --dispatch.start-delay=1m --web.get-concurrency=0";
        let args = args.split_whitespace().map(str::to_owned).collect();
        let (kept, dropped) = without_meaningless(args);
        let expected =
            ["cluster.peer-timeout", "log.silences", "dispatch.start-delay", "web.get-concurrency"];
        assert_eq!(dropped, expected);
        let cli = Cli::try_parse_from(kept).expect("parses");
        let Some(Command::Serve(flags)) = cli.command else { panic!("not serve") };
        let limits = (flags.silences_max, flags.silence_bytes_max, flags.alerts_per_name_max);
        assert_eq!(limits, (7, 8, 9));
        let none = "watchbell serve --silences.max-silences=-1 --alerts.per-alertname-limit -7";
        let cli = Cli::try_parse_from(none.split_whitespace()).expect("parses");
        let Some(Command::Serve(flags)) = cli.command else { panic!("not serve") };
        assert_eq!((flags.silences_max, flags.alerts_per_name_max), (0, 0));
        let wrong = ["watchbell", "serve", "--silences.max-silences=many"];
        assert!(Cli::try_parse_from(wrong).is_err());
    }

    #[test]
    fn a_misspelt_flag_is_refused_with_the_nearest_name() {
        let err = Cli::try_parse_from(["watchbell", "serve", "--config.fil=x"]).expect_err("wrong");
        assert!(err.to_string().contains("--config.file"), "{err}");
    }
}
