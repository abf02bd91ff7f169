//! What the app inherits, and what it does not.

use crate::support::{CRYOKEY, Need, Test, canary, require};

#[test]
fn cryokeys_own_variables_are_removed_and_one_line_names_them() {
    let test = Test::profile().variable("CRYOKEY_KEEP_ENV", "").variable("CRYOKEY_START_TIMEOUT", "10s");
    let outcome = test.start();
    let app = outcome.app();
    assert!(app.map().keys().all(|name| !name.starts_with(b"CRYOKEY_")), "{:?}", app.map());
    outcome.says(
        "the app does not inherit CRYOKEY_KEEP_ENV, CRYOKEY_LOG, CRYOKEY_SECRETS_DIR, CRYOKEY_START_TIMEOUT",
    );
    assert_eq!(outcome.stderr.matches("does not inherit").count(), 1);
}

#[test]
fn variables_that_are_to_be_kept_are_kept() {
    let test = Test::profile().variable("CRYOKEY_KEEP_ENV", "CRYOKEY_LOG, CRYOKEY_KEEP_ENV");
    let outcome = test.start();
    outcome.app().has("CRYOKEY_LOG", "debug").has("CRYOKEY_KEEP_ENV", "CRYOKEY_LOG, CRYOKEY_KEEP_ENV");
    outcome.app().has_no("CRYOKEY_SECRETS_DIR");
    Test::with("keep_env = [\"CRYOKEY_LOG\"]\n").start().app().has("CRYOKEY_LOG", "debug");
}

#[test]
fn what_the_platform_gave_the_app_stays() {
    let given = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/app"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp.json"),
        ("VAULT_ADDR", "https://vault:8200"),
        ("AWS_SECRET_ACCESS_KEY", "not used to sign in"),
        ("VAULT_TOKEN", "not used to sign in"),
        ("APP_ENV", "production"),
        ("DEPLOYMENT_COLOR", "blue"),
        ("STRICT_SECRET_MODE", "true"),
        ("SECRET_ROTATION_THRESHOLD_DAYS", "90"),
        ("AWS_SECRET_PREFIX", "app/"),
    ];
    let test = given.iter().fold(Test::profile(), |test, (name, value)| test.variable(name, *value));
    let outcome = test.secret("SECRET_ROTATION_TIMESTAMP", "4000000").start();
    let app = outcome.app();
    for (name, value) in given {
        app.has(name, value);
    }
}

#[test]
fn everything_else_is_the_same_byte_for_byte() {
    let test = Test::with("").variable("EMPTY", "").variable("EQUALS", "=a=b=").variable("LINES", "a\nb\n");
    let direct = test.directly(crate::support::SHOW);
    let kept =
        direct.split(|byte| *byte == 0).filter(|entry| !entry.is_empty() && !entry.starts_with(b"CRYOKEY_"));
    let kept: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
    let outcome = test.start();
    assert_eq!(outcome.app().entries, kept, "also in the same order");
}

#[test]
fn a_plain_variable_that_is_a_secret_keeps_its_bytes_and_its_place() {
    let test = Test::with("[secret.TOKEN]\n").variable("STRICT_SECRET_MODE", "false");
    let test = test.variable("TOKEN", canary() + "\n").variable("AFTER", "x");
    let direct = test.directly(crate::support::SHOW);
    let kept = direct.split(|byte| *byte == 0).filter(|entry| !entry.starts_with(b"CRYOKEY_"));
    let kept: Vec<Vec<u8>> = kept.filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect();
    assert_eq!(test.start().app().entries, kept);
}

#[test]
fn strings_that_are_no_variables_and_names_given_twice_pass_too() {
    if !require(Need::Python) {
        return;
    }
    let script = "import ctypes, sys\n\
        strings = lambda *items: (ctypes.c_char_p * (len(items) + 1))(*items, None)\n\
        argv = strings(*[word.encode() for word in sys.argv[1:]])\n\
        envp = strings(b'TWICE=1', b'no equals', b'=C:=x', b'TWICE=2', b'', b'TOKEN=plain', b'TOKEN=again',\n\
            b'CRYOKEY_MANIFEST=../cryokey.toml', b'CRYOKEY_SECRETS_DIR=../secrets')\n\
        ctypes.CDLL(None).execve(argv[0], argv, envp)\n";
    let value = canary();
    let test = Test::with("[secret.TOKEN]\n").secret("TOKEN", &value);
    let outcome = test.through(["/usr/bin/python3", "-c", script]).shell("cat /proc/$$/environ");
    let expected = format!("TWICE=1\0no equals\0=C:=x\0TWICE=2\0\0TOKEN={value}\0");
    assert_eq!(outcome.text(), expected);
}

#[test]
fn arguments_pass_byte_for_byte_and_the_apps_own_name_is_what_was_typed() {
    let odd = crate::support::bytes(b"\xff\n 'x' \"y\" $HOME");
    let app: [std::ffi::OsString; 7] = [
        "/usr/bin/printf".into(),
        "%s|".into(),
        odd,
        String::new().into(),
        "--dev".into(),
        "--".into(),
        "-x".into(),
    ];
    let outcome = Test::profile().run(app);
    assert_eq!(outcome.succeeded().stdout, b"\xff\n 'x' \"y\" $HOME||--dev|--|-x|");
    let outcome = Test::profile().run(["sh", "-c", "cat /proc/$$/cmdline"]);
    assert_eq!(outcome.text(), "sh\0-c\0cat /proc/$$/cmdline\0");
}

#[test]
fn no_value_is_ever_an_argument_of_cryokey() {
    if !require(Need::Trace) {
        return;
    }
    let test = Test::profile().traced(["-e", "trace=execve", "-v", "-s", "100000"]);
    let outcome = test.start();
    outcome.succeeded();
    let trace = test.trace();
    let calls: Vec<&str> = trace.lines().filter(|line| line.contains("execve(")).collect();
    assert_eq!(calls.len(), 2, "cryokey and the app, and no helper: {trace}");
    outcome.leaks_nothing_into(calls[0].as_bytes());
    assert!(calls[0].contains(&*CRYOKEY.to_string_lossy()) && calls[1].contains("/usr/bin/env"));
}
