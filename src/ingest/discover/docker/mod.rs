//! Targets from the containers of a Docker daemon: one for each container, network and port.
//!
//! Source: prometheus, discovery/moby/docker.go, discovery/moby/network.go.

use super::super::config::{DockerDiscovery, DockerHost, TargetGroup};
use super::super::limits::{
    DISCOVERED_LABEL_BYTES_MAX, DISCOVERED_TARGETS_MAX, DISCOVERY_BODY_BYTES_MAX,
};
use super::json::{Few, FewNames};
use super::{ANSWER_DEADLINE, Answers, Client, Means, client, decoded, fetch, host_port};
use crate::model::{Labels, percent};
use crate::sys::http::Request;
use crate::sys::settings::{HttpClientSettings, url_without_password};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

const CONTAINER: &str = "__meta_docker_container_";
const NETWORK: &str = "__meta_docker_network_";
const PORT: &str = "__meta_docker_port_";

/// Entries of one list or map of an answer: no honest container comes near.
const ENTRIES_MAX: usize = 10_000;

/// A daemon that is asked.
#[derive(Debug)]
pub(super) struct Daemon {
    section: DockerDiscovery,
    client: Client,
    /// The front of its URLs.
    front: String,
    socket: Option<PathBuf>,
    user_agent: String,
}

impl Daemon {
    /// The daemon that the section names.
    pub(super) fn new(section: &DockerDiscovery, means: &Means) -> Self {
        let plain = HttpClientSettings::default();
        let (front, socket, settings) = match &section.host {
            // Credentials and proxies mean nothing on a socket of this host.
            DockerHost::Unix(path) => ("http://docker".to_owned(), Some(path.clone()), &plain),
            DockerHost::Url(url) => (url.clone(), None, &section.client),
        };
        Self {
            client: client(means.http.as_ref(), settings, &section.base),
            section: section.clone(),
            front,
            socket,
            user_agent: means.user_agent.clone(),
        }
    }

    /// Asks once.
    pub(super) async fn ask(&self) -> Answers {
        vec![self.groups().await.map_err(|(what, problem)| {
            let place = match &self.section.host {
                DockerHost::Unix(path) => path.display().to_string(),
                DockerHost::Url(url) => url_without_password(url),
            };
            format!("error while {what} of {place}: {problem}")
        })]
    }

    async fn groups(&self) -> Result<Vec<TargetGroup>, (&'static str, String)> {
        let mut path = "/containers/json".to_owned();
        if !self.section.filters.is_empty() {
            path.push_str("?filters=");
            path.push_str(&percent::encode(&filters(&self.section), b""));
        }
        let told = |what: &'static str| move |problem| (what, problem);
        let containers = self.get(&path).await.map_err(told("listing containers"))?;
        let networks = self.get("/networks").await.map_err(told("computing network labels"))?;
        let section = self.section.clone();
        let work = move || decode(&containers, &networks, &section);
        decoded(work).await.map_err(told("reading the answer"))
    }

    async fn get(&self, path: &str) -> Result<bytes::Bytes, String> {
        let mut request = Request::get(format!("{}{path}", self.front));
        request.timeout = ANSWER_DEADLINE.min(self.section.refresh);
        request.body_bytes_max = DISCOVERY_BODY_BYTES_MAX;
        request.unix_socket.clone_from(&self.socket);
        request.headers = vec![
            ("user-agent".to_owned(), self.user_agent.clone()),
            ("accept".to_owned(), "application/json".to_owned()),
        ];
        Ok(fetch(&self.client, request).await?.body)
    }
}

/// Docker's form of filters: names, each with a map from values to `true`.
fn filters(section: &DockerDiscovery) -> String {
    let values = |values: &std::collections::BTreeSet<String>| {
        values.iter().map(|value| (value.clone(), true)).collect::<BTreeMap<_, _>>()
    };
    let form: BTreeMap<_, _> =
        section.filters.iter().map(|(name, set)| (name, values(set))).collect();
    serde_json::to_string(&form).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Container {
    id: String,
    names: Few<String, ENTRIES_MAX>,
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    labels: FewNames<String, ENTRIES_MAX>,
    ports: Few<Port, ENTRIES_MAX>,
    host_config: Option<HostConfig>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    networks: FewNames<Option<Endpoint>, ENTRIES_MAX>,
}

/// A container's place in a network.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "NetworkID")]
    network: String,
    #[serde(rename = "IPAddress")]
    v4: String,
    #[serde(rename = "GlobalIPv6Address")]
    v6: String,
}

