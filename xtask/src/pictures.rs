//! `cargo xtask pictures`: how cryokey chooses a sign-in, drawn from the lists in `docs/providers/pictures`.
//!
//! A list is a title, a remark, an empty line, and one `condition -> sign-in` a line. The font is monospaced, so that a
//! text's width is known wherever the picture is shown.

use crate::project;
use crate::run::Result;

const DIRECTORY: &str = "docs/providers/pictures";
const WIDTH: usize = 840;
const MARGIN: usize = 20;
const PADDING: usize = 12;
const LINE: usize = 20;
/// Between two conditions, where the arrow `no` is.
const GAP: usize = 32;

/// A column of boxes: where it begins, how wide it is, and how many characters a line of it has.
struct Column(usize, usize, usize);

const CONDITIONS: Column = Column(MARGIN, 430, 50);
const SIGN_INS: Column = Column(530, 290, 33);
const REMARK: usize = 98;

/// Draws every list.
pub(crate) fn pictures() -> Result {
    let shell = project::shell()?;
    for list in lists()? {
        shell.write_file(list.with_extension("svg"), draw(&shell.read_file(&list)?)?)?;
    }
    Ok(())
}

fn lists() -> Result<Vec<std::path::PathBuf>> {
    let paths = project::shell()?.read_dir(DIRECTORY)?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "txt")).collect())
}

fn draw(list: &str) -> Result<String> {
    let (head, rows) = list.split_once("\n\n").ok_or("no empty line after the remark")?;
    let (title, remark) = head.split_once('\n').ok_or("no remark below the title")?;
    let remark = wrapped(remark, REMARK);
    let mut body = text(MARGIN, MARGIN + 14, &wrapped(title, REMARK));
    body += &text(MARGIN, MARGIN + 14 + LINE + 6, &remark);
    let mut top = MARGIN + LINE + 6 + LINE * remark.len() + PADDING;
    let rows = rows.lines().map(|row| row.split_once(" -> ").ok_or(format!("no arrow: {row}")));
    let rows = rows.collect::<std::result::Result<Vec<_>, _>>()?;
    for (number, (condition, sign_in)) in rows.iter().enumerate() {
        let (drawn, height) = row(top, condition, sign_in);
        body += &drawn;
        top += height;
        if number + 1 < rows.len() {
            body += &arrow(MARGIN + 24, top, MARGIN + 24, top + GAP, (MARGIN + 34, top + 21, "no"));
            top += GAP;
        }
    }
    // For those who hear the picture.
    let sentence = |row: &(&str, &str)| format!(" {}: {}.", row.0, row.1);
    let spoken = rows.iter().map(sentence).collect::<String>();
    let (height, title, remark) = (top + MARGIN, escaped(title), escaped(&remark.join(" ")));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">{title}</title>\n<desc id=\"desc\">{remark}{}\
         </desc>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8Z\" fill=\"#57606a\"/></marker></defs>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" \
         fill=\"#1f2328\">\n{body}</g>\n</svg>\n",
        escaped(&spoken),
    ))
}

/// A condition, and the sign-in that it leads to; with the height of both.
fn row(top: usize, condition: &str, sign_in: &str) -> (String, usize) {
    let texts = [wrapped(condition, CONDITIONS.2), wrapped(sign_in, SIGN_INS.2)];
    let height = texts.iter().map(Vec::len).max().unwrap_or_default() * LINE + 2 * PADDING;
    let [condition_lines, sign_in_lines] = &texts;
    let is_end = sign_in.starts_with("exit");
    let (from, middle) = (CONDITIONS.0 + CONDITIONS.1, top + height / 2);
    let label = if condition == "otherwise" { "" } else { "yes" };
    let drawn = boxed(&CONDITIONS, top, height, condition_lines, "#eaeef2")
        + &arrow(from, middle, SIGN_INS.0, middle, (from + 24, middle - 6, label))
        + &boxed(&SIGN_INS, top, height, sign_in_lines, if is_end { "#ffdcd7" } else { "#d2f4da" });
    (drawn, height)
}

fn boxed(Column(x, width, _): &Column, top: usize, height: usize, lines: &[String], color: &str) -> String {
    let first = top + (height - lines.len() * LINE) / 2 + 14;
    format!(
        "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{color}\" stroke=\"#57606a\"/>\n"
    ) + &text(x + PADDING, first, lines)
}

fn arrow(x1: usize, y1: usize, x2: usize, y2: usize, (x, y, label): (usize, usize, &str)) -> String {
    format!("<path d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"#57606a\" marker-end=\"url(#tip)\"/>\n")
        + &text(x, y, &wrapped(label, REMARK))
}

fn text(x: usize, first: usize, lines: &[String]) -> String {
    let line = |(number, line): (usize, &String)| {
        format!("<text x=\"{x}\" y=\"{}\">{}</text>\n", first + number * LINE, escaped(line))
    };
    lines.iter().enumerate().map(line).collect()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::<String>::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_drawn_from_its_list() {
        let shell = project::shell().unwrap();
        let lists = lists().unwrap();
        assert!(lists.len() >= 5, "{lists:?}");
        for list in &lists {
            let picture = shell.read_file(list.with_extension("svg")).unwrap_or_default();
            let expected = draw(&shell.read_file(list).unwrap()).unwrap();
            assert!(picture == expected, "{} is not its picture: cargo xtask pictures", list.display());
        }
        let all = shell.read_dir(DIRECTORY).unwrap();
        assert_eq!(all.len(), 2 * lists.len(), "a list and its picture each: {all:?}");
    }

    #[test]
    fn no_line_is_wider_than_its_box() {
        let shell = project::shell().unwrap();
        for list in lists().unwrap() {
            let text = shell.read_file(list).unwrap();
            for (condition, sign_in) in text.lines().filter_map(|line| line.split_once(" -> ")) {
                for (Column(_, width, characters), text) in [(CONDITIONS, condition), (SIGN_INS, sign_in)] {
                    let longest = wrapped(text, characters).iter().map(String::len).max().unwrap_or_default();
                    // A character is at most 0.61 of the size of the font.
                    assert!(longest * 8 + 2 * PADDING <= width, "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_list_is_refused_and_signs_of_xml_are_escaped() {
        assert!(draw("title\nremark\n\nno arrow\n").is_err());
        assert!(draw("title\nremark\n\n<a> & b -> c\n").unwrap().contains("&lt;a&gt; &amp; b"));
    }
}
