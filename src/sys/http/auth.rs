//! Credentials and headers of the settings, read anew for each request: secrets rotate.

use super::HttpError;
use crate::sys::settings::HttpClientSettings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A secret is a line; a longer file is not one.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// The headers that the settings add: `Authorization`, then `http_headers`.
///
/// # Errors
/// A file cannot be read.
pub(in crate::sys) fn headers(
    settings: &HttpClientSettings,
    base: &Path,
) -> Result<Vec<(String, String)>, HttpError> {
    let mut out = Vec::new();
    if let Some(value) = authorization(settings, base)? {
        out.push(("authorization".to_owned(), value));
    }
    for (name, header) in &settings.http_headers {
        for value in &header.values {
            out.push((name.clone(), value.clone()));
        }
        for secret in &header.secrets {
            out.push((name.clone(), secret.reveal().to_owned()));
        }
        for file in &header.files {
            out.push((name.clone(), read_secret(base, file)?));
        }
    }
    Ok(out)
}

/// Whether the headers are always the same: none of them comes from a file.
pub(super) fn are_steady(settings: &HttpClientSettings) -> bool {
    let basic = settings.basic_auth.as_ref();
    let basic =
        basic.is_none_or(|auth| auth.username_file.is_none() && auth.password_file.is_none());
    let token = settings.authorization.as_ref().is_none_or(|auth| auth.credentials_file.is_none());
    let mut others = settings.http_headers.values();
    basic
        && token
        && settings.bearer_token_file.is_none()
        && others.all(|header| header.files.is_empty())
}

fn authorization(settings: &HttpClientSettings, base: &Path) -> Result<Option<String>, HttpError> {
    let from_file = |file: &Option<std::path::PathBuf>| {
        file.as_ref().map(|file| read_secret(base, file)).transpose()
    };
    if let Some(basic) = &settings.basic_auth {
        let user = from_file(&basic.username_file)?.unwrap_or_else(|| basic.username.clone());
        let password =
            from_file(&basic.password_file)?.unwrap_or_else(|| basic.password.reveal().to_owned());
        return Ok(Some(basic_header(&user, &password)));
    }
    if let Some(auth) = &settings.authorization {
        let scheme = if auth.scheme.is_empty() { "Bearer" } else { auth.scheme.trim() };
        let credentials = from_file(&auth.credentials_file)?
            .unwrap_or_else(|| auth.credentials.reveal().to_owned());
        return Ok(Some(format!("{scheme} {credentials}")));
    }
    let token = match &settings.bearer_token {
        Some(token) => Some(token.reveal().to_owned()),
        None => from_file(&settings.bearer_token_file)?,
    };
    Ok(token.map(|token| format!("Bearer {token}")))
}

/// The value of `Authorization` for a user and a password.
pub(in crate::sys) fn basic_header(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The file's text without space around it, as Prometheus reads secrets.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_secret(base: &Path, file: &Path) -> Result<String, HttpError> {
    let path = base.join(file);
    let failed = |err: std::io::Error| {
        HttpError::Invalid(format!("unable to read file {}: {err}", path.display()))
    };
    let mut text = String::new();
    let opened = File::open(&path).map_err(failed)?;
    opened.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_authenticate_makes_its_header() {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join("token"), " s3cret\n").expect("writes");
        for (yaml, expected) in [
            ("{}", None),
            (
                "{basic_auth: {username: Aladdin, password: open sesame}}",
                // The example of RFC 7617, section 2.
                Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
            ("{authorization: {credentials: abc}}", Some("Bearer abc")),
            ("{authorization: {type: Token, credentials_file: token}}", Some("Token s3cret")),
            ("{bearer_token: abc}", Some("Bearer abc")),
            ("{bearer_token_file: token}", Some("Bearer s3cret")),
        ] {
            let settings: HttpClientSettings = serde_yaml::from_str(yaml).expect("reads");
            let found = headers(&settings, dir.path()).expect("headers");
            let found = found.first().map(|(_, value)| value.as_str());
            assert_eq!(found, expected, "{yaml}");
        }
    }

    #[test]
    fn a_missing_secret_file_is_an_error_that_names_it() {
        let settings: HttpClientSettings =
            serde_yaml::from_str("{bearer_token_file: gone}").expect("reads");
        let err = headers(&settings, Path::new("/nowhere")).expect_err("no such file");
        assert!(err.to_string().contains("/nowhere/gone"), "{err}");
    }
}
