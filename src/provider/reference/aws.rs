//! Secrets in AWS: by name or ARN, with a key or a JSON pointer, and a stage or a version id. `arn:…` alone is read as
//! ECS does it, with `:key:stage:version-id` behind the name; `ref+awssecrets://` as vals does.

use super::{NotAReference, Parts, check_path};
use crate::provider::Key;

const SERVICE: &str = ":secretsmanager:";

/// Whether a text begins as the ARN of a secret.
pub(super) fn is_arn(text: &str) -> bool {
    text.strip_prefix("arn:aws").and_then(|rest| rest.find(SERVICE)).is_some_and(|at| at <= "-us-gov".len())
}

/// `arn:partition:secretsmanager:region:account:secret:name`, then what ECS puts behind it.
pub(super) fn arn(text: &str) -> Result<Key, NotAReference> {
    let parts = Parts::of(text, false)?;
    let pieces: Vec<&str> = parts.path.splitn(8, ':').collect();
    let [_, _, _, region, account, "secret", name, rest @ ..] = pieces.as_slice() else {
        return Err(NotAReference::AwsName);
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if region.is_empty() || !is_account || !is_name(name) {
        return Err(NotAReference::AwsName);
    }
    let Some(rest) = rest.first() else { return key(parts) };
    let [field, stage, id] = rest.split(':').collect::<Vec<_>>()[..] else {
        return Err(NotAReference::AwsName);
    };
    let path = parts.path.strip_suffix(rest).and_then(|path| path.strip_suffix(':'));
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let version = one_of(given(stage), given(id))?;
    finish(path.unwrap_or_default(), given(field), version)
}

/// What is behind `aws:` or `ref+awssecrets://`.
pub(super) fn key(parts: Parts<'_>) -> Result<Key, NotAReference> {
    let Parts { path, field, version, is_of_vals } = parts;
    let (path, query) = match path.split_once('?') {
        Some((path, query)) if is_of_vals => (path, query),
        _ => (path, ""),
    };
    let (stage, id) = versions(query)?;
    finish(path, field, one_of(version, one_of(stage, id)?)?)
}

fn finish(path: &str, field: Option<&str>, version: Option<&str>) -> Result<Key, NotAReference> {
    check_path(path)?;
    if !is_name(path) && !is_arn(path) {
        return Err(NotAReference::AwsName);
    }
    if version.is_some_and(|version| !is_version(version)) {
        return Err(NotAReference::AwsVersion);
    }
    Ok(Key { path: path.into(), field: field.map(Into::into), version: version.map(Into::into) })
}

/// The stage and the version id of a query.
fn versions(query: &str) -> Result<(Option<&str>, Option<&str>), NotAReference> {
    let (mut stage, mut id) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("version_stage", value)) => stage = Some(value),
            Some(("version_id", value)) => id = Some(value),
            _ => return Err(NotAReference::Query),
        }
    }
    Ok((stage, id))
}

fn one_of<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Result<Option<&'a str>, NotAReference> {
    if one.is_some() && other.is_some() { Err(NotAReference::AwsVersion) } else { Ok(one.or(other)) }
}

/// The name of a secret: 1 to 512 of these characters. `!` is in the names of those that AWS's services manage.
fn is_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-!".contains(&byte);
    (1..=512).contains(&text.len()) && text.bytes().all(is_legal)
}

/// A stage or a version id.
fn is_version(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=.-".contains(&byte);
    (1..=256).contains(&text.len()) && text.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::super::Reference;
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf";
    const ID: &str = "a1b2c3d4-5678-90ab-cdef-111111111111";

    #[test]
    fn a_reference_to_aws_is_written_as_it_is_read() {
        for text in [
            "aws:app/db".to_owned(),
            "aws:app/db#password".to_owned(),
            "aws:app/db#/users/0/password".to_owned(),
            "aws:app/db@AWSPREVIOUS".to_owned(),
            format!("aws:app/db#password@{ID}"),
            format!("aws:{ARN}#password"),
            "aws:rds!db-1".to_owned(),
        ] {
            assert_eq!(Reference::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_spellings_of_other_tools_for_aws_are_read() {
        for (theirs, ours) in [
            (ARN.to_owned(), format!("aws:{ARN}")),
            (format!("{ARN}:password::"), format!("aws:{ARN}#password")),
            (format!("{ARN}::AWSPREVIOUS:"), format!("aws:{ARN}@AWSPREVIOUS")),
            (format!("{ARN}:password::{ID}"), format!("aws:{ARN}#password@{ID}")),
            (format!("{ARN}#/password"), format!("aws:{ARN}#/password")),
            ("ref+awssecrets://app/db#/password".to_owned(), "aws:app/db#/password".to_owned()),
            (
                "ref+awssecrets://app/db?version_stage=AWSPREVIOUS#/a/b".to_owned(),
                "aws:app/db#/a/b@AWSPREVIOUS".to_owned(),
            ),
            (format!("ref+awssecrets://app/db?version_id={ID}"), format!("aws:app/db@{ID}")),
        ] {
            assert_eq!(Reference::parse(&theirs).unwrap().to_string(), ours, "{theirs}");
            assert!(Reference::in_variable(theirs.as_bytes()).unwrap().is_ok(), "{theirs}");
        }
    }

    #[test]
    fn b10_b13_a_reference_to_aws_names_no_place_and_no_two_versions() {
        for (text, why) in [
            ("aws://evil.example/x", NotAReference::Path),
            ("aws:app db", NotAReference::Path),
            ("aws:app?region=x", NotAReference::Path),
            ("aws:app?version_stage=AWSPREVIOUS", NotAReference::Path),
            ("aws:app:db", NotAReference::AwsName),
            ("aws:app/ä", NotAReference::AwsName),
            ("aws:app@", NotAReference::AwsVersion),
            ("aws:app#a@b c", NotAReference::AwsVersion),
            ("aws:app#", NotAReference::Shape),
            ("ref+awssecrets://app?region=eu-west-1#/a", NotAReference::Query),
            ("ref+awssecrets://app?role_arn=x", NotAReference::Query),
            ("ref+awssecrets://app?version_stage=A&version_id=B", NotAReference::AwsVersion),
            ("arn:aws:secretsmanager:eu-west-1:12:secret:x", NotAReference::AwsName),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:x:a", NotAReference::AwsName),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:topic:x", NotAReference::AwsName),
        ] {
            assert_eq!(Reference::parse(text), Err(why), "{text}");
        }
        assert!(Reference::parse("arn:aws:iam::123456789012:role/x").is_err());
        assert_eq!(Reference::in_variable(b"arn:aws:iam::123456789012:role/x"), None);
    }
}
