use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::provider::Deadline;
use crate::provider::tls::Trust;

const CLUSTERS: &str = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443'}}]\n";
const CONTEXTS: &str = "contexts: [{name: x, context: {cluster: c, user: u}}]\n";
const USERS: &str = "users: [{name: u, user: {token: canary-token}}]\n";
const CURRENT: &str = "apiVersion: v1\nkind: Config\ncurrent-context: x\n";

/// A home directory.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn settings(&self) -> Settings {
        let environment = vec![("PATH".as_ref(), "/usr/bin:/bin".as_ref())];
        Settings { files: None, home: Some(self.0.path().to_owned()), environment }
    }

    fn cluster(&self) -> Result<Option<Cluster>, ProviderError> {
        cluster(&self.settings(), &Environ::new([""; 0]))
    }

    fn listed(&self, paths: &[&str]) -> Result<Option<Cluster>, ProviderError> {
        let list = paths.iter().map(|path| self.0.path().join(path).display().to_string());
        let list = list.collect::<Vec<_>>().join(":");
        cluster(&Settings { files: Some(list.into()), ..self.settings() }, &Environ::new([""; 0]))
    }
}

fn of(config: impl AsRef<[u8]>) -> Result<Cluster, ProviderError> {
    let home = Home::new();
    home.write(".kube/config", config);
    home.cluster().map(Option::unwrap)
}

fn user(user: &str) -> Result<Cluster, ProviderError> {
    of(format!("{CURRENT}{CLUSTERS}{CONTEXTS}users: [{{name: u, user: {user}}}]\n"))
}

fn server(cluster: &str) -> Result<Cluster, ProviderError> {
    of(format!("{CURRENT}clusters: [{{name: c, cluster: {cluster}}}]\n{CONTEXTS}{USERS}"))
}

/// The error as a user sees it, which is a configuration error, and shows no value.
#[track_caller]
fn refused(outcome: Result<Cluster, ProviderError>) -> String {
    let error = outcome.unwrap_err();
    let told = format!("{error}; {}", error.fix());
    assert_eq!(error.kind(), crate::provider::Kind::Misconfigured, "{told}");
    assert!(!format!("{told}{error:?}").contains("canary"), "{told}");
    told
}

fn token(cluster: &Cluster) -> Result<Option<String>, ProviderError> {
    let token = cluster.account.sign_in(Deadline::after(Duration::from_secs(20)))?.token;
    Ok(token.map(|token| String::from_utf8(token.expose().to_vec()).unwrap()))
}

#[test]
fn the_current_context_names_cluster_user_and_namespace() {
    let cluster = of(format!("{CURRENT}{CLUSTERS}{CONTEXTS}{USERS}")).unwrap();
    assert_eq!((cluster.url.as_str(), cluster.trust.clone()), ("https://127.0.0.1:6443", Trust::BuiltIn));
    assert_eq!(cluster.account.namespace().unwrap(), "default");
    assert_eq!(token(&cluster).unwrap().as_deref(), Some("canary-token"));
    let label = cluster.account.label();
    assert!(
        label.starts_with("the user u of /") && label.ends_with("/.kube/config, by its token"),
        "{label}"
    );
    assert!(!format!("{cluster:?}").contains("canary"));
    let contexts = CONTEXTS.replace("user: u", "user: u, namespace: team");
    let cluster = of(format!("{CURRENT}{CLUSTERS}{contexts}{USERS}")).unwrap();
    assert_eq!(cluster.account.namespace().unwrap(), "team");
}

#[test]
fn a_kubeconfig_may_be_json_and_use_anchors() {
    let json = r#"{"current-context":"x","clusters":[{"name":"c","cluster":{"server":"https://a/k8s/clusters/c-1/"}}],
        "contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{"token":"t"}}]}"#;
    assert_eq!(of(json).unwrap().url, "https://a/k8s/clusters/c-1");
    let users = "users: [{name: u, user: &u {token: t}}, {name: v, user: *u}]\n";
    assert!(of(format!("{CURRENT}{CLUSTERS}{CONTEXTS}{users}")).is_ok());
}

#[test]
fn without_a_kubeconfig_there_is_no_cluster() {
    let home = Home::new();
    assert!(home.cluster().unwrap().is_none());
    home.write(".kube", "");
    assert!(home.cluster().unwrap().is_none());
    let none = Settings { home: None, ..home.settings() };
    assert!(cluster(&none, &Environ::new([""; 0])).unwrap().is_none());
}

