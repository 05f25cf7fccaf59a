//! Rules by group: their state, their health, and how long they take.

use super::detail::draw_pairs;
use crate::tui::fmt::{self, Unit};
use crate::tui::model::Model;
use crate::tui::theme::Role;
use crate::tui::widgets::table::{Column, Field, Table};
use crate::tui::widgets::{Pen, below, top};
use crate::wire::{AlertForm, RuleForm, RuleGroupForm, RuleLimit};
use ratatui::layout::Rect;

/// A rule of either kind, as the list needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleView<'a> {
    group: &'a RuleGroupForm,
    rule: &'a RuleForm,
    name: &'a str,
    /// The expression.
    pub(super) query: &'a str,
    health: &'a str,
    error: &'a str,
    took: f64,
}

impl<'a> RuleView<'a> {
    fn new(group: &'a RuleGroupForm, rule: &'a RuleForm) -> Self {
        match rule {
            RuleForm::Alerting { name, query, health, last_error, evaluation_time, .. }
            | RuleForm::Recording { name, query, health, last_error, evaluation_time, .. } => {
                Self { group, rule, name, query, health, error: last_error, took: *evaluation_time }
            }
        }
    }

    /// What the expression compares, or the expression.
    pub(super) fn compared(&self) -> &'a str {
        self.limit().map_or(self.query, |limit| &limit.left)
    }

    fn limit(&self) -> Option<&'a RuleLimit> {
        match self.rule {
            RuleForm::Alerting { limit, .. } => limit.as_ref(),
            RuleForm::Recording { .. } => None,
        }
    }

    fn alerts(&self) -> &'a [AlertForm] {
        match self.rule {
            RuleForm::Alerting { alerts, .. } => alerts.as_deref().unwrap_or_default(),
            RuleForm::Recording { .. } => &[],
        }
    }

    fn kind(&self) -> &'static str {
        match self.rule {
            RuleForm::Alerting { .. } => "alert",
            RuleForm::Recording { .. } => "rec",
        }
    }

    /// Mark, words and color of its state; a rule that fails says so before all else.
    fn state(&self) -> (&'static str, String, Role) {
        if self.health == "err" {
            return ("?", "ERROR".to_owned(), Role::Error);
        }
        let with = |state: &str| self.alerts().iter().filter(|alert| alert.state == state).count();
        match (with("firing"), with("pending"), self.rule) {
            (_, _, RuleForm::Recording { .. }) if self.health == "ok" => {
                (" ", "ok".to_owned(), Role::Ok)
            }
            _ if self.health != "ok" => (" ", "not run yet".to_owned(), Role::Dim),
            (0, 0, _) => (" ", "ok".to_owned(), Role::Ok),
            (0, pending, _) => ("~", format!("{pending} pending"), Role::Pending),
            (firing, ..) => ("!", format!("{firing} firing"), Role::Crit),
        }
    }

    fn limit_text(&self) -> String {
        self.limit().map_or_else(String::new, |limit| {
            let unit = Unit::of_expr(&limit.left);
            let right = limit.value.map_or_else(|| limit.right.clone(), |value| unit.text(value));
            format!("{} {right}", limit.op)
        })
    }
}

/// Rules that pass the filter: failing first, then firing, then as in their files.
pub(super) fn rows(model: &Model) -> Vec<RuleView<'_>> {
    let Some(rules) = &model.server.rules.value else { return Vec::new() };
    let all = rules
        .groups
        .iter()
        .flat_map(|group| group.rules.iter().map(move |rule| RuleView::new(group, rule)));
    let mut rows: Vec<_> = all
        .filter(|one| {
            let (_, state, _) = one.state();
            let text = format!(
                "{} {} {} {state} {}",
                one.name,
                one.group.name,
                one.group.file,
                one.kind()
            );
            model.rules.passes(&text)
        })
        .collect();
    rows.sort_by_key(|one| match one.state().0 {
        "?" => 0,
        "!" => 1,
        "~" => 2,
        _ => 3,
    });
    rows
}

