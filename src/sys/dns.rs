//! Names to addresses: the hosts file first, then only the servers that the host names.
//!
//! A static binary has no NSS. Where `/etc/resolv.conf` names no server, no question is asked: a
//! host without network must never reach for somebody else's resolver.

use crate::sys::locks::lock;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fs;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One look-up with all its questions; below the usual scrape timeout of ten seconds, so that the
/// error names the look-up and not the scrape.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);

/// Records of one answer that are read: an answer over TCP has room for a few thousand.
const RECORDS_MAX: usize = 4_096;

/// Which records of a name are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// IPv4 addresses.
    V4,
    /// IPv6 addresses.
    V6,
    /// Hosts with ports.
    Service,
    /// Hosts that take mail.
    Mail,
    /// Name servers.
    NameServer,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Service, Self::V4, Self::V6, Self::Mail, Self::NameServer];

    /// The name in zone files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
            Self::Service => "SRV",
            Self::Mail => "MX",
            Self::NameServer => "NS",
        }
    }

    /// The kind of this name, in upper case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a record says. Hosts end with a dot, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    Address(IpAddr),
    /// A host with a port.
    Service {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A host that takes mail.
    Mail(String),
    /// A name server.
    NameServer(String),
}

/// Records to come.
pub type PendingRecords<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<Record>, LookupError>> + Send + 'a>>;

/// Asks for records; handed in at construction, so that tests script the name service.
pub trait Dns: Send + Sync + std::fmt::Debug {
    /// The records of `name`; none when it does not exist.
    ///
    /// # Errors
    /// Nobody to ask, or no answer in time.
    fn records<'a>(&'a self, name: &'a str, kind: RecordKind) -> PendingRecords<'a>;
}

/// Why a name has no address, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lookup {name}: {reason}")]
pub struct LookupError {
    name: String,
    reason: String,
}

/// The host's own resolution. Clones share it.
#[derive(Clone, Debug)]
pub struct HostResolver(Arc<Inner>);

struct Inner {
    hosts: PathBuf,
    conf: PathBuf,
    /// Answers are remembered for as long as they say.
    remembers: bool,
    /// The resolver and the file that it was made of, made anew when that changes.
    made: Mutex<Option<(Vec<u8>, TokioResolver)>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("hosts", &self.hosts).field("conf", &self.conf).finish()
    }
}

impl HostResolver {
    /// Resolution as the host's files have it.
    pub fn system() -> Self {
        Self::new("/etc/hosts", "/etc/resolv.conf", true)
    }

    /// The same for who asks at his own times and wants to be told the news.
    pub fn forgetful() -> Self {
        Self::new("/etc/hosts", "/etc/resolv.conf", false)
    }

    fn new(hosts: impl Into<PathBuf>, conf: impl Into<PathBuf>, remembers: bool) -> Self {
        let (hosts, conf) = (hosts.into(), conf.into());
        Self(Arc::new(Inner { hosts, conf, remembers, made: Mutex::new(None) }))
    }

    /// The addresses of `name`.
    ///
    /// # Errors
    /// There is none, or nobody to ask.
    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let failed = |reason: String| LookupError::new(name, reason);
        if let Some(found) = known(name, &self.0.hosts) {
            return Ok(found);
        }
        let resolver = self.resolver().map_err(failed)?;
        let asked = tokio::time::timeout(LOOKUP_DEADLINE, resolver.lookup_ip(name)).await;
        match asked {
            Ok(Ok(found)) => Ok(found.iter().collect()),
            Ok(Err(err)) if err.is_nx_domain() || err.is_no_records_found() => {
                Err(failed("no such host".to_owned()))
            }
            Ok(Err(err)) => Err(failed(err.to_string())),
            Err(_) => Err(failed("i/o timeout".to_owned())),
        }
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let conf = self.0.conf.display();
        let text = fs::read(&self.0.conf).map_err(|err| {
            format!("no such host; {conf} names no servers: {err}; name the address instead")
        })?;
        let mut made = lock(&self.0.made);
        if let Some((before, resolver)) = made.as_ref()
            && *before == text
        {
            return Ok(resolver.clone());
        }
        let (config, mut options) = parse_resolv_conf(&text)
            .map_err(|err| format!("no such host; cannot use {conf}: {err}"))?;
        options.use_hosts_file = ResolveHosts::Never;
        if !self.0.remembers {
            options.cache_size = 0;
        }
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|err| format!("cannot use {conf}: {err}"))?;
        *made = Some((text, resolver.clone()));
        Ok(resolver)
    }
}

