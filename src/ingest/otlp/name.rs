//! Names of OpenTelemetry as names of Prometheus: characters, units, types.
//!
//! Source: prometheus/otlptranslator, metric_namer.go, label_namer.go, unit_namer.go; and
//! OpenTelemetry's specification, compatibility/prometheus_and_openmetrics.md.

use crate::ingest::config::OtlpSettings;

/// Words for units of UCUM. `1` has none.
const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Words for what stands behind a slash.
const PER_UNITS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// What of a metric's type its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A gauge: of unit `1` it is a ratio.
    Gauge,
    /// Only goes up: a total.
    Counter,
    /// Everything else.
    Other,
}

/// The name of a metric.
///
/// # Errors
/// Nothing is left of it, in Prometheus' words.
pub(super) fn metric(
    name: &str,
    unit: &str,
    shape: Shape,
    settings: &OtlpSettings,
) -> Result<String, String> {
    let strategy = settings.translation_strategy;
    let has_suffixes = strategy.has_suffixes();
    if !strategy.escapes() {
        return Ok(if has_suffixes { with_suffixes(name, unit, shape) } else { name.to_owned() });
    }
    let mut made =
        if has_suffixes { tokens(name, unit, shape).join("_") } else { underscored(name) };
    if made.starts_with(|first: char| first.is_ascii_digit()) {
        made.insert(0, '_');
    }
    if made.is_empty() {
        return Err(format!("normalization for metric {name:?} resulted in empty name"));
    }
    if made != name && made.bytes().all(|byte| byte == b'_') {
        return Err(format!("normalization for metric {name:?} resulted in invalid name {made:?}"));
    }
    Ok(made)
}

/// The unit in words, as metadata has it.
pub(super) fn unit(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    let (main, per) = (clean(&main), clean(&per));
    let joint = if main.is_empty() || per.is_empty() { "" } else { "_" };
    let text = format!("{main}{joint}{per}");
    let text = text.strip_prefix('_').unwrap_or(&text);
    text.strip_suffix('_').unwrap_or(text).to_owned()
}

/// The name of a label.
///
/// # Errors
/// Nothing is left of it, in Prometheus' words.
pub(super) fn label(name: &str, settings: &OtlpSettings) -> Result<String, String> {
    let only_underscores = |text: &str| text.bytes().all(|byte| byte == b'_');
    if name.is_empty() {
        return Err("label name is empty".to_owned());
    }
    if !settings.translation_strategy.escapes() {
        if only_underscores(name) {
            return Err(format!("label name {name:?} contains only underscores"));
        }
        return Ok(name.to_owned());
    }
    let mut made = sanitized(name, settings.label_name_preserve_multiple_underscores);
    if made.starts_with(|first: char| first.is_ascii_digit()) {
        made.insert_str(0, "key_");
    } else if settings.label_name_underscore_sanitization
        && made.starts_with('_')
        && !made.starts_with("__")
    {
        made.insert_str(0, "key");
    }
    if only_underscores(&made) {
        return Err(format!(
            "normalization for label name {name:?} resulted in invalid name {made:?}"
        ));
    }
    Ok(made)
}

fn sanitized(name: &str, keeps_many: bool) -> String {
    let replaced = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    if keeps_many {
        return name.chars().map(replaced).collect();
    }
    // Reserved names keep the two underscores on both sides.
    let inner = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    let one = collapsed(inner.unwrap_or(name).chars().map(replaced));
    if inner.is_some() { format!("__{one}__") } else { one }
}

/// The text with one underscore for several.
fn collapsed(chars: impl Iterator<Item = char>) -> String {
    let mut made = String::new();
    for c in chars {
        if c != '_' || !made.ends_with('_') {
            made.push(c);
        }
    }
    made
}

