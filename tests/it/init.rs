//! `init`: a manifest with which the app starts, with what its compose file mounts.

mod generated;

use std::fmt::Write as _;

use crate::support::{Outcome, Test, canary};

/// Where compose files mount secrets.
const MOUNTED: &str = "/run/secrets";

/// A private key of nobody.
const KEY: &str = include_str!("../data/id_ed25519");

/// A sandbox whose working directory has this compose file.
fn project(compose: &str) -> Test {
    Test::new().public_file("work/compose.yaml", compose, 0o644)
}

/// What `init` writes for a compose file.
fn written(compose: &str, options: &[&str]) -> String {
    init(&project(compose), options).text().to_owned()
}

fn init(test: &Test, options: &[&str]) -> Outcome {
    let none = test.at("none").display().to_string();
    let line = ["init", "--output", "-", "--secrets-dir", &none];
    test.command(line.iter().chain(options))
}

/// What a service is started with: files by their path in the container, and variables.
#[derive(Debug, Clone, Default)]
struct Container<'a> {
    files: Vec<(&'a str, String)>,
    variables: Vec<(&'a str, &'a str)>,
}

impl<'a> Container<'a> {
    fn file(mut self, path: &'a str) -> Self {
        self.files.push((path, canary()));
        self
    }

    fn variable(mut self, name: &'a str, value: &'a str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn value(&self, path: &str) -> &str {
        &self.files.iter().find(|(file, _)| *file == path).unwrap().1
    }

    /// The sandbox in which it starts with this manifest: `/run/secrets` is its secrets directory.
    fn with(&self, manifest: &str) -> Test {
        let test = Test::new().manifest(manifest);
        let inside = |path: &str| match path.strip_prefix(MOUNTED) {
            Some(rest) => format!("secrets{rest}"),
            None => format!("tools{path}"),
        };
        let mut test =
            self.files.iter().fold(test, |test, (path, value)| test.file(&inside(path), value, 0o400));
        for (name, value) in &self.variables {
            let path =
                self.files.iter().find(|(path, _)| path == value).map(|(path, _)| test.at(inside(path)));
            let value = path.map_or_else(|| (*value).to_owned(), |path| path.display().to_string());
            test = test.variable(name, value);
        }
        test
    }

    /// `check` passes and the app starts.
    #[track_caller]
    fn starts(&self, manifest: &str) -> Outcome {
        let test = self.with(manifest);
        let check = test.command(["check"]);
        assert_eq!(check.code, 0, "{manifest}\n{}", check.stderr);
        let outcome = test.start();
        assert_eq!(outcome.code, 0, "{manifest}\n{}", outcome.stderr);
        outcome
    }
}

#[track_caller]
fn declares(manifest: &str, name: &str) -> bool {
    manifest.contains(&format!("\n[secret.{name}]\n"))
}

/// The lines of a secret's table.
fn table<'a>(manifest: &'a str, name: &str) -> &'a str {
    let (_, rest) =
        manifest.split_once(&format!("\n[secret.{name}]\n")).unwrap_or_else(|| panic!("{name}: {manifest}"));
    let (table, _) = rest.split_once("\n#").unwrap_or((rest, ""));
    if rest.starts_with('\n') { "" } else { table }
}

#[track_caller]
fn leaves_out(manifest: &str, key: &str, why: &str) {
    let start = format!("# left out: {key} (");
    let found = manifest.lines().any(|line| line.starts_with(&start) && line.contains(why));
    assert!(found, "{key}, {why}: {manifest}");
}

fn one_service(rest: &str) -> String {
    format!("services:\n  app:\n    image: app\n{rest}")
}

#[test]
fn a_secret_with_hyphens_or_dots_is_declared_and_found() {
    let manifest = written(&one_service("    secrets: [db-password, api.token, Redis_Pw]\n"), &[]);
    let container = Container::default()
        .file("/run/secrets/db-password")
        .file("/run/secrets/api.token")
        .file("/run/secrets/Redis_Pw");
    let outcome = container.starts(&manifest);
    outcome.app().has("DB_PASSWORD", container.value("/run/secrets/db-password"));
    outcome.app().has("API_TOKEN", container.value("/run/secrets/api.token"));
    outcome.app().has("REDIS_PW", container.value("/run/secrets/Redis_Pw"));
    assert!(table(&manifest, "DB_PASSWORD").contains("required = true"), "{manifest}");
}

