//! Rotation: ages, limits, and what is not known of either.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Outcome, Test, canary};

const MANIFEST: &str = "[secret.TOKEN]\nrequired = true\n";
const DAY: u64 = 86_400;

/// Epoch seconds so many days ago.
fn days_ago(days: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (now - days * DAY).to_string()
}

/// A start with this stamp, this threshold and this mode; empty means not set.
fn start(manifest: &str, stamp: &str, threshold: &str, strict: &str) -> Outcome {
    let test = Test::with(manifest).secret("TOKEN", canary());
    let test = if stamp.is_empty() { test } else { test.secret("SECRET_ROTATION_TIMESTAMP", stamp) };
    let test = test.variable("SECRET_ROTATION_THRESHOLD_DAYS", threshold);
    test.variable("STRICT_ROTATION_MODE", strict).start()
}

fn stopped(outcome: &Outcome) -> &Outcome {
    outcome.refused(78, "resolve", "TOKEN", "rotation")
}

#[test]
fn a_secret_that_is_too_old_is_reported_with_age_and_limit() {
    let outcome = start(MANIFEST, &days_ago(100), "90", "");
    outcome.warns(&["TOKEN", "100 days", "maximum age is 90"]).app();
    start(MANIFEST, &days_ago(90), "90", "").warns_of_nothing().app();
}

#[test]
fn in_strict_rotation_mode_a_secret_that_is_too_old_stops_the_start() {
    let outcome = start(MANIFEST, &days_ago(100), "90", "true");
    stopped(&outcome).says("100 days").says("maximum age is 90").says("SECRET_ROTATION_TIMESTAMP");
    start(MANIFEST, &days_ago(90), "90", "true").warns_of_nothing().app();
}

#[test]
fn the_age_is_in_the_line_of_the_secret() {
    start(MANIFEST, &days_ago(12), "90", "").says("TOKEN: from files TOKEN, 12 days old");
}

#[test]
fn the_stamp_is_epoch_seconds_or_rfc_3339() {
    for stamp in ["1500000000", "1500000000\n", "2017-07-14T02:40:00Z", "2017-07-14T04:40:00+02:00\n"] {
        stopped(&start(MANIFEST, stamp, "90", "true")).does_not_say("is neither");
    }
    for stamp in ["yesterday", "-5", "1e9", "2017-07-14", "15000000000000000000000", "\u{661}"] {
        let outcome = start(MANIFEST, stamp, "90", "true");
        stopped(&outcome).says("neither epoch seconds nor RFC 3339").does_not_say("yesterday");
        start(MANIFEST, stamp, "90", "").warns(&["neither epoch seconds nor RFC 3339"]).app();
    }
}

#[test]
fn an_invalid_timestamp_is_not_quoted() {
    let outcome = start(MANIFEST, &canary(), "90", "true");
    stopped(&outcome);
}

#[test]
fn a_stamp_in_the_future_stops_in_strict_mode_and_is_reported_otherwise() {
    let future = (SystemTime::now() + Duration::from_secs(2 * DAY)).duration_since(UNIX_EPOCH).unwrap();
    let stamp = future.as_secs().to_string();
    stopped(&start(MANIFEST, &stamp, "90", "true")).says("in the future");
    start(MANIFEST, &stamp, "90", "").warns(&["in the future"]).app();
}

#[test]
fn an_unknown_age_stops_in_strict_mode_and_is_reported_where_a_limit_is_set() {
    stopped(&start(MANIFEST, "", "90", "true")).says("SECRET_ROTATION_TIMESTAMP does not exist");
    start(MANIFEST, "", "90", "").warns(&["SECRET_ROTATION_TIMESTAMP does not exist", "TOKEN"]).app();
    start(MANIFEST, "", "", "").warns_of_nothing().app();
}

#[test]
fn a_missing_threshold_stops_in_strict_mode_and_is_reported_where_rotation_is_watched() {
    stopped(&start(MANIFEST, &days_ago(1), "", "true")).says("SECRET_ROTATION_THRESHOLD_DAYS");
    start(MANIFEST, &days_ago(1), "", "").warns(&["no maximum age", "TOKEN"]).app();
}

#[test]
fn the_secrets_own_limit_counts_before_the_threshold() {
    let own = |days: &str| format!("{MANIFEST}rotate_every = \"{days}\"\n");
    start(&own("30d"), &days_ago(40), "90", "").warns(&["40 days", "maximum age is 30"]).app();
    start(&own("60d"), &days_ago(40), "30", "true").warns_of_nothing().app();
    stopped(&start(&own("30d"), &days_ago(40), "", "true")).says("maximum age is 30");
}

#[test]
fn the_threshold_is_a_whole_number_over_zero() {
    for threshold in ["0", "-1", "1.5", "ninety", "99999999999999999999"] {
        let outcome = start(MANIFEST, &days_ago(1), threshold, "");
        outcome.refused(78, "configure", "SECRET_ROTATION_THRESHOLD_DAYS", "configuration");
    }
}

#[test]
fn the_stamp_may_be_a_variable_and_the_app_does_not_get_the_file() {
    let test =
        Test::with(MANIFEST).secret("TOKEN", canary()).variable("SECRET_ROTATION_THRESHOLD_DAYS", "90");
    let test = test.variable("SECRET_ROTATION_TIMESTAMP", days_ago(100));
    test.start().warns(&["100 days"]).app();
    start(MANIFEST, &days_ago(1), "90", "").app().has_no("SECRET_ROTATION_TIMESTAMP");
}

#[test]
fn a_stamp_of_the_selected_environment_counts() {
    let manifest = format!("environments = [\"production\"]\n{MANIFEST}");
    let test = Test::with(&manifest)
        .secret("TOKEN", canary())
        .secret("PRODUCTION_SECRET_ROTATION_TIMESTAMP", days_ago(100));
    let test = test.secret("SECRET_ROTATION_TIMESTAMP", days_ago(1)).variable("APP_ENV", "production");
    test.variable("SECRET_ROTATION_THRESHOLD_DAYS", "90").start().warns(&["100 days"]).app();
}

#[test]
fn a_plain_variable_has_no_age() {
    let test = Test::with("[secret.TOKEN]\n").variable("TOKEN", canary());
    let test = test.secret("SECRET_ROTATION_TIMESTAMP", days_ago(100));
    let test = test.variable("SECRET_ROTATION_THRESHOLD_DAYS", "90").variable("STRICT_ROTATION_MODE", "true");
    test.start().warns_of_nothing().app();
}

#[test]
fn an_unreadable_stamp_is_no_absent_one() {
    let test = Test::with(MANIFEST).secret("TOKEN", canary());
    let test = test.secret_with_mode("SECRET_ROTATION_TIMESTAMP", days_ago(1), 0).by_nobody();
    let test = test.variable("SECRET_ROTATION_THRESHOLD_DAYS", "90");
    test.start().refused(77, "resolve", "SECRET_ROTATION_TIMESTAMP", "denied");
}
