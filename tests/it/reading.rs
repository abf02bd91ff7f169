//! Reading a secret file: one moment of one generation, faults of the file system, older kernels.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Need, REQUIRED, Test, canary, linked_to, require};

/// A required secret that is a FIFO.
fn fifo() -> Test {
    let test = Test::with(REQUIRED);
    assert!(Command::new("mkfifo").arg(test.secret_path("TOKEN")).status().unwrap().success());
    test
}

#[test]
fn c14_a_file_that_is_replaced_is_opened_once_and_gives_one_whole_value() {
    let (long, short) = (canary().repeat(500), canary());
    let test = Test::with(REQUIRED).secret("TOKEN", &long).watch(&short);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in [&short, &long].into_iter().cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                fs::write(test.secret_path(".new"), value).unwrap();
                fs::rename(test.secret_path(".new"), test.secret_path("TOKEN")).unwrap();
            }
        });
        for _ in 0..30 {
            let app = test.start().app();
            let value = app.get("TOKEN").unwrap();
            assert!(value == long.as_bytes() || value == short.as_bytes(), "{} bytes", value.len());
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn c14_nothing_is_asked_of_the_path_before_or_after_the_file_is_opened() {
    if !require(Need::Trace) {
        return;
    }
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).traced(["-e", "trace=file"]);
    test.start().app();
    let trace = test.trace();
    let touched: Vec<&str> = trace.lines().filter(|line| line.contains("\"TOKEN\"")).collect();
    assert_eq!(touched.len(), 1, "{touched:?}");
    assert!(touched[0].contains("openat2"), "{touched:?}");
}

#[test]
fn c15_a_file_that_changes_all_the_time_is_given_up_after_three_more_tries() {
    if !require(Need::Trace) {
        return;
    }
    let [first, second, last] = [canary(), canary().repeat(2), canary()];
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", &last, 0o644).watch(&first).watch(&second);
    let path = test.secret_path("TOKEN").to_str().unwrap().to_owned();
    let test = test.traced(["-P", &path, "-e", "trace=pread64", "-e", "inject=pread64:delay_exit=100000"]);
    let stop = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            for value in [&first, &second].into_iter().cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                fs::write(test.secret_path("TOKEN"), value).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
            fs::write(test.secret_path("TOKEN"), &last).unwrap();
        });
        let outcome = test.start();
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.code, 74, "{}", outcome.stderr);
    outcome.says("changed during each attempt to read it").says(test.secret_path("TOKEN").to_str().unwrap());
    outcome.says("names=TOKEN reason=io").says("rename");
    assert!(outcome.stdout.is_empty());
}

#[test]
fn c15_a_file_that_changes_once_is_read_again() {
    // cryokey is not dumpable, so only root's strace sees the names in its memory.
    if !require(Need::Root) || !require(Need::Trace) {
        return;
    }
    let (old, new) = (canary(), canary());
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", old, 0o644).watch(&new);
    let test = test.traced(["-e", "trace=openat2,pread64", "-e", "inject=pread64:delay_enter=200000"]);
    let app = thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(&test, "\"TOKEN\"");
            fs::write(test.secret_path("TOKEN"), &new).unwrap();
        });
        test.start().app()
    });
    app.has("TOKEN", &new);
}

