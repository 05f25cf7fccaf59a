//! Modules of probes: those of the file, those of a `blackbox.yml`, or what is built in; and the
//! targets that are probed from here.

use super::document::Document;
use super::error::Error;
use super::file::Source;
use super::load::read;
use crate::ingest::config::{
    Module, ModuleFile, ModuleSettings, ProbeKind, Probing, check_module, check_probes,
};
use crate::model::Problem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The modules of a configuration without any: upstream's own file, as far as it can be used here.
const BUILT_IN: &str = include_str!("../../assets/blackbox.yml");

/// Modules by name.
type Modules = BTreeMap<String, Arc<Module>>;

/// What the document says of probes, and notes about what it says without effect. `jobs` have
/// names that no probes may have.
///
/// # Errors
/// Every fault of the document and of the file that it names.
pub(super) fn probing(
    source: &Source,
    document: &Document,
    base: &Path,
    jobs: &BTreeSet<String>,
) -> Result<(Probing, Vec<String>), Error> {
    let settings = &document.watchbell.probing;
    let mut faults = Vec::new();
    let mut notes = Vec::new();
    let at = "watchbell.probing.modules";
    let mut modules = match checked(source, at, &settings.modules, base, &mut notes) {
        Ok(modules) => modules,
        Err(err) => {
            faults.extend(err.faults);
            Modules::new()
        }
    };
    if let Some(file) = &settings.config_file {
        match of_file(&base.join(file), &mut notes) {
            Ok(more) => {
                for (name, module) in more {
                    let twice = modules.insert(name.clone(), module).is_some();
                    let text = format!("module {name:?} is in {} too", file.display());
                    let problem = Problem::new(format!("{at}.{name}"), text);
                    faults.extend(twice.then(|| source.place_one(&problem)));
                }
            }
            Err(err) => faults.extend(err.faults),
        }
    } else if settings.modules.is_empty() {
        let built_in = Source::parse(Path::new("(built in) blackbox.yml"), BUILT_IN)?;
        let file: ModuleFile = built_in.typed()?;
        modules = checked(&built_in, "modules", &file.modules, base, &mut notes)?;
    }
    // With modules at fault, each probe of them would be a fault of its own.
    if !faults.is_empty() {
        return Err(Error { faults });
    }
    let probes = &document.watchbell.probes;
    let entries = check_probes(probes, &modules, &document.global, jobs).map_err(|problems| {
        let below = problems.into_iter().map(|problem| problem.below("watchbell.probes"));
        Error { faults: source.place(below.collect()) }
    })?;
    Ok((Probing { modules, entries, from_anywhere: settings.from_anywhere }, notes))
}

/// The modules of a `blackbox.yml`, whose folder is where its relative paths start.
fn of_file(file: &Path, notes: &mut Vec<String>) -> Result<Modules, Error> {
    let source = Source::parse(file, &read(file)?)?;
    let settings: ModuleFile = source.typed()?;
    notes.extend(source.unread());
    let base = file.parent().unwrap_or(Path::new(""));
    checked(&source, "modules", &settings.modules, base, notes)
}

fn checked(
    source: &Source,
    at: &str,
    settings: &BTreeMap<String, ModuleSettings>,
    base: &Path,
    notes: &mut Vec<String>,
) -> Result<Modules, Error> {
    let (mut modules, mut faults) = (Modules::new(), Vec::new());
    for (name, module) in settings {
        let at = format!("{at}.{name}");
        match check_module(module, base) {
            Ok(module) => {
                if let ProbeKind::Unusable(why) = &module.kind {
                    let text = format!("module {name:?} cannot be used: {why}");
                    notes.push(source.note(&Problem::new(&*at, text)));
                }
                modules.insert(name.clone(), Arc::new(module));
            }
            Err(problems) => {
                let below = problems.into_iter().map(|problem| problem.below(&at));
                faults.extend(source.place(below.collect()));
            }
        }
    }
    if faults.is_empty() { Ok(modules) } else { Err(Error { faults }) }
}

#[cfg(test)]
mod tests {
    use super::super::load::{Config, Sources, load};
    use super::*;
    use std::fs;
    use std::time::Duration;

    /// A folder's `p.yml`, with a `blackbox.yml` beside it.
    fn loaded(config: &str, modules: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let file = dir.path().join("p.yml");
        fs::write(&file, config).expect("writes");
        fs::write(dir.path().join("blackbox.yml"), modules).expect("writes");
        let sources = Sources { config_file: Some(file), ..Sources::default() };
        let text = |err: Error| err.to_string().replace(&format!("{}/", dir.path().display()), "");
        load(&sources).map_err(text)
    }

    #[test]
    fn without_a_word_the_modules_of_upstream_are_there() {
        let config = loaded("", "").expect("fine");
        assert!(config.probing.modules.len() >= 8 && config.notes.is_empty(), "{config:?}");
        for (name, module) in &config.probing.modules {
            assert!(!matches!(module.kind, ProbeKind::Unusable(_)), "{name}");
        }
    }

