//! Sending mail: TLS, authentication, envelope.
//!
//! Source: prometheus/alertmanager, notify/email/email.go; RFC 5321, RFC 4954, RFC 2195.

use super::Email;
use super::compose::Mail;
use crate::notify::config::Source;
use crate::notify::hmac::{hex, hmac};
use crate::notify::outside::Outside;
use crate::notify::retry::{Attempt, FailureClass};
use crate::sys::settings::TlsSettings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Identity, TlsParameters, TlsVersion,
};
use lettre::transport::smtp::extension::ClientId;
use md5::Md5;
use std::time::Duration;

/// Why one attempt failed.
#[derive(Debug)]
enum Failure {
    /// It may work later.
    Retry(String),
    /// It never will.
    Final(String),
}

/// Sends the message once.
pub(super) async fn send(
    settings: &Email,
    mail: &Mail,
    outside: &Outside,
    time_left: Duration,
) -> Attempt {
    match try_send(settings, mail, outside, time_left).await {
        Ok(()) => Attempt::done(),
        Err(Failure::Retry(reason)) => Attempt::retry(FailureClass::Other, reason),
        Err(Failure::Final(reason)) => Attempt::refused(FailureClass::Client, reason),
    }
}

async fn try_send(
    settings: &Email,
    mail: &Mail,
    outside: &Outside,
    time_left: Duration,
) -> Result<(), Failure> {
    let tls = || tls_parameters(settings, outside).map_err(Failure::Final);
    let hello = ClientId::Domain(settings.hello.clone());
    let implicit = if settings.implicit_tls { Some(tls()?) } else { None };
    let address = (settings.host.as_str(), settings.port);
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(address, Some(time_left), &hello, implicit, None)
            .await
            .map_err(|err| retry("establish connection to server", &err))?;
    if settings.require_tls && !settings.implicit_tls {
        if !connection.can_starttls() {
            connection.abort().await;
            let server = format!("{}:{}", settings.host, settings.port);
            return Err(Failure::Retry(format!(
                "'require_tls' is true (default) but {server:?} does not advertise the STARTTLS extension"
            )));
        }
        connection
            .starttls(tls()?, &hello)
            .await
            .map_err(|err| retry("send STARTTLS command", &err))?;
    }
    let done = dialog(settings, mail, outside, &mut connection).await;
    match &done {
        // The message is accepted: a lost farewell changes nothing.
        Ok(()) => drop(connection.quit().await),
        Err(_) => connection.abort().await,
    }
    done
}

async fn dialog(
    settings: &Email,
    mail: &Mail,
    outside: &Outside,
    connection: &mut AsyncSmtpConnection,
) -> Result<(), Failure> {
    if !settings.username.is_empty() {
        authenticate(settings, outside, connection).await?;
    }
    connection.send(&mail.envelope, &mail.bytes).await.map(drop).map_err(|err| {
        // A recipient or a message that is refused for good is not offered again.
        if err.is_permanent() {
            Failure::Final(format!("send mail: {err}"))
        } else {
            retry("send mail", &err)
        }
    })
}

/// The first mechanism in the server's order for which there is a secret.
async fn authenticate(
    settings: &Email,
    outside: &Outside,
    connection: &mut AsyncSmtpConnection,
) -> Result<(), Failure> {
    // The library keeps the server's mechanisms without their order, so it is asked once more.
    let answer = connection
        .command(format!("EHLO {}\r\n", settings.hello))
        .await
        .map_err(|err| retry("send EHLO command", &err))?;
    let offered: Vec<String> = answer
        .message()
        .filter_map(|line| {
            line.trim().strip_prefix("AUTH ").or_else(|| line.trim().strip_prefix("AUTH="))
        })
        .flat_map(|list| list.split_whitespace().map(str::to_ascii_uppercase))
        .collect();
    // A server without AUTH takes mail without it, as upstream sees it.
    if offered.is_empty() {
        return Ok(());
    }
    let reveal = |source: &Option<Source>| match source {
        Some(source) => outside.reveal_trimmed(source),
        None => Ok(String::new()),
    };
    let password = reveal(&settings.password).map_err(Failure::Retry)?;
    let secret = reveal(&settings.secret).map_err(Failure::Retry)?;
    let is_private = connection.is_encrypted() || is_local(&settings.host);
    let mechanism = mechanism(&offered, !password.is_empty(), !secret.is_empty(), is_private);
    let done = match mechanism.map_err(Failure::Retry)? {
        Mechanism::CramMd5 => cram_md5(settings, &secret, connection).await,
        Mechanism::Plain => plain(settings, &password, connection).await,
        Mechanism::Login => login(settings, &password, connection).await,
    };
    done.map_err(|err| retry("authenticate", &err))
}

/// How to say who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    CramMd5,
    Plain,
    Login,
}

