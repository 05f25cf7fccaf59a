//! Jira: an issue for each group of alerts, made, updated, resolved and reopened.
//!
//! Source: prometheus/alertmanager, notify/jira/jira.go, notify/jira/types.go,
//! notify/jira/config.go.

use super::{Context, Written, check_url};
use crate::alerts::config::null_as_default;
use crate::model::value_text::quoted;
use crate::model::{AlertStatus, Problem};
use crate::notify::deep;
use crate::notify::keys::template;
use crate::notify::post::Call;
use crate::notify::retry::{Attempt, End, FailureClass};
use crate::notify::sender::{Job, Made, Trying};
use crate::notify::truncate;
use crate::notify::vendor::{Dialog, Talking};
use crate::sys::http::{HttpClient, Method};
use crate::sys::settings::{HttpClientSettings, ShownUrl, Span, text_or_map};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// Jira takes no longer summary.
const SUMMARY_RUNES_MAX: usize = 255;
/// Nor a longer description.
const DESCRIPTION_RUNES_MAX: usize = 32_767;

/// Nor a longer label.
const LABEL_RUNES_MAX: usize = 255;

/// `summary` and `description`: a template, or one with how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Field {
    /// The template.
    Text(String),
    /// The template, and whether issues that exist get what it says now.
    Full(FullField),
}

/// A template of an issue's field, and how it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FullField {
    /// The template; the field's default when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Whether issues that exist get what it says now; yes when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_update: Option<bool>,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text_or_map(from, Self::Text, Self::Full)
    }
}

impl Field {
    fn template(&self, name: &str) -> String {
        match self {
            Self::Text(template) | Self::Full(FullField { template: Some(template), .. }) => {
                template.clone()
            }
            Self::Full(FullField { template: None, .. }) => default_template(name),
        }
    }

    fn is_updated(&self) -> bool {
        !matches!(self, Self::Full(FullField { enable_update: Some(false), .. }))
    }
}

/// One item of `jira_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    #[serde(deserialize_with = "null_as_default")]
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// The API with its version, as in `https://x.atlassian.net/rest/api/2/`.
    #[serde(skip_serializing_if = "ShownUrl::is_empty")]
    pub api_url: ShownUrl,
    /// `auto`, `cloud` or `datacenter`: where issues are looked for.
    pub api_type: String,
    /// The project's key; a template.
    pub project: String,
    /// The issue's title.
    pub summary: Field,
    /// The issue's text.
    pub description: Field,
    /// Labels; templates.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub labels: Vec<String>,
    /// The priority by its name; a template; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub priority: String,
    /// The type by its name; a template.
    pub issue_type: String,
    /// The transition that opens an issue again; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reopen_transition: String,
    /// The transition that resolves an issue; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resolve_transition: String,
    /// Issues with this resolution are left alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wont_fix_resolution: String,
    /// Issues that were resolved so long ago are not opened again.
    #[serde(deserialize_with = "null_as_default")]
    pub reopen_duration: Span,
    /// More fields, of which the texts are templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub fields: BTreeMap<String, Value>,
}

fn default_template(name: &str) -> String {
    template(&format!("jira.default.{name}"))
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            api_url: ShownUrl::default(),
            api_type: "auto".to_owned(),
            project: String::new(),
            summary: Field::Text(default_template("summary")),
            description: Field::Text(default_template("description")),
            labels: Vec::new(),
            priority: default_template("priority"),
            issue_type: String::new(),
            reopen_transition: String::new(),
            resolve_transition: String::new(),
            wont_fix_resolution: String::new(),
            reopen_duration: Span::default(),
            fields: BTreeMap::new(),
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        if self.project.is_empty() {
            return Err(Problem::new(at, "missing project in jira_config"));
        }
        if self.issue_type.is_empty() {
            return Err(Problem::new(at, "missing issue_type in jira_config"));
        }
        if !["auto", "cloud", "datacenter"].contains(&self.api_type.as_str()) {
            let text = "unknown api_type on jira_config, must be auto, cloud or datacenter";
            return Err(Problem::new(at, text));
        }
        let own = Some(&self.api_url).filter(|url| !url.is_empty());
        let url = own.unwrap_or(&context.global.jira_api_url);
        if url.is_empty() {
            return Err(Problem::new(at, "no global Jira Cloud URL set"));
        }
        let at_url = format!("{at}.api_url");
        check_url(&at_url, url.reveal())?;
        let url = Url::parse(url.reveal())
            .map_err(|err| Problem::new(at_url, format!("cannot read the URL: {err}")))?;
        let http = context.http(at, self.http_config.as_ref())?;
        let dialog = Jira { settings: self.clone(), url: ApiUrl(url) };
        Ok(Talking::made("jira", self.send_resolved, http, dialog))
    }
}

/// The API's URL. It may hold a password, and is shown without.
#[derive(Clone)]
struct ApiUrl(Url);

