//! Writes metric families as text 0.0.4.

use crate::model::{Labels, MetricType, is_legacy_label_name, is_legacy_metric_name, value_text};

/// The media type of what `print` writes.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Collects families as text: `family` opens one, `sample` adds a line to it.
#[derive(Clone, Debug, Default)]
pub struct Printer {
    out: String,
    name: String,
}

impl Printer {
    /// A printer without text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a family: its help, when there is one, and its type.
    pub fn family(&mut self, name: &str, help: &str, kind: MetricType) -> &mut Self {
        name.clone_into(&mut self.name);
        let out = &mut self.out;
        if !help.is_empty() {
            out.push_str("# HELP ");
            push_name(out, name);
            out.push(' ');
            push_escaped(out, help, false);
            out.push('\n');
        }
        out.push_str("# TYPE ");
        push_name(out, name);
        out.push(' ');
        out.push_str(type_word(kind));
        out.push('\n');
        self
    }

    /// Adds a sample of the open family; `suffix` follows the name, as `_bucket` does.
    pub fn sample(&mut self, suffix: &str, labels: &Labels, value: f64) -> &mut Self {
        self.sample_of(suffix, labels, value)
    }

    /// As `sample`, with labels that may be empty: those are said too.
    pub fn sample_of<'a>(
        &mut self,
        suffix: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) -> &mut Self {
        push_series(&mut self.out, &format!("{}{suffix}", self.name), labels);
        self.out.push(' ');
        self.out.push_str(&value_text::go_default(value));
        self.out.push('\n');
        self
    }

    /// The text.
    pub fn finish(self) -> String {
        self.out
    }
}

/// Text 0.0.4 knows five words; the newer types are untyped to it.
const fn type_word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter | MetricType::Gauge | MetricType::Histogram | MetricType::Summary => {
            kind.as_str()
        }
        MetricType::GaugeHistogram
        | MetricType::Info
        | MetricType::StateSet
        | MetricType::Unknown => "untyped",
    }
}

fn push_name(out: &mut String, name: &str) {
    if is_legacy_metric_name(name) {
        out.push_str(name);
    } else {
        push_quoted(out, name);
    }
}

fn push_series<'a>(
    out: &mut String,
    name: &str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let bare = is_legacy_metric_name(name);
    if bare {
        out.push_str(name);
    }
    let mut labels = labels.into_iter().peekable();
    if bare && labels.peek().is_none() {
        return;
    }
    out.push('{');
    let mut first = true;
    if !bare {
        push_quoted(out, name);
        first = false;
    }
    for (label, value) in labels {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        if is_legacy_label_name(label) {
            out.push_str(label);
        } else {
            push_quoted(out, label);
        }
        out.push('=');
        push_quoted(out, value);
    }
    out.push('}');
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text, true);
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}
