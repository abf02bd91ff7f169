//! `docker run` with secrets mounted from files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::container::Run;
use crate::engine::Engine;
use crate::expect::{Done, equal, expect, says};
use crate::program::{self, Ended, command, until};
use crate::secret::{
    CONTRACT, Folder, SECRET_KEY, SUPABASE_KEY, SUPABASE_URL, contract_values, tells_no_value,
};
use crate::world::World;

/// The contract's three secrets in a folder of their own.
pub(super) fn contract_folder(engine: &Engine, name: &str) -> Result<Folder, String> {
    let folder = Folder::readable(engine.scratch(name)?);
    folder.put_all(CONTRACT)?;
    Ok(folder)
}

/// How a container refused to start the app.
pub(super) fn refuses(ended: &Ended, code: i32, words: &[&str]) -> Result<(), String> {
    equal("the exit code", &ended.code, &code).map_err(|problem| format!("{problem}: {}", ended.said()))?;
    expect(ended.stdout.is_empty(), || format!("cryokey wrote to standard output: {}", ended.stdout))?;
    let last = ended.stderr.lines().next_back().unwrap_or_default();
    says("the last line", last, &[&format!("exit code={code} ")])?;
    says("the log", &ended.stderr, words)
}

/// The contract's secrets reach an app without any right, and of cryokey nothing is left.
pub(super) fn hardened(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "hardened")?;
    let (report, ended) = Run::hardened(engine)
        .secrets(&secrets)
        .options(&["--entrypoint=cryokey"])
        .app(&["run", "--exec", "--", "probe", "--exit", "42", "--", "a b", "*"])
        .report(42)?;
    CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?;
    report.has_nothing_of_ours()?;
    equal("the app's arguments", &report.arguments(), &vec!["probe", "--exit", "42", "--", "a b", "*"])?;
    // cryokey has become the app: same process, and no other.
    for (fact, wanted) in [("pid", "1"), ("processes", "1"), ("uid", "65534"), ("gid", "65534")] {
        equal(fact, &report.process(fact).as_str(), &wanted)?;
    }
    // As if cryokey had never been there.
    let (alone, _) = Run::hardened(engine).options(&["--entrypoint=probe"]).report(0)?;
    for fact in ["groups", "capabilities", "no_new_privileges", "signals_blocked", "signals_ignored"] {
        equal(fact, &report.process(fact), &alone.process(fact))?;
    }
    equal("no_new_privileges", &report.process("no_new_privileges").as_str(), &"1")?;
    equal("the app's descriptors", &report.descriptors(), &vec![0, 1, 2])?;
    says("the log", &ended.stderr, &["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"])?;
    Ok(tells_no_value("the log", &ended.stderr, contract_values())?)
}

/// Neither the log at debug level nor what docker knows and keeps of the container holds a value.
pub(super) fn tells_no_value_anywhere(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "tells-no-value")?;
    let container = Run::hardened(engine).secrets(&secrets).variable("CRYOKEY_LOG", "debug").start()?;
    let ended = container.wait()?;
    equal("the exit code", &ended.code, &0)?;
    tells_no_value("docker logs", &ended.said(), contract_values())?;
    for subcommand in ["inspect", "diff"] {
        let told = engine.must(&[subcommand, &container.id])?;
        tells_no_value(&format!("docker {subcommand}"), &told, contract_values())?;
    }
    let files = engine.scratch("export")?.join("files.tar").display().to_string();
    engine.must(&["export", "--output", &files, &container.id])?;
    for value in contract_values() {
        let found =
            program::succeeds(&mut command("grep", &["--quiet", "--text", "--fixed-strings", value, &files]));
        expect(!found, || "a file of the container holds a value".to_owned())?;
    }
    Ok(())
}

/// TERM reaches the app, whose exit code is the container's.
pub(super) fn stop(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "stop")?;
    let container = Run::hardened(engine).secrets(&secrets).app(&["probe", "--on-term", "7"]).start()?;
    until("the app runs", Duration::from_secs(10), || {
        container.logs().map(|logs| (!logs.stdout.is_empty()).then_some(()))
    })?;
    let start = Instant::now();
    engine.must(&["stop", "--time", "10", &container.id])?;
    let took = start.elapsed();
    equal("the exit code", &container.wait()?.code, &7)?;
    Ok(expect(took < Duration::from_secs(5), || {
        format!("it took {:.1} s, as if TERM had been lost", took.as_secs_f64())
    })?)
}