/// The selected rule.
pub(super) fn current(model: &Model) -> Option<RuleView<'_>> {
    let rows = rows(model);
    rows.get(model.rules.selected.min(rows.len().saturating_sub(1))).copied()
}

const COLUMNS: [Column; 7] = [
    Column::new(" ", 1),
    Column::new("KIND", 5),
    Column::new("NAME", 0),
    Column::new("GROUP", 22).from(100),
    Column::new("STATE", 12),
    Column::new("LIMIT", 14),
    Column::new("EVAL", 8).right(),
];

/// Draws Rules.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let Some(rules) = &model.server.rules.value else {
        super::draw_empty(pen, body, "asking ...", model.server.rules.error.as_deref());
        return;
    };
    let count: usize = rules.groups.iter().map(|group| group.rules.len()).sum();
    let all = rules.groups.iter().flat_map(|g| g.rules.iter().map(move |r| RuleView::new(g, r)));
    let failing = all.filter(|one| one.health == "err").count();
    let text = format!(" {count} rules in {} groups   {failing} failing", rules.groups.len());
    pen.put(body.x, body.y, body.width * 2 / 3, &text, Role::Dim);
    model.rules.draw_filter(pen, body);
    let area = below(body, 1);
    let rows = rows(model);
    if rows.is_empty() {
        let text = if count == 0 {
            "There are no rules. Name their files under rule_files, then reload."
        } else {
            "No rule matches the filter. esc drops it."
        };
        super::draw_empty(pen, below(area, 1), text, None);
        return;
    }
    let list = top(area, area.height * 3 / 5);
    let selected = model.rules.selected.min(rows.len() - 1);
    let table = Table { columns: &COLUMNS, count: rows.len(), selected, focused: true };
    table.draw(pen, list, |place| rows.get(place).map(fields).unwrap_or_default());
    if let Some(rule) = rows.get(selected) {
        draw_detail(model, pen, below(area, list.height), rule);
    }
}

fn fields(rule: &RuleView<'_>) -> Vec<Field> {
    let (mark, state, role) = rule.state();
    vec![
        (mark.to_owned(), role),
        (rule.kind().to_owned(), Role::Dim),
        (rule.name.to_owned(), Role::Text),
        (rule.group.name.clone(), Role::Dim),
        (state, role),
        (rule.limit_text(), Role::Text),
        (fmt::seconds(rule.took), Role::Dim),
    ]
}

fn draw_detail(model: &Model, pen: &mut Pen<'_>, area: Rect, rule: &RuleView<'_>) {
    pen.rule(area, 0, rule.name, &rule.group.file);
    let mut pairs: Vec<(&str, String)> = Vec::new();
    if !rule.error.is_empty() {
        pairs.push(("error", rule.error.to_owned()));
    }
    pairs.push(("expr", rule.query.split_whitespace().collect::<Vec<_>>().join(" ")));
    if let RuleForm::Alerting { duration, keep_firing_for, labels, annotations, .. } = rule.rule {
        let mut held = format!("for {}", fmt::seconds(*duration));
        if *keep_firing_for > 0.0 {
            held.push_str(&format!("   keep firing for {}", fmt::seconds(*keep_firing_for)));
        }
        pairs.push(("held", held));
        pairs.push(("labels", labels.iter().map(|(n, v)| format!("{n}={v} ")).collect()));
        for (name, text) in annotations.iter().take(3) {
            pairs.push(("says", format!("{name}: {text}")));
        }
    }
    let last = rule.group.last_evaluation.map(|at| fmt::clock(at, &model.look.zone));
    let every = fmt::seconds(rule.group.interval);
    let text = format!(
        "{}, every {every}, last {} in {}",
        rule.group.name,
        last.unwrap_or_else(|| "never".to_owned()),
        fmt::seconds(rule.group.evaluation_time)
    );
    pairs.push(("group", text));
    draw_pairs(pen, below(area, 1), &pairs);
}
