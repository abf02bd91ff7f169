//! Cases, and running them: the output is that of Rust's test harness.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::subject::Subject;

/// Why it failed.
pub(crate) type Outcome = Result<(), String>;

type Run = Box<dyn Fn(&Subject) -> Outcome + Send + Sync>;

pub(crate) struct Case {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    /// What takes time: it runs alone.
    is_timed: bool,
    run: Run,
}

impl Case {
    pub(crate) fn new(
        group: &'static str,
        name: impl Into<String>,
        run: impl Fn(&Subject) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self { group, name: format!("{group}::{}", name.into()), is_timed: false, run: Box::new(run) }
    }

    pub(crate) fn timed(self) -> Self {
        Self { is_timed: true, ..self }
    }
}

/// Cases whose functions have their names.
macro_rules! cases {
    ($group:literal; $($function:ident),* $(,)?) => {
        vec![$($crate::suite::Case::new($group, stringify!($function), $function)),*]
    };
}
pub(crate) use cases;

pub(crate) struct Verdict {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

/// A condition of a case.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Runs the cases and shows how each ended.
pub(crate) fn run(subject: &Subject, cases: Vec<Case>, threads: usize) -> Vec<Verdict> {
    println!("\nrunning {} tests on {}", cases.len(), subject.name);
    let start = Instant::now();
    let (timed, rest) = cases.into_iter().partition::<Vec<_>, _>(|case| case.is_timed);
    let mut verdicts = side_by_side(subject, rest, threads);
    verdicts.extend(side_by_side(subject, timed, 1));
    summary(&verdicts, start.elapsed());
    verdicts
}

fn side_by_side(subject: &Subject, cases: Vec<Case>, threads: usize) -> Vec<Verdict> {
    let queue = Mutex::new(cases.into_iter());
    let (sender, receiver) = mpsc::channel();
    let work = |sender: mpsc::Sender<Verdict>| {
        while let Some(case) = { queue.lock().unwrap().next() } {
            sender.send(judge(subject, case)).unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        receiver.into_iter().collect()
    })
}

fn judge(subject: &Subject, case: Case) -> Verdict {
    let outcome = (case.run)(subject);
    // A failure of another's init is a result: whoever counts the tests must not take it for one of the product's.
    let word = if subject.is_cryokey() { "test" } else { subject.name };
    println!("{word} {} ... {}", case.name, if outcome.is_ok() { "ok" } else { "FAILED" });
    Verdict { group: case.group, name: case.name, outcome }
}

fn summary(verdicts: &[Verdict], took: Duration) {
    let failed = verdicts.iter().filter_map(|verdict| Some((&verdict.name, verdict.outcome.as_ref().err()?)));
    let failed = failed.collect::<Vec<_>>();
    if !failed.is_empty() {
        println!("\nfailures:");
    }
    for (name, reason) in &failed {
        println!("    {name}: {}", reason.trim_end());
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let passed = verdicts.len() - failed.len();
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
        failed.len(),
        took.as_secs_f64()
    );
}