impl std::fmt::Debug for ApiUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", ShownUrl::new(self.0.as_str()))
    }
}

impl ApiUrl {
    /// A URL below it.
    fn join(&self, parts: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Only URLs without a host have no segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// Where issues are looked for.
    fn search(&self, api_type: &str) -> Url {
        let host = self.0.host_str().unwrap_or_default();
        let is_cloud = match api_type {
            "auto" => host.ends_with("atlassian.net"),
            other => other == "cloud",
        };
        if !is_cloud {
            return self.join(&["search"]);
        }
        let mut url = self.join(&["search", "jql"]);
        let path = url.path().replacen("/rest/api/2/", "/rest/api/3/", 1);
        url.set_path(&path);
        url
    }

    /// Whether descriptions are documents.
    fn is_version_3(&self) -> bool {
        self.0.path().trim_end_matches('/').ends_with("/3")
    }
}

/// One project, checked, with the global defaults.
#[derive(Clone, Debug)]
struct Jira {
    settings: Settings,
    url: ApiUrl,
}

/// One attempt at it.
struct Told<'a> {
    kind: &'a Jira,
    client: &'a dyn HttpClient,
}

/// What a search finds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Found {
    issues: Vec<Issue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    key: String,
    fields: IssueFields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IssueFields {
    status: Option<IssueStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IssueStatus {
    status_category: Category,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Category {
    key: String,
}

/// The transitions of an issue.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Transitions {
    transitions: Vec<Transition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Transition {
    id: String,
    name: String,
}

impl Dialog for Jira {
    fn attempt<'a>(&'a self, client: &'a dyn HttpClient, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            match (Told { kind: self, client }).tell(job).await {
                Ok(done) | Err(done) => done,
            }
        })
    }
}

impl Told<'_> {
    async fn tell(&self, job: &Job<'_>) -> Result<Attempt, Attempt> {
        let firing = job.delivery.notification.status() == AlertStatus::Firing;
        let found = self.search(job, firing).await;
        let found = found.map_err(|failed| failed.about("failed to look up existing issues: "))?;
        if found.is_none() && !firing {
            // No issue is made of what is over.
            return Ok(Attempt::done());
        }
        let fields = self.kind.fields(job, found.is_some()).map_err(Attempt::unsendable)?;
        let (method, verb, path) = match &found {
            None => (Method::Post, "POST", vec!["issue"]),
            Some(issue) => (Method::Put, "PUT", vec!["issue", issue.key.as_str()]),
        };
        let body = json!({ "fields": fields });
        let told = self.ask(job, method, self.kind.url.join(&path), Some(&body)).await;
        let (_, done) = told.map_err(|failed| {
            failed.about(&format!("failed to {verb} request to {:?}: ", path.join("/")))
        })?;
        let Some(issue) = found else { return Ok(done) };
        self.transition(job, &issue, firing, done).await
    }

    async fn search(&self, job: &Job<'_>, firing: bool) -> Result<Option<Issue>, Attempt> {
        let query = self.kind.query(job, firing).map_err(Attempt::unsendable)?;
        let body = json!({ "fields": ["status"], "jql": query, "maxResults": 2 });
        let url = self.kind.url.search(&self.kind.settings.api_type);
        let (answer, done) = self
            .ask(job, Method::Post, url, Some(&body))
            .await
            .map_err(|failed| failed.about("HTTP request to JIRA API: "))?;
        let found: Found = read(&answer, &done)?;
        match found.issues.into_iter().next() {
            Some(issue) if issue.key.is_empty() => {
                Err(refused(done, "the issue that was found has no key".to_owned()))
            }
            issue => Ok(issue),
        }
    }

    /// Moves an issue to where its alerts are; `done` is the answer so far.
    async fn transition(
        &self,
        job: &Job<'_>,
        issue: &Issue,
        firing: bool,
        done: Attempt,
    ) -> Result<Attempt, Attempt> {
        let settings = &self.kind.settings;
        let Some(status) = &issue.fields.status else { return Ok(done) };
        let wanted = match (firing, status.status_category.key == "done") {
            (true, true) => &settings.reopen_transition,
            (false, false) => &settings.resolve_transition,
            _ => return Ok(done),
        };
        if wanted.is_empty() {
            return Ok(done);
        }
        let url = self.kind.url.join(&["issue", &issue.key, "transitions"]);
        let (answer, done) = self.ask(job, Method::Get, url.clone(), None).await?;
        let found: Transitions = read(&answer, &done)?;
        let Some(found) = found.transitions.into_iter().find(|one| one.name == *wanted) else {
            let text = format!("can't find transition {wanted} for issue {}", issue.key);
            return Err(refused(done, text));
        };
        let body = json!({ "transition": { "id": found.id } });
        self.ask(job, Method::Post, url, Some(&body)).await.map(|(_, done)| done)
    }

    /// The body of an answer that is a success, and what the attempt has come to with it.
    async fn ask(
        &self,
        job: &Job<'_>,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<(String, Attempt), Attempt> {
        let call = match body {
            Some(body) => Call::json(url, body).asking(),
            None => Call::get(url),
        };
        let mut call = Call { method, ..call };
        call.headers.push(("accept-language", "en".to_owned()));
        let answer = call.send(self.client, job).await?;
        let ended = answer.by_status(&[]);
        if ended.end == End::Done { Ok((answer.body, ended)) } else { Err(ended) }
    }
}

