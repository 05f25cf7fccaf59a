//! OTLP's answer to what was pushed.
//!
//! Source: opentelemetry-proto, collector/metrics/v1/metrics_service.proto.

use serde::{Deserialize, Serialize};

/// The answer: empty when all is stored.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtlpResponse {
    /// What is not.
    #[prost(message, optional, tag = "1")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_success: Option<OtlpPartial>,
}

/// What is not stored.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtlpPartial {
    /// How many points; text in JSON, as all numbers of 64 bits.
    #[prost(int64, tag = "1")]
    #[serde(default, with = "number")]
    pub rejected_data_points: i64,
    /// Why.
    #[prost(string, tag = "2")]
    #[serde(default)]
    pub error_message: String,
}

/// A number that JSON has as text.
mod number {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_same_in_both_encodings() {
        let partial = OtlpPartial { rejected_data_points: 3, error_message: "why".to_owned() };
        let answer = OtlpResponse { partial_success: Some(partial) };
        let json = serde_json::to_string(&answer).expect("JSON");
        let expected = r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"why"}}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<OtlpResponse>(&json).expect("reads"), answer);
        let bytes = prost::Message::encode_to_vec(&answer);
        assert_eq!(<OtlpResponse as prost::Message>::decode(bytes.as_slice()), Ok(answer));
        assert_eq!(serde_json::to_string(&OtlpResponse::default()).expect("JSON"), "{}");
    }
}
