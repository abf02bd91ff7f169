//! What AWS says on a bad day, and what something in its place says. moto says none of it, so a script does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Asked, Network, REGION, Sandbox, Service, canary, network};

const MANIFEST: &str = "[secret.TOKEN]\nrequired = true\n";

/// Secrets Manager with one secret, except for what `lie` says.
fn start(
    network: &'static Network,
    value: &str,
    lie: impl Fn(&Asked) -> Option<(u16, String)> + Send + Sync + 'static,
) -> Service {
    let stored = json!({"Name": "app/TOKEN", "ARN": arn("app/TOKEN"), "SecretString": value, "VersionId": "1", "CreatedDate": 1.0});
    let std::net::IpAddr::V4(address) = network.address() else { unreachable!() };
    Service::start(network, address.octets(), Duration::ZERO, move |asked| {
        let truth = || match asked.header("x-amz-target").unwrap() {
            "secretsmanager.ListSecrets" => json!({"SecretList": [{"Name": "app/TOKEN"}]}),
            "secretsmanager.GetSecretValue" => stored.clone(),
            other => panic!("{other}"),
        };
        lie(asked).unwrap_or_else(|| (200, truth().to_string()))
    })
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:{name}-AbCdEf")
}

fn sandbox(network: &'static Network, service: &Service) -> Sandbox {
    let server = service.address();
    Sandbox::new(network)
        .manifest(MANIFEST)
        .variable("EXTERNAL_SECRET_PROVIDER", "aws")
        .variable("AWS_SECRET_PREFIX", "app/")
        .variable("AWS_REGION", REGION)
        .variable("AWS_ENDPOINT_URL", &format!("http://{server}"))
        .variable("CRYOKEY_ALLOW_HTTP", &server.to_string())
        .variable("CRYOKEY_START_TIMEOUT", "4s")
        .credential("AWS_ACCESS_KEY_ID", &word())
        .credential("AWS_SECRET_ACCESS_KEY", &canary())
}

/// A canary of letters and digits.
fn word() -> String {
    canary().chars().filter(char::is_ascii_alphanumeric).collect()
}

fn of_json(code: &str) -> String {
    json!({"__type": format!("com.amazonaws.secretsmanager#{code}"), "Message": "told by canary"}).to_string()
}

fn is_get(asked: &Asked) -> bool {
    asked.header("x-amz-target") == Some("secretsmanager.GetSecretValue")
}

/// Twice this, then the truth.
fn twice(status: u16, body: String) -> impl Fn(&Asked) -> Option<(u16, String)> {
    let count = AtomicUsize::new(0);
    move |_| (count.fetch_add(1, Ordering::SeqCst) < 2).then(|| (status, body.clone()))
}

#[test]
fn d09_d10_throttling_and_failures_pass_whatever_status_they_come_with() {
    let Some(network) = network() else { return };
    let value = canary();
    for (status, code) in [
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (400, "TooManyRequestsException"),
        (500, "InternalServiceError"),
        (503, "ServiceUnavailable"),
    ] {
        let service = start(network, &value, twice(status, of_json(code)));
        let outcome = sandbox(network, &service).variable("CRYOKEY_START_TIMEOUT", "30s").start();
        outcome.app().has("TOKEN", &value);
        assert_eq!(service.asked().len(), 4, "{code}");
    }
}

#[test]
fn d09_throttling_without_end_is_temporary() {
    let Some(network) = network() else { return };
    let service = start(network, "", |_| Some((400, of_json("ThrottlingException"))));
    let outcome = sandbox(network, &service).start();
    outcome.refused(75, "resolve", "TOKEN", "unreachable").does_not_say("does not exist");
}

