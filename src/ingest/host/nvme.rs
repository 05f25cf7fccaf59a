//! `/sys/class/nvme`: NVMe controllers and their namespaces.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The directory: one entry a controller.
const DIRECTORY: &str = "sys/class/nvme";

/// File of a namespace in blocks, metric, meaning.
const SIZES: [(&str, &str, &str); 3] = [
    ("size", "node_nvme_namespace_capacity_bytes", "Capacity of the namespace."),
    ("size", "node_nvme_namespace_size_bytes", "Size of the namespace."),
    ("nuse", "node_nvme_namespace_used_bytes", "What of the namespace is in use."),
];

/// Adds `node_nvme_...`; fails on a machine without such disks.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for device in host.root.names(DIRECTORY)? {
        let text = |file: &str| {
            let value = host.root.value(&format!("{DIRECTORY}/{device}/{file}"));
            value.unwrap_or_default()
        };
        let labels = [
            ("device", &*device),
            ("firmware_revision", &text("firmware_rev")),
            ("model", &text("model")),
            ("serial", &text("serial")),
            ("state", &text("state")),
            ("cntlid", &text("cntlid")),
        ];
        out.gauge("node_nvme_info", "What the controller is.", &labels, 1.0);
        for entry in host.root.names(&format!("{DIRECTORY}/{device}"))? {
            if let Some(id) = namespace(&entry) {
                add_namespace(host, &device, &entry, id, out);
            }
        }
    }
    Ok(())
}

fn add_namespace(host: &Host, device: &str, entry: &str, id: &str, out: &mut Families) {
    let value = |file: &str| host.root.value(&format!("{DIRECTORY}/{device}/{entry}/{file}"));
    let figure = |file: &str| value(file).as_deref().and_then(number);
    // Before Linux 6.8 namespaces tell nothing here.
    let Some(block) = figure("queue/logical_block_size") else { return };
    let state = value("ana_state").unwrap_or_else(|| "unknown".to_owned());
    let labels = [("device", device), ("nsid", id), ("ana_state", &state)];
    out.gauge("node_nvme_namespace_info", "What the namespace is.", &labels, 1.0);
    let labels = [("device", device), ("nsid", id)];
    let name = "node_nvme_namespace_logical_block_size_bytes";
    out.gauge(name, "The smallest piece that can be read.", &labels, block);
    for (file, name, help) in SIZES {
        if let Some(blocks) = figure(file) {
            out.gauge(name, help, &labels, blocks * block);
        }
    }
}

/// `nvme0n1` is the namespace 1.
fn namespace(entry: &str) -> Option<&str> {
    let rest = entry.strip_prefix("nvme")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (controller, id) = rest.split_once('n')?;
    (is_number(controller) && is_number(id)).then_some(id)
}