const fn fits_metric(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// Parts between characters that fit, joined by underscores; underscores of its own stay.
fn underscored(name: &str) -> String {
    let parts = name.split(|c| !fits_metric(c) && c != '_').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
}

/// The words of a name, then unit and type where they are not among them.
fn tokens(name: &str, unit: &str, shape: Shape) -> Vec<String> {
    let mut tokens: Vec<String> = name
        .split(|c| !fits_metric(c))
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect();
    let (main, per) = unit_words(unit);
    let (mut main, mut per) = (clean(&main), clean(&per));
    if tokens.contains(&main) {
        main.clear();
    }
    if per == "per_" {
        per.clear();
    } else {
        per = per.strip_suffix('_').unwrap_or(&per).to_owned();
        if tokens.contains(&per) {
            per.clear();
        }
    }
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(&main).to_owned();
    }
    tokens.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    if let Some(word) = type_word(unit, shape) {
        tokens.retain(|token| token != word);
        tokens.push(word.to_owned());
    }
    tokens
}

fn type_word(unit: &str, shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::Counter => Some("total"),
        // Counters of unit `1` count things; only a gauge of it is a ratio.
        Shape::Gauge if unit == "1" => Some("ratio"),
        Shape::Gauge | Shape::Other => None,
    }
}

/// As it is, with unit and type behind it where it does not end with them.
fn with_suffixes(name: &str, unit: &str, shape: Shape) -> String {
    let without = |name: &str, suffix: &str| {
        let kept = name.strip_suffix(suffix).filter(|kept| kept.len() > 1);
        let kept = kept.map(|kept| kept.char_indices().next_back().map_or(0, |(at, _)| at));
        kept.and_then(|end| name.get(..end)).unwrap_or(name).to_owned()
    };
    let word = type_word(unit, shape);
    let mut made = word.map_or_else(|| name.to_owned(), |word| without(name, word));
    let (main, per) = unit_words(unit);
    if !per.is_empty() {
        made = without(&made, &per);
    }
    if !main.is_empty() && !made.ends_with(&main) {
        made = format!("{made}_{main}");
    }
    for suffix in [per.as_str(), word.unwrap_or_default()] {
        if !suffix.is_empty() {
            made = format!("{made}_{suffix}");
        }
    }
    made
}

/// The words of a unit: the main one, and what it is per.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |text: &str, table: &[(&str, &str)]| {
        let text = text.trim();
        // Braces are a comment.
        if text.contains(['{', '}']) {
            return String::new();
        }
        let known = table.iter().find(|(unit, _)| *unit == text).map(|(_, word)| *word);
        known.unwrap_or(text).to_owned()
    };
    let per = word(per, &PER_UNITS);
    let per = if per.is_empty() { per } else { format!("per_{per}") };
    (word(main, &UNITS), per)
}

