//! TLS for outbound connections: rustls with ring, so that nothing of the host is needed.

use crate::model::Problem;
use crate::sys::settings::TlsSettings;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion, version,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Where distributions keep their trusted certificates.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates that the host trusts, read at the first need; Mozilla's where it has none.
#[derive(Debug, Default)]
pub(in crate::sys) struct HostRoots(OnceLock<Arc<RootCertStore>>);

impl HostRoots {
    fn get(&self) -> Arc<RootCertStore> {
        Arc::clone(self.0.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            if let Some(pem) = bundle() {
                let certificates = CertificateDer::pem_slice_iter(&pem).flatten();
                roots.add_parsable_certificates(certificates);
            }
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            Arc::new(roots)
        }))
    }
}

/// The file of certificates that the host trusts, PEM.
pub(in crate::sys) fn bundle() -> Option<Vec<u8>> {
    BUNDLES.iter().find_map(|bundle| fs::read(bundle).ok())
}

/// The certificates that the settings trust instead of the host's, PEM.
///
/// # Errors
/// The file cannot be read.
pub(in crate::sys) fn authority(
    tls: &TlsSettings,
    base: &Path,
) -> Result<Option<Vec<u8>>, Problem> {
    pem(base, tls.ca.as_deref(), tls.ca_file.as_deref(), "ca")
}

/// The files that `tls` names, whose change makes a new client.
pub(super) fn files(tls: &TlsSettings, base: &Path) -> Vec<PathBuf> {
    let named = [&tls.ca_file, &tls.cert_file, &tls.key_file];
    named.into_iter().flatten().map(|file| base.join(file)).collect()
}

/// The configuration of TLS for these settings.
///
/// # Errors
/// A certificate or key cannot be read, or the settings contradict each other.
pub(in crate::sys) fn client_config(
    tls: &TlsSettings,
    base: &Path,
    http2: bool,
    host: &HostRoots,
) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(ring::default_provider());
    let broken = |err: Error| Problem::new("tls_config", err.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(tls)?)
        .map_err(broken)?;
    let verifier = verifier(tls, base, host, provider)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let certificate = pem(base, tls.cert.as_deref(), tls.cert_file.as_deref(), "cert")?;
    let key_text = tls.key.as_ref().map(|key| key.reveal());
    let key = pem(base, key_text, tls.key_file.as_deref(), "key")?;
    let mut config = match (certificate, key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate).flatten().collect();
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|_| Problem::new("tls_config.key", "no private key in PEM found"))?;
            builder.with_client_auth_cert(chain, key).map_err(broken)?
        }
        (Some(_), None) | (None, Some(_)) => {
            let text = "exactly one of key or key_file must be configured when a client certificate is configured, and the other way round";
            return Err(Problem::new("tls_config", text));
        }
    };
    config.alpn_protocols =
        if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(config)
}

fn versions(tls: &TlsSettings) -> Result<Vec<&'static SupportedProtocolVersion>, Problem> {
    let chosen = tls.versions().map_err(|problem| {
        let dot = if problem.at.is_empty() { "" } else { "." };
        Problem::new(format!("tls_config{dot}{}", problem.at), problem.message)
    })?;
    let known = [(12, &version::TLS12), (13, &version::TLS13)];
    Ok(known.into_iter().filter(|(at, _)| chosen.contains(at)).map(|(_, one)| one).collect())
}

fn verifier(
    tls: &TlsSettings,
    base: &Path,
    host: &HostRoots,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
    if tls.insecure_skip_verify {
        return Ok(Arc::new(Anybody(provider)));
    }
    let roots = match authority(tls, base)? {
        None => host.get(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
            if roots.is_empty() {
                let text = "unable to use specified CA cert: no certificate in PEM found";
                return Err(Problem::new("tls_config.ca_file", text));
            }
            Arc::new(roots)
        }
    };
    let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|err| Problem::new("tls_config", err.to_string()))?;
    if tls.server_name.is_empty() {
        return Ok(inner);
    }
    let name = ServerName::try_from(tls.server_name.clone()).map_err(|_| {
        let text = format!("{:?} is no host name", tls.server_name);
        Problem::new("tls_config.server_name", text)
    })?;
    Ok(Arc::new(Named { inner, name }))
}

