//! What can be found out about the secrets while the app runs and cryokey is PID 1.

use e2e::secrecy::tells_no_value;

use crate::support::{Container, Engine, Run, contract, contract_values, engine};

/// cryokey and the app, as a user whom root can look at.
fn start(engine: &Engine) -> Container<'_> {
    let manifest = "version = 1\n[secret.SUPABASE_URL]\n[secret.SECRET_KEY]\n[secret.SUPABASE_KEY]\ndeliver = \"both\"\n";
    let container = Run::plain(engine)
        .options(&["--user=65534:65534", "--cap-add=SYS_PTRACE"])
        .secrets(&engine.contract_directory())
        .manifest(manifest)
        .variable("CRYOKEY_LOG", "debug")
        .app(&["probe", "--on-term", "0"])
        .start();
    container.first_report().has_contract();
    container
}

/// What this user can read there: all output, and whether it worked.
fn reads(container: &Container<'_>, user: &str, path: &str) -> (String, bool) {
    let ended = container.exec(user, &["probe", "--print", path]);
    (ended.said(), ended.code == 0)
}

#[test]
fn root_in_the_container_finds_no_value_in_pid_1() {
    let Some(engine) = engine() else { return };
    let container = start(engine);
    for file in ["environ", "cmdline", "mem"] {
        let path = format!("/proc/1/{file}");
        let (content, is_read) = reads(&container, "0", &path);
        assert!(is_read && !content.is_empty(), "{path}: {content}");
        tells_no_value(&path, &content, contract_values());
    }
    // The same search finds them in the app, which needs them.
    let app = container.first_report().process("pid");
    for file in ["environ", "mem"] {
        let (content, _) = reads(&container, "0", &format!("/proc/{app}/{file}"));
        assert!(content.contains(contract("SECRET_KEY")), "the search finds nothing in {file}");
    }
}

#[test]
fn the_apps_user_cannot_look_into_pid_1() {
    let Some(engine) = engine() else { return };
    let container = start(engine);
    let app = container.first_report().process("pid");
    for file in ["environ", "mem"] {
        let (content, is_read) = reads(&container, "65534:65534", &format!("/proc/1/{file}"));
        assert!(!is_read, "{file} can be read");
        assert!(content.contains("Permission denied"), "{file}: {content}");
    }
    assert!(reads(&container, "65534:65534", &format!("/proc/{app}/environ")).1, "nothing can be read here");
}

#[test]
fn neither_the_logs_nor_what_docker_shows_of_a_running_container_holds_a_value() {
    let Some(engine) = engine() else { return };
    let container = start(engine);
    tells_no_value("docker logs", &container.logs().said(), contract_values());
    for command in ["diff", "inspect", "top"] {
        tells_no_value(command, &engine.must(&[command, &container.id]), contract_values());
    }
    container.docker(&["stop"]);
    tells_no_value("docker logs", &container.wait().with(0).said(), contract_values());
}