#[test]
fn d14_what_aws_refuses_for_good_is_not_asked_again() {
    let Some(network) = network() else { return };
    for (status, code, exit, reason) in [
        (400, "DecryptionFailure", 77, "denied"),
        (400, "AccessDeniedException", 77, "denied"),
        (400, "ExpiredTokenException", 77, "denied"),
        (400, "UnrecognizedClientException", 77, "denied"),
        (403, "InvalidSignatureException", 77, "denied"),
        (400, "ValidationException", 78, "configuration"),
        (404, "ResourceNotFoundException", 66, "missing"),
        (400, "ResourceNotFoundException", 66, "missing"),
    ] {
        let service = start(network, "", move |asked| is_get(asked).then(|| (status, of_json(code))));
        let outcome = sandbox(network, &service).start();
        outcome.refused(exit, "resolve", "TOKEN", reason);
        assert_eq!(service.asked().len(), 2, "{code}: {}", outcome.stderr);
        outcome.does_not_say("told by canary");
    }
}

#[test]
fn a_key_that_cannot_be_sent_is_a_configuration_error() {
    let Some(network) = network() else { return };
    let service = start(network, "", |_| None);
    let outcome = sandbox(network, &service).credential("AWS_ACCESS_KEY_ID", "AKIDÄ-canary").start();
    outcome.refused(78, "resolve", "TOKEN", "configuration").says("header");
    assert!(service.asked().is_empty());
}

#[test]
fn d15_a_denied_key_is_told_from_a_denied_secret() {
    let Some(network) = network() else { return };
    let body =
        json!({"__type": "AccessDeniedException", "Message": "Access to KMS is not allowed"}).to_string();
    let service = start(network, "", move |asked| is_get(asked).then(|| (400, body.clone())));
    sandbox(network, &service).start().refused(77, "resolve", "TOKEN", "denied").says("kms:Decrypt");
}

#[test]
fn d16_d18_d19_what_is_not_an_answer_of_aws_is_nonsense() {
    let Some(network) = network() else { return };
    let other = json!({"Name": "app/OTHER", "ARN": arn("app/OTHER"), "SecretString": "x"}).to_string();
    let both =
        json!({"Name": "app/TOKEN", "ARN": arn("app/TOKEN"), "SecretString": "x", "SecretBinary": "eA=="});
    for body in ["<html>Sign in</html>", "", "{}", "[]", &other, &both.to_string(), &"x".repeat(17 << 20)] {
        let lie = body.to_owned();
        let service = start(network, "", move |asked| is_get(asked).then(|| (200, lie.clone())));
        let outcome = sandbox(network, &service).start();
        outcome.refused(76, "resolve", "TOKEN", "nonsense");
    }
    let service = start(network, "", |_| Some((403, "<html>captive</html>".to_owned())));
    sandbox(network, &service).start().refused(76, "resolve", "TOKEN", "nonsense");
}

#[test]
fn d21_a_list_without_end_is_nonsense() {
    let Some(network) = network() else { return };
    let loops = json!({"SecretList": [{"Name": "app/A"}], "NextToken": "same"}).to_string();
    let service = start(network, "", move |_| Some((200, loops.clone())));
    sandbox(network, &service)
        .start()
        .refused(76, "resolve", "TOKEN", "nonsense")
        .says("does not come to an end");
    let count = AtomicUsize::new(0);
    let service = start(network, "", move |_| {
        let page = count.fetch_add(1, Ordering::SeqCst);
        Some((200, json!({"SecretList": [], "NextToken": page.to_string()}).to_string()))
    });
    let outcome = sandbox(network, &service).variable("CRYOKEY_START_TIMEOUT", "30s").start();
    outcome.refused(76, "resolve", "TOKEN", "nonsense");
}

#[test]
fn an_empty_page_is_not_the_last_one() {
    let Some(network) = network() else { return };
    let value = canary();
    let service = start(network, &value, |asked| {
        let is_first = asked.header("x-amz-target") == Some("secretsmanager.ListSecrets")
            && !asked.body.contains("NextToken");
        is_first.then(|| (200, json!({"SecretList": [], "NextToken": "2"}).to_string()))
    });
    sandbox(network, &service).start().app().has("TOKEN", &value);
}