#[test]
fn a_target_in_a_directory_below_the_secrets_becomes_a_reference() {
    let secrets =
        "    secrets:\n      - {source: k, target: team/api_key}\n      - {source: h, target: .pgpass}\n";
    let manifest = written(&one_service(secrets), &[]);
    assert!(table(&manifest, "API_KEY").contains("from = [\"files:team/api_key\"]"), "{manifest}");
    let container = Container::default().file("/run/secrets/team/api_key").file("/run/secrets/.pgpass");
    let outcome = container.starts(&manifest);
    outcome.app().has("API_KEY", container.value("/run/secrets/team/api_key"));
    outcome.app().has("PGPASS", container.value("/run/secrets/.pgpass"));
}

#[test]
fn two_targets_with_one_last_part_keep_apart() {
    let secrets =
        "    secrets:\n      - {source: one_pw, target: a/pw}\n      - {source: two_pw, target: b/pw}\n";
    let manifest = written(&one_service(secrets), &[]);
    let container = Container::default().file("/run/secrets/a/pw").file("/run/secrets/b/pw");
    let outcome = container.starts(&manifest);
    outcome
        .app()
        .has("PW", container.value("/run/secrets/a/pw"))
        .has("TWO_PW", container.value("/run/secrets/b/pw"));
}

#[test]
fn a_target_outside_the_secrets_is_no_declaration_but_a_comment() {
    let secrets = "    environment: {CONFIG: /cfg}\n    secrets:\n      - {source: c, target: /config}\n      - {source: p, target: /etc/app/pw}\n";
    let manifest = written(&one_service(secrets), &[]);
    assert!(!manifest.contains("\n[secret."), "{manifest}");
    leaves_out(&manifest, "c", "/config");
    leaves_out(&manifest, "p", "/etc/app/pw");
    let outcome = Container::default().file("/config").variable("CONFIG", "/cfg").starts(&manifest);
    outcome.app().has("CONFIG", "/cfg");
}

#[test]
fn an_absolute_target_below_the_secrets_is_a_file_there() {
    let manifest = written(&one_service("    secrets: [{source: a, target: /run/secrets//api_key}]\n"), &[]);
    let container = Container::default().file("/run/secrets/api_key");
    container.starts(&manifest).app().has("API_KEY", container.value("/run/secrets/api_key"));
    let manifest = written(
        &one_service(
            "    environment: {CRYOKEY_SECRETS_DIR: /etc/secrets}\n    secrets: [{source: a, target: /etc/secrets/api_key}, b]\n",
        ),
        &[],
    );
    assert!(declares(&manifest, "API_KEY") && !declares(&manifest, "B"), "{manifest}");
}

#[test]
fn a_file_variable_gives_the_secret_its_name() {
    for (variable, name) in [
        ("DATABASE_URL_FILE", "DATABASE_URL"),
        ("POSTGRES_PASSWORD_FILE", "POSTGRES_PASSWORD"),
        ("GF_SECURITY_ADMIN_PASSWORD__FILE", "GF_SECURITY_ADMIN_PASSWORD"),
        ("FILE__PASSWORD", "PASSWORD"),
    ] {
        let compose = one_service(&format!(
            "    environment: {{{variable}: /run/secrets/db_url}}\n    secrets: [db_url]\n"
        ));
        let manifest = written(&compose, &[]);
        assert!(!declares(&manifest, "DB_URL") && !table(&manifest, name).contains("from"), "{manifest}");
        let container =
            Container::default().file("/run/secrets/db_url").variable(variable, "/run/secrets/db_url");
        let outcome = container.starts(&manifest);
        outcome.app().has(name, container.value("/run/secrets/db_url")).has_no(variable);
    }
}

