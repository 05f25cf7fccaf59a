//! Who signs requests to Amazon: keys of the settings, of the environment, of the shared file, or
//! of a role that these take on. The metadata service of a virtual machine is never asked: it is
//! no server that the configuration names.
//!
//! Source: AWS SDKs and Tools Reference Guide (shared files, environment variables); AWS STS API
//! Reference (AssumeRole).

use super::{SigV4, encoded, ended};
use crate::model::Timestamp;
use crate::notify::hmac::{Credentials, Unsigned};
use crate::notify::post::Call;
use crate::notify::retry::{Attempt, End, FailureClass};
use crate::notify::sender::Job;
use crate::sys::http::HttpClient;
use crate::sys::locks::lock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use url::Url;

/// A session is given up so long before its end.
const SPARE: Duration = Duration::from_secs(300);
/// So long a session is asked for, in seconds; what upstream's library asks for.
const SESSION_SECONDS: u32 = 900;

/// Makes signatures.
#[derive(Debug)]
pub(super) struct Signer {
    settings: SigV4,
    /// The session of a role, and when it ends.
    session: Mutex<Option<(Credentials, Timestamp)>>,
}

impl Signer {
    pub(super) fn new(settings: &SigV4) -> Self {
        Self { settings: settings.clone(), session: Mutex::default() }
    }

    /// The region of the settings or of the environment.
    pub(super) fn region(&self, job: &Job<'_>) -> Result<String, String> {
        let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let own = Some(self.settings.region.clone()).filter(|region| !region.is_empty());
        own.or_else(|| variables.iter().find_map(|name| job.outside.variable(name))).ok_or_else(
            || {
                "region not configured in sns.sigv4.region or in default credentials chain"
                    .to_owned()
            },
        )
    }

    /// Who signs now.
    pub(super) async fn credentials(
        &self,
        region: &str,
        client: &dyn HttpClient,
        job: &Job<'_>,
    ) -> Result<Credentials, Attempt> {
        let own = self.own(job).map_err(Attempt::unsendable)?;
        note(&own, job);
        if self.settings.role_arn.is_empty() {
            return Ok(own);
        }
        let now = job.outside.clock.now();
        let kept = lock(&self.session).clone();
        if let Some((session, _)) = kept.filter(|(_, ends)| now.plus(SPARE) < *ends) {
            note(&session, job);
            return Ok(session);
        }
        let (session, ends) = self.assume(region, &own, client, job).await?;
        note(&session, job);
        *lock(&self.session) = Some((session.clone(), ends));
        Ok(session)
    }