#[test]
fn e19_a_clock_that_is_ten_minutes_off_is_corrected_with_a_warning() {
    let Some(network) = network() else { return };
    let value = canary();
    for (ahead, code) in [(600, "InvalidSignatureException"), (-600, "RequestTimeTooSkewed")] {
        // As AWS does, it takes a signature only if its date is about its own.
        let is_first = AtomicUsize::new(0);
        let service = start(network, &value, move |_| {
            (is_first.fetch_add(1, Ordering::SeqCst) == 0).then(|| (403, of_json(code)))
        });
        service.set_clock(ahead);
        let outcome = sandbox(network, &service).start();
        outcome.app().has("TOKEN", &value);
        outcome.says("the clock is").says(if ahead > 0 { "slow" } else { "fast" });
        let dates: Vec<String> =
            service.asked().iter().map(|asked| asked.header("x-amz-date").unwrap().to_owned()).collect();
        assert_ne!(dates[0][..13], dates[1][..13], "the second is signed with another time: {dates:?}");
    }
}

#[test]
fn all_of_21_secrets_are_asked_for_in_batches_of_20() {
    let Some(network) = network() else { return };
    let std::net::IpAddr::V4(address) = network.address() else { unreachable!() };
    let names: Vec<String> = (0..21).map(|number| format!("app/S{number}")).collect();
    let list: Vec<Value> = names.iter().map(|name| json!({ "Name": name })).collect();
    let value = |name: &str| json!({"Name": name, "ARN": arn(name), "SecretString": name});
    let service = Service::start(network, address.octets(), Duration::ZERO, move |asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let answer = match asked.header("x-amz-target").unwrap() {
            "secretsmanager.ListSecrets" => json!({ "SecretList": list }),
            "secretsmanager.BatchGetSecretValue" => {
                let ids = body["SecretIdList"].as_array().unwrap();
                json!({"SecretValues": ids.iter().map(|id| value(id.as_str().unwrap())).collect::<Vec<_>>()})
            }
            _ => value(body["SecretId"].as_str().unwrap()),
        };
        (200, answer.to_string())
    });
    let outcome = sandbox(network, &service).manifest("").start();
    let app = outcome.app();
    for name in &names {
        app.has(name.trim_start_matches("app/"), name);
    }
    let batches: Vec<usize> = service
        .asked()
        .iter()
        .filter_map(|asked| {
            serde_json::from_str::<Value>(&asked.body).ok()?["SecretIdList"].as_array().map(Vec::len)
        })
        .collect();
    assert_eq!(batches.iter().sum::<usize>(), 21, "{batches:?}");
    assert!(batches.iter().all(|size| *size <= 20), "{batches:?}");
}

#[test]
fn e15_a_throttled_sign_in_is_tried_again() {
    const KEYS: &str = "<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>ASIA</AccessKeyId>\
                        <SecretAccessKey>key</SecretAccessKey><SessionToken>token</SessionToken></Credentials>\
                        </AssumeRoleWithWebIdentityResponse>";
    let Some(network) = network() else { return };
    let (value, count) = (canary(), AtomicUsize::new(0));
    let service = start(network, &value, move |asked| {
        if asked.header("x-amz-target").is_some() {
            return None;
        }
        let code = ["Throttling", "IDPCommunicationError"].get(count.fetch_add(1, Ordering::SeqCst));
        let refused =
            |code| (400, format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"));
        Some(code.map_or_else(|| (200, KEYS.to_owned()), refused))
    });
    let sandbox = sandbox(network, &service)
        .variable("AWS_ACCESS_KEY_ID", "")
        .variable("AWS_SECRET_ACCESS_KEY", "")
        .variable("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app")
        .variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/secrets/token")
        .variable("CRYOKEY_START_TIMEOUT", "30s")
        .credential_file("token", &canary());
    sandbox.start().app().has("TOKEN", &value);
    let asked = service.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked[0].header("authorization").is_none(), "a token needs no signature");
    assert_eq!(asked[4].header("x-amz-security-token"), Some("token"));
}
