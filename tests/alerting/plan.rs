//! Configurations of the simulation, as data: the engine gets them as a file, the oracle reads
//! them as they are and routes by its own means.

use std::collections::BTreeMap;
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

/// Milliseconds, of either clock.
pub(crate) type Millis = i64;

/// The labels of an alert.
pub(crate) type Pairs = BTreeMap<&'static str, &'static str>;

/// When an alert ends that came without an end.
pub(crate) const RESOLVE_TIMEOUT: Millis = 40_000;

/// Spans of every 20 minutes, by their name: first minute, and the first one after.
pub(crate) const WINDOWS: [(&str, Millis, Millis); 2] = [("early", 4, 7), ("late", 10, 19)];

/// All integrations of a receiver, and whether each tells of resolved alerts.
pub(crate) const RECEIVERS: [(&str, &[bool]); 4] =
    [("one", &[true]), ("two", &[true, false]), ("less", &[false]), ("nobody", &[])];

/// Chances that repeat with their seed.
#[derive(Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// At least `from`, less than `to`.
    pub(crate) fn between(&self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).expect("from is less");
        from + i64::try_from(self.0.next_u64() % span).expect("less than the span")
    }

    /// True once in `many`.
    pub(crate) fn one_in(&self, many: i64) -> bool {
        self.between(0, many) == 0
    }

    pub(crate) fn pick<T: Clone>(&self, list: &[T]) -> T {
        let place = self.between(0, i64::try_from(list.len()).expect("short"));
        list.get(usize::try_from(place).expect("no sign")).expect("in the list").clone()
    }
}

/// A time interval that a route names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Interval {
    None,
    /// Quiet within.
    Mute(usize),
    /// Quiet without.
    Active(usize),
}

/// A route.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// A label, and the values that match.
    matcher: Option<(&'static str, &'static [&'static str])>,
    receiver: &'static str,
    /// Labels; `...` for all.
    by: &'static [&'static str],
    wait: Millis,
    interval: Millis,
    repeat: Millis,
    continues: bool,
    quiet: Interval,
    children: Vec<Node>,
}

/// Where an alert goes: a group of a route.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) receiver: &'static str,
    pub(crate) wait: Millis,
    pub(crate) interval: Millis,
    pub(crate) repeat: Millis,
    quiet: Interval,
}

impl Place {
    /// Whether the route is quiet at this wall time.
    pub(crate) fn is_muted(&self, wall: Millis) -> bool {
        match self.quiet {
            Interval::None => false,
            Interval::Mute(window) => in_window(window, wall),
            Interval::Active(window) => !in_window(window, wall),
        }
    }
}

pub(crate) fn in_window(window: usize, wall: Millis) -> bool {
    let (_, from, to) = WINDOWS.get(window).expect("a window");
    (*from..*to).contains(&wall.div_euclid(60_000).rem_euclid(20))
}

/// A configuration.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    root: Node,
    inhibits: bool,
    /// Integrations that a reload took away: all but the first.
    short: bool,
}

impl Plan {
    pub(crate) fn random(dice: &Dice) -> Self {
        let mut root = node(dice, None, dice.pick(&["one", "two", "nobody"]));
        let team: &[&str] = &["x"];
        let teams: &[&str] = &["x", "y"];
        let mut first = node(dice, Some(("team", team)), dice.pick(&["one", "two", "less"]));
        if dice.one_in(2) {
            first.children.push(node(dice, Some(("sev", &["page"])), dice.pick(&["one", "less"])));
        }
        root.children.push(first);
        if dice.one_in(2) {
            root.children.push(node(dice, Some(("team", teams)), dice.pick(&["one", "two"])));
        }
        if dice.one_in(2) {
            root.children.push(node(dice, Some(("sev", &["warn"])), dice.pick(&["one", "two"])));
        }
        Self { root, inhibits: !dice.one_in(3), short: false }
    }

    /// The configuration after a reload: often the same, often with one thing changed.
    pub(crate) fn changed(&self, dice: &Dice) -> Self {
        let mut plan = self.clone();
        match dice.between(0, 9) {
            0 => plan.root.interval = dice.between(5, 40) * 1_000,
            1 => plan.root.repeat = dice.between(60, 240) * 1_000,
            2 => plan.inhibits = !plan.inhibits,
            3 => plan.short = !plan.short,
            4 => {
                let receiver = dice.pick(&["one", "two", "less", "nobody"]);
                plan.root.children.iter_mut().for_each(|child| child.receiver = receiver);
            }
            5 => plan.root.children.reverse(),
            6 => return Self::random(dice),
            _ => {}
        }
        plan
    }

    /// Integrations of a receiver, with whether each tells of resolved alerts.
    pub(crate) fn integrations(&self, receiver: &str) -> Vec<(String, bool)> {
        let (_, all) = RECEIVERS.iter().find(|(name, _)| *name == receiver).expect("a receiver");
        let kept = if self.short { 1 } else { usize::MAX };
        let named =
            |(place, resolved): (usize, &bool)| (format!("{receiver}/webhook[{place}]"), *resolved);
        all.iter().enumerate().take(kept).map(named).collect()
    }

    pub(crate) const fn inhibits(&self) -> bool {
        self.inhibits
    }

    pub(crate) fn repeat_max() -> Millis {
        240_000
    }

