//! Two plain pages for browsers: where things are, and a query as a table.

use super::message::Response;
use super::route::Asked;
use crate::model::value_text;
use crate::wire::{AlertState, Error, InstantQuery, QueryData, rfc3339};
use std::fmt::Write as _;

/// Rows of a table; a page with more helps nobody.
const ROWS_MAX: usize = 1000;

/// No script, no frame, nothing from elsewhere.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn front(asked: &Asked) -> Result<Response, Error> {
    let mut html = String::new();
    match asked.core().status() {
        Ok(status) => {
            let firing = asked
                .core()
                .alert_rows()
                .map(|rows| rows.iter().filter(|row| row.state == AlertState::Firing).count());
            let firing = firing.map_or_else(|_| "unknown".to_owned(), |count| count.to_string());
            let facts = [
                ("Server", status.server),
                ("Version", status.version),
                ("Started", rfc3339(status.started)),
                ("Series", status.storage.series.to_string()),
                ("Firing alerts", firing),
            ];
            html.push_str("<table>");
            for (name, value) in facts {
                let _ = write!(html, "<tr><th>{name}</th><td>{}</td></tr>", escaped(&value));
            }
            html.push_str("</table>");
            for warning in status.warnings {
                let _ = write!(html, "<p class=warning>{}</p>", escaped(&warning));
            }
        }
        Err(err) => {
            let _ = write!(html, "<p class=warning>{}</p>", escaped(&err.message));
        }
    }
    let prefix = asked.api.settings.route_prefix.trim_end_matches('/');
    html.push_str("<ul>");
    for path in [
        "/graph",
        "/api/v1/targets",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v2/silences",
        "/api/v1/status/config",
        "/metrics",
    ] {
        let _ = write!(html, "<li><a href=\"{prefix}{path}\">{path}</a></li>");
    }
    html.push_str("</ul>");
    Ok(page(asked, &html))
}

pub(super) fn graph(asked: &Asked) -> Result<Response, Error> {
    let expr = asked.params.get("g0.expr").unwrap_or_default();
    let mut html = format!(
        "<form><input name=\"g0.expr\" size=80 value=\"{}\" autofocus> <button>Query</button></form>",
        escaped(expr)
    );
    if !expr.is_empty() {
        let answer = asked.core().query(&asked.call(None), &InstantQuery::now(expr));
        match answer {
            Ok(answer) => {
                for warning in &answer.warnings {
                    let _ = write!(html, "<p class=warning>{}</p>", escaped(warning));
                }
                table(&mut html, &answer.data);
            }
            Err(err) => {
                let _ = write!(html, "<p class=warning>{}</p>", escaped(&err.message));
            }
        }
    }
    Ok(page(asked, &html))
}

fn table(html: &mut String, data: &QueryData) {
    let (rows, total): (Vec<(String, String)>, usize) = match data {
        QueryData::Vector(samples) => {
            let row = |sample: &crate::wire::VectorSample| {
                (sample.metric.to_string(), value_text::api(sample.value))
            };
            (samples.iter().take(ROWS_MAX).map(row).collect(), samples.len())
        }
        QueryData::Matrix(series) => {
            let row = |one: &crate::wire::MatrixSeries| {
                (one.metric.to_string(), format!("{} points", one.values.len()))
            };
            (series.iter().take(ROWS_MAX).map(row).collect(), series.len())
        }
        QueryData::Scalar(_, value) => (vec![("scalar".to_owned(), value_text::api(*value))], 1),
        QueryData::String(_, text) => (vec![("string".to_owned(), text.clone())], 1),
    };
    html.push_str("<table>");
    for (series, value) in &rows {
        let _ = write!(html, "<tr><td>{}</td><td>{}</td></tr>", escaped(series), escaped(value));
    }
    html.push_str("</table>");
    if total > rows.len() {
        let _ = write!(html, "<p>{} of {total} series</p>", rows.len());
    } else if total == 0 {
        html.push_str("<p>no series</p>");
    }
}

fn page(asked: &Asked, body: &str) -> Response {
    let title = escaped(&asked.api.settings.page_title);
    let prefix = asked.api.settings.route_prefix.trim_end_matches('/');
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>\
         body{{font:14px monospace;margin:2em}}table{{border-collapse:collapse}}\
         td,th{{border:1px solid #999;padding:2px 8px;text-align:left}}.warning{{color:#a00}}\
         </style><h1><a href=\"{prefix}/\">{title}</a></h1>{body}\n"
    );
    Response::new(200, "text/html; charset=utf-8", html)
        .with("content-security-policy", POLICY)
        .with("x-content-type-options", "nosniff")
}

/// Text as HTML shows it, also inside a quoted attribute.
fn escaped(text: &str) -> String {
    let safe = crate::model::printable(text);
    let mut out = String::with_capacity(safe.as_str().len());
    for c in safe.as_str().chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_data_is_text() {
        assert_eq!(
            escaped("<script a=\"b\" c='d'>&\x1b"),
            "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;\\x1b"
        );
    }
}
