//! Swarm services with external secrets.

use std::time::Duration;

use crate::engine::Engine;
use crate::expect::{Done, equal, expect, says};
use crate::program::until;
use crate::report::Report;
use crate::secret::{CONTRACT, SECRET_KEY, SUPABASE_KEY, SUPABASE_URL, contract_values, tells_no_value};
use crate::swarm::{Service, create_secret, external};
use crate::world::World;

/// The contract's secret under its name, readable for the container's user.
fn owned(name: &str) -> String {
    mounted(&external(name), name)
}

fn mounted(source: &str, target: &str) -> String {
    format!("--secret=source={source},target={target},uid=65534,gid=65534,mode=0400")
}

/// The options that mount these of the contract's secrets.
fn all_but(left_out: &str) -> Vec<String> {
    CONTRACT.iter().filter(|(name, _)| *name != left_out).map(|(name, _)| owned(name)).collect()
}

fn create<'a>(
    engine: &'a Engine,
    name: &str,
    options: &[String],
    app: &[&str],
) -> Result<Service<'a>, String> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Service::create(engine, name, &options, app)
}

/// External secrets with target, mode and uid.
pub(super) fn contract(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let service = create(engine, "contract", &all_but(""), &["probe", "--file", "/run/secrets/SECRET_KEY"])?;
    let report = service.report(0)?;
    CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?;
    report.file("/run/secrets/SECRET_KEY")?.holds(SECRET_KEY)?.is("file 0400 65534:65534")?;
    equal("the app's descriptors", &report.descriptors(), &vec![0, 1, 2])?;
    tells_no_value("the log", &service.logs()?.said(), contract_values())?;
    let told = engine.must(&["service", "inspect", "contract"])?;
    Ok(tells_no_value("docker service inspect", &told, contract_values())?)
}

/// Without `target:` the file is named like the external secret; the prefix is a setting.
pub(super) fn name_prefix(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let mut options: Vec<_> =
        CONTRACT.iter().map(|(name, _)| format!("--secret={}", external(name))).collect();
    options.push("--env=CRYOKEY_NAME_PREFIX=cryoprotect_".into());
    let report = create(engine, "name-prefix", &options, &[])?.report(0)?;
    Ok(CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?)
}

/// `mode: 0400` leaves the file to root; the message says so, with both ways out.
pub(super) fn c02_mode_without_uid(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let mut options = all_but("SECRET_KEY");
    options.push(format!("--secret=source={},target=SECRET_KEY,mode=0400", external("SECRET_KEY")));
    let log = create(engine, "mode-without-uid", &options, &[])?.refusal(77)?;
    let facts = ["SECRET_KEY", "owner is uid 0", "0400", "we are uid 65534"];
    let ways_out = ["; to do: ", "`uid: \"65534\"`", "`gid:`", "Compose ignores", "chown 65534"];
    Ok(says("the service's log", &log, &[&facts[..], &ways_out].concat())?)
}

/// Stops the service, and the log says what to do.
pub(super) fn c01_k03_missing_secret(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let service = create(engine, "missing-secret", &all_but("SUPABASE_KEY"), &[])?;
    let log = service.refusal(66)?;
    let line = line_about(&log, "SUPABASE_KEY")?;
    says("the line", line, &["error", "required", "/run/secrets", "; to do: ", "mount"])?;
    // The contract's user sees this first, and has no manifest.
    says("the log", &log, &["built-in", "cryokey init"])?;
    expect(service.logs()?.stdout.is_empty(), || "the app ran".to_owned())?;
    let tasks =
        engine.must(&["service", "ps", "--format", "{{.CurrentState}} {{.Error}}", "missing-secret"])?;
    says("docker service ps", &tasks, &["Failed", "66"])?;
    Ok(tells_no_value("the log", &log, contract_values())?)
}

fn line_about<'a>(log: &'a str, name: &str) -> Result<&'a str, String> {
    let mut lines = log.lines().filter(|line| line.contains(" error ") && line.contains(name));
    lines.next().ok_or_else(|| format!("no error line names {name}: {log}"))
}

