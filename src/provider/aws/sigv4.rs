//! AWS Signature Version 4; all given headers are signed. Source: "Create a signed AWS
//! API request", AWS IAM User Guide.

use std::fmt::{self, Write as _};

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::secret::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Credentials for signing.
pub struct Credentials {
    /// Identifies the key.
    pub access_key_id: Secret,
    /// The signing secret.
    pub secret_access_key: Secret,
    /// The token that accompanies temporary credentials.
    pub session_token: Option<Secret>,
}

impl Credentials {
    /// A copy. `Clone` is not implemented, so that copies of secrets are explicit.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            access_key_id: self.access_key_id.duplicate(),
            secret_access_key: self.secret_access_key.duplicate(),
            session_token: self.session_token.as_ref().map(Secret::duplicate),
        }
    }
}

/// The parameters of a signature.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    /// The key, and its session token.
    pub credentials: &'a Credentials,
    /// The region, such as `eu-central-1`.
    pub region: &'a str,
    /// The service's name, such as `secretsmanager`.
    pub service: &'a str,
    /// The time of signing. AWS rejects a signature that is more than five minutes off.
    pub moment: Timestamp,
}

/// The parts of a request to sign.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The HTTP method, such as `POST`.
    pub method: &'a str,
    /// The value of the `Host` header, with a port unless it is the scheme's default.
    pub host: &'a str,
    /// The path, encoded as it is sent.
    pub path: &'a str,
    /// The query, in canonical form: sorted and encoded.
    pub query: &'a str,
    /// The headers, with lower-case names.
    pub headers: &'a [(&'static str, &'a [u8])],
    /// The body.
    pub body: &'a [u8],
}

/// A header to send. Its value is wiped when dropped.
pub type Header = (&'static str, Zeroizing<Vec<u8>>);

impl Signing<'_> {
    /// All headers of the signed request: the given ones, `host`, date, session token and signature.
    #[must_use]
    pub fn headers(&self, message: &Message<'_>) -> Vec<Header> {
        let owned = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        let date = self.moment.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers: Vec<Header> = message.headers.iter().map(|(name, it)| (*name, owned(it))).collect();
        headers.push(("host", owned(message.host.as_bytes())));
        headers.push(("x-amz-date", owned(date.as_bytes())));
        let token = self.credentials.session_token.as_ref();
        headers.extend(token.map(|token| ("x-amz-security-token", owned(token.expose()))));
        headers.sort_by_key(|(name, _)| *name);
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let signature = self.signature(&date, &canonical(message, &headers, &names));
        let authorization = self.authorization(&date, &names, &signature);
        headers.push(("authorization", authorization));
        headers
    }

    fn signature(&self, date: &str, canonical: &[u8]) -> String {
        let hash = hex(digest::digest(&digest::SHA256, canonical).as_ref());
        let text = format!("{ALGORITHM}\n{date}\n{}\n{hash}", self.scope(date));
        let secret = [b"AWS4", self.credentials.secret_access_key.expose()].concat();
        let mut key = Zeroizing::new(secret);
        for part in [day(date), self.region, self.service, "aws4_request"] {
            key = Zeroizing::new(hmac(&key, part.as_bytes()));
        }
        hex(&hmac(&key, text.as_bytes()))
    }

    fn authorization(&self, date: &str, names: &str, signature: &str) -> Zeroizing<Vec<u8>> {
        let scope = self.scope(date);
        let rest = format!("/{scope}, SignedHeaders={names}, Signature={signature}");
        let beginning = format!("{ALGORITHM} Credential=");
        let id = self.credentials.access_key_id.expose();
        Zeroizing::new([beginning.as_bytes(), id, rest.as_bytes()].concat())
    }

    fn scope(&self, date: &str) -> String {
        format!("{}/{}/{}/aws4_request", day(date), self.region, self.service)
    }
}

/// The day of a date such as `20150830T123600Z`.
fn day(date: &str) -> &str {
    date.split_once('T').map_or(date, |(day, _)| day)
}

/// The canonical request, which client and service both hash.
fn canonical(message: &Message<'_>, headers: &[Header], names: &str) -> Zeroizing<Vec<u8>> {
    let mut text =
        Zeroizing::new([message.method, "\n", message.path, "\n", message.query, "\n"].concat().into_bytes());
    for (name, value) in headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend(single_spaced(value.trim_ascii()));
        text.push(b'\n');
    }
    let hash = hex(digest::digest(&digest::SHA256, message.body).as_ref());
    text.extend_from_slice(format!("\n{names}\n{hash}").as_bytes());
    text
}

