//! The committed counts that a change of the kernels is held against.
//!
//! Counts are exact for one compiler. Another one schedules the Rust parts of the kernels a little differently, so that the
//! file names its compiler, and a foreign one is given a tolerance.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

use super::row::Row;

/// Columns: weight and activation bits.
const BITS: [(u8, u8); 9] = [(8, 8), (4, 8), (2, 8), (8, 4), (4, 4), (2, 4), (8, 2), (4, 2), (2, 2)];

/// The board's timer counts 6.4 ticks an instruction: a count depends by one on when it began.
const RESOLUTION: u64 = 1;

/// What another compiler may cost. A slower kernel costs more.
const FOREIGN_TOLERANCE_PERCENT: u64 = 2;

/// A baseline as it lies in the file.
pub struct Baseline {
    pub compiler: String,
    /// Network, layer, bits, instructions.
    counts: Vec<(String, String, (u8, u8), u64)>,
}

/// What a comparison found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One line for each row that is slower, or is not in the baseline.
    pub worse: Vec<String>,
    pub faster: usize,
    pub compared: usize,
}

/// A baseline file of these rows.
pub fn render(rows: &[Row], compiler: &str) -> String {
    let mut text = format!("# {compiler}\nnetwork,layer");
    for (w, a) in BITS {
        write!(text, ",w{w}a{a}").expect("a string takes everything");
    }
    let mut done: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        let name = (row.network.as_str(), row.layer.as_str());
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        write!(text, "\n{},{}", name.0, name.1).expect("a string takes everything");
        for bits in BITS {
            let same = rows.iter().find(|r| (r.network.as_str(), r.layer.as_str(), r.bits()) == (name.0, name.1, bits));
            let count = same.map_or(String::new(), |row| row.instructions.to_string());
            write!(text, ",{count}").expect("a string takes everything");
        }
    }
    text + "\n"
}

impl Baseline {
    /// Reads what [`render`] wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let compiler =
            lines.next().and_then(|line| line.strip_prefix("# ")).context("no compiler in the first line")?;
        let mut counts = Vec::new();
        for line in lines.skip(1) {
            let mut fields = line.split(',');
            let (Some(network), Some(layer)) = (fields.next(), fields.next()) else { bail!("no layer in `{line}`") };
            for (bits, field) in BITS.into_iter().zip(fields) {
                let count = field.parse().with_context(|| format!("no count: `{field}` in `{line}`"))?;
                counts.push((network.to_owned(), layer.to_owned(), bits, count));
            }
        }
        Ok(Baseline { compiler: compiler.to_owned(), counts })
    }

    /// Holds rows measured with `compiler` against the baseline.
    pub fn compare(&self, rows: &[Row], compiler: &str) -> Verdict {
        let tolerance = if compiler == self.compiler { 0 } else { FOREIGN_TOLERANCE_PERCENT };
        let mut verdict = Verdict::default();
        for row in rows {
            let Row { network, layer, weight_bits: w, activation_bits: a, instructions: now, .. } = row;
            let Some(then) = self.count(row) else {
                verdict.worse.push(format!("{network} {layer} w{w}a{a}: not in the baseline"));
                continue;
            };
            verdict.compared += 1;
            if *now > then + RESOLUTION.max(then * tolerance / 100) {
                verdict.worse.push(format!("{network} {layer} w{w}a{a}: {now} instructions, {then} in the baseline"));
            } else if now + RESOLUTION < then {
                verdict.faster += 1;
            }
        }
        verdict
    }

    fn count(&self, row: &Row) -> Option<u64> {
        let same = |(network, layer, bits, _): &&(String, String, (u8, u8), u64)| {
            (network, layer, *bits) == (&row.network, &row.layer, row.bits())
        };
        self.counts.iter().find(same).map(|entry| entry.3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(instructions: u64) -> Vec<Row> {
        let row = |(w, a)| Row::parse(&format!("KWS,pw1,conv,shape,{w},{a},512000,{instructions},0,pixels,1")).unwrap();
        BITS.map(row).to_vec()
    }

    #[test]
    fn one_slower_layer_is_found() {
        let baseline = Baseline::parse(&render(&rows(1000), "rustc 1")).unwrap();
        let same = baseline.compare(&rows(1001), "rustc 1");
        assert_eq!(same, Verdict { worse: Vec::new(), faster: 0, compared: 9 });
        let mut slower = rows(1000);
        slower[4].instructions = 1002;
        let verdict = baseline.compare(&slower, "rustc 1");
        assert_eq!(verdict.worse, ["KWS pw1 w4a4: 1002 instructions, 1000 in the baseline"]);
        assert_eq!(baseline.compare(&rows(900), "rustc 1").faster, 9);
    }

    #[test]
    fn another_compiler_is_given_a_tolerance() {
        let baseline = Baseline::parse(&render(&rows(1000), "rustc 1")).unwrap();
        assert!(baseline.compare(&rows(1020), "rustc 2").worse.is_empty());
        assert_eq!(baseline.compare(&rows(1021), "rustc 2").worse.len(), 9);
    }

    #[test]
    fn a_layer_that_nobody_blessed_fails() {
        let baseline = Baseline::parse("# rustc 1\nhead\n").unwrap();
        assert_eq!(baseline.compare(&rows(1), "rustc 1").worse.len(), 9);
    }
}
