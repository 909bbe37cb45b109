//! Answers as tables, CSV or JSON.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::args::Format;
use super::exit::Failure;

/// Rows under column names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table of these columns without rows.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new() }
    }

    /// Prints it. A reader that closes the pipe early is no failure.
    ///
    /// # Errors
    /// Standard output's.
    pub fn print(&self, format: Format) -> Result<(), Failure> {
        let text = self.render(format);
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// The table as text.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.as_table(),
            Format::Csv => self.as_csv(),
            Format::Json => self.as_json(),
        }
    }

    fn as_table(&self) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(plain).collect()).collect();
        let width = |i: usize| {
            let cells = cells.iter().map(|row| row[i].chars().count());
            cells.chain([self.columns[i].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let numeric = |i: usize| self.rows.iter().all(|row| row[i].is_number() || row[i].is_null());
        let right: Vec<bool> = (0..self.columns.len()).map(|i| !self.rows.is_empty() && numeric(i)).collect();
        let line = |row: &[String]| {
            let cell = |(i, text): (usize, &String)| {
                let pad = " ".repeat(widths[i] - text.chars().count());
                if right[i] { format!("{pad}{text}") } else { format!("{text}{pad}") }
            };
            row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        [line(&self.columns), line(&rule)].into_iter().chain(cells.iter().map(|row| line(row))).collect()
    }

    fn as_csv(&self) -> String {
        let quote = |text: &str| match text.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let line = |cells: Vec<String>| cells.iter().map(|c| quote(c)).collect::<Vec<_>>().join(",") + "\r\n";
        let rows = self.rows.iter().map(|row| line(row.iter().map(exact).collect()));
        std::iter::once(line(self.columns.clone())).chain(rows).collect()
    }

    fn as_json(&self) -> String {
        let object = |row: &Vec<Value>| {
            let pairs = self.columns.iter().cloned().zip(row.iter().cloned());
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        let rows: Vec<Value> = self.rows.iter().map(object).collect();
        format!("{:#}\n", Value::Array(rows))
    }
}

/// A value in all its digits.
fn exact(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value for people: fractions are cut at four digits.
fn plain(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(x) => format!("{x:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        None if value.is_null() => "-".into(),
        None => exact(value).replace(['\n', '\r'], " "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let rows =
            vec![vec![json!("v1"), json!(12), json!(0.912345)], vec![json!("a, \"b\""), json!(null), json!(2.0)]];
        Table { rows, ..Table::new(&["name", "ticks", "accuracy"]) }
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!(table().render(Format::Table), @r#"
        name    ticks  accuracy
        ------  -----  --------
        v1         12    0.9123
        a, "b"      -         2
        "#);
    }

    #[test]
    fn for_spreadsheets() {
        assert_eq!(table().render(Format::Csv), "name,ticks,accuracy\r\nv1,12,0.912345\r\n\"a, \"\"b\"\"\",,2.0\r\n");
    }

    #[test]
    fn for_programs() {
        let back: Value = serde_json::from_str(&table().render(Format::Json)).expect("JSON");
        assert_eq!(back[0]["accuracy"], 0.912345);
        assert_eq!(back[1]["ticks"], Value::Null);
    }
}