/// A header value with runs of spaces collapsed.
fn single_spaced(value: &[u8]) -> impl Iterator<Item = u8> {
    let follows_space = std::iter::once(false).chain(value.iter().map(|byte| *byte == b' '));
    value.iter().zip(follows_space).filter(|(byte, after)| **byte != b' ' || !after).map(|(byte, _)| *byte)
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(hidden)")
    }
}

/// The bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;
    use proptest::prelude::*;

    use super::*;

    fn credentials(id: &str, key: &str, token: Option<&str>) -> Credentials {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        Credentials {
            access_key_id: secret(id),
            secret_access_key: secret(key),
            session_token: token.map(secret),
        }
    }

    /// The credentials of AWS's published test vectors.
    fn published() -> Credentials {
        credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
    }

    fn authorization(headers: &[Header]) -> String {
        let (_, value) = headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    }

    fn signature(method: &str, headers: &[(&'static str, &[u8])], body: &[u8]) -> String {
        let credentials = published();
        let moment = "2015-08-30T12:36:00Z".parse().unwrap();
        let signing = Signing { credentials: &credentials, region: "us-east-1", service: "service", moment };
        let message = Message { method, host: "example.amazonaws.com", path: "/", query: "", headers, body };
        let headers = signing.headers(&message);
        authorization(&headers).rsplit_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn the_published_vectors_have_the_published_signatures() {
        // aws-sig-v4-test-suite: get-vanilla, post-vanilla, post-header-key-case, post-x-www-form-urlencoded.
        assert_eq!(
            signature("GET", &[], b""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            signature("POST", &[], b""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        let form: &[(&str, &[u8])] = &[("content-type", b"application/x-www-form-urlencoded")];
        assert_eq!(
            signature("POST", form, b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
        let spaced: &[(&str, &[u8])] = &[("my-header1", b"  a   b   c  ")];
        assert_eq!(signature("GET", spaced, b""), signature("GET", &[("my-header1", b"a b c")], b""));
    }

    /// The signature by AWS's own signer.
    fn vendors(case: &Case) -> String {
        let identity = aws_credential_types::Credentials::new(
            case.id.clone(),
            case.key.clone(),
            case.token.clone(),
            None,
            "test",
        );
        let identity = identity.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&case.region)
            .name("secretsmanager")
            .time(SystemTime::try_from(case.moment).unwrap())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let headers = case.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let url = format!("https://{}/?{}", case.host, case.query);
        let request =
            SignableRequest::new("POST", url, headers, SignableBody::Bytes(case.body.as_bytes())).unwrap();
        let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
        let (headers, _) = instructions.into_parts();
        let authorization = headers.iter().find(|header| header.name() == "authorization").unwrap();
        authorization.value().to_owned()
    }

    #[derive(Debug)]
    struct Case {
        id: String,
        key: String,
        token: Option<String>,
        region: String,
        host: String,
        query: String,
        headers: Vec<(&'static str, String)>,
        body: String,
        moment: Timestamp,
    }

    prop_compose! {
        fn cases()(
            id in "[A-Z0-9]{16,20}",
            key in "[A-Za-z0-9/+]{40}",
            token in proptest::option::of("[A-Za-z0-9/+=]{1,200}"),
            region in "[a-z]{2}-[a-z]{4,9}-[1-4]",
            host in "[a-z][a-z0-9-]{0,20}[a-z0-9]\\.example\\.com(:[1-9][0-9]{3})?",
            query in "(Action=[A-Za-z]{1,9}&Version=[0-9-]{1,10})?",
            target in "[ -~]{1,60}",
            id_header in proptest::option::of("[a-z]{1,20}"),
            body in ".{0,300}",
            seconds in 1_000_000_000i64..4_000_000_000,
        ) -> Case {
            let mut headers = vec![("x-amz-target", target)];
            headers.extend(id_header.map(|value| ("x-vault-aws-iam-server-id", value)));
            let moment = Timestamp::from_second(seconds).unwrap();
            Case { id, key, token, region, host, query, headers, body, moment }
        }
    }

    proptest! {
        #[test]
        fn signatures_are_those_of_the_vendors_signer(case in cases()) {
            let credentials = credentials(&case.id, &case.key, case.token.as_deref());
            let (region, moment) = (case.region.as_str(), case.moment);
            let signing = Signing { credentials: &credentials, region, service: "secretsmanager", moment };
            let headers: Vec<(&str, &[u8])> =
                case.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            let message = Message {
                method: "POST",
                host: &case.host,
                path: "/",
                query: &case.query,
                headers: &headers,
                body: case.body.as_bytes(),
            };
            prop_assert_eq!(authorization(&signing.headers(&message)), vendors(&case));
        }
    }
}
