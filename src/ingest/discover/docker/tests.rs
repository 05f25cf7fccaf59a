//! Claims about containers as targets.

use super::super::super::config::{Discovery, Global, ScrapeConfig, check};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// The section of a job whose one `docker_sd_configs` entry has these keys beside its host.
fn section(keys: &str) -> DockerDiscovery {
    let yaml = format!("{{job_name: d, docker_sd_configs: [{{host: 'unix:///d.sock', {keys}}}]}}");
    let config: ScrapeConfig = serde_yaml::from_str(&yaml).expect("reads");
    let checked = check(&Global::default(), &[config], Path::new("/"), &mut BTreeSet::new());
    match checked.expect("valid").jobs.remove(0).discovery.remove(0) {
        Discovery::Docker(section) => section,
        other => panic!("{other:?}"),
    }
}

/// Containers with two networks, several ports, another's network, the host's, and none.
const CONTAINERS: &str = r#"[
 {"Id": "c1", "Names": ["/web", "/other/alias"], "Image": "web:1", "ImageID": "sha256:1",
  "Labels": {"com.example.team": "a b", "1x": "y", "empty": ""},
  "Ports": [{"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp"},
            {"PrivatePort": 9100, "Type": "tcp"},
            {"PrivatePort": 53, "Type": "udp"}],
  "HostConfig": {"NetworkMode": "front"},
  "NetworkSettings": {"Networks": {
    "front": {"NetworkID": "n1", "IPAddress": "172.18.0.2", "Gateway": "172.18.0.1"},
    "back": {"NetworkID": "n2", "IPAddress": "172.19.0.2"}}}},
 {"Id": "c2", "Names": ["/sidecar"], "Labels": null, "Ports": [],
  "HostConfig": {"NetworkMode": "container:c1"}, "NetworkSettings": {"Networks": {}}},
 {"Id": "c3", "Names": ["/onhost"], "Labels": {}, "Ports": null,
  "HostConfig": {"NetworkMode": "host"},
  "NetworkSettings": {"Networks": {"host": {"NetworkID": "n3", "IPAddress": ""}}}},
 {"Id": "c4", "Names": null, "HostConfig": {"NetworkMode": "front"}},
 {"Id": "c5", "Names": ["/alone"], "HostConfig": {"NetworkMode": "none"},
  "NetworkSettings": {"Networks": {"none": null}}},
 {"Id": "c6", "Names": ["/six"], "HostConfig": {"NetworkMode": "six"},
  "NetworkSettings": {"Networks": {"six": {"NetworkID": "gone", "IPAddress": "", "GlobalIPv6Address": "2001:db8::6"}}}}
]"#;

const NETWORKS: &str = r#"[
 {"Name": "front", "Id": "n1", "Scope": "local", "Internal": false, "Ingress": false,
  "Labels": {"com.docker.compose.network": "front"}, "IPAM": {"Config": [{"Subnet": "x"}]}},
 {"Name": "back", "Id": "n2", "Scope": "local", "Internal": true, "Ingress": false, "Labels": null},
 {"Name": "host", "Id": "n3", "Scope": "local", "Internal": false, "Ingress": false}
]"#;

fn found(section: &DockerDiscovery) -> Vec<(String, Labels)> {
    let groups = decode(CONTAINERS.as_bytes(), NETWORKS.as_bytes(), section).expect("valid");
    groups.into_iter().map(|mut group| (group.targets.remove(0), group.labels)).collect()
}

#[test]
fn each_container_network_and_port_is_a_target() {
    let targets = found(&section("match_first_network: false"));
    let addresses: Vec<_> = targets.iter().map(|(address, _)| address.as_str()).collect();
    let expected = [
        "172.19.0.2:8080",
        "172.19.0.2:9100",
        "172.18.0.2:8080",
        "172.18.0.2:9100",
        "172.19.0.2:80",
        "172.18.0.2:80",
        "localhost",
        "[2001:db8::6]:80",
    ];
    assert_eq!(addresses, expected);
    let (_, web) = &targets[2];
    let expected = [
        ("__meta_docker_container_id", "c1"),
        ("__meta_docker_container_name", "/web"),
        ("__meta_docker_container_network_mode", "front"),
        ("__meta_docker_container_image", "web:1"),
        ("__meta_docker_container_image_id", "sha256:1"),
        ("__meta_docker_container_label_com_example_team", "a b"),
        ("__meta_docker_container_label_1x", "y"),
        ("__meta_docker_network_id", "n1"),
        ("__meta_docker_network_name", "front"),
        ("__meta_docker_network_scope", "local"),
        ("__meta_docker_network_internal", "false"),
        ("__meta_docker_network_ingress", "false"),
        ("__meta_docker_network_label_com_docker_compose_network", "front"),
        ("__meta_docker_network_ip", "172.18.0.2"),
        ("__meta_docker_port_private", "8080"),
        ("__meta_docker_port_public", "80"),
        ("__meta_docker_port_public_ip", "0.0.0.0"),
    ];
    assert_eq!(web, &Labels::from_pairs(expected));
    let (_, metrics) = &targets[3];
    assert_eq!(metrics.get("__meta_docker_port_private"), Some("9100"));
    assert_eq!(metrics.get("__meta_docker_port_public"), None);
    let (_, unknown) = &targets[7];
    assert_eq!(unknown.get("__meta_docker_network_name"), None);
}

