//! Scripts made by a seed: bodies of few words, so that they meet, and rules that do something to
//! them.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::STEPS;
use super::cases::Case;
use super::exporter::{Step, whole};
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

/// Jobs in one run.
const JOBS: usize = 16;

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, count: usize) -> usize {
        let place = self.0.next_u64() % u64::try_from(count).expect("small");
        usize::try_from(place).expect("small")
    }

    fn pick<'a>(&self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// The jobs of the seed in `WATCHBELL_SCRAPE_SEED`, else of one that is always the same.
pub(super) fn cases() -> Vec<Case> {
    let seed = std::env::var("WATCHBELL_SCRAPE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(2_429);
    println!("random scripts: WATCHBELL_SCRAPE_SEED={seed}");
    let dice = Dice(SeededEntropy::new(seed));
    (0..JOBS).map(|number| case(&dice, number)).collect()
}

fn case(dice: &Dice, number: usize) -> Case {
    let mut keys = vec![dice.pick(&["honor_labels: true", "honor_labels: false"]).to_owned()];
    keys.push(dice.pick(&["honor_timestamps: true", "honor_timestamps: false"]).to_owned());
    let rules: Vec<String> =
        (0..dice.below(3)).map(|_| format!("\n  - {{{}}}", rule(dice))).collect();
    if !rules.is_empty() {
        keys.push(format!("metric_relabel_configs:{}", rules.concat()));
    }
    let steps = (0..STEPS).map(|_| step(dice)).collect();
    Case::new(format!("random_{number}"), keys.join("\n  "), steps)
}

fn rule(dice: &Dice) -> String {
    let label = dice.pick(&["x", "y", "job", "__name__"]);
    let other = dice.pick(&["x", "y", "z", "exported_job"]);
    let regex = dice.pick(&["1", "1|2", "(.*)", ".+", "a.*", "", "(.)(.*)"]);
    match dice.below(9) {
        0 => format!("source_labels: [{label}], regex: '{regex}', action: drop"),
        1 => format!("source_labels: [{label}], regex: '{regex}|script_step', action: keep"),
        2 => format!("source_labels: [{label}], regex: '{regex}', target_label: {other}"),
        3 => format!("regex: '{other}', action: labeldrop"),
        4 => format!(
            "source_labels: [{label}, y], modulus: 3, target_label: {other}, action: hashmod"
        ),
        5 => format!("regex: '(x|y)', replacement: '{other}', action: labelmap"),
        6 => format!("source_labels: [{label}], target_label: {other}, action: dropequal"),
        7 => format!("source_labels: [{label}], target_label: {other}, action: uppercase"),
        _ => format!(
            "source_labels: [x, y], regex: '(.*);(.*)', replacement: '$2$1', target_label: {other}"
        ),
    }
}

fn step(dice: &Dice) -> Step {
    match dice.below(12) {
        0 => return Step::Raw(whole(500, "text/plain", "", b"")),
        1 => return Step::Raw(whole(200, "text/plain", "", b"b{ 2\na 1\n")),
        _ => {}
    }
    let mut body = String::new();
    let lines = dice.below(8);
    for _ in 0..lines {
        body.push_str(&line(dice));
    }
    if dice.below(6) == 0 { Step::Zipped(body) } else { Step::Text(body) }
}

fn line(dice: &Dice) -> String {
    if dice.below(6) == 0 {
        return format!("# TYPE {} {}\n", dice.pick(&["a", "b"]), dice.pick(&["counter", "gauge"]));
    }
    let mut labels = Vec::new();
    for name in ["x", "y", "job", "exported_job"] {
        if dice.below(3) == 0 {
            // Since 3.0 a label that is taken and empty counts as free.
            let values = if name == "exported_job" { ["1", "2", "aB"] } else { ["", "1", "aB"] };
            labels.push(format!("{name}=\"{}\"", dice.pick(&values)));
        }
    }
    let name = dice.pick(&["a", "a", "b", "c_total"]);
    let value = dice.pick(&["0", "1", "1", "2.5", "NaN", "+Inf", "-1e3"]);
    let blank = dice.pick(&[" ", " ", "\t ", "  "]);
    format!("{name}{{{}}}{blank}{value}\n", labels.join(","))
}
