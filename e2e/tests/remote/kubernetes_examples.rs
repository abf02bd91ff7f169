//! The examples for Kubernetes: a real API server accepts them as they are, the rights in them are enough, and the
//! kubelet's own parser reads what `cryokey export` writes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::need::or_not_run;
use e2e::program::{command, run, try_run};
use e2e::project::{binary, root};
use serde_json::{Value, json};

use crate::support::kubernetes::{ACCOUNT, API, Namespace, kubernetes};
use crate::support::{Sandbox, canary};

fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("examples/kubernetes")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut manifests: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    manifests.sort();
    manifests
}

/// The objects of a manifest, as the client reads them or as the server would keep them.
fn objects(namespace: &Namespace, manifest: &str, by: &str) -> Vec<Value> {
    let dry_run = format!("--dry-run={by}");
    let line = ["-n", &namespace.name, "apply", "--validate=strict", &dry_run, "-o", "json", "-f", "-"];
    let printed: Value = serde_json::from_str(&namespace.cluster.kubectl(&line, manifest)).unwrap();
    printed["items"].as_array().cloned().unwrap_or_else(|| vec![printed])
}

/// Panics if the server dropped or changed anything that was sent; it may add defaults.
fn assert_kept(sent: &Value, kept: &Value, at: &str) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(_)) => {
            sent.iter().for_each(|(key, value)| assert_kept(value, &kept[key], &format!("{at}.{key}")));
        }
        (Value::Array(sent), Value::Array(kept)) => {
            assert_eq!(sent.len(), kept.len(), "{at}");
            sent.iter().zip(kept).for_each(|(sent, kept)| assert_kept(sent, kept, &format!("{at}[]")));
        }
        _ => assert_eq!(sent, kept, "{at}"),
    }
}

#[test]
fn the_api_server_accepts_every_manifest_and_drops_nothing() {
    let Some(cluster) = kubernetes() else { return };
    let namespace = cluster.namespace();
    let examples = examples();
    assert_eq!(examples.len(), 7);
    for path in examples {
        let manifest = fs::read_to_string(&path).unwrap();
        let (sent, kept) =
            (objects(&namespace, &manifest, "client"), objects(&namespace, &manifest, "server"));
        assert!(!sent.is_empty() && sent.len() == kept.len(), "{}", path.display());
        for (sent, kept) in sent.iter().zip(&kept) {
            assert!(kept["metadata"]["uid"].is_string(), "only a server gives one: {kept}");
            assert_kept(sent, kept, &path.display().to_string());
        }
    }
}