#[test]
fn the_first_file_that_has_the_current_context_is_used_alone() {
    let home = Home::new();
    home.write("current", CURRENT);
    home.write("all", format!("{CLUSTERS}{CONTEXTS}{USERS}current-context: other\n"));
    home.write("half", format!("{CONTEXTS}{CURRENT}"));
    let cluster = home.listed(&["absent", "current", "all"]).unwrap().unwrap();
    assert!(cluster.account.label().contains("/all, by"), "{}", cluster.account.label());
    let told = refused(home.listed(&["all"]).map(Option::unwrap));
    assert!(told.contains("has no context `other`; choose one that exists"), "{told}");
    let told = refused(home.listed(&["half", "all"]).map(Option::unwrap));
    assert!(told.contains("half has no cluster `c`") && told.contains("does not merge files"), "{told}");
    let told = refused(home.listed(&["absent", "none"]).map(Option::unwrap));
    assert!(told.contains("KUBECONFIG names no file that exists"), "{told}");
}

#[test]
fn a_file_that_exists_and_is_unusable_is_not_passed_over() {
    let home = Home::new();
    home.write("good", format!("{CURRENT}{CLUSTERS}{CONTEXTS}{USERS}"));
    std::os::unix::fs::symlink("nowhere", home.0.path().join("link")).unwrap();
    std::fs::create_dir(home.0.path().join("directory")).unwrap();
    home.write("nonsense", "a: [");
    home.write("large", vec![b'#'; (1 << 20) + 1]);
    for bad in ["link", "directory", "nonsense", "large"] {
        assert!(home.listed(&[bad, "good"]).is_err(), "{bad}");
    }
    std::fs::create_dir(home.0.path().join(".kube")).unwrap();
    std::os::unix::fs::symlink("nowhere", home.0.path().join(".kube/config")).unwrap();
    assert!(home.cluster().is_err());
}

#[test]
fn hostile_files_are_refused() {
    let laughs = (1..30).fold(String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"), |mut text, level| {
        let last = level - 1;
        let _ = writeln!(text, "a{level}: &a{level} [*a{last},*a{last},*a{last},*a{last},*a{last}]");
        text
    });
    for (config, expected) in [
        (String::new(), "is not a kubeconfig"),
        ("canary".to_owned(), "is not a kubeconfig"),
        ("[canary]".to_owned(), "is not a kubeconfig"),
        ("kind: Pod\ncurrent-context: x\n".to_owned(), "is not a kubeconfig"),
        ("apiVersion: v2\ncurrent-context: x\n".to_owned(), "is not a kubeconfig"),
        ("a: [canary".to_owned(), "this is not YAML"),
        (format!("{CURRENT}current-context: y\n"), "a key twice"),
        (format!("{CURRENT}---\n{CURRENT}"), "more than one document"),
        (format!("{CURRENT}{laughs}"), "more than 50000 values"),
        ("[".repeat(100_000), "this is not YAML"),
        ("kind: Config\n".to_owned(), "has no current-context"),
        ("kind: Config\ncurrent-context: ''\n".to_owned(), "has no current-context"),
        ("kind: Config\ncurrent-context: [canary]\n".to_owned(), "has no current-context"),
        (CURRENT.to_owned(), "has no context `x`"),
        (format!("{CURRENT}contexts: [{{name: x}}]\n"), "is empty, or not a map"),
        (format!("{CURRENT}contexts: [{{name: x, context: {{cluster: c}}}}]\n{CLUSTERS}"), "has no `user`"),
        (format!("{CURRENT}{CONTEXTS}{USERS}"), "has no cluster `c`"),
        (format!("{CURRENT}{CONTEXTS}{CLUSTERS}"), "has no user `u`"),
        (
            format!("{CURRENT}{CONTEXTS}{CLUSTERS}users: [{{name: u, user: {{token: a}}}}, {{name: u}}]\n"),
            "has the user `u` twice",
        ),
        (
            format!(
                "{CURRENT}{CLUSTERS}{USERS}{}",
                CONTEXTS.replace("user: u", "user: u, namespace: a/../b")
            ),
            "`namespace` must be the name of a namespace",
        ),
    ] {
        let told = refused(of(&config));
        assert!(told.contains(expected), "{config:.80}: {told}");
    }
    assert!(refused(of(b"a: \xff\n")).contains("is not UTF-8"));
}