impl LookupError {
    /// No answer for `name`.
    pub fn new(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), reason: reason.into() }
    }
}

impl Dns for HostResolver {
    fn records<'a>(&'a self, name: &'a str, kind: RecordKind) -> PendingRecords<'a> {
        Box::pin(async move {
            let failed = |reason: String| LookupError::new(name, reason);
            let resolver = self.resolver().map_err(failed)?;
            let asked = resolver.lookup(name, record_type(kind));
            match tokio::time::timeout(LOOKUP_DEADLINE, asked).await {
                Ok(Ok(found)) => {
                    let records = found.answers().iter().filter_map(|one| record(&one.data));
                    Ok(records.take(RECORDS_MAX).collect())
                }
                Ok(Err(err)) if err.is_nx_domain() || err.is_no_records_found() => Ok(Vec::new()),
                Ok(Err(err)) => Err(failed(err.to_string())),
                Err(_) => Err(failed("i/o timeout".to_owned())),
            }
        })
    }
}

const fn record_type(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::V4 => RecordType::A,
        RecordKind::V6 => RecordType::AAAA,
        RecordKind::Service => RecordType::SRV,
        RecordKind::Mail => RecordType::MX,
        RecordKind::NameServer => RecordType::NS,
    }
}

/// What is said by a record of one of our kinds; an alias on the way there is none.
fn record(data: &RData) -> Option<Record> {
    match data {
        RData::A(address) => Some(Record::Address(address.0.into())),
        RData::AAAA(address) => Some(Record::Address(address.0.into())),
        RData::SRV(service) => {
            Some(Record::Service { host: service.target.to_string(), port: service.port })
        }
        RData::MX(mail) => Some(Record::Mail(mail.exchange.to_string())),
        RData::NS(server) => Some(Record::NameServer(server.0.to_string())),
        _ => None,
    }
}

impl Resolve for HostResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.lookup(name.as_str()).await?;
            // The port is replaced by the URL's.
            let addresses: Addrs =
                Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// What needs no question: the hosts file, and loopback names that it does not have (RFC 6761,
