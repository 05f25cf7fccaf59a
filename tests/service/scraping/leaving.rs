//! A target that leaves and comes back, beside Debian's Prometheus: when its series end, and that
//! they go on.

use super::exporter::{Exporter, Step, Who};
use super::{Pair, millis};
use std::path::Path;
use watchbell::sys::clock::{Clock as _, SystemClock};

const BOTH: [Who; 2] = [Who::Ours, Who::Real];

fn write_targets(file: &Path, exporter: &Exporter, is_there: bool) {
    let address = exporter.address;
    let group = format!(
        "{{\"targets\": [\"{address}\"], \
         \"labels\": {{\"case\": \"leaves\", \"__metrics_path__\": \"/leaves\"}}}}"
    );
    let text = if is_there { format!("[{group}]") } else { "[]".to_owned() };
    // At once, so that nobody reads half of it.
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).expect("writes");
    std::fs::rename(&draft, file).expect("renames");
}

/// The time of the last sample of `up`.
fn last_scrape(pair: &Pair, who: Who) -> i64 {
    let now = SystemClock::new().now().as_millis();
    let found = pair.query(who, "up{case=\"leaves\"}[1h]", now);
    let values = found.first().and_then(|one| one["values"].as_array()).expect("scraped");
    millis(&values.last().expect("a sample")[0])
}

/// How many series of the target there are at this time.
fn count(pair: &Pair, who: Who, at: i64) -> usize {
    pair.vector(who, "leaves", at).len()
}

#[test]
fn a_target_that_leaves_ends_as_in_prometheus_and_may_come_back() {
    let exporter = Exporter::start();
    let body = "a 1\nb{x=\"1\"} 2\n".to_owned();
    exporter.script("/leaves", vec![Step::Text(body)]);
    exporter.script("/stays", vec![Step::Text(String::new())]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("targets.json");
    write_targets(&file, &exporter, true);
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - job_name: leaves\n  file_sd_configs: [{{files: ['{}'], refresh_interval: 1s}}]\n\
         - job_name: stays\n  metrics_path: /stays\n  static_configs: [{{targets: ['{}']}}]\n",
        file.display(),
        exporter.address
    );
    let Some(pair) = Pair::start(exporter.clone(), &config) else { return };
    let path = ["/leaves".to_owned()];
    exporter.wait(&path, 3);
    write_targets(&file, &exporter, false);
    let now = || SystemClock::new().now().as_millis();
    for who in BOTH {
        pair.live.until("the end", |_| count(&pair, who, now()) == 0);
        let last = last_scrape(&pair, who);
        // Three of the target, five about its scrapes.
        assert_eq!(count(&pair, who, last), 8, "{who:?}");
        assert_eq!(count(&pair, who, last + 700), 8, "{who:?}: not before the missed scrape");
    }
    // Dated at the scrape that was missed, though written two intervals later.
    let last = last_scrape(&pair, Who::Ours);
    assert_eq!(count(&pair, Who::Ours, last + 1_100), 0);
    let before = BOTH.map(|who| exporter.asked(who, "/leaves"));
    write_targets(&file, &exporter, true);
    exporter.wait(&path, before.into_iter().max().unwrap_or(0) + 2);
    for who in BOTH {
        let last = last_scrape(&pair, who);
        assert_eq!(count(&pair, who, last), 8, "{who:?} is there again");
    }
}
