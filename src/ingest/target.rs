//! From an address and labels to a target: labels before relabelling, relabelling, checks, URL.
//!
//! Source: prometheus, scrape/target.go (PopulateLabels, URL); golang/go, src/net/url/url.go
//! (shouldEscape).

use super::config::ScrapeJob;
use crate::model::{Labels, LabelsBuilder, duration, percent, relabel};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// What Go's URLs do not escape in a path, besides what never is.
const PATH_KEPT: &[u8] = b"/:;@&=+$,";

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const UNIX_SOCKET: &str = "__unix_socket__";
const NATIVE: &str = "__scrape_native_histograms__";
/// Labels that relabelling may set to a truth value and nothing else.
const FLAGS: [(&str, &str); 3] = [
    ("__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb"),
    ("__always_scrape_classic_histograms__", "always scrape classic histograms"),
    (NATIVE, "scrape native histograms"),
];

/// A target that is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Labels before relabelling.
    pub discovered: Labels,
    /// Labels that its series carry.
    pub labels: Labels,
    /// What is fetched.
    pub url: String,
    /// Time between scrapes.
    pub interval: Duration,
    /// Time that a scrape may take.
    pub timeout: Duration,
    /// The socket to connect to instead of the URL's host.
    pub unix_socket: Option<PathBuf>,
    /// Whether the target is on this host, where compressing costs more than sending.
    pub is_local: bool,
}

/// What became of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Populated {
    /// It is scraped.
    Target(Target),
    /// It is not.
    Dropped {
        /// Labels before relabelling.
        discovered: Labels,
        /// Why; `None` when relabelling dropped it, as somebody wanted.
        reason: Option<String>,
    },
}

/// Makes a target of an address and its group's labels.
pub fn populate(job: &ScrapeJob, address: &str, group: &Labels) -> Populated {
    let discovered = discovered(job, address, group);
    let mut labels = discovered.to_builder();
    if relabel::apply(&job.relabel, &mut labels) == relabel::Outcome::Drop {
        return Populated::Dropped { discovered, reason: None };
    }
    match finish(job, &discovered, labels) {
        Ok(target) => Populated::Target(target),
        Err(reason) => Populated::Dropped { discovered, reason: Some(reason) },
    }
}

/// Labels before relabelling: the group's, then what the job says where they are absent.
fn discovered(job: &ScrapeJob, address: &str, group: &Labels) -> Labels {
    let mut labels = group.to_builder();
    labels.set(ADDRESS, address);
    let mut default = |name: &str, value: &str| {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    };
    default("job", &job.name);
    default(INTERVAL, &duration::format(job.interval));
    default(TIMEOUT, &duration::format(job.timeout));
    default(PATH, &job.metrics_path);
    default(SCHEME, &job.scheme);
    default(NATIVE, if job.native_histograms { "true" } else { "false" });
    for (flag, _) in FLAGS {
        default(flag, "false");
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM}{name}"), first);
        }
    }
    labels.build()
}

fn finish(
    job: &ScrapeJob,
    discovered: &Labels,
    mut labels: LabelsBuilder,
) -> Result<Target, String> {
    let get = |labels: &LabelsBuilder, name| labels.get(name).unwrap_or_default().to_owned();
    let address = get(&labels, ADDRESS);
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let interval = span(&get(&labels, INTERVAL), "interval")?;
    let timeout = span(&get(&labels, TIMEOUT), "timeout")?;
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({:?} > {:?})",
            get(&labels, TIMEOUT),
            get(&labels, INTERVAL)
        ));
    }
    for (flag, what) in FLAGS {
        check_flag(&get(&labels, flag), what)?;
    }
    if labels.get("instance").is_none() {
        labels.set("instance", address.as_str());
    }
    let unix_socket = labels.get(UNIX_SOCKET).map(PathBuf::from);
    let url = url(job, &labels, &address);
    let is_local = unix_socket.is_some() || is_loopback(&address);
    labels.retain(|name, _| !name.starts_with("__"));
    let labels = labels.build();
    Ok(Target {
        discovered: discovered.clone(),
        labels,
        url,
        interval,
        timeout,
        unix_socket,
        is_local,
    })
}

fn span(text: &str, what: &str) -> Result<Duration, String> {
    let span =
        duration::parse(text).map_err(|err| format!("error parsing scrape {what}: {err}"))?;
    if span.is_zero() { Err(format!("scrape {what} cannot be 0")) } else { Ok(span) }
}

/// The words that Go's `strconv.ParseBool` takes, or none.
fn check_flag(text: &str, what: &str) -> Result<(), String> {
    match text {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE"
        | "False" => Ok(()),
        _ => Err(format!("error parsing {what}: invalid syntax {text:?}")),
    }
}

