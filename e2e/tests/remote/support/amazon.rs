//! What tests set up in an account of AWS, at whatever server plays it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use super::{Network, http};

/// The region of all tests.
pub(crate) const REGION: &str = "eu-central-1";

/// A role, which every identity of the account may assume that has the permission.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) arn: String,
}

/// Keys that end by themselves.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) token: String,
}

/// An access key, and whose.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) key: String,
}

/// The account, as whoever may do everything.
pub(crate) struct Amazon {
    pub(crate) network: &'static Network,
    /// The listener without TLS.
    pub(crate) server: SocketAddr,
    /// The key that may do everything. The servers take it with any signature, where they verify none.
    pub(crate) id: &'static str,
}

impl Amazon {
    /// An operation of Secrets Manager.
    #[track_caller]
    pub(crate) fn secrets(&self, action: &str, body: &Value) -> Value {
        let response = self.try_secrets(action, body);
        assert_eq!(response.status, 200, "{action}: {}", String::from_utf8_lossy(&response.body));
        response.json()
    }

    /// The same, whatever the answer is.
    pub(crate) fn try_secrets(&self, action: &str, body: &Value) -> http::Response {
        let headers = [
            "Content-Type: application/x-amz-json-1.1".to_owned(),
            format!("X-Amz-Target: secretsmanager.{action}"),
            self.unsigned("secretsmanager"),
        ];
        self.request("POST /", &headers, body.to_string().as_bytes()).unwrap()
    }

    /// A secret's value; a secret that exists gets a new version.
    pub(crate) fn put(&self, name: &str, value: &[u8]) {
        let member = match std::str::from_utf8(value) {
            Ok(text) => ("SecretString", text.to_owned()),
            Err(_) => ("SecretBinary", Base64::encode_string(value)),
        };
        let created = self.try_secrets("CreateSecret", &json!({"Name": name, member.0: member.1}));
        if created.status != 200 {
            self.secrets("PutSecretValue", &json!({"SecretId": name, member.0: member.1}));
        }
    }

    /// A user with a key, and with a policy of one statement.
    pub(crate) fn user(&self, statement: &Value) -> User {
        self.user_with(std::slice::from_ref(statement))
    }

    /// The same with several.
    pub(crate) fn user_with(&self, statements: &[Value]) -> User {
        let name = unique("user");
        self.iam("CreateUser", &[("UserName", &name)]);
        let made = self.iam("CreateAccessKey", &[("UserName", &name)]);
        let user = User { id: element(&made, "AccessKeyId"), key: element(&made, "SecretAccessKey"), name };
        self.allow(&user, statements);
        user
    }

    /// Replaces a user's policy.
    pub(crate) fn allow(&self, user: &User, statements: &[Value]) {
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let parameters =
            [("UserName", user.name.as_str()), ("PolicyName", "all"), ("PolicyDocument", &policy)];
        self.iam("PutUserPolicy", &parameters);
    }

    /// A role with a policy of one statement.
    pub(crate) fn role(&self, statement: &Value) -> Role {
        let name = unique("role");
        let trust = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"});
        let trust = json!({"Version": "2012-10-17", "Statement": [trust]}).to_string();
        let parameters = [("RoleName", name.as_str()), ("AssumeRolePolicyDocument", &trust)];
        let arn = element(&self.iam("CreateRole", &parameters), "Arn");
        let role = Role { name, arn };
        self.allow_role(&role, statement);
        role
    }

    /// Replaces a role's policy.
    pub(crate) fn allow_role(&self, role: &Role, statement: &Value) {
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let parameters =
            [("RoleName", role.name.as_str()), ("PolicyName", "all"), ("PolicyDocument", &policy)];
        self.iam("PutRolePolicy", &parameters);
    }

    /// Keys of a role.
    pub(crate) fn session(&self, role: &Role) -> Session {
        let parameters = [("RoleArn", role.arn.as_str()), ("RoleSessionName", "test")];
        let made = self.query("sts", "2011-06-15", "AssumeRole", &parameters);
        Session {
            id: element(&made, "AccessKeyId"),
            key: element(&made, "SecretAccessKey"),
            token: element(&made, "SessionToken"),
        }
    }

    /// An operation of the identity service.
    #[track_caller]
    pub(crate) fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.query("iam", "2010-05-08", action, parameters)
    }

    #[track_caller]
    fn query(&self, service: &str, version: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let common = [("Action", action), ("Version", version)];
        let pairs = common.iter().chain(parameters);
        let body: Vec<String> =
            pairs.map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let headers = ["Content-Type: application/x-www-form-urlencoded".to_owned(), self.unsigned(service)];
        let response = self.request("POST /", &headers, body.join("&").as_bytes()).unwrap();
        let text = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 200, "{action}: {text}");
        text
    }

    pub(crate) fn request(
        &self,
        line: &str,
        headers: &[String],
        body: &[u8],
    ) -> std::io::Result<http::Response> {
        http::request(self.network, self.server, line, headers, body)
    }

    /// The servers find the service in it.
    fn unsigned(&self, service: &str) -> String {
        let scope = format!("20260101/{REGION}/{service}/aws4_request");
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host, Signature=0",
            self.id
        )
    }
}

/// The text of an element of a reply of the identity service.
#[track_caller]
fn element(xml: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let found = xml.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    found.unwrap_or_else(|| panic!("no {name} in {xml}")).0.to_owned()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |done, byte| {
        if byte.is_ascii_alphanumeric() {
            done + &char::from(byte).to_string()
        } else {
            done + &format!("%{byte:02X}")
        }
    })
}

pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
