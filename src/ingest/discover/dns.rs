//! Targets from records of the name service.
//!
//! Source: prometheus, discovery/dns/dns.go.

use super::super::config::{DnsDiscovery, TargetGroup};
use super::{Answers, host_port};
use crate::model::Labels;
use crate::sys::dns::{Dns, Record};
use futures_util::{FutureExt as _, StreamExt as _};

const NAME: &str = "__meta_dns_name";
const SERVICE_HOST: &str = "__meta_dns_srv_record_target";
const SERVICE_PORT: &str = "__meta_dns_srv_record_port";
const MAIL_HOST: &str = "__meta_dns_mx_record_target";
const SERVER_HOST: &str = "__meta_dns_ns_record_target";

/// Names that are asked for at once: a resolver answers in milliseconds, and one that hangs is
/// given up on after five seconds.
const QUESTIONS_MAX: usize = 16;

/// Asks for each name once; each is a part of its own.
pub(super) async fn ask(section: &DnsDiscovery, dns: &dyn Dns) -> Answers {
    let mut questions = Vec::new();
    for name in &section.names {
        questions.push(ask_for(name, section, dns).boxed());
    }
    futures_util::stream::iter(questions).buffered(QUESTIONS_MAX).collect().await
}

async fn ask_for(
    name: &str,
    section: &DnsDiscovery,
    dns: &dyn Dns,
) -> Result<Vec<TargetGroup>, String> {
    let found = dns.records(name, section.kind).await.map_err(|err| err.to_string())?;
    Ok(found.iter().map(|record| group(name, record, section.port)).collect())
}

/// A group for each record: they differ in their labels.
fn group(name: &str, record: &Record, port: u16) -> TargetGroup {
    let bare = |host: &str| host.trim_end_matches('.').to_owned();
    let (target, own) = match record {
        Record::Address(address) => (host_port(&address.to_string(), port), Vec::new()),
        Record::Service { host, port } => (
            host_port(&bare(host), *port),
            vec![(SERVICE_HOST, host.clone()), (SERVICE_PORT, port.to_string())],
        ),
        Record::Mail(host) => (host_port(&bare(host), port), vec![(MAIL_HOST, host.clone())]),
        Record::NameServer(host) => {
            (host_port(&bare(host), port), vec![(SERVER_HOST, host.clone())])
        }
    };
    let labels = own.into_iter().chain([(NAME, name.to_owned())]);
    TargetGroup { targets: vec![target], labels: Labels::from_pairs(labels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_record_has_its_labels() {
        let host = |name: &str| name.to_owned();
        for (record, target, labels) in [
            (Record::Address([10, 0, 0, 1].into()), "10.0.0.1:80", vec![]),
            (
                Record::Address("2001:db8::1".parse().expect("an address")),
                "[2001:db8::1]:80",
                vec![],
            ),
            (
                Record::Service { host: host("a.example."), port: 3306 },
                "a.example:3306",
                vec![(SERVICE_HOST, "a.example."), (SERVICE_PORT, "3306")],
            ),
            (Record::Mail(host("m.example.")), "m.example:80", vec![(MAIL_HOST, "m.example.")]),
            (
                Record::NameServer(host("n.example.")),
                "n.example:80",
                vec![(SERVER_HOST, "n.example.")],
            ),
        ] {
            let found = group("x.example", &record, 80);
            assert_eq!(found.targets, [target]);
            let labels = labels.into_iter().chain([(NAME, "x.example")]);
            assert_eq!(found.labels, Labels::from_pairs(labels));
        }
    }
}