#[test]
fn a_server_is_verified_and_asked_by_tls() {
    for (cluster, expected) in [
        ("{server: 'http://canary:8080'}", "`server` must be a URL that begins with https://"),
        ("{server: 'https://u:canary@host'}", "`server` must be a URL that begins with https://"),
        ("{server: 'https://host?canary'}", "`server` must be"),
        ("{server: canary}", "`server` must be"),
        ("{server: ''}", "`server` is empty"),
        ("{}", "has no `server`"),
        ("{server: [canary]}", "`server` must be a text"),
        ("{server: 'https://a', insecure-skip-tls-verify: true}", "cryokey always verifies"),
        ("{server: 'https://a', insecure-skip-tls-verify: 'yes'}", "cryokey always verifies"),
        ("{server: 'https://a', certificate-authority-data: 'ca:nary'}", "must be Base64"),
        ("{server: 'https://a', certificate-authority: ''}", "`certificate-authority` is empty"),
        (
            "{server: 'https://a', certificate-authority: a, certificate-authority-data: YQ==}",
            "has both `certificate-authority` and `certificate-authority-data`",
        ),
        (
            "{server: 'https://a', proxy-url: 'socks5://canary:1'}",
            "`proxy-url` must be the URL of an HTTP proxy",
        ),
    ] {
        let told = refused(server(cluster));
        assert!(told.contains(expected), "{cluster}: {told}");
    }
    let all = "{server: 'https://a', insecure-skip-tls-verify: false, tls-server-name: b, certificate-authority: ca.crt, proxy-url: 'http://proxy:3128'}";
    let cluster = server(all).unwrap();
    assert_eq!(cluster.server_name.as_deref(), Some("b"));
    assert!(cluster.proxies.is_some());
    let Trust::Files { paths, .. } = cluster.trust else { panic!() };
    assert!(paths[0].ends_with(".kube/ca.crt"), "{paths:?}");
}

#[test]
fn a_certificate_that_is_none_is_reported_with_its_user() {
    let cluster = server("{server: 'https://a', certificate-authority-data: Y2FuYXJ5}").unwrap();
    let http = cluster.http(&crate::provider::http::Settings::default(), None);
    let error = crate::provider::http::Client::new(http).unwrap_err();
    let error = cluster.account.tls_error(error);
    let told = format!("{error}; {}", error.fix());
    assert!(told.contains("certificate-authority-data contains no PEM certificate"), "{told}");
    assert!(told.starts_with("the user u of "), "{told}");
}

#[test]
fn a_user_without_one_clear_credential_is_refused() {
    for (entry, expected) in [
        ("{}", "has no token, no program and no client certificate"),
        ("{token: ''}", "`token` is empty"),
        ("{token: 'canary canary'}", "`token` must be a token"),
        ("{token: \"canary\\0\"}", "`token` must be a text"),
        ("{token: \"canary\\nx: y\"}", "`token` must be a token"),
        ("{token: {canary: a}}", "`token` must be a text"),
        ("{tokenFile: ''}", "`tokenFile` is empty"),
        ("{username: canary, password: canary}", "does not support `username`"),
        ("{token: canary, auth-provider: {name: gcp}}", "does not support `auth-provider`"),
        ("{token: canary, as: root}", "does not support `as`"),
        ("{client-certificate: a}", "has no `client-key`"),
        ("{client-key-data: YQ==}", "has no `client-certificate`"),
        ("{client-certificate-data: YQ==, client-key-data: '*canary'}", "`client-key-data` must be Base64"),
        (
            "{token: a, exec: {command: b, apiVersion: client.authentication.k8s.io/v1}}",
            "has both `exec` and `token`",
        ),
        ("{exec: canary}", "`exec` must be a map"),
        ("{exec: {command: canary}}", "has no `apiVersion`"),
        ("{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}}", "`apiVersion` must be"),
        ("{exec: {apiVersion: client.authentication.k8s.io/v1}}", "has no `command`"),
    ] {
        let told = refused(user(entry));
        assert!(told.contains(expected), "{entry}: {told}");
    }
    for (more, expected) in [
        ("args: canary", "`args` must be a list"),
        ("args: [[canary]]", "`args` must be a list of texts"),
        ("args: [\"canary\\0\"]", "`args` must be a list of texts"),
        ("env: [{name: 'A=B', value: canary}]", "`env` must be a list"),
        ("env: [{name: A}]", "`env` must be a list"),
        ("interactiveMode: Always", "interactiveMode is Always"),
    ] {
        let told = refused(user(&exec(&format!("command: a, {more}"))));
        assert!(told.contains(expected), "{more}: {told}");
    }
}