#[test]
fn a_variable_that_an_overlay_resets_leaves_its_name_to_the_secret() {
    let compose = one_service(
        "    environment:\n      API_KEY: !reset null\n      API_KEY_FILE: /run/secrets/key\n    secrets: [key]\n",
    );
    let manifest = written(&compose, &[]);
    let container =
        Container::default().file("/run/secrets/key").variable("API_KEY_FILE", "/run/secrets/key");
    container
        .starts(&manifest)
        .app()
        .has("API_KEY", container.value("/run/secrets/key"))
        .has_no("API_KEY_FILE");
}

#[test]
fn a_file_variable_may_lead_to_a_target_outside_the_secrets() {
    let compose = one_service(
        "    environment: [API_KEY_FILE=/etc/app/key]\n    secrets: [{source: k, target: /etc/app/key}]\n",
    );
    let manifest = written(&compose, &[]);
    let container = Container::default().file("/etc/app/key").variable("API_KEY_FILE", "/etc/app/key");
    container.starts(&manifest).app().has("API_KEY", container.value("/etc/app/key")).has_no("API_KEY_FILE");
}

#[test]
fn a_variable_that_holds_a_secrets_path_keeps_it() {
    let compose = one_service(
        "    environment:\n      PQ_PASSWORD: /run/secrets/pq_password\n    secrets: [pq_password]\n",
    );
    let manifest = written(&compose, &[]);
    leaves_out(&manifest, "pq_password", "PQ_PASSWORD");
    let container = Container::default()
        .file("/run/secrets/pq_password")
        .variable("PQ_PASSWORD", "/run/secrets/pq_password");
    let outcome = container.starts(&manifest);
    assert!(outcome.app().get("PQ_PASSWORD").unwrap().ends_with(b"/secrets/pq_password"));

    let compose = one_service(
        "    environment:\n      POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password_file\n    secrets: [postgres_password_file]\n",
    );
    let manifest = written(&compose, &[]);
    assert!(
        declares(&manifest, "POSTGRES_PASSWORD") && !declares(&manifest, "POSTGRES_PASSWORD_FILE"),
        "{manifest}"
    );
}

#[test]
fn a_variable_that_the_service_sets_itself_keeps_its_value() {
    let compose = one_service(
        "    environment: {CONFIG: small, LOG_FILE: /var/log/app.log}\n    secrets: [config, log]\n",
    );
    let manifest = written(&compose, &[]);
    leaves_out(&manifest, "config", "sets the variable CONFIG itself");
    leaves_out(&manifest, "log", "LOG_FILE names something else");
    let container = Container::default().file("/run/secrets/config").file("/run/secrets/log");
    let outcome =
        container.variable("CONFIG", "small").variable("LOG_FILE", "/var/log/app.log").starts(&manifest);
    outcome.app().has("CONFIG", "small").has("LOG_FILE", "/var/log/app.log");
}

#[test]
fn a_name_given_as_value_and_as_file_is_not_declared() {
    let compose =
        one_service("    environment: {DB_PW: x, DB_PW_FILE: /run/secrets/pw}\n    secrets: [pw]\n");
    let manifest = written(&compose, &[]);
    leaves_out(&manifest, "pw", "DB_PW");
    let container = Container::default().file("/run/secrets/pw");
    container.variable("DB_PW", "x").variable("DB_PW_FILE", "/run/secrets/pw").starts(&manifest);
}

#[test]
fn a_path_in_the_command_is_left_where_it_is() {
    let compose = one_service("    command: app --password-file=/run/secrets/pw\n    secrets: [pw]\n");
    leaves_out(&written(&compose, &[]), "pw", "command");
}

#[test]
fn anchors_aliases_and_merges_are_read() {
    let compose = "x-base: &base\n  image: app\n  environment: &env {DB_PW_FILE: /run/secrets/pw}\n  secrets: &s [pw, api_key]\n\
                   services:\n  web: {<<: *base}\n  worker:\n    image: app\n    environment: {<<: *env, MORE: x}\n    secrets: *s\n";
    let manifest = written(compose, &[]);
    for name in ["DB_PW", "API_KEY"] {
        assert!(table(&manifest, name).contains("required = true"), "{manifest}");
    }
}

