//! `/sys/devices/system/edac/mc`: errors that memory controllers corrected or could not.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The directory: one entry a controller.
const DIRECTORY: &str = "sys/devices/system/edac/mc";

/// Kind in the file's name, in the metric's name, meaning.
const KINDS: [(&str, &str, &str); 2] = [
    ("ce", "correctable", "Memory errors that were corrected."),
    ("ue", "uncorrectable", "Memory errors that could not be corrected."),
];

/// Adds `node_edac_..._errors_total`; nothing on a machine whose memory does not tell errors.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for controller in numbered(host, DIRECTORY, "mc") {
        let directory = format!("{DIRECTORY}/mc{controller}");
        for (kind, word, help) in KINDS {
            let name = format!("node_edac_{word}_errors_total");
            let count = count(host, &format!("{directory}/{kind}_count"))?;
            out.counter(&name, help, &[("controller", &controller)], count);
            let name = format!("node_edac_csrow_{word}_errors_total");
            let count = self::count(host, &format!("{directory}/{kind}_noinfo_count"))?;
            let labels = [("controller", &*controller), ("csrow", "unknown")];
            out.counter(&name, help, &labels, count);
        }
        for row in numbered(host, &directory, "csrow") {
            add_row(host, &controller, &row, out)?;
        }
    }
    Ok(())
}

fn add_row(
    host: &Host,
    controller: &str,
    row: &str,
    out: &mut Families,
) -> Result<(), CollectError> {
    let directory = format!("{DIRECTORY}/mc{controller}/csrow{row}");
    for (kind, word, help) in KINDS {
        let name = format!("node_edac_csrow_{word}_errors_total");
        let count = count(host, &format!("{directory}/{kind}_count"))?;
        out.counter(&name, help, &[("controller", controller), ("csrow", row)], count);
    }
    for file in host.root.names(&directory)? {
        let channel = file.strip_prefix("ch").and_then(|rest| rest.strip_suffix("_ce_count"));
        let Some(channel) = channel else { continue };
        let label = host.root.value(&format!("{directory}/ch{channel}_dimm_label"));
        // Labels of drivers read `mc#0csrow#1channel#2`.
        let label = label.map(|label| {
            label.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel")
        });
        let labels = [
            ("controller", controller),
            ("csrow", row),
            ("channel", channel),
            ("dimm_label", label.as_deref().unwrap_or("unknown")),
        ];
        for (kind, word, help) in KINDS {
            let count = count(host, &format!("{directory}/ch{channel}_{kind}_count"));
            // Few drivers count what a channel could not correct.
            let Ok(count) = count else { continue };
            out.counter(&format!("node_edac_channel_{word}_errors_total"), help, &labels, count);
        }
    }
    Ok(())
}

/// The numbers behind `prefix` among the names of a directory.
fn numbered(host: &Host, directory: &str, prefix: &str) -> Vec<String> {
    let names = host.root.names(directory).unwrap_or_default();
    let numbers = names.iter().filter_map(|name| {
        let digits = name.strip_prefix(prefix)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.to_owned())
    });
    numbers.collect()
}

fn count(host: &Host, file: &str) -> Result<f64, CollectError> {
    let text = host.root.read(file)?;
    number(&text).ok_or_else(|| host.root.wrong(file, format!("{text:?}")))
}
