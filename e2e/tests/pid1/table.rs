//! The table of all subjects, in `docs/pid1.md`.

use std::fs;
use std::path::PathBuf;

use crate::cases::{early, idle};
use crate::subject::Subject;
use crate::suite::{self, Case, Verdict};

const BEGIN: &str = "<!-- begin of the table: made by `--table` -->\n";
const END: &str = "<!-- end of the table -->";

struct Column {
    subject: Subject,
    verdicts: Vec<Verdict>,
    lost: usize,
    wake_ups: u64,
}

pub(crate) fn write(cases: impl Fn() -> Vec<Case>, threads: usize) -> Result<(), String> {
    let measure = |subject: Subject| -> Result<Column, String> {
        let verdicts = suite::run(&subject, cases(), threads);
        let (lost, wake_ups) = (early::lost([&subject])?[0], idle::cost(&subject)?.wake_ups);
        Ok(Column { subject, verdicts, lost, wake_ups })
    };
    let columns = Subject::installed().into_iter().map(measure).collect::<Result<Vec<_>, _>>()?;
    let table = table(&columns);
    println!("{table}");
    replace(&table)
}

fn replace(table: &str) -> Result<(), String> {
    let path = document();
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} has no place for the table", path.display()))?;
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).map_err(|error| error.to_string())
}

fn document() -> PathBuf {
    e2e::project::root().join("docs/pid1.md")
}

fn table(columns: &[Column]) -> String {
    let cells = |cell: &dyn Fn(&Column) -> String| columns.iter().map(cell).collect::<Vec<_>>();
    let mut text = row("group", "cases", &cells(&|column| column.subject.name.to_owned()));
    text.extend(["|---|---|", &"---|".repeat(columns.len()), "\n"]);
    text += &row("version", "", &cells(&|column| column.subject.version()));
    for group in groups(&columns[0].verdicts) {
        let passed = cells(&|column| passed(column, |verdict| verdict.group == group).to_string());
        let count = columns[0].verdicts.iter().filter(|verdict| verdict.group == group).count();
        text += &row(group, &count.to_string(), &passed);
    }
    let all = columns[0].verdicts.len();
    text += &row(
        "**total**",
        &format!("**{all}**"),
        &cells(&|column| format!("**{}**", passed(column, |_| true))),
    );
    let tries = format!("of {}", early::TRIES);
    text += &row("TERM lost in the first 3 ms", &tries, &cells(&|column| column.lost.to_string()));
    let observed = format!("in {:?}", idle::OBSERVED);
    text + &row("wake-ups while idle", &observed, &cells(&|column| column.wake_ups.to_string()))
}

fn row(name: &str, count: &str, cells: &[String]) -> String {
    format!("| {name} | {count} | {} |\n", cells.join(" | "))
}

fn passed(column: &Column, is_meant: impl Fn(&Verdict) -> bool) -> usize {
    column.verdicts.iter().filter(|verdict| is_meant(verdict) && verdict.outcome.is_ok()).count()
}

/// In the order of the cases; the verdicts have the order in which they ended.
fn groups(verdicts: &[Verdict]) -> Vec<&'static str> {
    let mut groups = Vec::new();
    for case in crate::cases::all() {
        if !groups.contains(&case.group) && verdicts.iter().any(|verdict| verdict.group == case.group) {
            groups.push(case.group);
        }
    }
    groups
}