/// T42: a relabelled `__param_x` replaces the first value; the others still go into the URL. No
/// port is added to the address.
fn url(job: &ScrapeJob, labels: &LabelsBuilder, address: &str) -> String {
    let mut params: BTreeMap<String, Vec<String>> = job.params.clone();
    for (name, value) in labels.iter() {
        let Some(param) = name.strip_prefix(PARAM) else { continue };
        let values = params.entry(param.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None => values.push(value.to_owned()),
        }
    }
    let scheme = labels.get(SCHEME).unwrap_or_default();
    let path = labels.get(PATH).unwrap_or_default();
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    let mut url = format!("{scheme}://{address}{slash}");
    url.push_str(&percent::encode(path, PATH_KEPT));
    let mut joint = '?';
    for (name, values) in &params {
        for value in values {
            let (name, value) = (percent::encode_form(name), percent::encode_form(value));
            let _ = write!(url, "{joint}{name}={value}");
            joint = '&';
        }
    }
    url
}

/// Whether `HOST:PORT` is this host by its very text.
pub fn is_loopback(address: &str) -> bool {
    let host = match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => address.rsplit_once(':').map_or(address, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::config::{Global, ScrapeConfig, check};
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn job(yaml: &str) -> ScrapeJob {
        let config: ScrapeConfig = serde_yaml::from_str(yaml).expect("reads");
        let checked = check(&Global::default(), &[config], Path::new("/etc"), &mut BTreeSet::new());
        checked.expect("valid").jobs.remove(0)
    }

    fn target(yaml: &str, address: &str) -> Target {
        match populate(&job(yaml), address, &Labels::empty()) {
            Populated::Target(target) => target,
            dropped @ Populated::Dropped { .. } => panic!("{dropped:?}"),
        }
    }

    fn reason(yaml: &str, address: &str) -> Option<String> {
        match populate(&job(yaml), address, &Labels::empty()) {
            Populated::Dropped { reason, .. } => reason,
            Populated::Target(target) => panic!("{target:?}"),
        }
    }

    #[test]
    fn a_plain_target_has_job_and_instance() {
        let found = target("job_name: node", "db:9100");
        assert_eq!(found.labels, Labels::from_pairs([("job", "node"), ("instance", "db:9100")]));
        assert_eq!(found.url, "http://db:9100/metrics");
        assert_eq!(found.discovered.get("__scrape_interval__"), Some("1m"));
        assert_eq!(found.discovered.get("__scrape_timeout__"), Some("10s"));
    }

    #[test]
    fn t42_only_the_first_parameter_is_a_label_and_no_port_is_added() {
        let yaml = "{job_name: probe, metrics_path: /probe, params: {module: [a, b]}, \
            relabel_configs: [{source_labels: [__address__], target_label: __param_target}, \
            {target_label: __param_module, replacement: z}, \
            {target_label: __address__, replacement: exporter}]}";
        let found = target(yaml, "https://x.org:1?a=b c".trim_start_matches("https://"));
        assert_eq!(found.url, "http://exporter/probe?module=z&module=b&target=x.org%3A1%3Fa%3Db+c");
        assert_eq!(found.discovered.get("__param_module"), Some("a"));
        assert_eq!(found.labels.get("instance"), Some("exporter"));
    }

    #[test]
    fn t42_paths_and_parameters_are_escaped_as_go_escapes_them() {
        let yaml = "{job_name: j, metrics_path: \"/a;b c?d!*'()$&+,:=@~%\", \
            params: {'e f': ['g;h i/j+k~é']}}";
        assert_eq!(
            target(yaml, "x:1").url,
            "http://x:1/a;b%20c%3Fd%21%2A%27%28%29$&+,:=@~%25?e+f=g%3Bh+i%2Fj%2Bk~%C3%A9"
        );
    }

    #[test]
    fn t42_targets_that_cannot_be_scraped_are_dropped_with_their_reason() {
        let replace = |label: &str, value: &str| {
            format!(
                "{{job_name: j, relabel_configs: \
                 [{{target_label: {label}, replacement: \"{value}\"}}]}}"
            )
        };
        for (label, value, expected) in [
            ("__address__", "", "no address"),
            ("__address__", "a/b", "\"a/b\" is not a valid hostname"),
            ("__scrape_interval__", "0s", "scrape interval cannot be 0"),
            (
                "__scrape_timeout__",
                "2m",
                "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")",
            ),
            (
                "__scrape_native_histograms__",
                "yes",
                "error parsing scrape native histograms: invalid syntax \"yes\"",
            ),
        ] {
            let found = reason(&replace(label, value), "a:1");
            assert_eq!(found.as_deref(), Some(expected), "{label}={value}");
        }
        let drop =
            "{job_name: j, relabel_configs: [{action: drop, source_labels: [job], regex: j}]}";
        assert_eq!(reason(drop, "a:1"), None);
    }

    #[test]
    fn targets_of_this_host_are_known() {
        for (address, local) in [
            ("localhost:9100", true),
            ("127.0.0.1:1", true),
            ("[::1]:80", true),
            ("127.0.0.1", true),
            ("10.0.0.1:80", false),
            ("localhost.example.org:80", false),
        ] {
            assert_eq!(target("job_name: j", address).is_local, local, "{address}");
        }
    }
}
