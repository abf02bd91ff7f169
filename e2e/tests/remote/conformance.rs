//! What every remote provider must do, written once. A provider is a [`Subject`] and a line with [`suite`].

use std::fmt::Display;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use e2e::need::or_not_run;
use rustix::process::Signal;

use crate::support::{
    Answer, Authority, BlackHole, Dns, Fault, Impostor, Network, Outcome, Proxy, REFUSING_V6, SHOW, Sandbox,
    canary,
};

/// A store that holds the secrets of one app, and the identity by which cryokey reads them.
pub(crate) trait Subject {
    fn store(&self) -> Store;

    /// Secrets by key. One that exists gets a new version.
    fn put(&self, secrets: &[(&str, &[u8])]);

    fn delete(&self, key: &str);

    /// From now on, cryokey may read nothing of it.
    fn deny(&self);

    fn network(&self) -> &'static Network;

    /// Where cryokey connects.
    fn server(&self) -> SocketAddr;

    /// What cryokey calls the server, as the certificate does.
    fn names(&self) -> &'static [&'static str];

    /// Whose certificates cryokey trusts.
    fn authority(&self) -> &Authority;

    /// How cryokey signs in, and where it looks for the secrets; not what address the names have.
    fn configure(&self, sandbox: Sandbox) -> Sandbox;
}

/// What a store can hold. A case about what it cannot hold has nothing to show.
pub(crate) struct Store {
    pub(crate) is_binary: bool,
    pub(crate) has_empty_values: bool,
    /// Whether it tells when a value was written.
    pub(crate) has_dates: bool,
    /// Two of its keys that map to the same name.
    pub(crate) twins: Option<[&'static str; 2]>,
    /// The number of secrets that takes several pages, where it has pages.
    pub(crate) many: usize,
    /// In bytes.
    pub(crate) largest_value: usize,
    /// Between the words of a key.
    pub(crate) separator: char,
}

impl Store {
    /// A key for a name.
    fn key(&self, name: &str) -> String {
        name.replace('_', &self.separator.to_string())
    }
}

/// All cases as tests of a provider in a module.
macro_rules! suite {
    ($module:ident, $open:expr) => {
        mod $module {
            $crate::conformance::suite! { @ $open,
                a_secret_arrives_byte_for_byte
                text_of_all_kinds_arrives_unchanged
                an_absent_secret_is_missing
                a_deleted_secret_is_missing
                a_denied_secret_is_not_called_missing
                many_secrets_arrive_at_once
                bytes_that_are_no_text_arrive
                an_empty_value_counts_only_where_it_is_allowed
                the_largest_value_arrives
                the_newest_version_is_delivered
                the_age_is_that_of_the_version
                undeclared_secrets_arrive_unless_they_are_not_wanted
                two_keys_for_one_name_are_refused
                undeclared_names_that_steer_a_process_are_left_out
                d03_a_few_broken_connections_do_no_harm
                d03_a_server_that_comes_up_late_is_waited_for
                d04_an_outage_is_temporary_and_never_called_missing
                d01_a_resolver_that_fails_is_an_outage
                d02_an_unknown_host_is_asked_for_until_the_end_and_not_trusted
                a_name_is_resolved_by_dns
                a_name_that_is_made_late_is_waited_for
                e01_a_wrong_certificate_is_not_trusted
                d05_term_ends_a_start_that_hangs
                d06_an_answer_that_drips_is_cut_off
                d32_an_address_that_is_dead_is_passed_over
                nothing_crosses_the_wire_in_the_open
            }
        }
    };
    (@ $open:expr, $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::test($open, |subject| $crate::conformance::$case(subject));
            }
        )*
    };
}
pub(crate) use suite;

pub(crate) fn test<S: Subject>(open: impl Fn() -> Option<S>, case: impl Fn(&dyn Subject)) {
    if let Some(subject) = open() {
        case(&subject);
    }
}