#[test]
fn a_file_that_grows_by_aliases_is_refused_at_once() {
    let mut compose = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..40 {
        let last = level - 1;
        writeln!(compose, "a{level}: &a{level} [*a{last},*a{last},*a{last},*a{last}]").unwrap();
    }
    let outcome = init(&project(&compose), &[]);
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.says("aliases expanded");
    assert!(outcome.took.as_millis() < 1_000, "{:?}", outcome.took);
}

#[test]
fn a_large_file_takes_no_more_than_a_second_and_64_mebibytes() {
    let several = |count: usize, part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<String>();
    let variables = several(9_000, &|at| format!("V{at}: /run/secrets/s{at}, "));
    let mounts = several(9_000, &|at| format!("s{at}, "));
    let nested = several(8_000, &|at| format!("{{source: s{at}, target: t{at}/pw}}, "));
    let long = several(4_500, &|at| format!("{}{at}, ", "_".repeat(200)));
    let shared = several(200, &|at| format!("  s{at}: {{secrets: *m}}\n"));
    for compose in [
        one_service(&format!("    environment: {{{variables}}}\n    secrets: [{mounts}]\n")),
        one_service(&format!("    secrets: [{nested}]\n")),
        one_service(&format!("    secrets: [{long}]\n")),
        format!("m: &m [{}]\nservices:\n{shared}", several(230, &|at| format!("k{at}, "))),
        "!\n".repeat(500_000),
    ] {
        let test = project(&compose).through_shell("ulimit -v 65536; exec \"$@\"");
        let outcome = init(&test, &["--compose", "compose.yaml"]);
        assert!([0, 78].contains(&outcome.code), "{}", outcome.stderr);
        // An unoptimised binary is up to thirty times slower.
        let limit = if cfg!(debug_assertions) { 15 } else { 1 };
        assert!(outcome.took.as_secs() < limit, "{:?}", outcome.took);
    }
}

#[test]
fn colors_are_declared_and_both_colors_start() {
    let compose = include_str!("../../examples/blue-green/compose.yaml");
    let manifest = written(compose, &[]);
    assert!(manifest.contains("\ncolors       = [\"blue\", \"green\"]\n"), "{manifest}");
    assert!(table(&manifest, "SECRET_KEY").contains("required = true"), "{manifest}");
    for color in ["blue", "green"] {
        let own = format!("/run/secrets/{color}_secret_key");
        let database = format!("/run/secrets/{color}_database_url");
        let container = Container::default()
            .file("/run/secrets/supabase_url")
            .file("/run/secrets/supabase_key")
            .file(&own)
            .file(&database)
            .variable("DEPLOYMENT_COLOR", color);
        container.starts(&manifest).app().has("SECRET_KEY", container.value(&own));
    }
}

#[test]
fn environments_are_declared_and_the_selected_one_starts() {
    let compose = one_service(
        "    environment: {APP_ENV: production}\n    secrets: [PRODUCTION_API_KEY, staging_api_key]\n",
    );
    let manifest = written(&compose, &[]);
    assert!(manifest.contains("\nenvironments = [\"production\", \"staging\"]\n"), "{manifest}");
    assert!(table(&manifest, "API_KEY").contains("required = true"), "{manifest}");
    let container =
        Container::default().file("/run/secrets/PRODUCTION_API_KEY").file("/run/secrets/staging_api_key");
    let container = container.variable("APP_ENV", "production");
    container.starts(&manifest).app().has("API_KEY", container.value("/run/secrets/PRODUCTION_API_KEY"));
}

#[test]
fn secrets_of_several_environments_without_a_selection_are_pointed_out() {
    let test = project(&one_service("    secrets: [production_api_key, staging_api_key]\n"));
    let outcome = init(&test, &[]);
    outcome.warns(&["production, staging", "CRYOKEY_ENVIRONMENT"]);
    assert!(!table(outcome.text(), "API_KEY").contains("required"), "{}", outcome.text());
}

