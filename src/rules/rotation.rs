//! Checks the age of secrets.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::Findings;
use crate::config::Config;
use crate::environ::variable::SECRET_ROTATION_TIMESTAMP;
use crate::error::{Problem, Reason};
use crate::name::EnvName;
use crate::resolve::{Resolution, Resolved};
use crate::setting::VARIABLE;

const SECRET_ROTATION_THRESHOLD_DAYS: &str = VARIABLE.rotation_threshold;
const DAY: u64 = 86_400;

/// What is known about the time of the last rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotated {
    At(SystemTime),
    Future,
    Unknown,
    Unreadable,
}

/// The ages of secrets at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    common: Rotated,
    now: SystemTime,
}

impl Ages {
    #[must_use]
    pub fn new(resolution: &Resolution, now: SystemTime) -> Self {
        Self { common: last_rotation(resolution, now), now }
    }

    /// The age in whole days: of the version that was read if the provider knows it, or else the time since the last
    /// rotation.
    #[must_use]
    pub fn in_days(&self, resolved: &Resolved) -> Option<u64> {
        let (_, value) = resolved.found()?;
        let made = value.created.or(match self.common {
            Rotated::At(time) => Some(time),
            Rotated::Future | Rotated::Unknown | Rotated::Unreadable => None,
        })?;
        self.now.duration_since(made).ok().map(|age| age.as_secs() / DAY)
    }
}

/// Reports secrets that have expired or are too old, and, if rotation is configured at all, those of unknown age or without a maximum.
pub fn judge(resolution: &Resolution, config: &Config, ages: Ages, findings: &mut Findings) {
    let is_known = ages.common != Rotated::Unknown;
    let is_watched = config.strict_rotation || config.rotation_threshold.is_some() || is_known;
    let mut old: BTreeMap<(u64, u64), Vec<String>> = BTreeMap::new();
    let (mut ageless, mut limitless) = (Vec::new(), Vec::new());
    for resolved in delivered_secrets(resolution) {
        let name = resolved.name.to_string();
        let own = resolved.rule.rotate_every.map(|limit| limit.as_secs() / DAY);
        let limit = own.or(config.rotation_threshold);
        match (ages.in_days(resolved), limit) {
            (Some(age), Some(limit)) if age > limit => old.entry((age, limit)).or_default().push(name),
            (None, Some(_)) => ageless.push(name),
            (_, None) if is_watched => limitless.push(name),
            _ => {}
        }
    }
    let strict = config.strict_rotation;
    for resolved in delivered_secrets(resolution) {
        let Some((tried, value)) = resolved.found() else { continue };
        let store = tried.candidate.source.text();
        if let Some(moment) = value.expires.filter(|moment| *moment <= ages.now) {
            findings.add(strict, has_expired(&resolved.name, store, moment));
        }
        if let Some(moment) = value.starts.filter(|moment| *moment > ages.now) {
            findings.add(false, is_early(&resolved.name, store, moment));
        }
    }
    for ((age, limit), names) in old {
        findings.add(strict, too_old(age, limit, names));
    }
    if !ageless.is_empty() || matches!(ages.common, Rotated::Future | Rotated::Unreadable) {
        findings.add(strict, unknown_age(ages.common, ageless));
    }
    if !limitless.is_empty() {
        findings.add(strict, no_limit(limitless));
    }
}

/// Plain variables are not checked: they have no age.
fn delivered_secrets(resolution: &Resolution) -> impl Iterator<Item = &Resolved> {
    let is_stored = |resolved: &&Resolved| {
        resolved.found().is_some_and(|(tried, _)| tried.candidate.source.is_for_secrets())
    };
    resolution.secrets.iter().filter(is_stored)
}

fn last_rotation(resolution: &Resolution, now: SystemTime) -> Rotated {
    let stamp = resolution.rotation_stamp.as_ref().or_else(|| resolution.get(SECRET_ROTATION_TIMESTAMP));
    let Some((_, value)) = stamp.and_then(Resolved::found) else { return Rotated::Unknown };
    match parse(value.secret.expose()) {
        Some(time) if time > now => Rotated::Future,
        Some(time) => Rotated::At(time),
        None => Rotated::Unreadable,
    }
}

/// Epoch seconds or RFC 3339.
fn parse(bytes: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(text.parse().ok()?));
    }
    let seconds = text.parse::<Timestamp>().ok()?.as_second();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

fn too_old(age: u64, limit: u64, names: Vec<String>) -> Problem {
    let what = format!("{}: {age} days old, but the maximum age is {limit} days", names.join(", "));
    let fix = format!(
        "rotate and write the time (`date +%s`) to {SECRET_ROTATION_TIMESTAMP}, or raise \
         {SECRET_ROTATION_THRESHOLD_DAYS} or the secret's `rotate_every`"
    );
    problem(names, what, fix)
}

fn has_expired(name: &EnvName, store: &str, moment: SystemTime) -> Problem {
    let what = format!("{name}: expired on {}, as {store} has it", date(moment));
    problem(vec![name.to_string()], what, "write a new version with a later date there".into())
}

fn is_early(name: &EnvName, store: &str, moment: SystemTime) -> Problem {
    let what = format!("{name}: not to be used before {}, as {store} has it", date(moment));
    problem(
        vec![name.to_string()],
        what,
        "correct that date there, or write a version that is in force".into(),
    )
}

fn date(moment: SystemTime) -> String {
    Timestamp::try_from(moment).map_or_else(|_| "an unknown date".to_owned(), |moment| moment.to_string())
}

fn unknown_age(common: Rotated, names: Vec<String>) -> Problem {
    let why = match common {
        Rotated::Future => "is in the future",
        Rotated::Unreadable => "is neither epoch seconds nor RFC 3339",
        Rotated::At(_) | Rotated::Unknown => "does not exist",
    };
    let names = if names.is_empty() { vec![SECRET_ROTATION_TIMESTAMP.to_owned()] } else { names };
    let what = format!("{}: unknown age, because {SECRET_ROTATION_TIMESTAMP} {why}", names.join(", "));
    let fix = format!(
        "mount a file {SECRET_ROTATION_TIMESTAMP} that contains the time of the last rotation (`date +%s`)"
    );
    problem(names, what, fix)
}

fn no_limit(names: Vec<String>) -> Problem {
    let what = format!("no maximum age is configured for {}", names.join(", "));
    problem(names, what, format!("set {SECRET_ROTATION_THRESHOLD_DAYS}, or `rotate_every` in the manifest"))
}

fn problem(names: Vec<String>, what: String, fix: String) -> Problem {
    Problem { reason: Reason::Rotation, names, what, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_epoch_seconds_or_rfc_3339() {
        let seconds = |bytes: &[u8]| {
            parse(bytes).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(seconds(b"1700000000\n"), Some(1_700_000_000));
        assert_eq!(seconds(b"2023-11-14T22:13:20Z"), Some(1_700_000_000));
        assert_eq!(seconds(b"2023-11-15T00:13:20+02:00\r\n"), Some(1_700_000_000));
        for bytes in [&b""[..], b"yesterday", b"-1", b"2023-11-14", b"99999999999999999999999", b"\xff"] {
            assert_eq!(seconds(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
