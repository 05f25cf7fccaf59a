//! Answers that name targets: any body is decoded within its bounds, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use watchbell::ingest::config::{DockerDiscovery, DockerHost};
use watchbell::ingest::discover::{decode_docker, decode_groups};
use watchbell::sys::settings::HttpClientSettings;

fuzz_target!(|bodies: (&[u8], &[u8], bool)| {
    let (containers, networks, first_network_only) = bodies;
    let _ = decode_groups(containers, "http://127.0.0.1/targets");
    let section = DockerDiscovery {
        host: DockerHost::Unix(PathBuf::from("/var/run/docker.sock")),
        port: 80,
        host_networking_host: "localhost".to_owned(),
        first_network_only,
        filters: BTreeMap::new(),
        refresh: Duration::from_secs(60),
        client: HttpClientSettings::default(),
        base: PathBuf::new(),
    };
    let _ = decode_docker(containers, networks, &section);
    let _ = decode_docker(containers, b"[]", &section);
});
