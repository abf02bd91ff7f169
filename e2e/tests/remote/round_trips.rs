//! How often a start waits for the network. The figure is of one run: with and without 20 ms there and back, in turn, to
//! the same server. What is left after subtracting is divided by the round trips that no client with as many requests at
//! once can do without: connection, TLS 1.3 and each request that needs the answer before it.

use std::time::Duration;

use crate::conformance::Subject;
use crate::support::{Proxy, Sandbox};

const ROUND_TRIP: Duration = Duration::from_millis(20);
const RUNS: usize = 5;

#[test]
fn verify_azure_waits_for_the_round_trips_that_it_needs() {
    let Some(subject) = crate::azure::Application::open() else { return };
    // Entra: connection, TLS, token. The vault: the same and three more pages. 31 connections more, and 4 rounds of values.
    let names = ["login.microsoftonline.com", "cryokey-tests.vault.azure.net"];
    waits_for(&subject, &names, 100, 3 + 6 + 2 + 4, 1.25);
}

#[test]
fn verify_google_waits_for_the_round_trips_that_it_needs() {
    let Some(subject) = crate::google::Project::open() else { return };
    // Connection, TLS, one list in pages of 25: four. 31 connections more, and 4 rounds of values.
    waits_for(&subject, &["secretmanager.googleapis.com"], 100, 2 + 4 + 2 + 4, 1.25);
}

#[test]
fn verify_kubernetes_waits_for_the_round_trips_that_it_needs() {
    let Some(subject) = crate::kubernetes::Pod::open() else { return };
    // Connection, TLS, the Secret with all its keys.
    waits_for(&subject, &[crate::support::kubernetes::API], 16, 3, 1.15);
}

/// A start must need fewer round trips than `at_most` times those.
fn waits_for(subject: &dyn Subject, names: &[&str], count: usize, round_trips: u32, at_most: f64) {
    let keys: Vec<String> = (0..count).map(|number| format!("S{number}")).collect();
    let secrets: Vec<_> = keys.iter().map(|key| (key.as_str(), b"value".as_slice())).collect();
    subject.put(&secrets);
    let proxy = Proxy::start(subject.network(), subject.server());
    let sandbox = subject.configure(Sandbox::new(subject.network()));
    let sandbox = names.iter().fold(sandbox, |sandbox, name| sandbox.host(name, proxy.address().ip()));
    let took = |round_trip: Duration| {
        proxy.delay(round_trip);
        let outcome = sandbox.start();
        outcome.app().has(&format!("S{}", count - 1), "value");
        outcome.took
    };
    let pairs: Vec<_> = (0..RUNS).map(|_| (took(ROUND_TRIP), took(Duration::ZERO))).collect();
    let mut waited: Vec<_> = pairs.iter().map(|(far, near)| far.saturating_sub(*near)).collect();
    waited.sort_unstable();
    let median = waited[RUNS / 2].as_secs_f64() / ROUND_TRIP.as_secs_f64();
    let ratio = median / f64::from(round_trips);
    println!("{count} secrets: {median:.1} round trips, {round_trips} needed, {ratio:.2} times; {pairs:?}");
    assert!(ratio < at_most, "{ratio:.2}: {pairs:?}");
}
