//! `/proc/mdstat` and `/sys/block/md*/md`: arrays of disks.
//!
//! Source: Linux, drivers/md/md.c (md_seq_show); what counts as which state is node_exporter's.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The file.
const FILE: &str = "proc/mdstat";
/// The directory: one entry a block device.
const DIRECTORY: &str = "sys/block";

/// Label of `node_md_state`, and what an array in it is called while it is read.
const STATES: [(&str, State); 5] = [
    ("active", State::Active),
    ("inactive", State::Inactive),
    ("recovering", State::Recovering),
    ("resync", State::Resyncing),
    ("check", State::Checking),
];

/// Levels whose arrays can lack a disk.
const REDUNDANT: [&str; 5] = ["raid1", "raid4", "raid5", "raid6", "raid10"];
/// Levels that have no disks of their own, or do not say.
const WITHOUT_DISKS: [&str; 4] = ["container", "imsm", "ddf", ""];

/// What an array does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Inactive,
    Recovering,
    Resyncing,
    Checking,
    /// Broken, or changing its shape: none of the states that are told.
    Other,
}

/// An array as /proc/mdstat tells it. Blocks are of 1 KiB.
#[derive(Clone, Debug, PartialEq)]
struct Array {
    name: String,
    state: State,
    active: f64,
    required: f64,
    failed: f64,
    spare: f64,
    blocks: f64,
    synced: f64,
}

/// Adds `node_md_...`; fails on a machine whose kernel knows no arrays.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let arrays = arrays(&text).map_err(|line| host.root.wrong(FILE, format!("{line:?}")))?;
    for array in &arrays {
        add(array, out);
    }
    for device in host.root.names(DIRECTORY).unwrap_or_default() {
        if device.starts_with("md") {
            add_disks(host, &device, out);
        }
    }
    Ok(())
}

fn add(array: &Array, out: &mut Families) {
    let device = ("device", array.name.as_str());
    for (label, state) in STATES {
        let value = if array.state == state { 1.0 } else { 0.0 };
        let help = "1 for what the array does.";
        out.gauge("node_md_state", help, &[device, ("state", label)], value);
    }
    for (state, disks) in
        [("active", array.active), ("failed", array.failed), ("spare", array.spare)]
    {
        let help = "Disks of the array by what they do.";
        out.gauge("node_md_disks", help, &[device, ("state", state)], disks);
    }
    for (name, help, value) in [
        ("node_md_disks_required", "Disks that the array needs.", array.required),
        ("node_md_blocks", "Blocks of the array.", array.blocks),
        ("node_md_blocks_synced", "Blocks that are in step.", array.synced),
    ] {
        out.gauge(name, help, &[device], value);
    }
}

fn add_disks(host: &Host, device: &str, out: &mut Families) {
    let value = |file: &str| host.root.value(&format!("{DIRECTORY}/{device}/md/{file}"));
    let Some(level) = value("level") else { return };
    let labels = [("device", device)];
    if !WITHOUT_DISKS.contains(&level.as_str()) {
        // While the number changes it reads `11 (10)`.
        let disks = value("raid_disks").unwrap_or_default();
        if let Some(disks) = disks.split(' ').next().and_then(number) {
            out.gauge("node_md_raid_disks", "Disks of the whole array.", &labels, disks);
        }
    }
    let lacking = value("degraded").as_deref().and_then(number);
    let lacking = lacking.filter(|_| REDUNDANT.contains(&level.as_str())).unwrap_or(0.0);
    out.gauge("node_md_degraded", "Disks that the array lacks.", &labels, lacking);
}

/// All arrays, or the line that cannot be understood.
fn arrays(text: &str) -> Result<Vec<Array>, &str> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let is_array = line.starts_with(|c: char| !c.is_whitespace())
            && !line.starts_with("Personalities")
            && !line.starts_with("unused");
        if is_array {
            let below = lines.get(place + 1..).unwrap_or_default();
            found.push(array(line, below).ok_or(*line)?);
        }
    }
    Ok(found)
}

