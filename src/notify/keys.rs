//! Keys of receivers as they are written: one list of names, types and defaults a kind.

use crate::sys::settings::{GoSpan, HttpClientSettings, Scalar, Secret, ShownUrl};
use serde::de::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Makes the settings of a kind, or of a part of them, of its keys with their defaults. A key that
/// is not in the list is refused; what holds nothing is not shown.
macro_rules! keys {
    (
        $(#[$about:meta])* pub struct $name:ident {
            $($(#[$doc:meta])* $field:ident: $form:ty = $default:expr,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$doc])*
                #[serde(
                    deserialize_with = "crate::notify::keys::Key::read",
                    skip_serializing_if = "crate::notify::keys::Key::is_hidden"
                )]
                pub $field: $form,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }
    };
}

pub(super) use keys;

/// What a key may hold.
pub(super) trait Key: Sized {
    /// Reads it as YAML for Go does: any single value is a text, null is nothing.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;

    /// Whether it need not be shown: it holds nothing.
    fn is_hidden(&self) -> bool;
}

impl Key for String {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Scalar::deserialize(from)?.0)
    }

    fn is_hidden(&self) -> bool {
        self.is_empty()
    }
}

impl Key for BTreeMap<String, String> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = Option::<BTreeMap<String, Scalar>>::deserialize(from)?.unwrap_or_default();
        Ok(read.into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    fn is_hidden(&self) -> bool {
        self.is_empty()
    }
}

impl<T: serde::de::DeserializeOwned> Key for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<Self>::deserialize(from)?.unwrap_or_default())
    }

    fn is_hidden(&self) -> bool {
        self.is_empty()
    }
}

impl<T: serde::de::DeserializeOwned> Key for Option<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::deserialize(from)
    }

    fn is_hidden(&self) -> bool {
        self.is_none()
    }
}

macro_rules! plain {
    ($($form:ty: $hidden:expr,)+) => {
        $(
            impl Key for $form {
                fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    Ok(Option::<Self>::deserialize(from)?.unwrap_or_default())
                }

                fn is_hidden(&self) -> bool {
                    let hidden: fn(&Self) -> bool = $hidden;
                    hidden(self)
                }
            }
        )+
    };
}

plain! {
    Secret: Secret::is_empty,
    ShownUrl: ShownUrl::is_empty,
    serde_json::Map<String, serde_json::Value>: serde_json::Map::is_empty,
    // A switch that is off, no limit: they may differ from the default.
    bool: |_| false,
    i64: |_| false,
    u64: |_| false,
    GoSpan: |_| false,
}

/// A field that is a template of this name.
pub(super) fn template(name: &str) -> String {
    format!("{{{{ template \"{name}\" . }}}}")
}

/// How a receiver talks, when not as all others.
pub(super) type HttpKey = Option<HttpClientSettings>;
/// A file with a secret or a URL.
pub(super) type FileKey = Option<PathBuf>;

#[cfg(test)]
mod tests {
    use crate::notify::kinds::field::Field;
    use crate::notify::kinds::pagerduty::Settings as PagerDuty;
    use crate::notify::kinds::slack::Settings;
    use crate::sys::settings::GoSpan;

    #[test]
    fn values_are_read_as_go_reads_them_and_what_is_empty_is_not_shown() {
        let yaml = "{channel: 7, title: true, fields: , http_config: , text: ~, timeout: 1m30s}";
        let read: Settings = serde_yaml::from_str(yaml).expect("reads");
        let expected = Settings {
            channel: "7".to_owned(),
            title: "true".to_owned(),
            text: String::new(),
            timeout: GoSpan(std::time::Duration::from_secs(90)),
            ..Settings::default()
        };
        assert_eq!(read, expected);
        // Null is nothing for switches and numbers too, whatever the default: as `amtool` of 0.25
        // shows it, and as YAML for Go, version 2, has it.
        let read: PagerDuty =
            serde_yaml::from_str("{send_resolved: ~, timeout: , client: null}").expect("reads");
        assert!(PagerDuty::default().send_resolved && !read.send_resolved);
        assert_eq!((read.client.as_str(), read.timeout), ("", GoSpan::default()));
        for yaml in ["{timeout: 1d}", "{timeout: 5}"] {
            assert!(serde_yaml::from_str::<PagerDuty>(yaml).is_err(), "{yaml}");
        }
        for yaml in ["{chanel: x}", "{fields: [{titel: x}]}", "{fields: x}", "{channel: [x]}"] {
            assert!(serde_yaml::from_str::<Settings>(yaml).is_err(), "{yaml}");
        }
        let field = Field { title: "t".to_owned(), ..Field::default() };
        let shown = Settings { fields: vec![field], ..Settings::default() };
        let shown = serde_yaml::to_string(&shown).expect("writes");
        assert!(!shown.contains("channel") && !shown.contains("value:"), "{shown}");
        assert!(shown.contains("send_resolved: false") && shown.contains("- title: t"), "{shown}");
        assert_eq!(serde_yaml::from_str::<Settings>(&shown).expect("reads").fields.len(), 1);
    }
}
