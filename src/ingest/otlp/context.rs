//! What stands around the points of a request: resource, scope, and the labels out of both.
//!
//! Source: prometheus, storage/remote/otlptranslator/prometheusremotewrite (metrics_to_prw.go,
//! helper.go).

use super::message::{KeyValue, ScopeHead};
use super::name;
use crate::ingest::config::OtlpSettings;
use crate::ingest::limits::{ATTRIBUTES_MAX, SafetyLimits};
use crate::ingest::receive::{ReceiveError, malformed, next_field};
use crate::model::METRIC_NAME;
use prost::Message as _;
use std::collections::BTreeMap;

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";
const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE];

/// Labels while they are gathered.
pub(super) type Pairs = BTreeMap<String, String>;

/// Attributes with their values as text, in order of their keys.
pub(super) type Attributes = Vec<(String, String)>;

/// How many fields of a message have each of these tags.
///
/// # Errors
/// The message cannot be read.
pub(super) fn count<const N: usize>(
    bytes: &[u8],
    tags: [u32; N],
) -> Result<[usize; N], ReceiveError> {
    let (mut counts, mut rest) = ([0; N], bytes);
    while !rest.is_empty() {
        let (tag, _) = next_field(&mut rest)?;
        for (count, wanted) in counts.iter_mut().zip(tags) {
            *count += usize::from(wanted == tag);
        }
    }
    Ok(counts)
}

/// Reads attributes, each bounded before it is built; and why some were left out.
///
/// # Errors
/// They are no messages.
pub(super) fn attributes<'a>(
    list: impl IntoIterator<Item = &'a [u8]>,
    limits: &SafetyLimits,
) -> Result<(Attributes, Option<String>), ReceiveError> {
    // An empty value in a list is two bytes there and forty here.
    let bytes_max = 64 + limits.label_name_bytes_max + 2 * limits.label_value_bytes_max;
    let (mut found, mut fault) = (Vec::new(), None);
    for bytes in list {
        if found.len() >= ATTRIBUTES_MAX {
            fault = Some(format!("more than {ATTRIBUTES_MAX} attributes"));
            break;
        }
        if bytes.len() > bytes_max {
            let text = format!("an attribute has {} bytes; at most {bytes_max}", bytes.len());
            fault = Some(text);
            continue;
        }
        let KeyValue { key, value } = KeyValue::decode(bytes).map_err(malformed)?;
        found.push((key, value.map(|value| value.text()).unwrap_or_default()));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok((found, fault))
}

/// Fields with this tag that have bytes.
///
/// # Errors
/// The message cannot be read.
pub(super) fn fields(bytes: &[u8], wanted: u32) -> Result<Vec<&[u8]>, ReceiveError> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        if let (tag, Some(field)) = next_field(&mut rest)?
            && tag == wanted
            // One more than is allowed, so that it shows.
            && found.len() <= ATTRIBUTES_MAX
        {
            found.push(field);
        }
    }
    Ok(found)
}

/// A resource: what sends.
#[derive(Debug, Default)]
pub(super) struct Resource {
    attributes: Attributes,
    job: String,
    instance: String,
    promoted: Pairs,
}

impl Resource {
    /// # Errors
    /// A promoted attribute has no name that a label may have.
    pub(super) fn new(attributes: Attributes, settings: &OtlpSettings) -> Result<Self, String> {
        let value = |wanted: &str| {
            let found = attributes.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.clone())
        };
        let job = match (value(SERVICE_NAME), value(SERVICE_NAMESPACE)) {
            (Some(name), Some(namespace)) => format!("{namespace}/{name}"),
            (Some(name), None) => name,
            (None, _) => String::new(),
        };
        let mut promoted = Pairs::new();
        for (key, value) in attributes.iter().filter(|(key, _)| settings.promotes(key)) {
            promoted.insert(name::label(key, settings)?, value.clone());
        }
        let instance = value(SERVICE_INSTANCE).unwrap_or_default();
        Ok(Self { attributes, job, instance, promoted })
    }

    /// Labels of the series that tells the rest about the resource; `None` when there is nothing
    /// to tell, or nothing by which to find it.
    ///
    /// # Errors
    /// An attribute has no name that a label may have.
    pub(super) fn target_info(&self, settings: &OtlpSettings) -> Result<Option<Pairs>, String> {
        let is_identifying = |key: &str| IDENTIFYING.contains(&key);
        if self.attributes.iter().all(|(key, _)| is_identifying(key)) {
            return Ok(None);
        }
        let keeps = settings.keep_identifying_resource_attributes;
        let told = self.attributes.iter().filter(|(key, _)| keeps || !is_identifying(key));
        let mut pairs = merged(told, settings)?;
        self.identify(&mut pairs);
        let is_found = pairs.contains_key("job") || pairs.contains_key("instance");
        Ok(is_found.then_some(pairs))
    }

    fn identify(&self, pairs: &mut Pairs) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if !value.is_empty() {
                pairs.insert(name.to_owned(), value.clone());
            }
        }
    }
}

/// A scope's labels; none unless they are wanted.
///
/// # Errors
/// An attribute has no name that a label may have.
pub(super) fn scope_labels(
    head: &ScopeHead,
    schema_url: &str,
    attributes: &Attributes,
    settings: &OtlpSettings,
) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    if !settings.promote_scope_metadata || head.name.is_empty() {
        return Ok(pairs);
    }
    for (key, value) in attributes {
        pairs.insert(name::label(&format!("otel_scope_{key}"), settings)?, value.clone());
    }
    for (name, value) in [
        ("otel_scope_name", head.name.as_str()),
        ("otel_scope_version", &head.version),
        ("otel_scope_schema_url", schema_url),
    ] {
        pairs.insert(name.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

/// The labels of a point, but for its metric's name.
///
/// # Errors
/// An attribute has no name that a label may have.
pub(super) fn point_labels(
    attributes: &Attributes,
    resource: &Resource,
    scope: &Pairs,
    settings: &OtlpSettings,
) -> Result<Pairs, String> {
    let mut pairs = merged(attributes, settings)?;
    for (name, value) in &resource.promoted {
        let own = pairs.entry(name.clone()).or_default();
        if own.is_empty() {
            own.clone_from(value);
        }
    }
    resource.identify(&mut pairs);
    pairs.extend(scope.iter().map(|(name, value)| (name.clone(), value.clone())));
    Ok(pairs)
}

/// Attributes as labels. Values of keys that become one name stand side by side.
fn merged<'a>(
    attributes: impl IntoIterator<Item = &'a (String, String)>,
    settings: &OtlpSettings,
) -> Result<Pairs, String> {
    let joins = settings.translation_strategy.escapes();
    let mut pairs = Pairs::new();
    for (key, value) in attributes {
        // The metric's name is set by itself.
        if key == METRIC_NAME {
            continue;
        }
        let own = pairs.entry(name::label(key, settings)?).or_default();
        if joins && !own.is_empty() {
            own.push(';');
            own.push_str(value);
        } else {
            own.clone_from(value);
        }
    }
    Ok(pairs)
}
