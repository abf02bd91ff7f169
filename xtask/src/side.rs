//! The workspaces beside the product: bench, e2e and fuzz have their own lockfiles, so that what they need never
//! enters the product's. They are formatted and linted like everything else.

use crate::line::Line;
use crate::project;
use crate::report::{Outcome, Report};

const WORKSPACES: [&str; 3] = ["bench", "e2e", "fuzz"];

pub(crate) fn is_there(workspace: &str) -> bool {
    project::root().join(manifest(workspace)).is_file()
}

pub(crate) fn manifest(workspace: &str) -> String {
    format!("{workspace}/Cargo.toml")
}

pub(crate) fn formatting() -> Result<(), String> {
    Line::cargo(&["fmt", "--all", "--check"]).run()?;
    present().try_for_each(|workspace| {
        Line::cargo(&["fmt", "--all", "--check", "--manifest-path"]).arg(manifest(workspace)).run()
    })
}

/// One row a workspace, since each has its own build.
pub(crate) fn lints(report: &mut Report) {
    let clippy = ["clippy", "--quiet", "--locked", "--workspace", "--all-targets"];
    let product = Line::cargo(&clippy);
    let sides = present()
        .map(|name| (format!("lints of {name}"), product.clone().arg("--manifest-path").arg(manifest(name))));
    let all = [("lints".to_owned(), product.clone())].into_iter().chain(sides);
    for (name, line) in all {
        report.step(&name, || Outcome::from(denying_warnings(&line).run()));
    }
}

fn denying_warnings(clippy: &Line) -> Line {
    clippy.clone().arg("--").arg("-D").arg("warnings")
}

fn present() -> impl Iterator<Item = &'static str> {
    WORKSPACES.into_iter().filter(|workspace| is_there(workspace))
}
