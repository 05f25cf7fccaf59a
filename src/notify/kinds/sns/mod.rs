//! Amazon SNS: settings and the message here, who signs it in `signer.rs`.
//!
//! Source: prometheus/alertmanager, notify/sns/sns.go, notify/sns/config.go; prometheus/sigv4,
//! sigv4_config.go; Amazon SNS API Reference (Publish, its limits and its Query protocol).

mod signer;

use super::{Context, Written};
use crate::alerts::config::null_as_default;
use crate::model::{Problem, percent};
use crate::notify::post::Answered;
use crate::notify::retry::Attempt;
use crate::notify::sender::{Job, Made, Trying};
use crate::notify::truncate;
use crate::notify::vendor::{Dialog, Talking};
use crate::sys::http::HttpClient;
use crate::sys::settings::{HttpClientSettings, Secret};
use serde::{Deserialize, Serialize};
use signer::{Signer, between};
use std::collections::BTreeMap;

/// The longest message.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// The longest message to a telephone.
const PHONE_BYTES_MAX: usize = 1_600;
/// A longer subject is refused, as is one with a line end.
const SUBJECT_RUNES_MAX: usize = 99;

/// `sigv4`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigV4 {
    /// The region; that of the environment when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// The access key; with it goes its secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Its secret.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub secret_key: Secret,
    /// The profile in the shared file of credentials.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// A role that is taken on first.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    /// What the owner of the role wants to be told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub external_id: String,
    /// Whether the role is asked for at an endpoint that follows FIPS.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_fips_sts_endpoint: bool,
}

/// One item of `sns_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    #[serde(deserialize_with = "null_as_default")]
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// The endpoint; a template; that of the region when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_url: String,
    /// Who signs.
    pub sigv4: SigV4,
    /// The topic; a template, as are all that follow.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_arn: String,
    /// The telephone's number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phone_number: String,
    /// The device's endpoint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_arn: String,
    /// The subject of a mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The message.
    pub message: String,
    /// Attributes of the message, by which subscribers filter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub attributes: BTreeMap<String, String>,
    /// Steers a client library that is not used here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_aws_http_client: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            api_url: String::new(),
            sigv4: SigV4::default(),
            topic_arn: String::new(),
            phone_number: String::new(),
            target_arn: String::new(),
            subject: r#"{{ template "sns.default.subject" . }}"#.to_owned(),
            message: r#"{{ template "sns.default.message" . }}"#.to_owned(),
            attributes: BTreeMap::new(),
            use_aws_http_client: false,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let sigv4 = &self.sigv4;
        if sigv4.access_key.is_empty() != sigv4.secret_key.is_empty() {
            let text = "must provide a AWS SigV4 Access key and Secret Key if credentials are \
                        specified in the SigV4 config";
            return Err(Problem::new(format!("{at}.sigv4"), text));
        }
        // Upstream's way of counting to one lets all three pass.
        let missing = [&self.target_arn, &self.topic_arn, &self.phone_number];
        if missing.iter().fold(false, |odd, text| odd != text.is_empty()) {
            let text =
                "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config";
            return Err(Problem::new(at, text));
        }
        let http = context.http(at, self.http_config.as_ref())?;
        let signer = Signer::new(&self.sigv4);
        let dialog = Sns { settings: self.clone(), signer };
        Ok(Talking::made("sns", self.send_resolved, http, dialog))
    }
}

/// One topic, device or telephone, checked.
#[derive(Debug)]
struct Sns {
    settings: Settings,
    signer: Signer,
}

impl Dialog for Sns {
    fn attempt<'a>(&'a self, client: &'a dyn HttpClient, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            match self.publish(client, job).await {
                Ok(done) | Err(done) => done,
            }
        })
    }
}

impl Sns {
    async fn publish(&self, client: &dyn HttpClient, job: &Job<'_>) -> Result<Attempt, Attempt> {
        let text = job
            .text(&self.settings.api_url)
            .map_err(|err| Attempt::unsendable(format!("execute 'api_url' template: {err}")))?;
        let region = self.signer.region(job).map_err(Attempt::unsendable)?;
        let url = if text.is_empty() { signer::endpoint("sns", &region) } else { text };
        let form = self.form(job).map_err(Attempt::unsendable)?;
        let by = self.signer.credentials(&region, client, job).await?;
        let call = signer::call(&url, &form, "sns", &region, &by, job);
        let answer = call.map_err(Attempt::unsendable)?.send(client, job).await?;
        Ok(ended(&answer))
    }

    /// The parameters of the request.
    fn form(&self, job: &Job<'_>) -> Result<BTreeMap<String, String>, String> {
        let settings = &self.settings;
        let text = |what: &str, template: &str| {
            job.text(template).map_err(|err| format!("execute '{what}' template: {err}"))
        };
        let mut form = BTreeMap::new();
        let mut set = |name: &str, value: String| form.insert(name.to_owned(), value);
        set("Action", "Publish".to_owned());
        set("Version", "2010-03-31".to_owned());
        let mut attributes = BTreeMap::new();
        for (name, value) in &settings.attributes {
            attributes.insert(text("attributes", name)?, text("attributes", value)?);
        }
        if !settings.topic_arn.is_empty() {
            let topic = text("topic_arn", &settings.topic_arn)?;
            if topic.ends_with(".fifo") {
                // Amazon drops what has the identity of a message of the last five minutes:
                // upstream's, the group's, would lose a resolved alert that comes so soon.
                set("MessageDeduplicationId", job.delivery.idempotency_key());
                set("MessageGroupId", job.hash());
            }
            set("TopicArn", topic);
        }
        let mut bytes_max = MESSAGE_BYTES_MAX;
        if !settings.phone_number.is_empty() {
            set("PhoneNumber", text("phone_number", &settings.phone_number)?);
            bytes_max = PHONE_BYTES_MAX;
        }
        if !settings.target_arn.is_empty() {
            set("TargetArn", text("target_arn", &settings.target_arn)?);
        }
        let message = text("message", &settings.message)?;
        if message.len() > bytes_max {
            attributes.insert("truncated".to_owned(), "true".to_owned());
        }
        set("Message", truncate::head(&message, bytes_max).to_owned());
        let subject = text("subject", &settings.subject)?;
        if !subject.is_empty() {
            let one_line = subject.replace(char::is_control, " ");
            set("Subject", truncate::runes(&one_line, SUBJECT_RUNES_MAX));
        }
        for (place, (name, value)) in attributes.into_iter().enumerate() {
            let entry = format!("MessageAttributes.entry.{}", place + 1);
            set(&format!("{entry}.Name"), name);
            set(&format!("{entry}.Value.DataType"), "String".to_owned());
            set(&format!("{entry}.Value.StringValue"), value);
        }
        Ok(form)
    }
}

/// What an answer means; of a refusal its message is told.
fn ended(answer: &Answered) -> Attempt {
    let message = between(&answer.body, "<Message>", "</Message>");
    answer.by_status_saying(&[], &message.unwrap_or_else(|| answer.head()))
}

/// Parameters as a body.
fn encoded(form: &BTreeMap<String, String>) -> String {
    let pairs = form.iter();
    let pairs = pairs.map(|(name, value)| {
        format!("{}={}", percent::encode_form(name), percent::encode_form(value))
    });
    pairs.collect::<Vec<_>>().join("&")
}