#[test]
fn the_first_network_is_enough_unless_the_section_wants_all() {
    let targets = found(&section("port: 1234, host_networking_host: 10.0.0.1"));
    let addresses: Vec<_> = targets.iter().map(|(address, _)| address.as_str()).collect();
    let expected =
        ["172.19.0.2:8080", "172.19.0.2:9100", "172.19.0.2:1234", "10.0.0.1", "[2001:db8::6]:1234"];
    assert_eq!(addresses, expected);
    // The second container has no network of its own.
    let (_, sidecar) = &targets[2];
    assert_eq!(sidecar.get("__meta_docker_network_name"), Some("back"));
    assert_eq!(sidecar.get("__meta_docker_container_network_mode"), Some("container:c1"));
}

#[test]
fn filters_are_written_as_docker_reads_them() {
    let filters_yaml = "filters: [{name: name, values: [web, db]}, {name: status, values: [running]}, \
                        {name: none, values: []}]";
    let text = filters(&section(filters_yaml));
    assert_eq!(text, r#"{"name":{"db":true,"web":true},"status":{"running":true}}"#);
}

#[test]
fn what_is_no_answer_of_docker_is_refused() {
    let section = section("");
    for (containers, networks, expected) in [
        ("{}", "[]", "containers: invalid type: map, expected a list of at most 10000 entries"),
        ("[]", "{\"message\": \"x\"}", "networks: invalid type: map"),
        ("[{\"Ports\": [{\"PrivatePort\": 70000}]}]", "[]", "containers: invalid value"),
        ("[", "[]", "containers: EOF"),
    ] {
        let err = decode(containers.as_bytes(), networks.as_bytes(), &section).expect_err("wrong");
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
fn few_bytes_do_not_become_many_targets() {
    let ports = vec!["{\"Type\":\"tcp\"}"; 9_999].join(",");
    let networks: Vec<_> = (0..99).map(|place| format!("\"{place}\":{{}}")).collect();
    let long = "x".repeat(100);
    let text = format!(
        "[{{\"Id\":\"{long}\",\"Names\":[\"a\"],\"Ports\":[{ports}],\
         \"NetworkSettings\":{{\"Networks\":{{{}}}}}}}]",
        networks.join(",")
    );
    let section = section("match_first_network: false");
    let err = decode(text.as_bytes(), b"[]", &section).expect_err("too many");
    assert!(err.starts_with("more than 20000 targets"), "{err}");
}

#[test]
fn a_ring_of_shared_networks_ends() {
    let text = r#"[{"Id": "a", "Names": ["/a"], "HostConfig": {"NetworkMode": "container:b"}},
                   {"Id": "b", "Names": ["/b"], "HostConfig": {"NetworkMode": "container:a"}},
                   {"Id": "c", "Names": ["/c"], "HostConfig": {"NetworkMode": "container:c"}}]"#;
    assert_eq!(decode(text.as_bytes(), b"[]", &section("")), Ok(Vec::new()));
}

proptest! {
    #[test]
    fn any_answer_is_decoded_or_refused(
        containers in proptest::collection::vec(any::<u8>(), 0..200),
        networks in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let section = section("");
        let _ = decode(&containers, &networks, &section);
        let _ = decode(&containers, b"[]", &section);
    }

    #[test]
    fn targets_are_networks_times_ports(
        ports in proptest::collection::vec((any::<u16>(), any::<bool>()), 0..6),
        networks in proptest::collection::btree_set("[a-z]{1,5}", 0..5),
        first_only in any::<bool>(),
    ) {
        let form = |(port, is_tcp): &(u16, bool)| {
            serde_json::json!({"PrivatePort": port, "Type": if *is_tcp { "tcp" } else { "udp" }})
        };
        let ports_json: Vec<_> = ports.iter().map(form).collect();
        let endpoint = |name: &String| (name.clone(), serde_json::json!({"NetworkID": name}));
        let endpoints: serde_json::Map<_, _> = networks.iter().map(endpoint).collect();
        let text = serde_json::json!([{"Id": "i", "Names": ["/n"], "Ports": ports_json,
            "NetworkSettings": {"Networks": endpoints}}]).to_string();
        let section = section(&format!("match_first_network: {first_only}"));
        let found = decode(text.as_bytes(), b"[]", &section).expect("valid");
        let tcp = ports.iter().filter(|(_, is_tcp)| *is_tcp).count().max(1);
        let places = if first_only { networks.len().min(1) } else { networks.len() };
        prop_assert_eq!(found.len(), tcp * places);
    }
}