impl Endpoint {
    /// Its address; empty when it has none, as in the host's network.
    fn address(&self) -> &str {
        if self.v4.is_empty() { &self.v6 } else { &self.v4 }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Port {
    #[serde(rename = "IP")]
    public_ip: String,
    private_port: u16,
    public_port: u16,
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Network {
    id: String,
    name: String,
    scope: String,
    internal: bool,
    ingress: bool,
    labels: FewNames<String, ENTRIES_MAX>,
}

type Pairs = Vec<(String, String)>;

/// Targets out of the daemon's answers to `/containers/json` and `/networks`, each a group.
///
/// # Errors
/// An answer is no such list, or the targets are more than `DISCOVERED_TARGETS_MAX` or hold more
/// than `DISCOVERED_LABEL_BYTES_MAX` bytes of labels.
pub fn decode(
    containers: &[u8],
    networks: &[u8],
    section: &DockerDiscovery,
) -> Result<Vec<TargetGroup>, String> {
    let containers: Few<Container, ENTRIES_MAX> =
        serde_json::from_slice(containers).map_err(|err| format!("containers: {err}"))?;
    let networks: Few<Network, ENTRIES_MAX> =
        serde_json::from_slice(networks).map_err(|err| format!("networks: {err}"))?;
    let by_id = containers.0.iter().map(|one| (one.id.as_str(), one)).collect();
    let network_labels = networks.0.iter().map(|one| (one.id.as_str(), one.labels())).collect();
    let mut targets = Targets { section, by_id, network_labels, found: Vec::new(), label_bytes: 0 };
    for container in &containers.0 {
        targets.add(container)?;
    }
    Ok(targets.found)
}

/// Targets as they are made.
struct Targets<'a> {
    section: &'a DockerDiscovery,
    by_id: BTreeMap<&'a str, &'a Container>,
    network_labels: BTreeMap<&'a str, Pairs>,
    found: Vec<TargetGroup>,
    label_bytes: usize,
}

impl<'a> Targets<'a> {
    fn add(&mut self, container: &'a Container) -> Result<(), String> {
        let Some(name) = container.names.0.first() else { return Ok(()) };
        let common = container.labels(name);
        for endpoint in self.endpoints(container) {
            let tcp = container.ports.0.iter().filter(|port| port.r#type == "tcp");
            let mut has_port = false;
            for port in tcp {
                has_port = true;
                let address = host_port(endpoint.address(), port.private_port);
                self.push(address, &common, endpoint, port.labels())?;
            }
            if !has_port {
                let address = match container.mode() {
                    "host" => self.section.host_networking_host.clone(),
                    _ => host_port(endpoint.address(), self.section.port),
                };
                self.push(address, &common, endpoint, Vec::new())?;
            }
        }
        Ok(())
    }

    /// The container's networks by name: all of them or the first; those of the container whose
    /// network it shares, when it has none itself.
    fn endpoints(&self, container: &'a Container) -> Vec<&'a Endpoint> {
        let mut owner = container;
        // Daemons know no rings of containers, but an answer may hold one.
        for _ in 0..self.by_id.len() {
            let shared = owner.mode().strip_prefix("container:");
            match shared.and_then(|id| self.by_id.get(id)) {
                Some(next) if owner.networks().next().is_none() => owner = next,
                Some(_) | None => break,
            }
        }
        let count = if self.section.first_network_only { 1 } else { usize::MAX };
        owner.networks().take(count).collect()
    }

    fn push(
        &mut self,
        address: String,
        common: &Pairs,
        endpoint: &Endpoint,
        port: Pairs,
    ) -> Result<(), String> {
        let network = self.network_labels.get(endpoint.network.as_str());
        let place = (format!("{NETWORK}ip"), endpoint.address().to_owned());
        let pairs = common.iter().chain(network.into_iter().flatten()).cloned();
        let pairs: Pairs = pairs.chain([place]).chain(port).collect();
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.label_bytes = self.label_bytes.saturating_add(bytes);
        if self.label_bytes > DISCOVERED_LABEL_BYTES_MAX {
            return Err(format!("more than {DISCOVERED_LABEL_BYTES_MAX} bytes of labels"));
        }
        if self.found.len() >= DISCOVERED_TARGETS_MAX {
            return Err(format!("more than {DISCOVERED_TARGETS_MAX} targets"));
        }
        let labels = Labels::from_pairs(pairs);
        self.found.push(TargetGroup { targets: vec![address], labels });
        Ok(())
    }
}

impl Container {
    fn mode(&self) -> &str {
        self.host_config.as_ref().map_or("", |config| &config.network_mode)
    }

    fn networks(&self) -> impl Iterator<Item = &Endpoint> {
        let settings = self.network_settings.iter();
        settings.flat_map(|settings| settings.networks.0.values()).flatten()
    }

    fn labels(&self, name: &str) -> Pairs {
        let own = self.labels.0.iter();
        let own = own
            .map(|(name, value)| (format!("{CONTAINER}label_{}", label_name(name)), value.clone()));
        let known = [
            ("id", self.id.as_str()),
            ("name", name),
            ("network_mode", self.mode()),
            ("image", &self.image),
            ("image_id", &self.image_id),
        ];
        let known = known.map(|(part, value)| (format!("{CONTAINER}{part}"), value.to_owned()));
        known.into_iter().chain(own).collect()
    }
}

impl Port {
    fn labels(&self) -> Pairs {
        let mut labels = vec![(format!("{PORT}private"), self.private_port.to_string())];
        if self.public_port > 0 {
            labels.push((format!("{PORT}public"), self.public_port.to_string()));
            labels.push((format!("{PORT}public_ip"), self.public_ip.clone()));
        }
        labels
    }
}

impl Network {
    fn labels(&self) -> Pairs {
        let own = self.labels.0.iter();
        let own = own
            .map(|(name, value)| (format!("{NETWORK}label_{}", label_name(name)), value.clone()));
        let known = [
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("scope", self.scope.clone()),
            ("internal", self.internal.to_string()),
            ("ingress", self.ingress.to_string()),
        ];
        let known = known.map(|(part, value)| (format!("{NETWORK}{part}"), value));
        known.into_iter().chain(own).collect()
    }
}

/// The name with `_` for everything that the classic grammar does not know.
fn label_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests;