/// The first one that there is a secret for. As upstream has it, PLAIN is refused where others
/// could listen, and then no other is tried; LOGIN is not.
fn mechanism(
    offered: &[String],
    has_password: bool,
    has_secret: bool,
    is_private: bool,
) -> Result<Mechanism, String> {
    let mut refused = Vec::new();
    for mechanism in offered {
        let reason = match mechanism.as_str() {
            "CRAM-MD5" if has_secret => return Ok(Mechanism::CramMd5),
            "CRAM-MD5" => "missing secret for CRAM-MD5 auth mechanism",
            "PLAIN" | "LOGIN" if !has_password => "missing password for auth mechanism",
            "PLAIN" if is_private => return Ok(Mechanism::Plain),
            "PLAIN" => return Err("authenticate: PLAIN on an unencrypted connection".to_owned()),
            "LOGIN" => return Ok(Mechanism::Login),
            _ => "unknown auth mechanism",
        };
        refused.push(format!("{reason} ({mechanism})"));
    }
    Err(format!("find auth mechanism: {}", refused.join("; ")))
}

async fn plain(
    settings: &Email,
    password: &str,
    connection: &mut AsyncSmtpConnection,
) -> Result<(), SmtpError> {
    let text = format!("{}\0{}\0{password}", settings.identity, settings.username);
    connection.command(format!("AUTH PLAIN {}\r\n", BASE64.encode(text))).await.map(drop)
}

async fn login(
    settings: &Email,
    password: &str,
    connection: &mut AsyncSmtpConnection,
) -> Result<(), SmtpError> {
    connection.command("AUTH LOGIN\r\n").await?;
    connection.command(format!("{}\r\n", BASE64.encode(&settings.username))).await?;
    connection.command(format!("{}\r\n", BASE64.encode(password))).await.map(drop)
}

async fn cram_md5(
    settings: &Email,
    secret: &str,
    connection: &mut AsyncSmtpConnection,
) -> Result<(), SmtpError> {
    let answer = connection.command("AUTH CRAM-MD5\r\n").await?;
    let challenge = answer.first_line().unwrap_or_default().trim();
    // A challenge that is no base64 gets an answer that the server refuses.
    let challenge = BASE64.decode(challenge).unwrap_or_default();
    let digest = hex(&hmac::<Md5>(secret.as_bytes(), &challenge));
    let text = BASE64.encode(format!("{} {digest}", settings.username));
    connection.command(format!("{text}\r\n")).await.map(drop)
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

fn retry(what: &str, err: &SmtpError) -> Failure {
    Failure::Retry(format!("{what}: {err}"))
}

fn tls_parameters(settings: &Email, outside: &Outside) -> Result<TlsParameters, String> {
    let tls = &settings.tls;
    let name = if tls.server_name.is_empty() { &settings.host } else { &tls.server_name };
    let mut builder = TlsParameters::builder(name.clone())
        .dangerous_accept_invalid_certs(tls.insecure_skip_verify)
        .dangerous_accept_invalid_hostnames(tls.insecure_skip_verify);
    if let Some(pem) = pem(tls.ca.as_deref(), tls.ca_file.as_deref(), outside)? {
        let certificate =
            Certificate::from_pem(pem.as_bytes()).map_err(|err| format!("read CA: {err}"))?;
        // As with Go, it is trusted instead of those that the host trusts.
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    if let Some(identity) = identity(tls, outside)? {
        builder = builder.identify_with(identity);
    }
    if *tls.versions().map_err(|problem| problem.message)?.start() == 13 {
        builder = builder.set_min_tls_version(TlsVersion::Tlsv13);
    }
    builder.build().map_err(|err| format!("parse TLS configuration: {err}"))
}

fn identity(tls: &TlsSettings, outside: &Outside) -> Result<Option<Identity>, String> {
    let certificate = pem(tls.cert.as_deref(), tls.cert_file.as_deref(), outside)?;
    let key = tls.key.as_ref().map(|key| key.reveal());
    let key = pem(key, tls.key_file.as_deref(), outside)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Identity::from_pem(certificate.as_bytes(), key.as_bytes())
                .map(Some)
                .map_err(|err| format!("read client certificate: {err}"))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            Err("exactly one of key or certificate is configured; both are needed".to_owned())
        }
    }
}

fn pem(
    inline: Option<&str>,
    file: Option<&std::path::Path>,
    outside: &Outside,
) -> Result<Option<String>, String> {
    match (inline, file) {
        (Some(text), _) => Ok(Some(text.to_owned())),
        (None, Some(path)) => outside.read_text(path).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_plain_may_not_send_is_not_sent_another_way() {
        // prometheus/alertmanager, notify/email/email.go (auth, loginAuth); Go, net/smtp/auth.go
        // (plainAuth.Start).
        for (offered, has_secret, is_private, expected) in [
            ("PLAIN LOGIN", false, true, Ok(Mechanism::Plain)),
            ("PLAIN LOGIN", false, false, Err("authenticate: PLAIN on an unencrypted connection")),
            ("LOGIN PLAIN", false, false, Ok(Mechanism::Login)),
            ("CRAM-MD5 PLAIN", true, false, Ok(Mechanism::CramMd5)),
            (
                "CRAM-MD5 PLAIN",
                false,
                false,
                Err("authenticate: PLAIN on an unencrypted connection"),
            ),
            ("NTLM", true, true, Err("find auth mechanism: unknown auth mechanism (NTLM)")),
        ] {
            let list: Vec<_> = offered.split(' ').map(str::to_owned).collect();
            let found = mechanism(&list, true, has_secret, is_private);
            assert_eq!(found, expected.map_err(str::to_owned), "{offered} {is_private}");
        }
    }
}
