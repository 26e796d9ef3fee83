//! Text in columns, and colour where there is a terminal.

use std::io::{self, IsTerminal as _};

use unicode_width::UnicodeWidthStr as _;

/// Rows of cells; columns are as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows, each behind `indent`, without spaces at their ends. Columns in which nothing stands are left out.
    pub(crate) fn lines(&self, indent: &str) -> Vec<String> {
        // Chinese takes two columns of a terminal for a character.
        let wide = |cell: &String| cell.width();
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(wide).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let mut line = indent.to_owned();
            for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                line.push_str(cell);
                let gap = width - wide(cell) + 2;
                line.extend(std::iter::repeat_n(' ', gap));
            }
            line.truncate(line.trim_end().len());
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// How a line is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Good,
    Warning,
    Bad,
    Faint,
    Strong,
}

/// Whether standard output shows colours, and its owner wants them.
pub(crate) fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !unwanted
}

pub(crate) fn painted(text: &str, look: Look, colours: bool) -> String {
    if !colours {
        return text.to_owned();
    }
    let code = match look {
        Look::Good => "32",
        Look::Warning => "33",
        Look::Bad => "31",
        Look::Faint => "2",
        Look::Strong => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::default();
        table.row(["a", "", "…four", "x"]);
        table.row(["bbb", "", "c", ""]);
        assert_eq!(table.lines("  "), ["  a    …four  x", "  bbb  c"]);
    }

    #[test]
    fn colour_only_where_it_is_shown() {
        assert_eq!(painted("x", Look::Good, false), "x");
        assert_eq!(painted("x", Look::Good, true), "\u{1b}[32mx\u{1b}[0m");
    }
}
