//! The routes of an Alertmanager that runs, out of the text that it shows: its secrets are replaced
//! there, and it may be of another version than ours.

use super::error::Error;
use super::file::{Source, Unknown};
use crate::alerts::config::{
    Config, NamedInterval, Options, ReceiverPlan, RouteSettings, Settings,
};
use serde::Deserialize;
use std::path::Path;

/// What routes need of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Routing {
    route: Option<RouteSettings>,
    receivers: Vec<Named>,
    time_intervals: Vec<NamedInterval>,
    mute_time_intervals: Vec<NamedInterval>,
}

/// A receiver, whatever it is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// The routes of a configuration that a server shows; fields that are not known are passed over,
/// inhibition rules and what receivers are made of are left out. `name` stands in places.
///
/// # Errors
/// Every fault of the routes.
pub fn routing(name: &Path, text: &str, options: &Options) -> Result<Config, Error> {
    let mut source = Source::parse(name, text)?;
    let (found, faults) = source.draft::<Routing>(Unknown::PassedOver)?;
    if !faults.is_empty() {
        return Err(Error::of(faults));
    }
    let plan = |one: Named| ReceiverPlan { name: one.name, ..ReceiverPlan::default() };
    let plans: Vec<_> = found.receivers.into_iter().map(plan).collect();
    let settings = Settings {
        route: found.route,
        time_intervals: found.time_intervals,
        mute_time_intervals: found.mute_time_intervals,
        ..Settings::default()
    };
    settings.check(&plans, options).map_err(|problems| Error::of(source.place(problems)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    #[test]
    fn what_another_version_shows_is_routed() {
        let text = "global: {nonsense: 1}\nroute:\n  receiver: a\n  novelty: {x: y}\n  routes:\n  \
                    - {matchers: ['b=\"c\"'], receiver: b}\nreceivers:\n- name: a\n- name: b\n  \
                    carrier_pigeon_configs: [{url: <secret>}]\n";
        let config = routing(Path::new("am"), text, &Options::default()).expect("routes");
        let found = config.route.matching(&Labels::from_pairs([("b", "c")]));
        let names: Vec<_> = found.iter().map(|route| route.receiver.as_str()).collect();
        assert_eq!(names, ["b"]);
        let wrong = routing(Path::new("am"), "route: {receiver: a}\n", &Options::default());
        let told = wrong.expect_err("no such receiver").to_string();
        assert!(told.starts_with("am:1:19: undefined receiver \"a\""), "{told}");
    }
}