#[test]
fn a_field_that_the_server_does_not_know_is_noticed() {
    let Some(cluster) = kubernetes() else { return };
    let namespace = cluster.namespace();
    let manifest = fs::read_to_string(root().join("examples/kubernetes/env-file.yaml")).unwrap();
    let unknown = manifest.replace("fileKeyRef", "fileKeyReference");
    let line = ["-n", &namespace.name, "apply", "--validate=strict", "--dry-run=server", "-f", "-"];
    assert!(cluster.try_kubectl(&line, &unknown).is_err());
    assert!(
        objects(&namespace, &manifest, "server")[0]
            .to_string()
            .contains(r#""fileKeyRef":{"key":"SECRET_KEY""#)
    );
}

#[test]
fn every_container_runs_without_root_without_capabilities_and_with_a_read_only_root() {
    let Some(cluster) = kubernetes() else { return };
    let namespace = cluster.namespace();
    let mut count = 0;
    for path in examples() {
        let manifest = fs::read_to_string(&path).unwrap();
        for object in objects(&namespace, &manifest, "server") {
            let pod = &object["spec"]["template"]["spec"];
            let containers = ["initContainers", "containers"].map(|kind| pod[kind].as_array().cloned());
            for container in containers.into_iter().flatten().flatten() {
                count += 1;
                let context = &container["securityContext"];
                assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{}", path.display());
                assert_eq!(context["readOnlyRootFilesystem"], true, "{}", path.display());
                assert_eq!(context["allowPrivilegeEscalation"], false, "{}", path.display());
                assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{}", path.display());
            }
        }
    }
    assert_eq!(count, 8);
}

/// The example's access applied for real, and a pod with its service account and settings.
fn pod(namespace: &Namespace) -> Sandbox {
    let access = fs::read_to_string(root().join("examples/kubernetes/access.yaml")).unwrap();
    let access = access.replace("namespace: default", &format!("namespace: {}", namespace.name));
    namespace.cluster.kubectl(&["-n", &namespace.name, "apply", "-f", "-"], &access);
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/cryoprotect/token", namespace.name);
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    let answer = namespace.cluster.kubectl(&["create", "--raw", &path, "-f", "-"], &request.to_string());
    let token =
        serde_json::from_str::<Value>(&answer).unwrap()["status"]["token"].as_str().unwrap().to_owned();
    let sandbox = Sandbox::new(namespace.cluster.network()).host(API, namespace.cluster.server().ip());
    let sandbox = namespace.pod(sandbox).watch(token.rsplit('.').next().unwrap());
    sandbox
        .file(&format!("{ACCOUNT}/token"), &token)
        .variable("K8S_SECRET_NAME", "cryoprotect")
        .variable("K8S_SECRET_NAMESPACE", &namespace.name)
        .manifest("[secret.SUPABASE_URL]\nrequired = true\n[secret.SUPABASE_KEY]\nrequired = true\n")
}

#[test]
fn the_rights_of_the_example_let_cryokey_read_its_secret_and_no_other() {
    let Some(cluster) = kubernetes() else { return };
    let namespace = cluster.namespace();
    let (url, key) = (canary(), canary());
    let data = [("SUPABASE_URL", &url), ("SUPABASE_KEY", &key)];
    namespace.secret("cryoprotect", &data);
    namespace.secret("other", &data);
    let pod = pod(&namespace).watch(&url).watch(&key);
    pod.start().app().has("SUPABASE_URL", &url).has("SUPABASE_KEY", &key);
    let denied = pod.variable("K8S_SECRET_NAME", "other").start();
    assert_eq!(denied.code, 77, "{}", denied.stderr);
}

/// The parser of the kubelet: its source from the module cache, with a `main` that prints a value as hexadecimal.
fn kubelet(directory: &Path) -> Option<Command> {
    const MAIN: &str = "package main\nimport (\"fmt\"; \"os\"; \"judge/env\")\nfunc main() {\n\tfor _, key := range os.Args[2:] {\n\t\t\
        value, err := env.ParseEnv(os.Args[1], key)\n\t\tif err != nil { fmt.Println(\"error\"); continue }\n\t\t\
        fmt.Printf(\"%x\\n\", value)\n\t}\n}\n";
    let install = "to run it: go mod download k8s.io/kubernetes@v1.35.4";
    let cache = try_run(&mut command("go", ["env", "GOMODCACHE"]));
    let cache = or_not_run(cache.map_err(|error| format!("go: {error}; {install}")))?;
    let source =
        Path::new(cache.stdout.trim()).join("k8s.io/kubernetes@v1.35.4/pkg/kubelet/util/env/env_util.go");
    let source =
        or_not_run(fs::read(source).map_err(|error| format!("the kubelet's parser: {error}; {install}")))?;
    fs::create_dir(directory.join("env")).unwrap();
    fs::write(directory.join("env/env_util.go"), source).unwrap();
    fs::write(directory.join("main.go"), MAIN).unwrap();
    fs::write(directory.join("go.mod"), "module judge\n\ngo 1.24\n").unwrap();
    let mut build = command("go", ["build", "-o", "judge", "."]);
    run(build.current_dir(directory).env("GOTOOLCHAIN", "local").env("GOPROXY", "off")).with(0);
    Some(command(directory.join("judge"), [""; 0]))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Values that an env file holds, or that look as if it could not.
fn values() -> Vec<Vec<u8>> {
    let every = (1..=0x7f_u8).filter(|byte| ![b'\'', b'\n', b'\r'].contains(byte)).collect();
    let longest = vec![b'x'; 65_535 - "V00=''".len()];
    let lines = [&longest[..], &vec![b'y'; 65_534], b"\n\n # A='b'"].join(&b'\n');
    let lines: Vec<u8> = lines.into_iter().filter(|byte| *byte != b'\'').take(131_000).collect();
    let plain = [
        "x",
        " ",
        "#",
        "=",
        "\\",
        "$(V01) ${V01} `id`",
        "\"a\"",
        "a\n",
        "\n\na\n\n",
        "\ra\rb\r",
        "ä\u{feff}€\u{1f600}",
    ];
    let plain = plain.map(|value| value.as_bytes().to_vec());
    [every, longest, lines].into_iter().chain(plain).collect()
}

#[test]
fn the_kubelets_parser_reads_every_value_that_export_writes_as_it_was() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let Some(mut judge) = kubelet(directory.path()) else { return };
    let (secrets, file) = (directory.path().join("secrets"), directory.path().join("app.env"));
    fs::create_dir(&secrets).unwrap();
    let values = values();
    let names: Vec<String> = (0..values.len()).map(|number| format!("V{number:02}")).collect();
    let mut manifest = String::from("version = 1\n");
    for (name, value) in names.iter().zip(&values) {
        writeln!(manifest, "[secret.{name}]\nrequired = true\nnewline = \"keep\"").unwrap();
        fs::write(secrets.join(name), value).unwrap();
    }
    fs::write(directory.path().join("cryokey.toml"), manifest).unwrap();
    let mut export = command(binary(), ["export", "--format", "kube-env", "--output"]);
    export
        .arg(&file)
        .arg("--secrets-dir")
        .arg(&secrets)
        .arg("--manifest")
        .arg(directory.path().join("cryokey.toml"));
    run(&mut export).with(0);
    let read = run(judge.arg(&file).args(&names)).with(0).stdout;
    let expected: Vec<String> = values.iter().map(|value| hexadecimal(value)).collect();
    assert!(read.lines().eq(expected.iter().map(String::as_str)), "the kubelet reads something else");
}

#[test]
fn what_export_refuses_would_not_reach_the_app_as_it_was() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let Some(mut judge) = kubelet(directory.path()) else { return };
    let long = vec![b'x'; 65_536 - "V=''".len()];
    let values: [&[u8]; 4] = [b"it's", b"a\r\nb", b"", &long];
    for (number, value) in values.iter().enumerate() {
        let file = directory.path().join(number.to_string());
        fs::write(&file, [b"V='", *value, b"'\n"].concat()).unwrap();
        judge = command(judge.get_program(), [""; 0]);
        let read = run(judge.arg(&file).arg("V")).with(0).stdout;
        // It takes an empty value for a missing one.
        assert!(value.is_empty() || read.trim() != hexadecimal(value), "{number}");
    }
}