/// An array from its line and the lines below it.
fn array(line: &str, below: &[&str]) -> Option<Array> {
    let mut words = line.split_ascii_whitespace();
    let (name, state) = (words.next()?, words.nth(1)?);
    let (status, mut rest) = below.split_first()?;
    let blocks = status.split_ascii_whitespace().next().and_then(number)?;
    let (active, required) = if line.contains("raid0") || line.contains("linear") {
        // Such an array has all of its disks or does not run.
        let disks = line.matches('[').count() as f64;
        (disks, disks)
    } else if state == "inactive" {
        (0.0, 0.0)
    } else {
        disks(status)?
    };
    if let Some((bitmap, after)) = rest.split_first()
        && bitmap.contains("bitmap")
    {
        rest = after;
    }
    let progress = rest.first().copied().unwrap_or_default();
    let state = match state {
        "active" => State::Active,
        "inactive" => State::Inactive,
        _ => State::Other,
    };
    let (state, synced) = match work(progress) {
        None => (state, blocks),
        Some(state) => (state, synced(progress)?),
    };
    Some(Array {
        name: name.to_owned(),
        state,
        active,
        required,
        failed: line.matches("(F)").count() as f64,
        spare: line.matches("(S)").count() as f64,
        blocks,
        synced,
    })
}

/// Active and required disks of `523968 blocks super 1.2 [4/3] [UUU_]`.
fn disks(status: &str) -> Option<(f64, f64)> {
    status.split('[').find_map(|part| {
        let (required, active) = part.split_once(']')?.0.split_once('/')?;
        Some((number(active)?, number(required)?))
    })
}

/// What the line of progress says that is done, if it is one.
fn work(progress: &str) -> Option<State> {
    let works = [
        ("recovery", State::Recovering),
        ("reshape", State::Other),
        ("check", State::Checking),
        ("resync", State::Resyncing),
    ];
    works.into_iter().find(|(word, _)| progress.contains(word)).map(|(_, state)| state)
}

/// The blocks done of `recovery =  8.5% (16775552/195310144) finish=...`; none while it waits.
fn synced(progress: &str) -> Option<f64> {
    if progress.contains("PENDING") || progress.contains("DELAYED") {
        return Some(0.0);
    }
    number(progress.split_once('(')?.1.split_once('/')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One array of each kind, in the kernel's form; sizes and names are invented.
    const TEXT: &str = "Personalities : [raid1] [raid6] [raid0]
md3 : active raid6 sda1[8] sdh1[7](F) sdg1[6](S) sdf1[5] sde1[11]
      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [4/3] [UUU_]
      bitmap: 0/1 pages [0KB], 65536KB chunk

md1 : active raid1 sdb2[2] sda2[0]
      195310144 blocks [2/1] [U_]
      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec

md9 : active raid1 sdc2[2](W) sda2[0]
      523968 blocks super 1.2 [2/2] [UU]
      \tresync=DELAYED

md7 : active raid1 sdc2[2] sda2[0]
      100 blocks super 1.2 [2/2] [UU]
      bitmap: 0/1 pages [0KB], 65536KB chunk
      [=>...................]  check =  8.5% (16/100) finish=17.0min speed=259783K/sec

md4 : inactive raid1 sda3[0](F) sdb3[1](S)
      4883648 blocks super 1.0

md12 : active raid0 sdc2[0] sdd2[1]
      3886394368 blocks super 1.2 512k chunks

unused devices: <none>
";

    #[test]
    fn every_kind_of_array_is_read() {
        let found = arrays(TEXT).expect("valid");
        let found: Vec<_> = found
            .iter()
            .map(|one| {
                let disks = [one.active, one.required, one.failed, one.spare];
                (&*one.name, one.state, disks, one.blocks, one.synced)
            })
            .collect();
        let expected = [
            ("md3", State::Active, [3.0, 4.0, 1.0, 1.0], 5_853_468_288.0, 5_853_468_288.0),
            ("md1", State::Recovering, [1.0, 2.0, 0.0, 0.0], 195_310_144.0, 16_775_552.0),
            ("md9", State::Resyncing, [2.0, 2.0, 0.0, 0.0], 523_968.0, 0.0),
            ("md7", State::Checking, [2.0, 2.0, 0.0, 0.0], 100.0, 16.0),
            ("md4", State::Inactive, [0.0, 0.0, 1.0, 1.0], 4_883_648.0, 4_883_648.0),
            ("md12", State::Active, [2.0, 2.0, 0.0, 0.0], 3_886_394_368.0, 3_886_394_368.0),
        ];
        assert_eq!(found, expected);
        assert_eq!(arrays("Personalities : \nunused devices: <none>\n"), Ok(Vec::new()));
        assert_eq!(arrays("md1 : active raid1\n      x blocks\n"), Err("md1 : active raid1"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(
            text in "(md1 : |active |inactive |raid[0-9] |sda\\[1\\](\\([FSW]\\))? |\n      |[0-9]{1,20} blocks |\\[[0-9]/[0-9]\\] |recovery = |resync=|\\(|/|PENDING|bitmap|\n){0,40}",
        ) {
            let _ = arrays(&text);
        }
    }
}