    /// Keys of the settings, else of a profile that they name, else of the environment, else of
    /// the default profile.
    fn own(&self, job: &Job<'_>) -> Result<Credentials, String> {
        let settings = &self.settings;
        if !settings.access_key.is_empty() {
            return Ok(Credentials {
                access_key: settings.access_key.clone(),
                secret_key: settings.secret_key.reveal().to_owned(),
                token: None,
            });
        }
        let variable = |name: &str| job.outside.variable(name);
        if settings.profile.is_empty()
            && let (Some(access_key), Some(secret_key)) =
                (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
        {
            return Ok(Credentials {
                access_key,
                secret_key,
                token: variable("AWS_SESSION_TOKEN"),
            });
        }
        let named = Some(settings.profile.clone()).filter(|profile| !profile.is_empty());
        let profile = named.or_else(|| variable("AWS_PROFILE"));
        let profile = profile.unwrap_or_else(|| "default".to_owned());
        let file = variable("AWS_SHARED_CREDENTIALS_FILE")
            .or_else(|| Some(format!("{}/.aws/credentials", variable("HOME")?)));
        let missing = "no AWS credentials: neither in sns.sigv4 nor in the environment nor in a \
                       shared file";
        let file = file.ok_or_else(|| missing.to_owned())?;
        let text = job.outside.read_text(Path::new(&file))?;
        of_profile(&text, &profile)
            .ok_or_else(|| format!("{file} has no keys for the profile {profile}"))
    }

    /// Takes on the role.
    async fn assume(
        &self,
        region: &str,
        own: &Credentials,
        client: &dyn HttpClient,
        job: &Job<'_>,
    ) -> Result<(Credentials, Timestamp), Attempt> {
        let settings = &self.settings;
        let mut form = BTreeMap::from([
            ("Action", "AssumeRole".to_owned()),
            ("DurationSeconds", SESSION_SECONDS.to_string()),
            ("RoleArn", settings.role_arn.clone()),
            ("RoleSessionName", format!("watchbell-{}", job.outside.clock.now())),
            ("Version", "2011-06-15".to_owned()),
        ]);
        if !settings.external_id.is_empty() {
            form.insert("ExternalId", settings.external_id.clone());
        }
        let form = form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let service = if settings.use_fips_sts_endpoint { "sts-fips" } else { "sts" };
        let call = call(&endpoint(service, region), &form, "sts", region, own, job);
        let answer = call.map_err(Attempt::unsendable)?.asking().send(client, job).await?;
        let ended = ended(&answer);
        if ended.end != End::Done {
            return Err(ended.about("assume the role: "));
        }
        session(&answer.body).ok_or_else(|| {
            let reason = "assume the role: the answer holds no session".to_owned();
            answer.ended(End::Retry { reason, class: FailureClass::Other, after: None })
        })
    }
}

/// Keeps the secrets of keys out of texts.
fn note(credentials: &Credentials, job: &Job<'_>) {
    job.outside.revealed.note(&credentials.secret_key);
    credentials.token.iter().for_each(|token| job.outside.revealed.note(token));
}

/// The endpoint of a service in a region.
pub(super) fn endpoint(service: &str, region: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{end}/")
}

/// A signed request with these parameters.
pub(super) fn call(
    url: &str,
    form: &BTreeMap<String, String>,
    service: &str,
    region: &str,
    by: &Credentials,
    job: &Job<'_>,
) -> Result<Call, String> {
    let mut url = Url::parse(url).map_err(|err| format!("cannot read the endpoint: {err}"))?;
    if !url.path().ends_with('/') {
        // As Amazon's library makes paths of endpoints.
        url.set_path(&format!("{}/", url.path()));
    }
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    let body = encoded(form);
    let at = job.outside.clock.now();
    let headers =
        Unsigned { method: "POST", url: &url, content_type, body: &body, region, service, at }
            .sign(by);
    let headers = [("content-type", content_type.to_owned())].into_iter().chain(headers).collect();
    Ok(Call { headers, ..Call::json_text(url, body) })
}

/// The session in an answer of AssumeRole, and when it ends.
fn session(xml: &str) -> Option<(Credentials, Timestamp)> {
    let field = |name: &str| between(xml, &format!("<{name}>"), &format!("</{name}>"));
    let ends: jiff::Timestamp = field("Expiration")?.parse().ok()?;
    let credentials = Credentials {
        access_key: field("AccessKeyId")?,
        secret_key: field("SecretAccessKey")?,
        token: Some(field("SessionToken")?),
    };
    Some((credentials, Timestamp::from_millis(ends.as_millisecond())))
}

/// The first text between two others, with XML's escapes undone.
pub(super) fn between(xml: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = xml.split_once(start)?;
    let (text, _) = rest.split_once(end)?;
    let escapes = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let text = text.trim().to_owned();
    Some(escapes.into_iter().fold(text, |text, (escape, plain)| text.replace(escape, plain)))
}

/// The keys of a profile in a shared file.
fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let mut inside = false;
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == profile;
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            found.insert(name.trim(), value.trim());
        }
    }
    let get = |name: &str| found.get(name).map(|value| (*value).to_owned());
    Some(Credentials {
        access_key: get("aws_access_key_id")?,
        secret_key: get("aws_secret_access_key")?,
        token: get("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_profile() {
        let text = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=s=1\n\n\
                    [ other ]\n;aws_access_key_id = no\naws_access_key_id=B\n\
                    aws_secret_access_key = t\naws_session_token = u\n[half]\naws_access_key_id=C\n";
        let keys = |profile| {
            let found = of_profile(text, profile)?;
            Some([found.access_key, found.secret_key, found.token.unwrap_or_default()])
        };
        assert_eq!(keys("default"), Some(["A", "s=1", ""].map(str::to_owned)));
        assert_eq!(keys("other"), Some(["B", "t", "u"].map(str::to_owned)));
        assert_eq!((keys("half"), keys("none")), (None, None));
    }
}
