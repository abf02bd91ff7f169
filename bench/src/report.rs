//! The tables: what was measured, what it must be, and whether it is.

use crate::measure::{Pairs, Spread};
use crate::mib;
use crate::remote::{Case, Limit, Measured};
use crate::scale::{self, Size};

/// Each further secret may cost this much more at the largest step than at the one before, and the cost still counts
/// as linear: caches are of limited size.
const STILL_LINEAR: f64 = 1.5;

/// One comparison; `must_be` is the highest ratio allowed.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) pairs: Pairs,
    pub(crate) must_be: Option<f64>,
}

/// One figure, whose name says its unit.
pub(crate) struct Figure {
    name: String,
    measured: f64,
    decimals: usize,
    at_most: Option<f64>,
}

impl Figure {
    pub(crate) fn at_most(name: &str, measured: f64, at_most: f64) -> Self {
        Self { name: name.to_owned(), measured, decimals: 2, at_most: Some(at_most) }
    }

    /// Something is demanded of ours only.
    pub(crate) fn of(name: &str, measured: f64, is_ours: bool, at_most: f64) -> Self {
        if is_ours { Self::at_most(name, measured, at_most) } else { Self::for_scale(name, measured) }
    }

    /// Nothing is demanded of it; it tells what the others are worth.
    pub(crate) fn for_scale(name: &str, measured: f64) -> Self {
        Self { name: name.to_owned(), measured, decimals: 2, at_most: None }
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn count(name: &str, count: u64) -> Self {
        Self { name: name.to_owned(), measured: count as f64, decimals: 0, at_most: None }
    }
}

pub(crate) fn comparisons(title: &str, rows: &[Row]) {
    println!("## {title}\n");
    println!(
        "Medians of paired runs in milliseconds, with the 10th and 90th percentile; the ratio is the median of the"
    );
    println!("ratios of the pairs. Processor time leaves out what else the machine did meanwhile.\n");
    println!("| compared with | ours | theirs | ours / theirs | must be | | processor time, ours / theirs |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let Pairs { ours, theirs, ratio, processor_ratio, again: _ } = &row.pairs;
        let (must_be, verdict) = judge(*ratio, row.must_be);
        println!(
            "| {} | {} | {} | {ratio:.3} | {must_be} | {verdict} | {processor_ratio:.3} |",
            row.name,
            spread(ours),
            spread(theirs)
        );
    }
    for row in rows.iter().filter(|row| row.pairs.again > 0) {
        println!("\n{} runs of {} ended badly and were taken again.", row.pairs.again, row.name);
    }
}

pub(crate) fn absent(names: &[String]) {
    for name in names {
        println!("\n{name} was not measured: it is not installed.");
    }
}

pub(crate) fn figures(title: &str, figures: &[Figure]) {
    println!("\n## {title}\n");
    println!("| figure | measured | must be | |");
    println!("|---|---|---|---|");
    for Figure { name, measured, decimals, at_most } in figures {
        let (must_be, verdict) = judge(*measured, *at_most);
        println!("| {name} | {measured:.decimals$} | {must_be} | {verdict} |");
    }
}

pub(crate) fn scale(sizes: &[Size]) {
    println!("\n## Many secrets\n");
    println!("Declared in a manifest, 100 bytes each, delivered as variables.\n");
    println!("| files | ms | peak memory, MiB | µs for each further secret |");
    println!("|---|---|---|---|");
    let steps = scale::steps(sizes);
    let shown = std::iter::once("-".to_owned()).chain(steps.iter().map(|step| format!("{step:.2}")));
    for (size, step) in sizes.iter().zip(shown) {
        println!("| {} | {} | {:.2} | {step} |", size.files, spread(&size.time), mib(size.memory));
    }
    if let [.., before, last] = steps.as_slice() {
        let (must_be, verdict) = judge(last / before, Some(STILL_LINEAR));
        println!(
            "\nLinear: the last step costs {:.2} times the one before; must be {must_be}: {verdict}.",
            last / before
        );
    }
}

pub(crate) fn remote(cases: &[(Case, Measured)]) {
    println!("\n## Remote sources, 20 ms there and back\n");
    println!(
        "A server in the driver that takes no time itself, without TLS; the floor is a client that knows all requests."
    );
    println!("Milliseconds, as above.\n");
    println!("| case | ours | floor | ours / floor | must be | | peak memory, MiB |");
    println!("|---|---|---|---|---|---|---|");
    for (case, Measured { ours, floor, memory }) in cases {
        let ratio = ours.median / floor.median;
        let (must_be, verdict) = match case.at_most {
            Limit::Ratio(limit) => judge(ratio, Some(limit)),
            Limit::Milliseconds(limit) => {
                let (text, verdict) = judge(ours.median, Some(limit));
                (format!("{text} ms"), verdict)
            }
        };
        println!(
            "| {} | {} | {} | {ratio:.2} | {must_be} | {verdict} | {:.2} |",
            case.name,
            spread(ours),
            spread(floor),
            mib(*memory)
        );
    }
}

fn judge(measured: f64, at_most: Option<f64>) -> (String, &'static str) {
    match at_most {
        Some(limit) if measured <= limit => (format!("at most {limit}"), "met"),
        Some(limit) => (format!("at most {limit}"), "**missed**"),
        None => ("-".to_owned(), ""),
    }
}

fn spread(spread: &Spread) -> String {
    format!("{:.2} ({:.2} – {:.2})", spread.median, spread.p10, spread.p90)
}