    #[test]
    fn a_file_of_upstream_is_read_and_what_cannot_be_used_is_named() {
        let modules = "modules:\n  g: {prober: grpc, grpc: {service: s}}\n  p:\n    prober: http\n    \
                       http: {proxy_url: 'socks5://u:canary@p:1', headers: {A: canary}}\n  \
                       t: {prober: tcp, timeout: 1.5s}\n";
        let config = "global: {scrape_interval: 20s}\nwatchbell:\n  probing:\n    config_file: \
                      blackbox.yml\n    modules: {own: {prober: icmp, icmp: {ttl: 3}}}\n  probes:\n  \
                      - {target: 'a:1', module: t}\n  \
                      - {target: b, module: own, job: ping, interval: 5s, labels: {instance: c}}\n";
        let config = loaded(config, modules).expect("fine");
        let names: Vec<_> = config.probing.modules.keys().map(String::as_str).collect();
        assert_eq!(names, ["g", "own", "p", "t"]);
        let notes = config.notes.join("\n");
        assert!(notes.contains("blackbox.yml:2:6: module \"g\" cannot be used"), "{notes}");
        assert!(
            notes.contains("blackbox.yml:4:5: module \"p\" cannot be used: proxy_url: socks5://"),
            "{notes}"
        );
        let [first, second] = config.probing.entries.as_slice() else { panic!("two") };
        assert_eq!(first.interval, Duration::from_secs(20));
        assert_eq!((first.job.as_str(), first.timeout), ("probe", Duration::from_secs(10)));
        assert_eq!(second.timeout, Duration::from_secs(5));
        assert_eq!(second.labels.get("instance"), Some("c"));
        let shown = format!("{} {:?}", config.shown, config.probing.modules);
        assert!(!config.shown.contains("canary") && !shown.contains("u:canary"), "{shown}");
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let own = |module: &str| format!("watchbell: {{probing: {{modules: {{m: {module}}}}}}}\n");
        let probes = |list: &str| {
            format!("scrape_configs: [{{job_name: taken}}]\nwatchbell:\n  probes:\n{list}")
        };
        for (config, expected) in [
            (
                own("{prober: htpp}"),
                "p.yml:1:45: prober 'htpp' is not valid; did you mean \"http\"?",
            ),
            (own("{prober: http, htp: {}}"), "unknown field \"htp\"; did you mean \"http\"?"),
            (own("{prober: http, http: {metod: GET}}"), "unknown field \"metod\"; did you mean"),
            (own("{prober: http, http: {body: a, body_file: b}}"), "body and body_file both"),
            (
                own("{prober: http, http: {fail_if_body_matches_regexp: ['(']}}"),
                "cannot compile \"(\"",
            ),
            (
                own("{prober: http, http: {fail_if_header_matches: [{regexp: a}]}}"),
                "header name must be set",
            ),
            (own("{prober: http, http: {compression: zip}}"), "unsupported compression"),
            (
                own("{prober: http, http: {compression: gzip, headers: {accept-encoding: br}}}"),
                "invalid configuration",
            ),
            (own("{prober: http, http: {valid_http_versions: [HTTP/3.0]}}"), "HTTP/3 cannot"),
            (own("{prober: http, http: {preferred_ip_protocol: ipv4}}"), "neither \"ip4\" nor"),
            (
                own("{prober: http, http: {basic_auth: {}, bearer_token: a}}"),
                "at most one of basic_auth",
            ),
            (
                own("{prober: http, http: {no_proxy: a}}"),
                "if no_proxy is configured, proxy_url must also be configured",
            ),
            (own("{prober: http, http: {proxy_url: 'http://['}}"), "cannot read the proxy's URL"),
            (
                own("{prober: http, http: {oauth2: {client_id: a}}}"),
                "oauth2 token_url must be configured",
            ),
            (own("{prober: tcp, tcp: {source_ip_address: here}}"), "is no address"),
            (
                own("{prober: tcp, tcp: {query_response: [{expect: a, expect_bytes: b}]}}"),
                "mutually exclusive",
            ),
            (own("{prober: dns}"), "query name must be set"),
            (
                own("{prober: dns, dns: {query_name: a, query_type: AAAAA}}"),
                "query type 'AAAAA' is not valid",
            ),
            (
                own("{prober: dns, dns: {query_name: a, valid_rcodes: [NOPE]}}"),
                "rcode 'NOPE' is not valid",
            ),
            (own("{prober: dns, dns: {query_name: a..b}}"), "is no name of DNS"),
            (
                own("{prober: dns, dns: {query_name: a, dns_over_tls: true}}"),
                "expected transport protocol tcp",
            ),
            (own("{prober: icmp, icmp: {ttl: 256}}"), "cannot exceed 255"),
            (own("{prober: icmp, icmp: {ttl: -1}}"), "cannot be negative"),
            (own("{prober: icmp, timeout: soon}"), "time: invalid duration \"soon\""),
            (probes("  - {module: icmp}\n"), "p.yml:4:5: target is missing"),
            (
                probes("  - {target: a, module: icpm}\n"),
                "p.yml:4:25: unknown module \"icpm\"; did you mean \"icmp\"?",
            ),
            (probes("  - {target: a, job: taken}\n"), "is a job of scrape_configs"),
            (probes("  - {target: a}\n  - {target: a}\n"), "p.yml:5:5: a is probed twice"),
            (probes("  - {target: a, labels: {b-c: d}}\n"), "not a valid label name"),
        ] {
            let found = loaded(&config, "").expect_err(&config);
            assert!(found.contains(expected), "{config}: {found}");
        }
        let twice =
            "watchbell: {probing: {config_file: blackbox.yml, modules: {m: {prober: tcp}}}}\n";
        let found = loaded(twice, "modules: {m: {prober: tcp}}").expect_err("twice");
        assert!(found.contains("module \"m\" is in blackbox.yml too"), "{found}");
        let found = loaded(
            "watchbell: {probing: {config_file: blackbox.yml}}\n",
            "modules: {m: {prober: tcp, tcp: {tls: maybe}}}",
        );
        let found = found.expect_err("wrong type");
        assert!(found.starts_with("blackbox.yml:1:39: tls: "), "{found}");
    }
}
