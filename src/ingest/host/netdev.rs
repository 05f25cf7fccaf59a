//! `/proc/net/dev`: traffic and faults of network devices.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use procfs::FromRead;
use procfs::net::{DeviceStatus, InterfaceDeviceStatus};

/// The file. `proc/net` follows the reader, so in a container it shows that container's devices,
/// as node_exporter's netlink socket would.
const FILE: &str = "proc/net/dev";

/// Adds `node_network_receive_..._total` and `node_network_transmit_..._total` for the
/// devices that are wanted.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let devices = InterfaceDeviceStatus::from_read(text.as_bytes());
    let devices = devices.map_err(|err| host.root.wrong(FILE, err.to_string()))?;
    for (device, status) in devices.0 {
        if !host.options.netdev.is_wanted(&device) {
            continue;
        }
        for (column, value) in columns(&status) {
            add(&device, column, value as f64, out);
        }
        // The table has no column for it.
        let file = format!("sys/class/net/{device}/statistics/rx_nohandler");
        if let Some(value) = host.root.value(&file).as_deref().and_then(number) {
            add(&device, "receive_nohandler", value, out);
        }
    }
    Ok(())
}

fn add(device: &str, column: &str, value: f64, out: &mut Families) {
    let name = format!("node_network_{column}_total");
    out.counter(&name, "Counted by the network device.", &[("device", device)], value);
}

fn columns(status: &DeviceStatus) -> [(&'static str, u64); 16] {
    [
        ("receive_bytes", status.recv_bytes),
        ("receive_packets", status.recv_packets),
        ("receive_errs", status.recv_errs),
        ("receive_drop", status.recv_drop),
        ("receive_fifo", status.recv_fifo),
        ("receive_frame", status.recv_frame),
        ("receive_compressed", status.recv_compressed),
        ("receive_multicast", status.recv_multicast),
        ("transmit_bytes", status.sent_bytes),
        ("transmit_packets", status.sent_packets),
        ("transmit_errs", status.sent_errs),
        ("transmit_drop", status.sent_drop),
        ("transmit_fifo", status.sent_fifo),
        ("transmit_colls", status.sent_colls),
        ("transmit_carrier", status.sent_carrier),
        ("transmit_compressed", status.sent_compressed),
    ]
}