#[test]
fn an_ssh_key_of_an_environment_is_delivered_to_ssh() {
    let compose = one_service("    environment: {APP_ENV: staging}\n    secrets: [staging_ssh_key]\n");
    let manifest = written(&compose, &[]);
    assert!(table(&manifest, "SSH_KEY").contains("deliver = \"ssh\""), "{manifest}");
    let test = Test::new().manifest(&manifest).secret("staging_ssh_key", KEY).variable("APP_ENV", "staging");
    let outcome = test.start();
    outcome.app().has_no("SSH_KEY").has_no("STAGING_SSH_KEY");
    assert!(test.at("home/.ssh/id_ed25519").exists());
}

#[test]
fn the_time_of_rotation_and_cryokeys_settings_are_no_secrets_of_the_app() {
    let compose = one_service("    secrets: [secret_rotation_timestamp, k8s_secret_name, token]\n");
    let manifest = written(&compose, &[]);
    leaves_out(&manifest, "secret_rotation_timestamp", "cryokey reads it itself");
    leaves_out(&manifest, "k8s_secret_name", "setting of cryokey");
    assert!(declares(&manifest, "TOKEN") && !declares(&manifest, "SECRET_ROTATION_TIMESTAMP"), "{manifest}");
}

const SEVERAL: &str = "
services:
  web: {image: app, secrets: [shared, web_token]}
  worker: {image: app, secrets: [shared]}
  db:
    image: postgres
    build: {context: ., secrets: [npm]}
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/db_pw}
    secrets: [db_pw, shared]
secrets: {shared: {}, web_token: {}, db_pw: {}, npm: {}, spare: {}}
";

#[test]
fn of_several_services_only_what_all_have_is_required_and_the_services_are_named() {
    let outcome = init(&project(SEVERAL), &[]);
    let manifest = outcome.text();
    assert!(table(manifest, "SHARED").contains("required = true"), "{manifest}");
    for (name, lacking) in [("WEB_TOKEN", "worker"), ("POSTGRES_PASSWORD", "web")] {
        assert!(!table(manifest, name).contains("required"), "{manifest}");
        let (before, _) = manifest.split_once(&format!("[secret.{name}]")).unwrap();
        let comment = before.lines().last().unwrap();
        assert!(comment.starts_with("# optional: ") && comment.contains(lacking), "{comment}");
    }
    outcome.says("db, web, worker").says("--service");
}

#[test]
fn one_service_is_named_and_only_its_secrets_count() {
    let manifest = written(SEVERAL, &["--service", "web"]);
    assert!(table(&manifest, "WEB_TOKEN").contains("required = true"), "{manifest}");
    assert!(!declares(&manifest, "POSTGRES_PASSWORD") && !declares(&manifest, "DB_PW"), "{manifest}");
    let outcome = init(&project(SEVERAL), &["--service", "workr"]);
    outcome.refused(78, "configure", "workr", "configuration").says("did you mean `worker`");
    let outcome = init(&Test::new(), &["--service", "web"]);
    outcome.refused(78, "configure", "web", "configuration").says("--compose");
}

#[test]
fn what_only_the_build_or_nothing_uses_is_left_out() {
    let manifest = written(SEVERAL, &[]);
    for name in ["spare", "npm"] {
        leaves_out(&manifest, name, "no service mounts it");
    }
    assert!(!declares(&manifest, "SPARE") && !declares(&manifest, "NPM"), "{manifest}");
}

#[test]
fn names_that_depend_on_variables_are_left_out() {
    let compose = one_service(
        "    secrets: ['${NAME:-tok}', {source: '${WHICH}', target: x}, {source: y, target: $T}, token]\n",
    );
    let manifest = written(&compose, &[]);
    for key in ["${NAME:-tok}", "${WHICH}", "y"] {
        leaves_out(&manifest, key, "docker compose config");
    }
    assert_eq!(manifest.matches("\n[secret.").count(), 1, "{manifest}");
}