/// The PEM text given directly or in a file.
fn pem(
    base: &Path,
    text: Option<&str>,
    file: Option<&Path>,
    field: &str,
) -> Result<Option<Vec<u8>>, Problem> {
    if let Some(text) = text {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    let Some(file) = file else { return Ok(None) };
    let path = base.join(file);
    let read = fs::read(&path).map_err(|err| {
        let text = format!("unable to read {}: {err}", path.display());
        Problem::new(format!("tls_config.{field}_file"), text)
    })?;
    Ok(Some(read))
}

/// Checks the certificate against a name of the settings instead of the URL's.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner.verify_server_cert(end, chain, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, end, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, end, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// `insecure_skip_verify`: any certificate, as long as the server holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, end, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, end, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::{Http as _, Request, SystemHttp};
    use crate::sys::tasks;
    use std::io::{Read as _, Write as _};

    /// A server for `target.example`, signed by the authority of the fixtures; valid for a hundred years.
    const SERVER: &str = include_str!("../../../tests/fixtures/tls/server.pem");
    const SERVER_KEY: &str = include_str!("../../../tests/fixtures/tls/server.key");
    const AUTHORITY: &str = include_str!("../../../tests/fixtures/tls/ca.pem");

    /// Answers `count` connections with an empty page; gives its address.
    fn tls_server(count: usize) -> String {
        let chain = CertificateDer::pem_slice_iter(SERVER.as_bytes()).flatten().collect();
        let key = PrivateKeyDer::from_pem_slice(SERVER_KEY.as_bytes()).expect("a key");
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("a certificate");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let at = listener.local_addr().expect("bound").to_string();
        let serve = move || {
            for stream in listener.incoming().take(count).flatten() {
                let config = Arc::new(config.clone());
                let session = rustls::ServerConnection::new(config).expect("a session");
                let mut tls = rustls::StreamOwned::new(session, stream);
                let mut head = [0; 4096];
                // A client that does not trust us ends the handshake here.
                if tls.read(&mut head).is_ok() {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    let _ = tls.write_all(answer).and_then(|()| tls.flush());
                }
            }
        };
        tasks::spawn_thread("tls server", serve).expect("a thread");
        at
    }

    #[tokio::test]
    async fn a_private_authority_and_a_server_name_are_what_counts() {
        let base = tempfile::tempdir().expect("temporary folder");
        fs::write(base.path().join("ca.pem"), AUTHORITY).expect("writes");
        const PREFIX: &str = "tls: failed to verify certificate: x509: ";
        let cases = [
            ("{ca_file: ca.pem, server_name: target.example}", ""),
            (
                "{ca_file: ca.pem, server_name: other.example}",
                "certificate is valid for other names",
            ),
            ("{ca_file: ca.pem}", "certificate is valid for other names"),
            ("{server_name: target.example}", "certificate signed by unknown authority"),
            ("{insecure_skip_verify: true}", ""),
        ];
        let at = tls_server(cases.len());
        for (yaml, failure) in cases {
            let settings = format!("{{tls_config: {yaml}}}");
            let settings = serde_yaml::from_str(&settings).expect("reads");
            let client = SystemHttp::new().client(&settings, base.path()).expect("a client");
            let answer = client.send(Request::get(format!("https://{at}/"))).await;
            match answer {
                Ok(answer) => assert_eq!((answer.status, failure), (200, ""), "{yaml}"),
                Err(err) => {
                    let expected = format!("{PREFIX}{failure}");
                    let text = err.to_string();
                    assert!(!failure.is_empty() && text.starts_with(&expected), "{yaml}: {err}");
                }
            }
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_the_field() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("empty.pem"), "nothing\n").expect("writes");
        for (yaml, at, text) in [
            ("{ca_file: gone.pem}", "tls_config.ca_file", "unable to read"),
            ("{ca_file: empty.pem}", "tls_config.ca_file", "no certificate"),
            ("{cert_file: empty.pem}", "tls_config", "exactly one of key"),
            ("{min_version: TLS9}", "tls_config.min_version", "unknown TLS version"),
            ("{max_version: TLS11}", "tls_config", "no protocol is left"),
            ("{server_name: 'a b'}", "tls_config.server_name", "no host name"),
        ] {
            let tls: TlsSettings = serde_yaml::from_str(yaml).expect("reads");
            let made = client_config(&tls, dir.path(), true, &HostRoots::default());
            let problem = made.expect_err(yaml);
            assert_eq!(problem.at, at, "{yaml}");
            assert!(problem.message.contains(text), "{yaml}: {problem}");
        }
        let plain = client_config(&TlsSettings::default(), dir.path(), true, &HostRoots::default());
        assert!(plain.is_ok());
    }
}
