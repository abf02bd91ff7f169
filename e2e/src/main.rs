//! Runs cryokey in real containers: `docker run`, Compose and Swarm, and asserts on what the app saw.
//!
//! One line a scenario: `ran NAME (1.2 s)`, `not run NAME: reason; to run it: what to type`, or `failed NAME: what`.

mod compose;
mod container;
mod engine;
mod expect;
mod http;
mod images;
mod options;
mod program;
mod report;
mod scenario;
mod secret;
mod swarm;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use crate::expect::Stop;
use crate::options::{Options, Request};
use crate::scenario::Scenario;
use crate::world::World;

fn main() -> ExitCode {
    match options::parse(std::env::args().skip(1)) {
        Ok(Request::Get(address)) => finish(http::print(&address)),
        Ok(Request::Help) => {
            print!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Request::List) => {
            for scenario in scenario::ALL {
                println!("{}", scenario.name);
            }
            ExitCode::SUCCESS
        }
        Ok(Request::Run(options)) => finish(run(&options)),
        Err(problem) => {
            eprintln!("error: {problem}\n\n{}", options::USAGE);
            ExitCode::from(64)
        }
    }
}

fn finish(outcome: Result<(), String>) -> ExitCode {
    outcome.map_or_else(
        |problem| {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run(options: &Options) -> Result<(), String> {
    let chosen = scenario::chosen(&options.only)?;
    let world = World::prepare(options)?;
    let mut tally = Tally::default();
    for scenario in chosen {
        tally.add(scenario, &world);
    }
    // The engine stops before the last line, so that this is really the end.
    drop(world);
    println!("{} passed, {} failed, {} not run", tally.passed, tally.failed, tally.not_run);
    if tally.failed == 0 { Ok(()) } else { Err(format!("{} of the scenarios failed", tally.failed)) }
}

/// How many scenarios ended in which way.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    not_run: usize,
}

impl Tally {
    fn add(&mut self, scenario: &Scenario, world: &World) {
        let start = Instant::now();
        match (scenario.run)(world) {
            Ok(()) => {
                self.passed += 1;
                println!("ran {} ({:.1} s)", scenario.name, start.elapsed().as_secs_f64());
            }
            Err(Stop::NotRun(reason)) => {
                self.not_run += 1;
                println!("not run {}: {}", scenario.name, one_line(&reason));
            }
            Err(Stop::Failed(what)) => {
                self.failed += 1;
                println!("failed {}: {}", scenario.name, one_line(&what));
            }
        }
    }
}

/// The caller reads line by line.
fn one_line(text: &str) -> String {
    const ENOUGH: usize = 1500;
    let line = text.trim().replace('\n', " | ");
    if line.chars().count() <= ENOUGH { line } else { line.chars().take(ENOUGH).chain(['…']).collect() }
}