#[test]
fn parts_that_only_compose_can_resolve_have_a_comment_each() {
    let compose = "include: [other.yaml]\nservices:\n  app:\n    extends: {file: base.yaml, service: app}\n    secrets: [token]\n---\nservices: {}\n";
    let test = project(compose).public_file("work/compose.override.yaml", "services: {}\n", 0o644);
    let outcome = init(&test, &[]);
    for part in ["`include`", "`extends`", "compose.override.yaml", "`---`"] {
        let comments = outcome.text().lines().filter(|line| line.starts_with("# ") && line.contains(part));
        assert_eq!(comments.count(), 1, "{part}: {}", outcome.text());
    }
}

#[test]
fn the_credentials_of_a_provider_are_left_out_and_what_its_store_holds_is_delivered() {
    let compose = |provider: &str| {
        format!(
            "services:\n  app:\n    image: app\n    environment:\n      EXTERNAL_SECRET_PROVIDER: {provider}\n    \
             secrets: [AWS_ACCESS_KEY_ID, azure_client_secret, db_password]\nsecrets:\n  AWS_ACCESS_KEY_ID: {{file: a}}\n  \
             azure_client_secret: {{file: b}}\n  db_password: {{file: c}}\n"
        )
    };
    for (provider, declared) in [
        ("aws", vec!["AZURE_CLIENT_SECRET", "DB_PASSWORD"]),
        ("aws, azure", vec!["DB_PASSWORD"]),
        ("${PROVIDER}", vec!["DB_PASSWORD"]),
        ("\"\"", vec!["AWS_ACCESS_KEY_ID", "AZURE_CLIENT_SECRET", "DB_PASSWORD"]),
    ] {
        let manifest = written(&compose(provider), &["--compose", "compose.yaml"]);
        let names: Vec<&str> =
            manifest.lines().filter_map(|line| line.strip_prefix("[secret.")?.strip_suffix(']')).collect();
        assert_eq!(names, declared, "{provider}: {manifest}");
        let undeclared = if provider == "\"\"" { "ignore" } else { "deliver" };
        assert!(manifest.contains(&format!("\nundeclared = \"{undeclared}\"\n")), "{manifest}");
    }
}

#[test]
fn what_compose_itself_has_resolved_is_read_from_standard_input() {
    let resolved = "name: project\nservices:\n  app:\n    image: app\n    secrets:\n      - source: db-password\n        target: /run/secrets/db-password\n\
                    secrets:\n  db-password:\n    name: project_db-password\n    file: /home/me/pw\n";
    let test = Test::new().public_file("resolved", resolved, 0o644).through_shell("cat ../resolved | \"$@\"");
    let manifest = init(&test, &["--compose", "-"]).text().to_owned();
    let container = Container::default().file("/run/secrets/db-password");
    container.starts(&manifest).app().has("DB_PASSWORD", container.value("/run/secrets/db-password"));
}

#[test]
fn standard_input_is_read_up_to_a_limit() {
    let test = Test::new().through_shell("head -c 2000000 /dev/zero | \"$@\"");
    let outcome = init(&test, &["--compose", "-"]);
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.says("larger than");
}

#[test]
fn names_of_the_example_that_are_left_out_are_listed_with_the_reason() {
    let example = "DB_PASS=\nGITHUB_PAT=\nMONGO_URI=\nDEBUG=1\nAPP_TITLE=x\nREDIS_PASSWORD_FILE=/x\nCRYOKEY_TOKEN=\nSTRICT_SECRET_MODE=true\n";
    let test = Test::new().public_file("work/.env.example", example, 0o644);
    let outcome = init(&test, &[]);
    let manifest = outcome.text();
    for name in ["DB_PASS", "GITHUB_PAT", "MONGO_URI", "REDIS_PASSWORD"] {
        assert!(declares(manifest, name), "{name}: {manifest}");
    }
    for name in ["DEBUG", "APP_TITLE"] {
        leaves_out(manifest, name, "does not look like a secret");
    }
    leaves_out(manifest, "STRICT_SECRET_MODE", "setting of cryokey");
    assert!(manifest.contains("# left out: CRYOKEY_TOKEN "), "{manifest}");
}