/// What stands in an answer; one that is no JSON is not Jira's, which may come back.
fn read<T: for<'de> Deserialize<'de>>(answer: &str, done: &Attempt) -> Result<T, Attempt> {
    serde_json::from_str(answer).map_err(|err| {
        let reason = format!("could not read the answer: {err}");
        let end = End::Retry { reason, class: FailureClass::Other, after: None };
        Attempt { end, ..done.clone() }
    })
}

/// A label as Jira takes it: no longer than others, and without blanks.
fn one_word(label: &str) -> String {
    let words: Vec<_> = label.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let parts = words.into_iter().filter(|word| !word.is_empty());
    truncate::runes(&parts.collect::<Vec<_>>().join("_"), LABEL_RUNES_MAX)
}

fn refused(done: Attempt, reason: String) -> Attempt {
    Attempt { end: End::Final { reason, class: FailureClass::Other }, ..done }
}

impl Jira {
    /// What is looked for: the issue of this group that is open, or may be opened again.
    fn query(&self, job: &Job<'_>, firing: bool) -> Result<String, String> {
        let settings = &self.settings;
        let mut query = String::new();
        if !settings.wont_fix_resolution.is_empty() {
            let resolution = quoted(&settings.wont_fix_resolution);
            query = format!("(resolution is EMPTY or resolution != {resolution}) and ");
        }
        let minutes = settings.reopen_duration.0.as_secs() / 60;
        if firing && !settings.reopen_transition.is_empty() && minutes > 0 {
            query.push_str(&format!(
                "(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m) and "
            ));
        } else {
            query.push_str("statusCategory != Done and ");
        }
        let project = job
            .text(&settings.project)
            .map_err(|err| format!("invalid project template or value: {err}"))?;
        query.push_str(&format!(
            "project={} and labels={} order by status ASC,resolutiondate DESC",
            quoted(&project),
            quoted(&group_label(job))
        ));
        Ok(query)
    }

    /// The fields of the issue, of a new one or of one that exists.
    fn fields(&self, job: &Job<'_>, exists: bool) -> Result<BTreeMap<String, Value>, String> {
        let settings = &self.settings;
        let text = |what: &str, template: &str| {
            job.text(template).map_err(|err| format!("{what} template: {err}"))
        };
        let mut fields = BTreeMap::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        let summary = text("summary", &settings.summary.template("summary"))?;
        if !exists || settings.summary.is_updated() {
            // Jira refuses a summary of several lines.
            let one_line = summary.replace(char::is_control, " ");
            set("summary", truncate::runes(one_line.trim(), SUMMARY_RUNES_MAX).into());
        }
        set("project", json!({ "key": text("project", &settings.project)? }));
        set("issuetype", json!({ "name": text("issue_type", &settings.issue_type)? }));
        let description = text("description", &settings.description.template("description"))?;
        let description = self.description(&description)?;
        if !exists || settings.description.is_updated() {
            description.map(|description| set("description", description));
        }
        let labels = settings.labels.iter().enumerate();
        let labels =
            labels.map(|(place, label)| Ok(one_word(&text(&format!("labels[{place}]"), label)?)));
        let mut labels: Vec<String> = labels.collect::<Result<_, String>>()?;
        labels.retain(|label| !label.is_empty());
        labels.push(group_label(job));
        labels.sort();
        set("labels", labels.into());
        let priority = text("priority", &settings.priority)?;
        if !priority.is_empty() {
            set("priority", json!({ "name": priority }));
        }
        let expand = |field: &str| job.text(field);
        for (name, value) in &settings.fields {
            let value = deep::expanded(value, &expand, &job.outside.read_yaml)
                .map_err(|err| format!("fields template: {err}"))?;
            set(name, value);
        }
        Ok(fields)
    }

    fn description(&self, text: &str) -> Result<Option<Value>, String> {
        let text = truncate::runes(text, DESCRIPTION_RUNES_MAX);
        if !self.url.is_version_3() {
            return Ok((!text.is_empty()).then(|| text.into()));
        }
        match text.trim() {
            "" => Ok(None),
            text => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| "description template: invalid JSON for API v3".to_owned()),
        }
    }
}

/// The label by which the issue of a group is found again.
fn group_label(job: &Job<'_>) -> String {
    format!("ALERT{{{}}}", job.delivery.notification.group_key.hash())
}
