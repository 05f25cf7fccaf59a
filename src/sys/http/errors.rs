//! Failures in the words that people grep for: Go's, without URLs, so without credentials.

use super::HttpError;
use crate::sys::dns::LookupError;
use std::error::Error;
use std::io;

/// Why there is no answer from `place`, as in `tcp 127.0.0.1:9100`.
pub(super) fn describe(err: &reqwest::Error, place: &str) -> HttpError {
    if err.is_timeout() {
        return HttpError::Timeout;
    }
    if err.is_builder() {
        return HttpError::Invalid(format!("cannot make the request: {}", deepest(err)));
    }
    if let Some(lookup) = find::<LookupError>(err) {
        return HttpError::Connect(format!("dial tcp: {lookup}"));
    }
    if let Some(tls) = find_tls(err) {
        return HttpError::Connect(tls_text(tls));
    }
    let found = find::<io::Error>(err);
    if err.is_connect() {
        let reason = found.map_or_else(|| deepest(err), io_text);
        return HttpError::Connect(format!("dial {place}: connect: {reason}"));
    }
    let cut = find::<io::Error>(err).is_some_and(|err| err.kind() == io::ErrorKind::UnexpectedEof);
    let text = deepest(err);
    if cut || text.contains("connection closed before message completed") {
        return eof();
    }
    HttpError::Broken(found.map_or(text, |err| format!("read {place}: {}", io_text(err))))
}

/// The answer ended too early.
pub(super) fn eof() -> HttpError {
    HttpError::Broken("unexpected EOF".to_owned())
}

fn chain(err: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(err.source(), |err| (*err).source())
}

/// The deepest error of type `T`. An `io::Error` hides what it wraps from `source`, and may wrap
/// another of its kind.
fn find<T: Error + 'static>(err: &reqwest::Error) -> Option<&T> {
    let mut found = None;
    for cause in chain(err) {
        let mut layer: Option<&(dyn Error + 'static)> = Some(cause);
        while let Some(here) = layer {
            found = here.downcast_ref::<T>().or(found);
            let wrapped = here.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            layer = wrapped.map(|inner| inner as &(dyn Error + 'static));
        }
    }
    found
}

fn find_tls(err: &reqwest::Error) -> Option<&rustls::Error> {
    find::<rustls::Error>(err)
}

fn deepest(err: &reqwest::Error) -> String {
    chain(err).last().map_or_else(|| "no answer".to_owned(), ToString::to_string)
}

/// An error of the system in Go's words.
pub(in crate::sys) fn io_text(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => err.to_string(),
    }
}

/// A failed handshake in Go's words.
pub(in crate::sys) fn tls_text(err: &rustls::Error) -> String {
    use rustls::CertificateError;
    let rustls::Error::InvalidCertificate(fault) = err else {
        return format!("remote error: tls: {err}");
    };
    let reason = match fault {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("certificate is valid for other names: {fault}")
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {reason}")
}
