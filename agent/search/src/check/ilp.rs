//! Cases of exact bit allocation from published tables.

use super::{CheckError, Tally, read_json};
use crate::ilp::{Choice, IlpError, Problem, Solution};
use serde::Deserialize;
use std::collections::BTreeMap;
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
    /// One digit per layer.
    optimal_bits: String,
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
        let mut members: Vec<Vec<usize>> = file.tied.clone();
        let tied = |layer: &usize| file.tied.iter().any(|group| group.contains(layer));
        members.extend((0..file.layers.len()).filter(|layer| !tied(layer)).map(|layer| vec![layer]));
        if let Some(layer) = file.tied.iter().flatten().find(|&&layer| layer >= file.layers.len()) {
            return Err(format!("`tied` names layer {layer}, there are {}", file.layers.len()));
        }
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

    /// The choices that a case says are optimal; `None` when it breaks a tie or names an unknown width.
    fn choices(&self, bits: &[u32]) -> Option<Vec<usize>> {
        let choice = |(members, widths): (&Vec<usize>, &Vec<u32>)| {
            let width = *bits.get(members[0])?;
            let same = members.iter().all(|&layer| bits.get(layer) == Some(&width));
            widths.iter().position(|&w| w == width).filter(|_| same)
        };
        self.members.iter().zip(&self.widths).map(choice).collect()
    }
}

/// Solves every case of `path` and compares bits. Another selection of exactly the same cost passes as well.
///
/// # Errors
/// A file that cannot be read or is of another form.
pub fn check_ilp(path: &Path) -> Result<Tally, CheckError> {
    let file: File = read_json(path)?;
    let in_case = |case: usize| move |reason: String| CheckError::Case { path: path.to_owned(), case, reason };
    let groups = Groups::new(&file).map_err(in_case(0))?;
    let mut tally = Tally::default();
    for (index, case) in file.cases.iter().enumerate() {
        let problem = groups.problem(&case.limit_on, case.limit).map_err(in_case(index))?;
        let name = format!("{} <= {}", case.limit_on, case.limit);
        tally.add(&name, compare(&groups, &problem, case, problem.solve()).into_iter().collect());
    }
    Ok(tally)
}

fn compare(groups: &Groups, problem: &Problem, case: &Case, found: Result<Solution, IlpError>) -> Option<String> {
    let solution = match found {
        Ok(solution) => solution,
        Err(error) => return Some(format!("{error}, expected {}", case.optimal_bits)),
    };
    let golden: Vec<u32> = case.optimal_bits.chars().filter_map(|digit| digit.to_digit(10)).collect();
    let bits = groups.bits(&solution.choices);
    let is_tie = |choices: Vec<usize>| {
        let cost = problem.cost(&choices);
        problem.meets_limits(&choices) && (cost - solution.cost).abs() <= TIE * cost.abs().max(solution.cost.abs())
    };
    if bits == golden || groups.choices(&golden).is_some_and(is_tie) {
        return None;
    }
    let text: String = bits.iter().map(u32::to_string).collect();
    Some(format!("bits are {text} (cost {}), expected {}", solution.cost, case.optimal_bits))
}