/// Stops the service where that is wanted, and the log says what to do.
pub(super) fn rotation_too_old(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    // 2020-01-01.
    create_secret(engine, "rotated-long-ago", "1577836800\n")?;
    let mut options = all_but("");
    options.push(mounted("rotated-long-ago", "SECRET_ROTATION_TIMESTAMP"));
    options.push("--env=SECRET_ROTATION_THRESHOLD_DAYS=90".into());
    let strict = [options.clone(), vec!["--env=STRICT_ROTATION_MODE=True".into()]].concat();
    let log = create(engine, "rotation-strict", &strict, &[])?.refusal(78)?;
    let line = line_about(&log, "SUPABASE_KEY")?;
    says("the line", line, &["90", "days", "; to do: ", "rotate", "SECRET_ROTATION_TIMESTAMP"])?;

    // Without the strict mode the same is a warning, and the app runs.
    let service = create(engine, "rotation-lenient", &options, &[])?;
    service.report(0)?.has("SECRET_KEY", SECRET_KEY)?;
    until("the warning", Duration::from_secs(10), || {
        let told = service.logs()?.stderr;
        Ok(says("the log", &told, &[" warn ", "90", "SECRET_ROTATION_TIMESTAMP"]).ok())
    })?;
    Ok(())
}

/// One final line end is taken off, LF or CR LF; everything else arrives.
pub(super) fn line_ends(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let cases = [
        ("API_KEY", "crlf", "Zx4cV8\r\n", "Zx4cV8"),
        ("JWT_SECRET", "one", "Qw2eR6\n", "Qw2eR6"),
        ("ENCRYPTION_KEY", "two", "Ty9uI3\n\n", "Ty9uI3\n"),
        ("MAIL_PASSWORD", "inside", "Op7aS1\r\nDf5gH0", "Op7aS1\r\nDf5gH0"),
        ("REDIS_URL", "spaces", " redis://h:1/0 \n", " redis://h:1/0 "),
    ];
    let mut options = all_but("");
    for (name, secret, content, _) in cases {
        let secret = format!("line-end-{secret}");
        create_secret(engine, &secret, content)?;
        options.push(mounted(&secret, name));
    }
    let report = create(engine, "line-ends", &options, &[])?.report(0)?;
    Ok(cases.iter().try_for_each(|(name, _, _, arrives)| report.has(name, arrives))?)
}

/// A Swarm secret never changes in place: a new one takes its target, and the task is replaced.
pub(super) fn new_version(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let new = "Ew6rT8yU4iO2-the-next";
    create_secret(engine, "supabase_key_2", new)?;
    let options = [all_but(""), vec!["--stop-grace-period=5s".into()]].concat();
    let service = create(engine, "new-version", &options, &["probe", "--on-term", "0"])?;
    let reports = |count: usize| {
        until("the app's report", Duration::from_secs(30), || {
            service.logs().map(|logs| (logs.stdout.lines().count() == count).then_some(logs.stdout))
        })
    };
    Report::parse(&reports(1)?)?.has("SUPABASE_KEY", SUPABASE_KEY)?;
    let (remove, add) =
        (external("SUPABASE_KEY"), "source=supabase_key_2,target=SUPABASE_KEY,uid=65534,gid=65534,mode=0400");
    engine.must(&[
        "service",
        "update",
        "--detach",
        "--secret-rm",
        &remove,
        "--secret-add",
        add,
        "new-version",
    ])?;
    let both = reports(2)?;
    let newest = both
        .lines()
        .find(|line| Report::parse(line).is_ok_and(|report| report.has("SUPABASE_KEY", new).is_ok()));
    let newest = newest.ok_or_else(|| format!("no app got the new value: {both}"))?;
    Ok(Report::parse(newest)?.has("SUPABASE_URL", SUPABASE_URL)?)
}