fn exec(more: &str) -> String {
    format!("{{exec: {{apiVersion: client.authentication.k8s.io/v1, {more}}}}}")
}

#[test]
fn a_token_file_is_relative_to_the_kubeconfig_and_read_again() {
    let home = Home::new();
    let users = USERS.replace("token: canary-token", "token: old, tokenFile: tokens/t");
    home.write(".kube/config", format!("{CURRENT}{CLUSTERS}{CONTEXTS}{users}"));
    let cluster = home.cluster().unwrap().unwrap();
    assert!(token(&cluster).is_err());
    home.write(".kube/tokens/t", "one\n");
    assert_eq!(token(&cluster).unwrap().as_deref(), Some("one"));
    home.write(".kube/tokens/t", "two\n");
    assert_eq!(cluster.account.token_again().unwrap().expose(), b"two");
    for (content, expected) in [("\n", "is empty"), ("canary canary", "contains no token")] {
        home.write(".kube/tokens/t", content);
        let told = token(&cluster).unwrap_err().to_string();
        assert!(told.contains(expected) && told.contains("the tokenFile of the user u"), "{told}");
    }
}

#[test]
fn a_program_gets_its_arguments_and_variables_and_no_terminal() {
    let script = r#"printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s-%s-%s"}}' "$1" "$B" "$(echo "$KUBERNETES_EXEC_INFO" | tr -d '"{}:, ')""#;
    let home = Home::new();
    let entry = exec("command: ./bin/sign-in, args: [a], env: [{name: B, value: b}]");
    let config = format!("{CURRENT}{CLUSTERS}{CONTEXTS}users: [{{name: u, user: {entry}}}]\n");
    home.write(".kube/config", config);
    let path = home.write(".kube/bin/sign-in", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let cluster = home.cluster().unwrap().unwrap();
    let label = cluster.account.label();
    assert!(label.ends_with("/.kube/config, by the program ./bin/sign-in"), "{label}");
    let info = "apiVersionclient.authentication.k8s.io/v1kindExecCredentialspecinteractivefalse";
    assert_eq!(token(&cluster).unwrap().unwrap(), format!("a-b-{info}"));
}

#[test]
fn a_program_gets_to_know_the_cluster_if_it_asks_for_it() {
    let of = |cluster: &str| {
        let home = Home::new();
        let script = r#"printf "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"%s\"}}" "$(echo "$KUBERNETES_EXEC_INFO" | tr -d "\"{} ")""#;
        let entry = exec(&format!("command: sh, args: [-c, '{script}'], provideClusterInfo: true"));
        let config = format!(
            "{CURRENT}clusters: [{{name: c, cluster: {cluster}}}]\n{CONTEXTS}users: [{{name: u, user: {entry}}}]\n"
        );
        home.write(".kube/config", config);
        home.cluster().map(Option::unwrap)
    };
    let told =
        token(&of("{server: 'https://a', certificate-authority-data: YQ==, tls-server-name: b}").unwrap());
    let expected =
        "cluster:certificate-authority-data:YQ==,server:https://a,tls-server-name:b,interactive:false";
    assert!(told.as_ref().unwrap().as_ref().unwrap().contains(expected), "{told:?}");
    let told = refused(of("{server: 'https://a', extensions: [{name: a}]}"));
    assert!(told.contains("`extensions` of the cluster"), "{told}");
    let told = refused(of("{server: 'https://a', certificate-authority: absent}"));
    assert!(told.contains("certificate-authority of the cluster, which cannot be read"), "{told}");
}

#[test]
fn a_program_that_fails_or_floods_or_hangs_is_reported_without_its_output() {
    let run = |script: &str, deadline| {
        let cluster = user(&exec(&format!("command: sh, args: [-c, '{script}']"))).unwrap();
        let error = cluster.account.sign_in(Deadline::after(deadline)).unwrap_err();
        let told = format!("{error} {error:?} {}", error.fix());
        assert!(told.contains("`sh`, the program of the user u of /"), "{told}");
        assert!(!told.contains("canary"), "{told}");
        told
    };
    let soon = Duration::from_secs(20);
    assert!(run("echo canary", soon).contains("something other than JSON"));
    assert!(run("echo canary >&2; exit 3", soon).contains("exited with 3"));
    assert!(run("cat /dev/zero", soon).contains("more than 65536 bytes"));
    let started = Instant::now();
    assert!(run("sleep 60", Duration::from_millis(500)).contains("did not end"));
    assert!(started.elapsed() < Duration::from_secs(20));
}
