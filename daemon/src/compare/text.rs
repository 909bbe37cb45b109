//! The chart in a terminal: braille dots and colours where there is one, plain letters in a file or a pipe.

use super::Chart;
use super::chart::Series;

/// How the chart may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// ASCII: a letter per strategy for its median, dots for its range.
    Plain,
    /// Two by four dots per character, and one of the terminal's colours per strategy.
    Braille,
}

/// Columns left of the chart: the axis's labels.
const MARGIN: usize = 9;

/// The chart in at most `width` columns, `height` lines of them drawing.
pub fn text(chart: &Chart, look: Look, width: usize, height: usize) -> String {
    let columns = width.saturating_sub(MARGIN + 1).max(20);
    let mut canvas = Canvas::new(look, columns, height);
    // All ranges first: no median is hidden by another strategy's range.
    chart.series.iter().enumerate().for_each(|(i, series)| canvas.range(chart, series, i));
    chart.series.iter().enumerate().for_each(|(i, series)| canvas.median(chart, series, i));
    let labels = y_labels(chart, height);
    let row = |(line, label): (usize, &String)| format!("{label:>MARGIN$}|{}\n", canvas.line(line).trim_end());
    let mut out = String::from("best feasible reward\n");
    out.extend(labels.iter().enumerate().map(row));
    out += &format!("{:>MARGIN$}+{}\n", "", "-".repeat(columns));
    out += &x_labels(chart, columns);
    out += &legend(chart, look);
    out
}

fn y_labels(chart: &Chart, height: usize) -> Vec<String> {
    let mut labels = vec![String::new(); height];
    let (values, decimals) = chart.labels(4);
    for value in values {
        let line = pixel(chart, value, height);
        labels[line.clamp(0, height as i64 - 1) as usize] = format!("{value:.decimals$} ");
    }
    labels
}

fn x_labels(chart: &Chart, columns: usize) -> String {
    let mut line = vec![b' '; MARGIN + 1 + columns + 6];
    for count in chart.counts(5) {
        let text = count.to_string();
        let middle = MARGIN + 1 + ((count - 1) as usize * (columns - 1)) / (chart.last.max(2) - 1) as usize;
        let start = middle.saturating_sub(text.len() / 2);
        line[start..start + text.len()].copy_from_slice(text.as_bytes());
    }
    format!("{} measurements\n", String::from_utf8_lossy(&line).trim_end())
}

fn legend(chart: &Chart, look: Look) -> String {
    let entry = |(i, series): (usize, &Series)| match look {
        Look::Plain => format!("  {} {}", letter(i), series.name),
        Look::Braille => format!("  {} {}", painted("\u{28e4}\u{28e4}", i), series.name),
    };
    let entries: String = chart.series.iter().enumerate().map(entry).collect();
    format!("{:>MARGIN$}{entries}  (median; dotted: range over seeds)\n", "")
}

fn letter(series: usize) -> char {
    char::from(b'a' + (series % 26) as u8)
}

/// Line of a reward on a canvas of `height` lines, the highest at 0; outside the canvas for rewards outside the chart.
fn pixel(chart: &Chart, reward: f64, height: usize) -> i64 {
    let share = (chart.high - reward) / (chart.high - chart.low);
    (share * (height as f64 - 1.0)).round().clamp(-1.0, height as f64) as i64
}

/// The terminal's bright colours, in an order in which neighbours differ.
fn painted(text: &str, series: usize) -> String {
    const CODES: [u8; 6] = [94, 93, 92, 95, 96, 91];
    format!("\u{1b}[{}m{text}\u{1b}[0m", CODES[series % CODES.len()])
}

/// Cells that each hold dots (or one letter) of the series that was drawn there last.
struct Canvas {
    look: Look,
    columns: usize,
    lines: usize,
    /// Braille: a bit per dot. Plain: a character.
    cells: Vec<(u8, usize)>,
}

impl Canvas {
    fn new(look: Look, columns: usize, lines: usize) -> Self {
        Self { look, columns, lines, cells: vec![(0, 0); columns * lines] }
    }

    /// Dots per cell.
    fn dots(&self) -> (usize, usize) {
        if self.look == Look::Plain { (1, 1) } else { (2, 4) }
    }

    fn size(&self) -> (usize, usize) {
        let (x, y) = self.dots();
        (self.columns * x, self.lines * y)
    }

    /// The measurement, counted from 0, that a column of dots shows.
    fn entry(&self, chart: &Chart, x: usize) -> usize {
        let (width, _) = self.size();
        x * (chart.last as usize - 1) / (width - 1)
    }

    fn range(&mut self, chart: &Chart, series: &Series, index: usize) {
        let (width, height) = self.size();
        for x in 0..width {
            let Some(&Some((low, high))) = series.band.get(self.entry(chart, x)) else { continue };
            let (top, bottom) = (pixel(chart, high, height).max(0), pixel(chart, low, height).min(height as i64 - 1));
            for y in top..=bottom {
                let sparse = self.look == Look::Plain || (x + y as usize).is_multiple_of(4) && x.is_multiple_of(2);
                if sparse && low < high {
                    self.dot(x, y as usize, index, b'.');
                }
            }
        }
    }

    fn median(&mut self, chart: &Chart, series: &Series, index: usize) {
        let (width, height) = self.size();
        let mut before = None;
        for x in 0..width {
            let Some(&Some(reward)) = series.median.get(self.entry(chart, x)) else { continue };
            let y = pixel(chart, reward, height);
            let from = before.unwrap_or(y).clamp(0, height as i64 - 1);
            before = Some(y);
            if !(0..height as i64).contains(&y) {
                continue;
            }
            for y in from.min(y)..=from.max(y) {
                self.dot(x, y as usize, index, letter(index) as u8);
            }
        }
    }

    fn dot(&mut self, x: usize, y: usize, series: usize, plain: u8) {
        let (w, h) = self.dots();
        let cell = &mut self.cells[(y / h) * self.columns + x / w];
        match self.look {
            Look::Plain => *cell = (plain, series),
            Look::Braille => {
                // Unicode numbers the dots of a cell down its left column, then down its right one, and the lowest pair last.
                const BITS: [[u8; 4]; 2] = [[0, 1, 2, 6], [3, 4, 5, 7]];
                *cell = (cell.0 | 1 << BITS[x % w][y % h], series);
            }
        }
    }

    fn line(&self, line: usize) -> String {
        let cells = &self.cells[line * self.columns..(line + 1) * self.columns];
        let drawn = |&(bits, series): &(u8, usize)| match self.look {
            _ if bits == 0 => " ".to_owned(),
            Look::Plain => char::from(bits).to_string(),
            Look::Braille => {
                let cell = char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ').to_string();
                painted(&cell, series)
            }
        };
        cells.iter().map(drawn).collect()
    }
}
