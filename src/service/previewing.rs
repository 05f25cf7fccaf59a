//! What would be: the way of a label set, and other groups.

use super::forms;
use super::start::Service;
use crate::alerts::GroupBy;
use crate::model::{Fingerprint, Labels, nearest_name};
use crate::wire::{
    Error, GroupPreview, GroupingPreview, GroupingRequest, RouteTest, RouteTestRequest,
};

/// More labels than any route has.
const GROUP_BY_MAX: usize = 256;

impl Service {
    /// The way of a label set through the routing tree.
    pub(super) fn try_route(&self, request: &RouteTestRequest) -> Result<RouteTest, Error> {
        let alerting = &self.running()?.alerting;
        let at = request.at.unwrap_or_else(|| self.world.clock.now());
        Ok(forms::route_test(
            &alerting.view(|engine, now| engine.route_test(&request.labels, at, now)),
        ))
    }

    /// The alerts of now, grouped otherwise.
    pub(super) fn preview_groups(
        &self,
        request: &GroupingRequest,
    ) -> Result<GroupingPreview, Error> {
        let by = group_by(&request.group_by)?;
        let alerting = &self.running()?.alerting;
        let config = alerting.view(|engine, _| engine.config().clone());
        if let Some(route) = &request.route {
            let mut paths = Vec::new();
            config.route.walk(&mut |one| paths.push((one.key.to_string(), one.id.to_string())));
            if !paths.iter().any(|(key, id)| key == route || id == route) {
                let near = nearest_name(route, paths.iter().map(|(key, _)| key.as_str()));
                let hint = near.map(|path| format!("; did you mean {path}?")).unwrap_or_default();
                let text = format!("no route has the path {route}{hint}");
                return Err(Error::not_found(text));
            }
        }
        let route = request.route.as_deref();
        let found = alerting.view(|engine, now| engine.grouping_preview(route, &by, now));
        Ok(GroupingPreview { before: groups(found.before), after: groups(found.after) })
    }
}

fn group_by(names: &[String]) -> Result<GroupBy, Error> {
    if names.len() > GROUP_BY_MAX {
        let text = format!("{} labels to group by, at most {GROUP_BY_MAX}", names.len());
        return Err(Error::bad_data(text));
    }
    if names.iter().any(|name| name.is_empty()) {
        return Err(Error::bad_data("a label to group by has no name"));
    }
    match (names.iter().any(|name| name == "..."), names.len()) {
        (true, 1) => Ok(GroupBy::All),
        (true, _) => Err(Error::bad_data("... means all labels: no others can be named beside it")),
        (false, _) => Ok(GroupBy::Labels(names.iter().cloned().collect())),
    }
}

fn groups(list: Vec<(Labels, Vec<Fingerprint>)>) -> Vec<GroupPreview> {
    let form = |(labels, prints): (Labels, Vec<Fingerprint>)| GroupPreview {
        labels,
        alerts: prints.iter().map(ToString::to_string).collect(),
    };
    list.into_iter().map(form).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_to_group_by_are_names_or_all() {
        let by = |names: &[&str]| {
            group_by(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(by(&["..."]).expect("all"), GroupBy::All);
        assert_eq!(by(&[]).expect("none"), GroupBy::Labels([].into()));
        assert_eq!(by(&["a", "a"]).expect("one"), GroupBy::Labels(["a".to_owned()].into()));
        assert!(by(&["...", "a"]).is_err() && by(&[""]).is_err());
        assert!(by(&["a"; GROUP_BY_MAX + 1]).is_err());
    }
}
