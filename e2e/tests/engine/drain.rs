//! gunicorn with cryokey as PID 1: no request is lost when it ends or reloads.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use e2e::program::until;

use crate::support::{Container, Engine, FLASK, Run, built_examples, engine};

/// Takes as many seconds as the query says, and names the process that answers and its parent, gunicorn's master.
const APP: &str = r#"
import os, sys, time

def app(environ, start_response):
    seconds = float(environ["QUERY_STRING"] or 0)
    print("begins", environ["QUERY_STRING"], file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield f"{os.getpid()} {os.getppid()} ".encode()
    time.sleep(seconds)
    yield b"whole"
"#;

const GUNICORN: [&str; 6] = [
    "gunicorn",
    "--bind=0.0.0.0:8000",
    "--workers=2",
    "--worker-tmp-dir=/dev/shm",
    "--pythonpath=/srv/app",
    "slow:app",
];

/// gunicorn with two workers, as soon as it answers.
#[track_caller]
fn start(engine: &Engine, port: u16) -> Option<Container<'_>> {
    built_examples(engine)?;
    let app = engine.scratch();
    fs::write(app.join("slow.py"), APP).unwrap();
    let container = Run::hardened(engine)
        .image(FLASK)
        .published(port)
        .secrets(&engine.contract_directory())
        .mount(&app, "/srv/app")
        .app(&GUNICORN)
        .start();
    until("an answer", Duration::from_secs(20), || {
        engine.get(port, "/").map_err(|error| format!("{error}: {}", container.logs().said()))
    });
    Some(container)
}

/// Who answered, if the answer is complete.
#[derive(Clone, Copy)]
struct Answer {
    worker: u32,
    master: u32,
}

fn ask(engine: &Engine, port: u16, path: &str) -> Result<Answer, String> {
    let page = engine.get(port, path)?;
    let numbers = page.strip_suffix(" whole").and_then(|numbers| numbers.split_once(' '));
    let (worker, master) = numbers.ok_or_else(|| format!("an incomplete answer: {page}"))?;
    Ok(Answer { worker: worker.parse().unwrap(), master: master.parse().unwrap() })
}

#[track_caller]
fn is_in_flight(container: &Container<'_>, seconds: u32) {
    let line = format!("begins {seconds}");
    container.logs_when("the request in flight", |logs| logs.stderr.lines().any(|it| it == line));
}

#[test]
fn a_request_that_takes_12_seconds_more_after_docker_stop_is_answered() {
    let Some(engine) = engine() else { return };
    let Some(container) = start(engine, 8011) else { return };
    thread::scope(|scope| {
        let request = scope.spawn(|| ask(engine, 8011, "/?13"));
        is_in_flight(&container, 13);
        let took = container.docker(&["stop", "--time=30"]);
        request.join().unwrap().unwrap();
        assert!(took > Duration::from_secs(12), "{took:?}, without the request");
        assert!(took < Duration::from_secs(25), "{took:?}, as if TERM had been lost");
    });
    container.wait().with(0);
}

#[test]
fn hup_reloads_gunicorn_and_no_request_is_lost() {
    let Some(engine) = engine() else { return };
    let Some(container) = start(engine, 8012) else { return };
    let started = || engine.must(&["inspect", "--format={{.State.StartedAt}}", &container.id]);
    let before = ask(engine, 8012, "/").unwrap();
    let (started_before, is_over) = (started(), AtomicBool::new(false));
    let slow = thread::scope(|scope| {
        let slow = scope.spawn(|| ask(engine, 8012, "/?4"));
        is_in_flight(&container, 4);
        let others = scope.spawn(|| ask_until(&is_over, engine, 8012));
        container.docker(&["kill", "--signal=HUP"]);
        let slow = slow.join().unwrap();
        sleep(Duration::from_secs(1));
        is_over.store(true, Ordering::Relaxed);
        let answers = others.join().unwrap();
        let workers: BTreeSet<u32> = answers.iter().map(|answer| answer.worker).collect();
        assert!(answers.len() > 10, "{} requests are no load", answers.len());
        assert!(answers.iter().all(|answer| answer.master == before.master));
        let last = answers.last().unwrap().worker;
        assert!(last > before.worker && workers.len() > 1, "no worker was replaced: {workers:?}");
        slow
    });
    slow.unwrap();
    assert_eq!(started(), started_before);
    container.docker(&["stop"]);
    container.wait().with(0);
}

/// One request after the other; each of them is answered.
fn ask_until(is_over: &AtomicBool, engine: &Engine, port: u16) -> Vec<Answer> {
    let (mut answers, end) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
        answers.push(ask(engine, port, "/?0.05").unwrap());
    }
    answers
}