/// section 6.3). Any hit ends the look-up, also when it has addresses of one family only: a host
/// without IPv6 has no `::1`.
fn known(name: &str, hosts: &Path) -> Option<Vec<IpAddr>> {
    let bare = name.trim_end_matches('.').to_ascii_lowercase();
    let found = hosts_lines(&fs::read_to_string(hosts).unwrap_or_default(), &bare);
    if !found.is_empty() {
        return Some(found);
    }
    let is_loopback = bare == "localhost" || bare.ends_with(".localhost");
    is_loopback.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

fn hosts_lines(text: &str, bare: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|alias| alias.trim_end_matches('.').eq_ignore_ascii_case(bare)) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOSTS: &str =
        "# comment\n192.0.2.7 db.example db # primary\n2001:db8::7\tDB.example.\nnonsense x\n";

    #[test]
    fn a_hit_in_the_hosts_file_ends_the_look_up() {
        for (name, expected) in [
            ("db", vec!["192.0.2.7"]),
            ("db.example", vec!["192.0.2.7", "2001:db8::7"]),
            ("primary", vec![]),
            ("x", vec![]),
        ] {
            let expected: Vec<IpAddr> = expected.iter().map(|a| a.parse().expect("IP")).collect();
            assert_eq!(hosts_lines(HOSTS, name), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn without_resolv_conf_nobody_is_asked() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let hosts = dir.path().join("hosts");
        fs::write(&hosts, HOSTS).expect("writes");
        let resolver = HostResolver::new(&hosts, dir.path().join("resolv.conf"), true);
        assert_eq!(resolver.lookup("db").await.expect("in the hosts file").len(), 1);
        assert_eq!(resolver.lookup("LOCALHOST.").await.expect("loopback").len(), 2);
        let err = resolver.lookup("elsewhere.example").await.expect_err("nobody to ask");
        assert!(err.to_string().contains("resolv.conf names no servers"), "{err}");
        fs::write(dir.path().join("resolv.conf"), "search example\n").expect("writes");
        let err = resolver.lookup("elsewhere.example").await.expect_err("nobody to ask");
        assert!(err.to_string().contains("no nameservers"), "{err}");
    }

    /// A name as it stands in a message.
    fn labels(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            out.push(u8::try_from(label.len()).expect("short"));
            out.extend(label.as_bytes());
        }
        out.push(0);
        out
    }

    /// Type and body of each record that the server knows under this name.
    fn known_records(name: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let host = |front: &[u8], name: &str| [front, &labels(name)].concat();
        match name {
            name if *name == labels("web.example") => {
                // An alias comes before what it leads to.
                vec![(5, labels("web.example")), (1, vec![10, 0, 0, 1]), (1, vec![10, 0, 0, 2])]
            }
            name if *name == labels("_db._tcp.example") => {
                vec![(33, host(&[0, 1, 0, 1, 12, 234], "db.example"))]
            }
            name if *name == labels("example") => {
                vec![(15, host(&[0, 10], "mx.example")), (2, labels("ns.example"))]
            }
            _ => Vec::new(),
        }
    }

    /// The answer to a question; unknown names do not exist, and `hang` is not answered.
    fn answer(question: &[u8]) -> Option<Vec<u8>> {
        let end = 12 + question.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
        let (name, wanted) = (question.get(12..end)?, question.get(end..end + 2)?);
        if *name == labels("hang") {
            return None;
        }
        let wanted = u16::from_be_bytes([wanted[0], wanted[1]]);
        let mut records = known_records(name);
        let code = match records.is_empty() {
            true if *name == labels("broken") => 2,
            true => 3,
            false => 0,
        };
        records.retain(|(kind, _)| *kind == wanted || (*kind == 5 && wanted == 1));
        let count = u8::try_from(records.len()).expect("few");
        let mut out = question.get(..2)?.to_vec();
        out.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
        out.extend(question.get(12..end + 4)?);
        for (kind, body) in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
            out.extend(body);
        }
        Some(out)
    }

    /// A resolver that asks a server on this loopback port, as if its file named that.
    fn asking(port: u16, dir: &Path) -> HostResolver {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
        let conf = dir.join("resolv.conf");
        fs::write(&conf, "nameserver 127.0.0.1\n").expect("writes");
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections = vec![connection];
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut resolver =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        resolver.options_mut().timeout = Duration::from_millis(200);
        resolver.options_mut().attempts = 1;
        let resolver = resolver.build().expect("builds");
        let host = HostResolver::new(dir.join("hosts"), &conf, false);
        let text = fs::read(&conf).expect("reads");
        *host.0.made.lock().expect("whole") = Some((text, resolver));
        host
    }

    #[tokio::test]
    async fn records_of_each_kind_are_read_and_a_name_without_any_has_none() {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let port = socket.local_addr().expect("bound").port();
        crate::sys::tasks::spawn("name server", async move {
            let mut question = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                if let Some(answer) = answer(&question[..length]) {
                    socket.send_to(&answer, from).await.expect("sends");
                }
            }
        });
        let dir = tempfile::tempdir().expect("temporary folder");
        let dns = asking(port, dir.path());
        let address = |last| Record::Address([10, 0, 0, last].into());
        for (name, kind, expected) in [
            ("web.example.", RecordKind::V4, vec![address(1), address(2)]),
            ("web.example.", RecordKind::V6, vec![]),
            (
                "_db._tcp.example.",
                RecordKind::Service,
                vec![Record::Service { host: "db.example.".to_owned(), port: 3306 }],
            ),
            ("example.", RecordKind::Mail, vec![Record::Mail("mx.example.".to_owned())]),
            (
                "example.",
                RecordKind::NameServer,
                vec![Record::NameServer("ns.example.".to_owned())],
            ),
            ("nowhere.example.", RecordKind::V4, vec![]),
        ] {
            assert_eq!(dns.records(name, kind).await, Ok(expected), "{name} {kind:?}");
        }
        let wrong = dns.records("a..b", RecordKind::V4).await.expect_err("no name");
        assert!(wrong.to_string().starts_with("lookup a..b: "), "{wrong}");
        // A server that fails says nothing about the name.
        let failed = dns.records("broken.", RecordKind::V4).await.expect_err("no answer");
        assert!(failed.to_string().starts_with("lookup broken.: "), "{failed}");
        let hung = dns.records("hang.", RecordKind::V4).await.expect_err("no answer");
        assert!(hung.to_string().starts_with("lookup hang.: "), "{hung}");
    }

    proptest! {
        #[test]
        fn any_hosts_file_is_read(text in "(?s).{0,200}", name in "[a-z.]{0,5}") {
            hosts_lines(&text, &name);
        }
    }
}
