//! Keyed hashes, and requests to Amazon's services that are signed with them.
//!
//! Source: RFC 2104; AWS, "Signature Version 4".

use crate::model::{Timestamp, percent};
use sha2::digest::core_api::BlockSizeUser;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use url::Url;

/// The algorithm as its name stands in a signature.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The keyed hash of a message.
pub(super) fn hmac<D: Digest + BlockSizeUser>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let block = D::block_size();
    let key = if key.len() > block { D::digest(key).to_vec() } else { key.to_vec() };
    let padded = |pad: u8| {
        let tail = std::iter::repeat_n(0, block - key.len());
        key.iter().copied().chain(tail).map(|byte| byte ^ pad).collect::<Vec<_>>()
    };
    let inner = D::new().chain_update(padded(0x36)).chain_update(message).finalize();
    D::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing into a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Who signs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    /// Of a session that ends.
    pub(super) token: Option<String>,
}

/// Without secrets.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A request that is to be signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a Url,
    /// The header `Content-Type`; empty for none.
    pub(super) content_type: &'a str,
    pub(super) body: &'a str,
    pub(super) region: &'a str,
    /// The service's name in signatures.
    pub(super) service: &'a str,
    pub(super) at: Timestamp,
}

impl Unsigned<'_> {
    /// The headers that sign it, beside `Content-Type`.
    pub(super) fn sign(&self, by: &Credentials) -> Vec<(&'static str, String)> {
        let instant = jiff::Timestamp::from_millisecond(self.at.as_millis()).unwrap_or_default();
        let time = instant.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = instant.strftime("%Y%m%d").to_string();
        let mut signed = BTreeMap::from([("host", self.host()), ("x-amz-date", time.clone())]);
        if let Some(token) = &by.token {
            signed.insert("x-amz-security-token", token.clone());
        }
        let added: Vec<_> =
            signed.iter().skip(1).map(|(name, value)| (*name, value.clone())).collect();
        if !self.content_type.is_empty() {
            signed.insert("content-type", self.content_type.to_owned());
        }
        let names = signed.keys().copied().collect::<Vec<_>>().join(";");
        let lines: String =
            signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let request = [
            self.method,
            self.url.path(),
            &self.query(),
            &lines,
            &names,
            &hex(&Sha256::digest(self.body)),
        ]
        .join("\n");
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = [ALGORITHM, &time, &scope, &hex(&Sha256::digest(request.as_bytes()))].join("\n");
        let steps = [day.as_str(), self.region, self.service, "aws4_request", &text];
        let key = format!("AWS4{}", by.secret_key).into_bytes();
        let signature = steps.iter().fold(key, |key, step| hmac::<Sha256>(&key, step.as_bytes()));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            by.access_key,
            hex(&signature)
        );
        added.into_iter().chain([("authorization", authorization)]).collect()
    }

    /// As the header `Host` has it.
    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn query(&self) -> String {
        let escape = |text: &str| percent::encode(text, b"");
        let mut pairs: Vec<_> =
            self.url.query_pairs().map(|(name, value)| (escape(&name), escape(&value))).collect();
        pairs.sort();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::Md5;

    #[test]
    fn keyed_hashes_are_those_of_their_documents() {
        // RFC 2195, section 2.
        let digest =
            hmac::<Md5>(b"tanstaaftanstaaf", b"<1896.697170952@postoffice.reston.mci.net>");
        assert_eq!(hex(&digest), "b913a602c7eda7a495b4e6e7334d3890");
        // RFC 4231, cases 2 and 6 (a key that is longer than a block).
        let digest = hmac::<Sha256>(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            hex(&digest),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            hex(&hmac::<Sha256>(&[0xaa; 131], text)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn requests_are_signed_as_in_amazon_s_test_suite() {
        // AWS' Signature Version 4 test suite: get-vanilla, post-vanilla,
        // post-x-www-form-urlencoded, get-vanilla-query-order-key-case.
        let by = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let form = "application/x-www-form-urlencoded";
        for (method, path, content_type, body, names, signature) in [
            (
                "GET",
                "/",
                "",
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "/",
                "",
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "POST",
                "/",
                form,
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                "",
                "",
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let url = Url::parse(&format!("https://example.amazonaws.com{path}")).expect("a URL");
            let request = Unsigned {
                method,
                url: &url,
                content_type,
                body,
                region: "us-east-1",
                service: "service",
                // 2015-08-30T12:36:00Z.
                at: Timestamp::from_millis(1_440_938_160_000),
            };
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            let expected = vec![
                ("x-amz-date", "20150830T123600Z".to_owned()),
                ("authorization", authorization),
            ];
            assert_eq!(request.sign(&by), expected, "{method} {path}");
        }
        let shown = format!("{by:?}");
        assert!(!shown.contains("EXAMPLEKEY"), "{shown}");
    }
}