fn clean(unit: &str) -> String {
    let made = collapsed(unit.chars().map(|c| if fits_metric(c) { c } else { '_' }));
    made.strip_prefix('_').unwrap_or(&made).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::config::TranslationStrategy;
    use crate::model::{is_legacy_label_name, is_legacy_metric_name};
    use proptest::prelude::*;

    fn with(translation_strategy: TranslationStrategy) -> OtlpSettings {
        OtlpSettings { translation_strategy, ..OtlpSettings::default() }
    }

    #[test]
    fn metrics_are_named_as_in_prometheus() {
        use Shape::{Counter, Gauge, Other};
        let settings = OtlpSettings::default();
        for (name, unit, shape, expected) in [
            ("system.io", "By", Counter, "system_io_bytes_total"),
            ("system.io.total", "By", Counter, "system_io_bytes_total"),
            ("http.server.duration", "s", Other, "http_server_duration_seconds"),
            ("http.server.duration.seconds", "s", Other, "http_server_duration_seconds"),
            ("cpu.use", "1", Gauge, "cpu_use_ratio"),
            ("cpu.ratio.use", "1", Gauge, "cpu_use_ratio"),
            ("requests", "1", Counter, "requests_total"),
            ("requests", "{request}", Counter, "requests_total"),
            ("speed", "m/s", Gauge, "speed_meters_per_second"),
            ("speed", "km/h", Gauge, "speed_km_per_hour"),
            ("speed", "{packet}/s", Gauge, "speed_per_second"),
            ("free", "%", Gauge, "free_percent"),
            ("odd", "__foo__bar", Gauge, "odd_foo_bar"),
            ("2xx.count", "", Other, "_2xx_count"),
            ("a  b__c", "", Other, "a_b_c"),
            ("jvm:heap", "MiBy", Gauge, "jvm:heap_mebibytes"),
            ("unit", "foo/", Other, "unit_foo"),
        ] {
            let made = metric(name, unit, shape, &settings);
            assert_eq!(made.as_deref(), Ok(expected), "{name} {unit} {shape:?}");
        }
        let empty = metric("\u{e9}", "", Other, &settings).expect_err("nothing is left");
        assert_eq!(empty, "normalization for metric \"\u{e9}\" resulted in empty name");
    }

    #[test]
    fn other_strategies_leave_more_of_a_name() {
        use Shape::{Counter, Gauge, Other};
        use TranslationStrategy as By;
        for (strategy, name, unit, shape, expected) in [
            (By::UnderscoreEscapingWithoutSuffixes, "system.io", "By", Counter, "system_io"),
            (By::UnderscoreEscapingWithoutSuffixes, "a__b.c", "", Other, "a__b_c"),
            (By::UnderscoreEscapingWithoutSuffixes, "1a", "", Other, "_1a"),
            (By::NoTranslation, "system.io", "By", Counter, "system.io"),
            (By::NoUTF8EscapingWithSuffixes, "system.io", "By", Counter, "system.io_bytes_total"),
            (By::NoUTF8EscapingWithSuffixes, "a.io_total", "By", Counter, "a.io_bytes_total"),
            (By::NoUTF8EscapingWithSuffixes, "a.bytes.total", "By", Counter, "a.bytes_total"),
            (By::NoUTF8EscapingWithSuffixes, "cpu.ratio", "1", Gauge, "cpu_ratio"),
            (By::NoUTF8EscapingWithSuffixes, "v", "m/s", Gauge, "v_meters_per_second"),
        ] {
            let made = metric(name, unit, shape, &with(strategy));
            assert_eq!(made.as_deref(), Ok(expected), "{strategy:?} {name}");
        }
        let bad = metric("_._", "", Other, &with(By::UnderscoreEscapingWithoutSuffixes));
        assert!(bad.expect_err("underscores").contains("resulted in invalid name"), "_._");
    }

    #[test]
    fn labels_are_named_as_in_prometheus() {
        let usual = OtlpSettings::default();
        let plain = OtlpSettings { label_name_underscore_sanitization: false, ..usual.clone() };
        let single =
            OtlpSettings { label_name_preserve_multiple_underscores: false, ..usual.clone() };
        let kept = with(TranslationStrategy::NoTranslation);
        for (settings, name, expected) in [
            (&usual, "http.method", "http_method"),
            (&usual, "1st", "key_1st"),
            (&usual, "_private", "key_private"),
            (&plain, "_private", "_private"),
            (&usual, "__reserved__", "__reserved__"),
            (&usual, "a..b", "a__b"),
            (&single, "a..b", "a_b"),
            (&single, "__a..b__", "__a_b__"),
            (&kept, "http.method", "http.method"),
        ] {
            assert_eq!(label(name, settings).as_deref(), Ok(expected), "{name}");
        }
        for (settings, name) in
            [(&usual, ""), (&usual, "___"), (&kept, "__"), (&usual, ".."), (&single, "____")]
        {
            assert!(label(name, settings).is_err(), "{name:?}");
        }
    }

    #[test]
    fn units_are_words_in_metadata() {
        for (text, expected) in
            [("s", "seconds"), ("By/s", "bytes_per_second"), ("1", ""), ("{x}", ""), ("", "")]
        {
            assert_eq!(unit(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn escaped_names_are_of_the_old_kind(name in ".{0,30}", of in ".{0,10}", kind in 0..3u8) {
            let shape = [Shape::Gauge, Shape::Counter, Shape::Other][usize::from(kind)];
            for strategy in [
                TranslationStrategy::UnderscoreEscapingWithSuffixes,
                TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
                TranslationStrategy::NoUTF8EscapingWithSuffixes,
                TranslationStrategy::NoTranslation,
            ] {
                let settings = with(strategy);
                let made = (metric(&name, &of, shape, &settings), label(&name, &settings));
                if strategy.escapes() {
                    if let Ok(made) = &made.0 {
                        prop_assert!(is_legacy_metric_name(made), "{made:?}");
                    }
                    if let Ok(made) = &made.1 {
                        prop_assert!(is_legacy_label_name(made), "{made:?}");
                    }
                }
            }
        }
    }
}