pub(crate) fn a_secret_arrives_byte_for_byte(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    let sandbox = sandbox(subject).manifest(&required("API_TOKEN")).watch(&value);
    sandbox.start().app().has("API_TOKEN", value);
}

pub(crate) fn text_of_all_kinds_arrives_unchanged(subject: &dyn Subject) {
    let values = [
        ("UNICODE", "zwei Wörter, π, 🦀, \u{202e}"),
        ("LINES", "one\r\n\ttwo\n\nthree"),
        ("SHELL", r#"$HOME $(id) `id` "quoted" 'quoted' \n %s"#),
        ("JSON", r#"{"key": ["value", null]}"#),
        ("NUMBER", "0123"),
        ("REFERENCE_OF_NOBODY", "https://user@host/?a=b#c"),
    ];
    put_all(subject, values);
    let outcome = sandbox(subject).manifest(&required_all(values.map(|(name, _)| name))).start();
    has_all(&outcome, values);
}

pub(crate) fn an_absent_secret_is_missing(subject: &dyn Subject) {
    put(subject, "ANOTHER", &canary());
    let outcome = sandbox(subject).manifest(&required("API_TOKEN")).start();
    outcome.refused(66, "resolve", "API_TOKEN", "missing");
}

pub(crate) fn a_deleted_secret_is_missing(subject: &dyn Subject) {
    put(subject, "ANOTHER", &canary());
    put(subject, "API_TOKEN", &canary());
    subject.delete(&subject.store().key("API_TOKEN"));
    let outcome = sandbox(subject).manifest(&required("API_TOKEN")).start();
    outcome.refused(66, "resolve", "API_TOKEN", "missing");
}

pub(crate) fn a_denied_secret_is_not_called_missing(subject: &dyn Subject) {
    put(subject, "API_TOKEN", &canary());
    subject.deny();
    let outcome = sandbox(subject).manifest(&required("API_TOKEN")).start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied");
    is_not_called_missing(&outcome);
}

pub(crate) fn many_secrets_arrive_at_once(subject: &dyn Subject) {
    let names: Vec<String> = (0..subject.store().many).map(|number| format!("SECRET_{number}")).collect();
    // The value is the name, so that a mix-up is seen.
    let secrets = || names.iter().map(|name| (name.as_str(), name.as_str()));
    put_all(subject, secrets());
    let outcome = sandbox(subject).manifest(&required_all(&names)).start();
    has_all(&outcome, secrets());
}

pub(crate) fn bytes_that_are_no_text_arrive(subject: &dyn Subject) {
    if !subject.store().is_binary {
        return;
    }
    let all: Vec<u8> = (0..=255).collect();
    subject.put(&[(&subject.store().key("KEY_BYTES"), &all)]);
    let sandbox = sandbox(subject).manifest("[secret.KEY_BYTES]\nrequired = true\ndeliver = \"file\"\n");
    assert_eq!(sandbox.run(shown("KEY_BYTES")).succeeded().stdout, all);
}

pub(crate) fn an_empty_value_counts_only_where_it_is_allowed(subject: &dyn Subject) {
    if !subject.store().has_empty_values {
        return;
    }
    put(subject, "API_TOKEN", "");
    let strict = sandbox(subject).manifest(&required("API_TOKEN"));
    strict.start().refused(65, "resolve", "API_TOKEN", "empty");
    let allowed = required("API_TOKEN") + "allow_empty = true\n";
    sandbox(subject).manifest(&allowed).start().app().has("API_TOKEN", "");
}

pub(crate) fn the_largest_value_arrives(subject: &dyn Subject) {
    let value: String =
        canary().chars().filter(char::is_ascii).cycle().take(subject.store().largest_value).collect();
    put(subject, "LARGE", &value);
    let sandbox = sandbox(subject).manifest("[secret.LARGE]\nrequired = true\ndeliver = \"file\"\n");
    let outcome = sandbox.watch(&value).run(shown("LARGE"));
    assert!(outcome.succeeded().stdout == value.as_bytes(), "{} bytes arrived", outcome.stdout.len());
}

pub(crate) fn the_newest_version_is_delivered(subject: &dyn Subject) {
    let (old, new) = (canary(), canary());
    put(subject, "API_TOKEN", &old);
    put(subject, "API_TOKEN", &new);
    let sandbox = sandbox(subject).manifest(&required("API_TOKEN")).watch(&old).watch(&new);
    sandbox.start().app().has("API_TOKEN", new);
}

pub(crate) fn the_age_is_that_of_the_version(subject: &dyn Subject) {
    put(subject, "API_TOKEN", &canary());
    let limited = required("API_TOKEN") + "rotate_every = \"1d\"\n";
    let outcome = sandbox(subject).manifest(&limited).variable("STRICT_ROTATION_MODE", "true").start();
    if subject.store().has_dates {
        outcome.succeeded();
    } else {
        outcome.refused(78, "resolve", "API_TOKEN", "rotation");
    }
}

pub(crate) fn undeclared_secrets_arrive_unless_they_are_not_wanted(subject: &dyn Subject) {
    let value = canary();
    put(subject, "NOT_DECLARED", &value);
    sandbox(subject).watch(&value).start().app().has("NOT_DECLARED", &value);
    let ignoring = sandbox(subject).variable("CRYOKEY_UNDECLARED", "ignore");
    ignoring.start().app().has_no("NOT_DECLARED");
}

pub(crate) fn two_keys_for_one_name_are_refused(subject: &dyn Subject) {
    let Some([one, other]) = subject.store().twins else { return };
    subject.put(&[(one, b"one"), (other, b"other")]);
    let outcome = sandbox(subject).manifest(&required("DB_PASSWORD")).start();
    outcome.refused(78, "resolve", "DB_PASSWORD", "configuration").says(one).says(other);
}

pub(crate) fn undeclared_names_that_steer_a_process_are_left_out(subject: &dyn Subject) {
    const STEERING: [&str; 4] = ["LD_PRELOAD", "BASH_ENV", "NODE_OPTIONS", "HTTPS_PROXY"];
    put_all(subject, STEERING.map(|name| (name, "/no/such/file")));
    put(subject, "HARMLESS", "here");
    let outcome = sandbox(subject).start();
    let keys = STEERING.map(|name| subject.store().key(name));
    outcome.warns(&keys.each_ref().map(String::as_str));
    let app = outcome.app();
    app.has("HARMLESS", "here");
    assert!(STEERING.iter().all(|name| app.get(name).is_none()), "{app:?}");
}

pub(crate) fn d03_a_few_broken_connections_do_no_harm(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    for fault in [Fault::Reset, Fault::CloseAfter(0), Fault::ResetAfter(1_000)] {
        let proxy = Proxy::start(subject.network(), subject.server());
        proxy.break_first(2, fault);
        let sandbox = at(subject, proxy.address()).manifest(&required("API_TOKEN")).watch(&value);
        sandbox.start().app().has("API_TOKEN", &value);
        assert!(proxy.traffic().connections > 2, "{fault:?}");
    }
}

pub(crate) fn d03_a_server_that_comes_up_late_is_waited_for(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    let proxy = Proxy::start_after(subject.network(), subject.server(), Duration::from_secs(1));
    at(subject, proxy.address()).manifest(&required("API_TOKEN")).start().app().has("API_TOKEN", value);
}

pub(crate) fn d04_an_outage_is_temporary_and_never_called_missing(subject: &dyn Subject) {
    put(subject, "API_TOKEN", &canary());
    let refusing = SocketAddr::new(subject.network().address(), subject.server().port());
    let silent = BlackHole::start(subject.network(), refusing.port());
    for address in [refusing, silent.address()] {
        gives_up_after_two_seconds(at(subject, address), 75, &TEMPORARY);
    }
}

pub(crate) fn d01_a_resolver_that_fails_is_an_outage(subject: &dyn Subject) {
    for answer in [Answer::Failure, Answer::Silence] {
        gives_up_after_two_seconds(named(subject, &answer).0, 75, &TEMPORARY);
    }
}

pub(crate) fn d02_an_unknown_host_is_asked_for_until_the_end_and_not_trusted(subject: &dyn Subject) {
    gives_up_after_two_seconds(named(subject, &Answer::NoSuchName).0, 69, &["untrusted"]);
}

/// Whether the last try or the wait before the next is cut off at the end is chance.
const TEMPORARY: [&str; 2] = ["unreachable", "timeout"];

#[track_caller]
fn gives_up_after_two_seconds(sandbox: Sandbox, code: i32, reasons: &[&str]) {
    let sandbox = sandbox.manifest(&required("API_TOKEN")).variable("CRYOKEY_START_TIMEOUT", "2s");
    let outcome = sandbox.start();
    let is_told = |reason: &&&str| outcome.stderr.contains(&format!("reason={reason}"));
    outcome.refused(code, "resolve", "API_TOKEN", reasons.iter().find(is_told).unwrap_or(&reasons[0]));
    is_not_called_missing(&outcome);
    assert!(outcome.took >= Duration::from_millis(1_500), "it gave up early: {:?}", outcome.took);
    assert!(outcome.took < Duration::from_secs(6), "{:?}", outcome.took);
}

pub(crate) fn a_name_is_resolved_by_dns(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    let (sandbox, _) = named(subject, &Answer::Addresses(vec![subject.server().ip()]));
    sandbox.manifest(&required("API_TOKEN")).start().app().has("API_TOKEN", value);
}

pub(crate) fn a_name_that_is_made_late_is_waited_for(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    let (sandbox, dns) = named(subject, &Answer::NoSuchName);
    let sandbox = sandbox.manifest(&required("API_TOKEN"));
    let running = sandbox.spawn(SHOW);
    thread::sleep(Duration::from_secs(1));
    answer_all(subject, &dns, &Answer::Addresses(vec![subject.server().ip()]));
    running.wait().app().has("API_TOKEN", value);
}

pub(crate) fn e01_a_wrong_certificate_is_not_trusted(subject: &dyn Subject) {
    let network = subject.network();
    let names: Vec<String> = subject.names().iter().map(|name| format!("DNS:{name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(stranger) = or_not_run(Authority::new(network.scratch())) else { return };
    let own = subject.authority();
    let shown = [
        own.expired(&names),
        own.server(&["DNS:other.example"]),
        own.self_signed(&names),
        stranger.server(&names),
    ];
    for certificate in shown {
        let impostor = Impostor::start(network, subject.server().port(), &certificate);
        let outcome = at(subject, impostor.address()).manifest(&required("API_TOKEN")).start();
        outcome.refused(69, "resolve", "API_TOKEN", "untrusted").says("certificate");
        let is_named = subject.names().iter().any(|name| outcome.stderr.contains(name));
        assert!(is_named, "no host: {}", outcome.stderr);
        assert!(outcome.took < Duration::from_secs(6), "it is not tried again: {:?}", outcome.took);
    }
}

pub(crate) fn d05_term_ends_a_start_that_hangs(subject: &dyn Subject) {
    put(subject, "API_TOKEN", &canary());
    let silent = BlackHole::start(subject.network(), subject.server().port());
    let stalling = Proxy::start(subject.network(), subject.server());
    stalling.break_all(Fault::StallAfter(0));
    for address in [silent.address(), stalling.address()] {
        ends_at_once(at(subject, address));
        ends_at_once(at(subject, address).pid_1());
    }
}

pub(crate) fn d06_an_answer_that_drips_is_cut_off(subject: &dyn Subject) {
    put(subject, "API_TOKEN", &canary());
    let proxy = Proxy::start(subject.network(), subject.server());
    proxy.break_all(Fault::Drip(Duration::from_millis(50)));
    gives_up_after_two_seconds(at(subject, proxy.address()), 75, &TEMPORARY);
}

pub(crate) fn d32_an_address_that_is_dead_is_passed_over(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    let server = subject.server();
    let silent = BlackHole::start(subject.network(), server.port());
    for dead in [REFUSING_V6.into(), silent.address().ip()] {
        let (sandbox, _) = named(subject, &Answer::Addresses(vec![dead, server.ip()]));
        let outcome = sandbox.manifest(&required("API_TOKEN")).start();
        outcome.app().has("API_TOKEN", &value);
        assert!(outcome.took < Duration::from_secs(10), "{dead}: {:?}", outcome.took);
    }
}

fn ends_at_once(sandbox: Sandbox) {
    let sandbox = sandbox.manifest(&required("API_TOKEN"));
    let running = sandbox.spawn(["/bin/true"]);
    thread::sleep(Duration::from_millis(500));
    let told = Instant::now();
    running.signal(Signal::TERM);
    let outcome = running.wait();
    assert_eq!(outcome.code, 143, "{}", outcome.stderr);
    outcome.nothing_happened();
    assert!(told.elapsed() < Duration::from_millis(600), "{:?}", told.elapsed());
}

pub(crate) fn nothing_crosses_the_wire_in_the_open(subject: &dyn Subject) {
    let value = canary();
    put(subject, "API_TOKEN", &value);
    let proxy = Proxy::start(subject.network(), subject.server());
    let sandbox = at(subject, proxy.address()).manifest(&required("API_TOKEN")).watch(&value);
    sandbox.start().app().has("API_TOKEN", &value);
    let traffic = proxy.traffic();
    assert!(traffic.from_server.len() > value.len(), "nothing was captured");
    for bytes in [&traffic.to_server, &traffic.from_server] {
        sandbox.canaries().refuse(bytes);
    }
}

/// cryokey in front of the real server.
fn sandbox(subject: &dyn Subject) -> Sandbox {
    at(subject, subject.server())
}

/// The names have this address; only the port is the server's own.
fn at(subject: &dyn Subject, server: SocketAddr) -> Sandbox {
    let sandbox = subject.configure(Sandbox::new(subject.network()));
    subject.names().iter().fold(sandbox, |sandbox, name| sandbox.host(name, server.ip()))
}

/// The resolver says this about the names.
fn named(subject: &dyn Subject, answer: &Answer) -> (Sandbox, Dns) {
    let dns = Dns::start(subject.network());
    answer_all(subject, &dns, answer);
    (subject.configure(Sandbox::new(subject.network())).resolver(&dns), dns)
}

fn answer_all(subject: &dyn Subject, dns: &Dns, answer: &Answer) {
    for name in subject.names() {
        dns.answer(name, answer.clone());
    }
}

fn put(subject: &dyn Subject, name: &str, value: &str) {
    put_all(subject, [(name, value)]);
}

fn put_all<'a>(subject: &dyn Subject, secrets: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let store = subject.store();
    let secrets: Vec<_> = secrets.into_iter().map(|(name, value)| (store.key(name), value)).collect();
    let secrets: Vec<_> = secrets.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
    subject.put(&secrets);
}

#[track_caller]
fn has_all<'a>(outcome: &Outcome, secrets: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let app = outcome.app();
    for (name, value) in secrets {
        app.has(name, value);
    }
}

fn required(name: &str) -> String {
    required_all([name])
}

fn required_all(names: impl IntoIterator<Item = impl Display>) -> String {
    let mut text = String::new();
    for name in names {
        write!(text, "[secret.{name}]\nrequired = true\n").unwrap();
    }
    text
}

/// An app that writes the file that it was given.
fn shown(name: &str) -> [String; 3] {
    ["/bin/sh".to_owned(), "-c".to_owned(), format!("cat \"${name}_FILE\"")]
}

#[track_caller]
fn is_not_called_missing(outcome: &Outcome) {
    outcome.does_not_say("does not exist").does_not_say("not found");
}
