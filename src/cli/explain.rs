//! `watchbell query --explain`: where the work of a query went, as a tree.

use super::output::series_text;
use crate::model::{Printable, printable, value_text};
use crate::wire::{Explain, ExplainLimit, ExplainNode};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr as _;

/// A longer expression is cut in the tree.
const TEXT_WIDTH_MAX: usize = 60;

/// Prints the tree, and how near the series are to the limit of a comparison.
///
/// # Errors
/// The output is closed.
pub(super) fn explain(told: &Explain, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = Vec::new();
    collect(&told.root, "", "", &mut rows);
    let wide = rows.iter().map(|(text, _)| text.width()).max().unwrap_or(0);
    writeln!(
        out,
        "{:>9}  {:>9}  {:>8}  {:>9}  EXPRESSION",
        "TOTAL", "ITSELF", "SERIES", "SAMPLES"
    )?;
    for (text, node) in rows {
        let notes = notes(node);
        let blanks = if notes.is_empty() { 0 } else { wide - text.width() };
        let line = format!(
            "{:>9}  {:>9}  {:>8}  {:>9}  {text}{}{}{}",
            millis(node.total_seconds),
            millis(node.self_seconds),
            node.series,
            node.samples,
            " ".repeat(blanks),
            if notes.is_empty() { "" } else { "  " },
            notes.join(", "),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    match &told.limit {
        Some(limit) => closest(limit, out),
        None => Ok(()),
    }
}

/// The rows below a node, with the lines that join them.
fn collect<'a>(
    node: &'a ExplainNode,
    lead: &str,
    joint: &str,
    rows: &mut Vec<(String, &'a ExplainNode)>,
) {
    let room = TEXT_WIDTH_MAX.saturating_sub(lead.len());
    rows.push((format!("{lead}{joint}{}", shortened(&node.text, room)), node));
    let lead = match joint {
        "" => String::new(),
        "`- " => format!("{lead}   "),
        _ => format!("{lead}|  "),
    };
    let last = node.children.len().saturating_sub(1);
    for (place, child) in node.children.iter().enumerate() {
        collect(child, &lead, if place == last { "`- " } else { "|- " }, rows);
    }
}

fn shortened(text: &str, room: usize) -> Printable {
    let text = printable(text);
    if text.as_str().width() <= room {
        return text;
    }
    let kept: String = text.as_str().chars().take(room.saturating_sub(3)).collect();
    printable(&format!("{kept}..."))
}

fn notes(node: &ExplainNode) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(selected) = node.selected {
        notes.push(format!("the index finds {selected}"));
    }
    if node.constant {
        notes.push("constant".to_owned());
    }
    if node.once {
        notes.push("evaluated once".to_owned());
    }
    if node.shared {
        notes.push("asked before".to_owned());
    }
    if let Some(bytes) = node.peak_bytes {
        notes.push(format!("peak {} KiB", bytes.div_ceil(1024)));
    }
    notes
}

/// Prints the limit of a comparison and the series that are nearest to it.
///
/// # Errors
/// The output is closed.
pub(super) fn closest(limit: &ExplainLimit, out: &mut dyn Write) -> io::Result<()> {
    let (op, right) = (&limit.limit.op, printable(&limit.limit.right));
    let value =
        limit.limit.value.map(value_text::plain).filter(|value| *value != limit.limit.right);
    let value = value.map_or_else(String::new, |value| format!(", which is {value}"));
    writeln!(out, "\nThe limit is {op} {right}{value}.")?;
    if limit.closest.is_empty() {
        return Ok(());
    }
    writeln!(out, "{:>12}  {:>8}  {:>5}  CLOSEST TO IT", "VALUE", "AWAY", "HOLDS")?;
    for one in &limit.closest {
        let away = if limit.limit.value == Some(0.0) {
            value_text::plain(one.distance)
        } else {
            format!("{:.1}%", one.distance * 100.0)
        };
        let holds = if one.holds { "yes" } else { "no" };
        let value = value_text::plain(one.value);
        writeln!(out, "{value:>12}  {away:>8}  {holds:>5}  {}", series_text(&one.metric))?;
    }
    Ok(())
}

fn millis(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use crate::wire::{ClosestSeries, RuleLimit};

    #[test]
    fn the_tree_has_a_row_for_each_node_and_the_limit_its_nearest_series() {
        let leaf = |text: &str| ExplainNode { text: text.to_owned(), ..ExplainNode::default() };
        let select = ExplainNode {
            selected: Some(12),
            series: 10,
            samples: 300,
            self_seconds: 0.0015,
            total_seconds: 0.0015,
            ..leaf("x{a=\"\u{1b}\"}[5m]")
        };
        let rate = ExplainNode {
            series: 10,
            self_seconds: 0.0005,
            total_seconds: 0.002,
            peak_bytes: Some(2048),
            children: vec![select],
            ..leaf("rate(x[5m])")
        };
        let five = ExplainNode { constant: true, ..leaf("5") };
        let root = ExplainNode { children: vec![rate, five], ..leaf("rate(x[5m]) > 5") };
        let metric = Labels::from_pairs([("a", "b")]);
        let near = ClosestSeries { metric, value: 4.0, distance: 0.2, holds: false };
        let limit = RuleLimit {
            left: "rate(x[5m])".to_owned(),
            op: ">".to_owned(),
            value: Some(5.0),
            right: "5".to_owned(),
        };
        let limit = Some(ExplainLimit { limit, closest: vec![near] });
        let mut out = Vec::new();
        explain(&Explain { root, limit }, &mut out).expect("writes");
        let expected = "    TOTAL     ITSELF    SERIES    SAMPLES  EXPRESSION
 0.000 ms   0.000 ms         0          0  rate(x[5m]) > 5
 2.000 ms   0.500 ms        10          0  |- rate(x[5m])         peak 2 KiB
 1.500 ms   1.500 ms        10        300  |  `- x{a=\"\\x1b\"}[5m]  the index finds 12
 0.000 ms   0.000 ms         0          0  `- 5                   constant

The limit is > 5.
       VALUE      AWAY  HOLDS  CLOSEST TO IT
           4     20.0%     no  {a=\"b\"}
";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
