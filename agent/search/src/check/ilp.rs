//! Cases of exact bit allocation from published tables.

use super::{CheckError, Tally, read_json};
use crate::ilp::{Choice, IlpError, Problem, Solution};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Costs that differ by less, relative to the larger, are a tie.
const TIE: f64 = 1e-9;

#[derive(Debug, Deserialize)]
pub(super) struct File {
    layers: Vec<Layer>,
    /// Groups of layers that share their bits.
    #[serde(default)]
    tied: Vec<Vec<usize>>,
    pub(super) cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    /// Per width: `sensitivity` and the resources.
    bits: BTreeMap<u32, BTreeMap<String, f64>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub(super) limit_on: String,
    pub(super) limit: f64,
    /// One digit per layer; without it no choice of bits may meet the limit.
    optimal_bits: Option<String>,
}

/// The file's layers as groups of a problem.
pub(super) struct Groups<'a> {
    /// Layers of each group.
    members: Vec<Vec<usize>>,
    /// Widths of each group, in the order of its choices.
    widths: Vec<Vec<u32>>,
    file: &'a File,
}

impl<'a> Groups<'a> {
    pub(super) fn new(file: &'a File) -> Result<Self, String> {
        check(file)?;
        let mut members: Vec<Vec<usize>> = file.tied.clone();
        let tied = |layer: &usize| file.tied.iter().any(|group| group.contains(layer));
        members.extend((0..file.layers.len()).filter(|layer| !tied(layer)).map(|layer| vec![layer]));
        let widths = |group: &Vec<usize>| file.layers[group[0]].bits.keys().copied().collect();
        Ok(Self { widths: members.iter().map(widths).collect(), members, file })
    }

    pub(super) fn problem(&self, resource: &str, limit: f64) -> Result<Problem, String> {
        let value = |layer: usize, width: u32, what: &str| {
            let found = self.file.layers[layer].bits.get(&width).and_then(|values| values.get(what));
            found.copied().ok_or_else(|| format!("layer {layer} has no `{what}` at {width} bits"))
        };
        let choice = |group: &[usize], width: u32| -> Result<Choice, String> {
            let sum = |what: &str| group.iter().map(|&layer| value(layer, width, what)).sum::<Result<f64, String>>();
            Ok(Choice { cost: sum("sensitivity")?, uses: vec![sum(resource)?] })
        };
        let group = |(members, widths): (&Vec<usize>, &Vec<u32>)| {
            widths.iter().map(|&width| choice(members, width)).collect::<Result<Vec<_>, _>>()
        };
        let groups = self.members.iter().zip(&self.widths).map(group).collect::<Result<Vec<_>, _>>()?;
        Ok(Problem { groups, limits: vec![limit] })
    }

    /// One width per layer.
    fn bits(&self, choices: &[usize]) -> Vec<u32> {
        let mut bits = vec![0; self.file.layers.len()];
        for ((members, widths), &choice) in self.members.iter().zip(&self.widths).zip(choices) {
            members.iter().for_each(|&layer| bits[layer] = widths[choice]);
        }
        bits
    }

    /// The choices that a case says are optimal; `None` when they are not one per layer, break a tie or name an
    /// unknown width.
    fn choices(&self, bits: &[u32]) -> Option<Vec<usize>> {
        if bits.len() != self.file.layers.len() {
            return None;
        }
        let choice = |(members, widths): (&Vec<usize>, &Vec<u32>)| {
            let width = bits[members[0]];
            let same = members.iter().all(|&layer| bits[layer] == width);
            widths.iter().position(|&w| w == width).filter(|_| same)
        };
        self.members.iter().zip(&self.widths).map(choice).collect()
    }
}

/// What would make every answer meaningless.
fn check(file: &File) -> Result<(), String> {
    if file.layers.is_empty() || file.cases.is_empty() {
        return Err("there is nothing to check: `layers` and `cases` must not be empty".into());
    }
    if let Some(layer) = file.layers.iter().position(|layer| layer.bits.is_empty()) {
        return Err(format!("layer {layer} has no `bits` to choose from"));
    }
    if file.tied.iter().any(Vec::is_empty) {
        return Err("`tied` has an empty group; leave it out".into());
    }
    let mut seen = HashSet::new();
    for &layer in file.tied.iter().flatten() {
        match () {
            () if layer >= file.layers.len() => {
                return Err(format!("`tied` names layer {layer}, there are {}, counted from 0", file.layers.len()));
            }
            () if !seen.insert(layer) => {
                return Err(format!("`tied` names layer {layer} twice; write what shares bits as one group"));
            }
            () => {}
        }
    }
    Ok(())
}