/// Mounted together, the selected environment's secrets count; none selected is refused.
pub(super) fn staging_and_production(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = Folder::readable(engine.scratch("staging-and-production")?);
    secrets.put_all([
        ("SUPABASE_URL", SUPABASE_URL),
        ("SUPABASE_KEY", SUPABASE_KEY),
        ("STAGING_SECRET_KEY", "staging-Vb4kP0"),
        ("PRODUCTION_SECRET_KEY", "production-Wc7mS2"),
        ("STAGING_REDIS_URL", "redis://staging.invalid"),
    ])?;
    let run = || Run::hardened(engine).secrets(&secrets);

    let (report, ended) = run().variable("APP_ENV", "production").report(0)?;
    report.has("SECRET_KEY", "production-Wc7mS2")?;
    report.has("SUPABASE_URL", SUPABASE_URL)?;
    // Staging's alone has no effect, also where production has none.
    for name in ["REDIS_URL", "STAGING_SECRET_KEY", "PRODUCTION_SECRET_KEY", "STAGING_REDIS_URL"] {
        report.has_no(name)?;
    }
    tells_no_value("the log", &ended.stderr, ["staging-Vb4kP0", "production-Wc7mS2"])?;

    // Which of the two is meant cannot be guessed.
    let ended = run().run()?;
    Ok(refuses(&ended, 78, &["CRYOKEY_ENVIRONMENT", "APP_ENV", "FLASK_ENV", "; to do: "])?)
}

/// Mounted together, each color gets its own.
pub(super) fn colors_together(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = Folder::readable(engine.scratch("colors")?);
    secrets.put_all([
        ("SUPABASE_URL", SUPABASE_URL),
        ("SUPABASE_KEY", SUPABASE_KEY),
        ("SECRET_KEY", SECRET_KEY),
        ("BLUE_SUPABASE_KEY", "blue-Jd9fL6"),
        ("GREEN_SUPABASE_KEY", "green-Hs3xC8"),
        ("PRODUCTION_SUPABASE_KEY", "production-Qa5yT1"),
    ])?;
    let run = || Run::hardened(engine).secrets(&secrets);
    for (color, value) in [("blue", "blue-Jd9fL6"), ("green", "green-Hs3xC8")] {
        // The color is more specific than the environment.
        let (report, _) =
            run().variable("DEPLOYMENT_COLOR", color).variable("APP_ENV", "production").report(0)?;
        report.has("SUPABASE_KEY", value)?;
        report.has("SECRET_KEY", SECRET_KEY)?;
        report.has("DEPLOYMENT_COLOR", color)?;
        ["BLUE_SUPABASE_KEY", "GREEN_SUPABASE_KEY"].iter().try_for_each(|name| report.has_no(name))?;
    }
    Ok(())
}

/// The secrets folder of a developer is 0700. Mounted as it is, it is closed to another user: that is one problem with
/// the folder, not one with each secret that might be in it.
pub(super) fn folder_unreadable(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "closed-folder")?;
    fs::set_permissions(secrets.path(), Permissions::from_mode(0o700))
        .map_err(|error| format!("the folder's mode: {error}"))?;
    let ended = Run::hardened(engine).secrets(&secrets).run()?;
    refuses(&ended, 77, &["/run/secrets", "uid 0", "0700", "uid 65534", "; to do: "])?;
    let errors = ended.stderr.lines().filter(|line| line.contains(" error ")).count();
    Ok(expect(errors <= 1 + CONTRACT.len(), || format!("{errors} error lines: {}", ended.stderr))?)
}

/// As people look into an image that does not start: the same checks, a report, and no app.
pub(super) fn k02_check(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "check")?;
    let check = |arguments: &[&str]| {
        let app = [&["check"], arguments].concat();
        Run::hardened(engine).secrets(&secrets).options(&["--entrypoint=cryokey"]).app(&app).run()
    };
    let table = check(&[])?;
    equal("the exit code", &table.code, &0).map_err(|problem| format!("{problem}: {}", table.said()))?;
    says("the table", &table.stdout, &["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"])?;
    let json = check(&["--format", "json"])?.success("check --format json")?;
    serde_json::from_str::<serde_json::Value>(&json).map_err(|error| format!("no JSON ({error}): {json}"))?;
    tells_no_value("check", &(table.said() + &json), contract_values())?;

    secrets.put("SUPABASE_URL", "no-url-Bk2zN5vR")?;
    let ended = check(&[])?;
    equal("the exit code with a value that breaks its rule", &ended.code, &65)?;
    Ok(tells_no_value("check", &ended.said(), ["no-url-Bk2zN5vR"])?)
}

/// `docker run -e` is visible to everybody who may call `docker inspect`, so it needs a word of consent.
pub(super) fn plain_variables(world: &World) -> Done {
    let engine = world.engine()?;
    let run = || CONTRACT.iter().fold(Run::hardened(engine), |run, (name, value)| run.variable(name, value));
    let ended = run().run()?;
    refuses(
        &ended,
        66,
        &["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY", "CRYOKEY_ALLOW_PLAIN_ENV", "docker inspect"],
    )?;
    tells_no_value("the log", &ended.stderr, contract_values())?;
    let (report, _) = run().variable("CRYOKEY_ALLOW_PLAIN_ENV", "yes").report(0)?;
    report.has_nothing_of_ours()?;
    Ok(CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?)
}