#[test]
fn keys_and_certificates_are_delivered_as_files() {
    let manifest = written(&one_service("    secrets: [tls_private_key, server.key, ca.pem]\n"), &[]);
    let container = Container::default()
        .file("/run/secrets/tls_private_key")
        .file("/run/secrets/server.key")
        .file("/run/secrets/ca.pem");
    let outcome = container.starts(&manifest);
    for name in ["TLS_PRIVATE_KEY", "SERVER_KEY", "CA_PEM"] {
        assert!(table(&manifest, name).contains("deliver = \"file\""), "{manifest}");
        outcome.app().has_no(name);
        assert!(outcome.app().get(&format!("{name}_FILE")).is_some(), "{name}");
    }
}

#[test]
fn the_password_of_a_key_is_delivered_as_a_variable() {
    let (mounted, named) = ("/run/secrets/tls_cert_keyfile_password", "/run/secrets/key_password");
    let variable = "    environment: {TLS_KEY_PASSWORD_FILE: /run/secrets/key_password}\n";
    let service = format!("{variable}    secrets: [tls_cert_keyfile_password, key_password]\n");
    let manifest = written(&one_service(&service), &[]);
    let container = Container::default().file(mounted).file(named).variable("TLS_KEY_PASSWORD_FILE", named);
    let outcome = container.starts(&manifest);
    outcome.app().has("TLS_CERT_KEYFILE_PASSWORD", container.value(mounted));
    outcome.app().has("TLS_KEY_PASSWORD", container.value(named));
}

#[test]
fn the_last_line_says_how_the_manifest_is_checked() {
    let test = project(&one_service("    secrets: [token]\n"));
    let outcome = test.command(["init", "--secrets-dir", "none"]);
    outcome.succeeded();
    let last = outcome.stderr.lines().last().unwrap();
    assert!(last.contains("`cryokey check --manifest cryokey.toml`"), "{last}");
}

#[test]
fn every_example_starts_with_the_manifest_that_init_writes_beside_it() {
    let common = ["supabase_url", "supabase_key"];
    let colored = |color| [format!("{color}_secret_key"), format!("{color}_database_url")];
    let blue_green = include_str!("../../examples/blue-green/compose.yaml");
    example(
        "compose.yaml",
        blue_green,
        &[&common.map(str::to_owned)[..], &colored("blue")].concat(),
        ("DEPLOYMENT_COLOR", "blue"),
    );
    example(
        "compose.yaml",
        blue_green,
        &[&common.map(str::to_owned)[..], &colored("green")].concat(),
        ("DEPLOYMENT_COLOR", "green"),
    );
    let usual = ["supabase_url", "supabase_key", "secret_key"].map(str::to_owned);
    example("compose.yaml", include_str!("../../examples/compose/compose.yaml"), &usual, ("LANG", "C"));
    let upper = usual.map(|name| name.to_uppercase());
    example("stack.yaml", include_str!("../../examples/swarm/stack.yaml"), &upper, ("APP_ENV", "production"));
}

fn example(file: &str, text: &str, secrets: &[String], variable: (&str, &str)) {
    let test = Test::new().public_file(&format!("work/{file}"), text, 0o644);
    let manifest = init(&test, &[]).text().to_owned();
    let paths: Vec<String> = secrets.iter().map(|name| format!("{MOUNTED}/{name}")).collect();
    assert!(paths.iter().all(|path| text.contains(path.rsplit('/').next().unwrap())), "{paths:?}");
    let container = paths.iter().fold(Container::default(), |container, path| container.file(path));
    let container = container.variable(variable.0, variable.1);
    let outcome = container.starts(&manifest);
    for name in ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"] {
        assert!(
            table(&manifest, name).contains("required = true") && outcome.app().get(name).is_some(),
            "{manifest}"
        );
    }
}
