//! `/sys/class/net`: what network devices are and in which state.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use crate::model::MetricType;

/// The directory: one entry a device.
const DIRECTORY: &str = "sys/class/net";

/// File of a device, metric, type.
const NUMBERS: [(&str, &str, MetricType); 16] = [
    ("addr_assign_type", "node_network_address_assign_type", MetricType::Gauge),
    ("carrier", "node_network_carrier", MetricType::Gauge),
    ("carrier_changes", "node_network_carrier_changes_total", MetricType::Counter),
    ("carrier_down_count", "node_network_carrier_down_changes_total", MetricType::Counter),
    ("carrier_up_count", "node_network_carrier_up_changes_total", MetricType::Counter),
    ("dev_id", "node_network_device_id", MetricType::Gauge),
    ("dormant", "node_network_dormant", MetricType::Gauge),
    ("flags", "node_network_flags", MetricType::Gauge),
    ("ifindex", "node_network_iface_id", MetricType::Gauge),
    ("iflink", "node_network_iface_link", MetricType::Gauge),
    ("link_mode", "node_network_iface_link_mode", MetricType::Gauge),
    ("mtu", "node_network_mtu_bytes", MetricType::Gauge),
    ("name_assign_type", "node_network_name_assign_type", MetricType::Gauge),
    ("netdev_group", "node_network_net_dev_group", MetricType::Gauge),
    ("tx_queue_len", "node_network_transmit_queue_length", MetricType::Gauge),
    ("type", "node_network_protocol_type", MetricType::Gauge),
];

/// Adds the properties of every device that is wanted.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for device in host.root.names(DIRECTORY)? {
        if !host.options.netclass.is_wanted(&device) {
            continue;
        }
        // Files beside the devices, such as `bonding_masters`, have no address.
        if host.root.value(&format!("{DIRECTORY}/{device}/address")).is_some() {
            add(host, &device, out);
        }
    }
    Ok(())
}

fn add(host: &Host, device: &str, out: &mut Families) {
    let value = |file: &str| host.root.value(&format!("{DIRECTORY}/{device}/{file}"));
    let label = [("device", device)];
    for (file, name, kind) in NUMBERS {
        // A device that is down refuses some of them.
        let Some(value) = value(file).as_deref().and_then(number) else { continue };
        out.add(name, "A property of the network device.", kind, &label, value);
    }
    if let Some(megabits) = value("speed").as_deref().and_then(number) {
        // -1 means unknown and is passed on like any other, as node_exporter does by default.
        let help = "Nominal speed in bytes a second; negative when unknown.";
        out.gauge("node_network_speed_bytes", help, &label, megabits * 1_000_000.0 / 8.0);
    }
    let text = |file: &str| value(file).unwrap_or_default();
    let operstate = text("operstate");
    let up = if operstate == "up" { 1.0 } else { 0.0 };
    out.gauge("node_network_up", "1 if the device's state is up.", &label, up);
    out.gauge(
        "node_network_info",
        "The device's properties that are no numbers.",
        &[
            ("device", device),
            ("address", &text("address")),
            ("broadcast", &text("broadcast")),
            ("duplex", &text("duplex")),
            ("operstate", &operstate),
            ("ifalias", &text("ifalias")),
        ],
        1.0,
    );
}
