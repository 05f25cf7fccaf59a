//! `/proc/diskstats`: traffic of block devices.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use super::udev::Properties;
use procfs::{DiskStat, DiskStats, FromRead};

/// The file.
const FILE: &str = "proc/diskstats";

/// The kernel counts sectors of 512 bytes whatever the device has.
const SECTOR_BYTES: f64 = 512.0;

/// Times are in milliseconds. A factor, not a divisor: the last bits agree with node_exporter's.
const SECONDS_PER_TICK: f64 = 1.0 / 1000.0;

/// Adds `node_disk_...`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let disks = DiskStats::from_read(text.as_bytes());
    let disks = disks.map_err(|err| host.root.wrong(FILE, err.to_string()))?;
    for disk in disks.0 {
        if !host.options.diskstats.is_wanted(&disk.name) {
            continue;
        }
        let device = [("device", disk.name.as_str())];
        let now = disk.in_progress as f64;
        out.gauge("node_disk_io_now", "Requests in progress.", &device, now);
        for (column, help, value) in counters(&disk) {
            // Old kernels do not count everything.
            let Some(value) = value else { continue };
            out.counter(&format!("node_disk_{column}_total"), help, &device, value);
        }
        let known = Properties::of_block_device(&host.root, disk.major, disk.minor);
        add_properties(&disk, &known, out);
    }
    Ok(())
}

fn counters(disk: &DiskStat) -> [(&'static str, &'static str, Option<f64>); 16] {
    let count = |number: u64| Some(number as f64);
    let bytes = |sectors: u64| Some(sectors as f64 * SECTOR_BYTES);
    let seconds = |ticks: u64| Some(ticks as f64 * SECONDS_PER_TICK);
    [
        ("reads_completed", "Reads completed.", count(disk.reads)),
        ("reads_merged", "Reads merged into others.", count(disk.merged)),
        ("read_bytes", "Bytes read.", bytes(disk.sectors_read)),
        ("read_time_seconds", "Time spent in reads.", seconds(disk.time_reading)),
        ("writes_completed", "Writes completed.", count(disk.writes)),
        ("writes_merged", "Writes merged into others.", count(disk.writes_merged)),
        ("written_bytes", "Bytes written.", bytes(disk.sectors_written)),
        ("write_time_seconds", "Time spent in writes.", seconds(disk.time_writing)),
        ("io_time_seconds", "Time with a request in progress.", seconds(disk.time_in_progress)),
        (
            "io_time_weighted_seconds",
            "Time of all requests together.",
            seconds(disk.weighted_time_in_progress),
        ),
        ("discards_completed", "Discards completed.", disk.discards.and_then(count)),
        ("discards_merged", "Discards merged into others.", disk.discards_merged.and_then(count)),
        ("discarded_sectors", "Sectors discarded.", disk.sectors_discarded.and_then(count)),
        ("discard_time_seconds", "Time spent in discards.", disk.time_discarding.and_then(seconds)),
        ("flush_requests", "Flushes completed.", disk.flushes.and_then(count)),
        (
            "flush_requests_time_seconds",
            "Time spent in flushes.",
            disk.time_flushing.and_then(seconds),
        ),
    ]
}

fn add_properties(disk: &DiskStat, known: &Properties, out: &mut Families) {
    let name = disk.name.as_str();
    let serials = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT"].map(|property| known.get(property));
    let serial = serials.into_iter().find(|serial| !serial.is_empty()).unwrap_or_default();
    out.gauge(
        "node_disk_info",
        "What the block device is.",
        &[
            ("device", name),
            ("major", &disk.major.to_string()),
            ("minor", &disk.minor.to_string()),
            ("model", known.get("ID_MODEL")),
            ("path", known.get("ID_PATH")),
            ("revision", known.get("ID_REVISION")),
            ("serial", serial),
            ("wwn", known.get("ID_WWN")),
        ],
        1.0,
    );
    if !known.get("ID_FS_TYPE").is_empty() {
        out.gauge(
            "node_disk_filesystem_info",
            "The file system on the block device.",
            &[
                ("device", name),
                ("type", known.get("ID_FS_TYPE")),
                ("usage", known.get("ID_FS_USAGE")),
                ("uuid", known.get("ID_FS_UUID")),
                ("version", known.get("ID_FS_VERSION")),
            ],
            1.0,
        );
    }
    if !known.get("DM_NAME").is_empty() {
        out.gauge(
            "node_disk_device_mapper_info",
            "The block device as the device mapper names it.",
            &[
                ("device", name),
                ("name", known.get("DM_NAME")),
                ("uuid", known.get("DM_UUID")),
                ("vg_name", known.get("DM_VG_NAME")),
                ("lv_name", known.get("DM_LV_NAME")),
                ("lv_layer", known.get("DM_LV_LAYER")),
            ],
            1.0,
        );
    }
    for (property, metric, help) in ATA {
        let value = number(known.get(property)).filter(|_| !known.get("ID_ATA").is_empty());
        if let Some(value) = value {
            out.gauge(metric, help, &[("device", name)], value);
        }
    }
}

/// Property, metric, meaning.
const ATA: [(&str, &str, &str); 3] = [
    ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "1 if the disk has a write cache."),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        "node_disk_ata_write_cache_enabled",
        "1 if the disk uses its write cache.",
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        "node_disk_ata_rotation_rate_rpm",
        "Turns a minute; 0 for a disk without moving parts.",
    ),
];