    /// Where an alert goes.
    pub(crate) fn places(&self, labels: &Pairs) -> Vec<Place> {
        let mut found = Vec::new();
        self.root.collect("", labels, &mut found);
        found
    }

    /// The file.
    pub(crate) fn yaml(&self) -> String {
        let receivers: Vec<_> = RECEIVERS
            .iter()
            .map(|(name, _)| {
                let hook =
                    |(_, resolved)| format!("{{url: 'http://x', send_resolved: {resolved}}}");
                let hooks: Vec<_> = self.integrations(name).into_iter().map(hook).collect();
                format!("- {{name: {name}, webhook_configs: [{}]}}", hooks.join(", "))
            })
            .collect();
        let inhibit = match self.inhibits {
            true => "[{source_matchers: [sev=page], target_matchers: [sev=warn], equal: [g]}]",
            false => "[]",
        };
        let span = |minute: Millis| format!("{:02}:{:02}", minute / 60, minute % 60);
        let window = |(name, from, to): &(&str, Millis, Millis)| {
            let times = (0..72).map(|round| {
                let (from, to) = (span(round * 20 + from), span(round * 20 + to));
                format!("{{start_time: '{from}', end_time: '{to}'}}")
            });
            let times: Vec<_> = times.collect();
            format!("- {{name: {name}, time_intervals: [{{times: [{}]}}]}}", times.join(", "))
        };
        let windows: Vec<_> = WINDOWS.iter().map(window).collect();
        format!(
            "global: {{resolve_timeout: 40s}}\nroute: {}\nreceivers:\n{}\ninhibit_rules: {inhibit}\n\
             time_intervals:\n{}\n",
            self.root.yaml(),
            receivers.join("\n"),
            windows.join("\n"),
        )
    }

    /// The same without the long lists, for people.
    pub(crate) fn shown(&self) -> String {
        let Self { root, inhibits, short } = self;
        format!("inhibits {inhibits}, short {short}, {}", root.yaml())
    }
}

fn node(
    dice: &Dice,
    matcher: Option<(&'static str, &'static [&'static str])>,
    receiver: &'static str,
) -> Node {
    let grouped: [&[&str]; 5] = [&["g"], &["g"], &[], &["team", "g"], &["..."]];
    let quiet = match (matcher, dice.between(0, 8)) {
        (Some(_), 0) => Interval::Mute(0),
        (Some(_), 1) => Interval::Active(1),
        _ => Interval::None,
    };
    Node {
        matcher,
        receiver,
        by: dice.pick(&grouped),
        wait: dice.pick(&[0, 1, 5, 10]) * 1_000,
        interval: dice.between(5, 40) * 1_000,
        repeat: dice.between(60, 240) * 1_000,
        continues: dice.one_in(2),
        quiet,
        children: Vec::new(),
    }
}

impl Node {
    /// Whether this node matches; then it or nodes below it are in `found`.
    fn collect(&self, above: &str, labels: &Pairs, found: &mut Vec<Place>) -> bool {
        let own = match self.matcher {
            None => "{}".to_owned(),
            Some((name, [only])) => format!("{{{name}=\"{only}\"}}"),
            Some((name, values)) => format!("{{{name}=~\"{}\"}}", values.join("|")),
        };
        let value_matches = |(name, values): (&str, &[&str])| {
            values.contains(&labels.get(name).copied().unwrap_or_default())
        };
        if !self.matcher.is_none_or(value_matches) {
            return false;
        }
        let path = if above.is_empty() { own } else { format!("{above}/{own}") };
        let before = found.len();
        for child in &self.children {
            if child.collect(&path, labels, found) && !child.continues {
                break;
            }
        }
        if found.len() == before {
            let grouped = |name: &&str| self.by.contains(&"...") || self.by.contains(name);
            let kept = labels.iter().filter(|(name, _)| grouped(name));
            let kept: Vec<_> = kept.map(|(name, value)| format!("{name}={value:?}")).collect();
            found.push(Place {
                group: format!("{path}:{{{}}}", kept.join(", ")),
                receiver: self.receiver,
                wait: self.wait,
                interval: self.interval,
                repeat: self.repeat,
                quiet: self.quiet,
            });
        }
        true
    }

    fn yaml(&self) -> String {
        let mut text = format!(
            "{{receiver: {}, group_by: [{}], group_wait: {}ms, group_interval: {}ms, \
             repeat_interval: {}ms, continue: {}",
            self.receiver,
            self.by.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "),
            self.wait,
            self.interval,
            self.repeat,
            self.continues && self.matcher.is_some(),
        );
        match self.matcher {
            None => {}
            Some((name, [only])) => text += &format!(", matchers: ['{name}=\"{only}\"']"),
            Some((name, all)) => text += &format!(", matchers: ['{name}=~\"{}\"']", all.join("|")),
        }
        let window = |window: usize| WINDOWS.get(window).map_or("", |(name, _, _)| name);
        match self.quiet {
            Interval::None => {}
            Interval::Mute(at) => text += &format!(", mute_time_intervals: [{}]", window(at)),
            Interval::Active(at) => text += &format!(", active_time_intervals: [{}]", window(at)),
        }
        let children: Vec<_> = self.children.iter().map(Self::yaml).collect();
        text + &format!(", routes: [{}]}}", children.join(", "))
    }
}