/// Solves every case of `path` and compares bits. Another selection of exactly the same cost passes as well.
///
/// # Errors
/// A file that cannot be read or is of another form.
pub fn check_ilp(path: &Path) -> Result<Tally, CheckError> {
    let file: File = read_json(path)?;
    let in_case = |case: usize| move |reason: String| CheckError::Case { path: path.to_owned(), case, reason };
    let groups = Groups::new(&file).map_err(|reason| CheckError::Content { path: path.to_owned(), reason })?;
    let mut tally = Tally::default();
    for (index, case) in file.cases.iter().enumerate() {
        let problem = groups.problem(&case.limit_on, case.limit).map_err(in_case(index))?;
        let name = format!("{} <= {}", case.limit_on, case.limit);
        tally.add(&name, compare(&groups, &problem, case, problem.solve()).into_iter().collect());
    }
    Ok(tally)
}

fn compare(groups: &Groups, problem: &Problem, case: &Case, found: Result<Solution, IlpError>) -> Option<String> {
    let solution = match (found, &case.optimal_bits) {
        (Ok(solution), _) => solution,
        (Err(IlpError::Infeasible { .. } | IlpError::Conflict), None) => return None,
        (Err(IlpError::Infeasible { minimum, .. }), Some(golden)) => {
            return Some(format!("no choice of bits takes less than {minimum}, expected {golden}"));
        }
        (Err(error), golden) => return Some(format!("{error}, expected {}", golden.as_deref().unwrap_or("none"))),
    };
    let bits = groups.bits(&solution.choices);
    let text: String = bits.iter().map(u32::to_string).collect();
    let Some(optimal) = &case.optimal_bits else {
        return Some(format!("bits are {text} (cost {}), expected that none meet the limit", solution.cost));
    };
    let golden: Option<Vec<u32>> = optimal.chars().map(|digit| digit.to_digit(10)).collect();
    let is_tie = |choices: Vec<usize>| {
        let cost = problem.cost(&choices);
        problem.meets_limits(&choices) && (cost - solution.cost).abs() <= TIE * cost.abs().max(solution.cost.abs())
    };
    let agrees = golden.is_some_and(|golden| bits == golden || groups.choices(&golden).is_some_and(is_tie));
    (!agrees).then(|| format!("bits are {text} (cost {}), expected {optimal}", solution.cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two layers of 4 and 8 bits, with cases that are right.
    const FILE: &str = r#"{
        "layers": [
            {"bits": {"4": {"sensitivity": 3, "size": 1}, "8": {"sensitivity": 1, "size": 2}}},
            {"bits": {"4": {"sensitivity": 9, "size": 1}, "8": {"sensitivity": 1, "size": 2}}}],
        "tied": [],
        "cases": [
            {"limit_on": "size", "limit": 3, "optimal_bits": "48"},
            {"limit_on": "size", "limit": 1, "optimal_bits": null}]}"#;

    /// Checks [`FILE`] with one text replaced.
    fn checked(from: &str, to: &str) -> Result<Tally, String> {
        assert!(FILE.contains(from), "{from}");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), FILE.replace(from, to)).expect("writes");
        let without_path = |error: CheckError| error.to_string().replace(&file.path().display().to_string(), "FILE");
        check_ilp(file.path()).map_err(without_path)
    }

    #[test]
    fn right_cases_pass_and_doctored_ones_fail() {
        assert_eq!(checked("48", "48").map(|tally| (tally.passed, tally.failed)), Ok((2, 0)));
        for (from, to) in [
            ("\"48\"", "\"84\""),
            ("\"48\"", "\"488\""),
            ("\"48\"", "\"4\""),
            ("\"48\"", "\"48x\""),
            ("\"48\"", "\"43\""),
            ("\"48\"", "null"),
            ("\"limit\": 3", "\"limit\": 2"),
            ("\"limit\": 3", "\"limit\": 1"),
            ("null", "\"44\""),
            ("\"tied\": []", "\"tied\": [[0, 1]]"),
        ] {
            let tally = checked(from, to).expect("can be used");
            assert_eq!((tally.passed, tally.failed, tally.mismatches.len()), (1, 1, 1), "{from} to {to}");
        }
    }

    #[test]
    fn what_cannot_be_checked_is_told() {
        for (from, to, told) in [
            ("\"tied\": []", "\"tied\": [[]]", "FILE: `tied` has an empty group; leave it out"),
            ("\"tied\": []", "\"tied\": [[2]]", "FILE: `tied` names layer 2, there are 2, counted from 0"),
            (
                "\"tied\": []",
                "\"tied\": [[0], [0]]",
                "FILE: `tied` names layer 0 twice; write what shares bits as one group",
            ),
            (
                "\"limit_on\": \"size\", \"limit\": 3",
                "\"limit_on\": \"time\", \"limit\": 3",
                "FILE: case 0: layer 0 has no `time` at 4 bits",
            ),
        ] {
            assert_eq!(checked(from, to), Err(told.to_owned()), "{to}");
        }
        let cases = &FILE[FILE.find("{\"limit_on").expect("has cases")..FILE.rfind(']').expect("ends")];
        assert!(checked(cases, "").expect_err("nothing is checked").contains("must not be empty"));
    }
}
