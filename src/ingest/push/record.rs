//! A group as it is stored: one JSON object, its families in the text format, which has a form for
//! every value.

use super::body::{Body, read};
use super::family::PushedFamily;
use super::groups::{Group, Held};
use super::key::GroupKey;
use crate::exposition::Printer;
use crate::model::{NameValidation, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The version that is written.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Row {
    version: u32,
    key: GroupKey,
    created_ms: i64,
    pushed_ms: Option<i64>,
    failed_ms: Option<i64>,
    ttl_ms: Option<u64>,
    families: Vec<FamilyRow>,
}

#[derive(Serialize, Deserialize)]
struct FamilyRow {
    pushed_ms: i64,
    text: String,
}

/// The key of a group's row.
pub fn row_key(key: &GroupKey) -> String {
    serde_json::to_string(key).expect("a map of texts is JSON")
}

/// A group's row.
pub fn to_row(key: &GroupKey, group: &Group) -> String {
    let family =
        |held: &Held| FamilyRow { pushed_ms: held.at.as_millis(), text: text(&held.family) };
    let row = Row {
        version: VERSION,
        key: key.clone(),
        created_ms: group.created_at.as_millis(),
        pushed_ms: group.pushed_at.map(Timestamp::as_millis),
        failed_ms: group.failed_at.map(Timestamp::as_millis),
        ttl_ms: group.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        families: group.families.values().map(family).collect(),
    };
    serde_json::to_string(&row).expect("texts and numbers are JSON")
}

/// The group of a row.
///
/// # Errors
/// It is no row, or of a later version.
pub fn from_row(text: &str) -> Result<(GroupKey, Group), String> {
    let row: Row = serde_json::from_str(text).map_err(|err| err.to_string())?;
    if row.version > VERSION {
        return Err(format!("its version is {}; at most {VERSION} is known", row.version));
    }
    let mut group = Group {
        created_at: Timestamp::from_millis(row.created_ms),
        pushed_at: row.pushed_ms.map(Timestamp::from_millis),
        failed_at: row.failed_ms.map(Timestamp::from_millis),
        ttl: row.ttl_ms.map(Duration::from_millis),
        families: std::collections::BTreeMap::new(),
    };
    for family in row.families {
        let bytes = family.text.as_bytes();
        let body = Body { content_type: "", content_encoding: "", bytes };
        // What was taken is kept, whatever may be pushed now.
        let pushed = read(&body, NameValidation::Utf8).map_err(|err| err.to_string())?;
        for one in pushed.families {
            let at = Timestamp::from_millis(family.pushed_ms);
            let name = one.name.clone();
            group.families.insert(name, Held { at, family: Arc::new(one) });
        }
    }
    Ok((row.key, group))
}

fn text(family: &PushedFamily) -> String {
    let mut printer = Printer::new();
    printer.family(&family.name, &family.help, family.kind);
    for sample in family.samples() {
        printer.sample(sample.suffix, &sample.labels, sample.value);
    }
    printer.finish()
}