#[test]
fn c16_files_of_different_generations_are_never_delivered_together() {
    let test = Test::with("[secret.USER]\nrequired = true\n[secret.PASSWORD]\nrequired = true\n");
    let generations = ["..one", "..two"].map(|name| (name, canary()));
    let test = generations.iter().fold(test, |test, (name, value)| {
        let test = test.file(&format!("secrets/{name}/USER"), value, 0o444);
        test.file(&format!("secrets/{name}/PASSWORD"), value, 0o444)
    });
    symlink("..one", test.secret_path("..data")).unwrap();
    for name in ["USER", "PASSWORD"] {
        symlink(format!("..data/{name}"), test.secret_path(name)).unwrap();
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (name, _) in generations.iter().cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                symlink(name, test.secret_path("..new")).unwrap();
                fs::rename(test.secret_path("..new"), test.secret_path("..data")).unwrap();
            }
        });
        for _ in 0..50 {
            let app = test.start().app();
            assert_eq!(app.get("USER"), app.get("PASSWORD"));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// A volume as Kubernetes writes it, with USER and PASSWORD in two generations, and a manifest for the two.
fn volume(values: &[String; 2]) -> Test {
    let test = Test::with("[secret.USER]\nrequired = true\n[secret.PASSWORD]\nrequired = true\n");
    let test = ["..one", "..two"].iter().zip(values).fold(test, |test, (generation, value)| {
        let test = test.file(&format!("secrets/{generation}/login"), value, 0o444);
        test.file(&format!("secrets/{generation}/PASSWORD"), value, 0o444)
    });
    symlink("..one", test.secret_path("..data")).unwrap();
    for name in ["login", "PASSWORD"] {
        symlink(format!("..data/{name}"), test.secret_path(name)).unwrap();
    }
    test
}

/// Makes `..two` the current generation, as the kubelet does, and takes `..one` away.
fn swap(test: &Test) {
    symlink("..two", test.secret_path("..new")).unwrap();
    fs::rename(test.secret_path("..new"), test.secret_path("..data")).unwrap();
    fs::remove_dir_all(test.secret_path("..one")).unwrap();
}

/// Waits until the trace shows this.
fn wait_for(test: &Test, text: &str) {
    let is_there =
        || fs::read(test.at("tools/trace")).is_ok_and(|trace| String::from_utf8_lossy(&trace).contains(text));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_there() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn l11_c16_a_name_file_and_the_secrets_directory_are_read_from_one_generation() {
    if !require(Need::Trace) {
        return;
    }
    let values = [canary(), canary()];
    // Directly in the volume, and through a link that leads into it.
    for link in ["secrets/login", "work/login"] {
        let test = volume(&values);
        if link == "work/login" {
            symlink(test.secret_path("login"), test.at(link)).unwrap();
        }
        let path = test.at(link);
        // The variable is read first, by open; what is in the directory afterwards, by openat2.
        let test = test.variable("USER_FILE", path).traced([
            "-e",
            "trace=?open,openat,openat2",
            "-e",
            "inject=openat2:delay_enter=300000:when=1",
        ]);
        let app = thread::scope(|scope| {
            scope.spawn(|| {
                wait_for(&test, &format!("{link}\""));
                swap(&test);
            });
            test.start().app()
        });
        app.has("PASSWORD", &values[1]).has("USER", &values[1]);
    }
}

#[test]
fn c16_a_volume_that_is_replaced_all_the_time_is_given_up_after_nine_more_tries() {
    if !require(Need::Trace) {
        return;
    }
    let values = [canary(), canary()];
    let test = volume(&values);
    let path = test.secret_path("login");
    // The delay is longer than a generation lasts.
    let inject = ["-P", path.to_str().unwrap(), "-e", "trace=?open,openat", "-e"];
    let inject = inject.into_iter().chain(["inject=?open,openat:delay_exit=50000"]);
    let test = test.traced(inject).variable("USER_FILE", &path);
    let stop = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            for generation in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                succeed(&test, generation);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let outcome = test.start();
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.code, 74, "{}", outcome.stderr);
    outcome.says("was replaced during each of 10 attempts (needed for USER)").says("names=USER reason=io");
    assert!(outcome.stdout.is_empty());
    assert_eq!(test.trace().matches("login").count(), 10, "{}", test.trace());
}

/// Makes a generation like `..one` the current one, and keeps those before it.
fn succeed(test: &Test, generation: usize) {
    let name = format!("..{generation}");
    let path = test.secret_path(&name);
    fs::create_dir(&path).unwrap();
    for file in ["login", "PASSWORD"] {
        fs::copy(test.secret_path("..one").join(file), path.join(file)).unwrap();
    }
    symlink(name, test.secret_path("..new")).unwrap();
    fs::rename(test.secret_path("..new"), test.secret_path("..data")).unwrap();
}

#[test]
fn c23_an_input_error_is_reported_with_the_path() {
    if !require(Need::Trace) {
        return;
    }
    for (error, words) in [("EIO", "Input/output error"), ("ESTALE", "Stale file handle")] {
        let test = Test::with(REQUIRED).secret("TOKEN", canary());
        let path = test.secret_path("TOKEN").to_str().unwrap().to_owned();
        let inject = format!("inject=pread64:error={error}");
        let outcome = test.traced(["-P", &path, "-e", "trace=pread64", "-e", &inject]).start();
        outcome.refused(74, "resolve", "TOKEN", "io").says(&path).says(words);
    }
}

#[test]
fn c23_an_input_error_that_passes_is_tried_again() {
    if !require(Need::Trace) {
        return;
    }
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value);
    let path = test.secret_path("TOKEN").to_str().unwrap().to_owned();
    let test = test.traced(["-P", &path, "-e", "trace=pread64", "-e", "inject=pread64:error=EIO:when=1"]);
    test.start().app().has("TOKEN", value);
}

#[test]
fn c26_a_denial_by_a_security_module_is_reported_with_number_and_path() {
    if !require(Need::Strace) {
        return;
    }
    let test = Test::with(REQUIRED).secret("TOKEN", canary());
    let path = test.secret_path("TOKEN");
    let outcome = test.traced(["-e", "trace=openat2", "-e", "inject=openat2:error=EACCES"]).start();
    outcome.refused(77, "resolve", "TOKEN", "denied").says(path.to_str().unwrap());
    outcome.says("EACCES").says("SELinux, AppArmor");
}

#[test]
fn an_old_kernel_without_openat2_gives_the_same_results() {
    if !require(Need::Strace) {
        return;
    }
    for error in ["ENOSYS", "EPERM"] {
        let old =
            ["-e".to_owned(), "trace=openat2".into(), "-e".into(), format!("inject=openat2:error={error}")];
        let value = canary();
        let test = linked_to("inner/../inner/file").file("secrets/inner/file", &value, 0o444);
        test.traced(&old).start().app().has("TOKEN", value);
        let outcome = linked_to("/etc/hostname").traced(&old).start();
        outcome.refused(77, "resolve", "TOKEN", "denied").says("EXDEV");
        linked_to("../work").traced(&old).start().refused(77, "resolve", "TOKEN", "denied").says("EXDEV");
        linked_to("/proc/self/environ").traced(&old).start().refused(77, "resolve", "TOKEN", "denied");
        linked_to("TOKEN").traced(&old).start().refused(77, "resolve", "TOKEN", "denied").says("ELOOP");
        linked_to("nothing").traced(&old).start().refused(66, "resolve", "TOKEN", "missing");
        fifo().traced(&old).start().refused(65, "resolve", "TOKEN", "invalid").says("is a FIFO");
        Test::with(REQUIRED).traced(&old).start().refused(66, "resolve", "TOKEN", "missing");
    }
}
