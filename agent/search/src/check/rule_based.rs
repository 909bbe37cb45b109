//! Cases of rule-based bit cutting.

use super::{CheckError, Tally, differs, read_json};
use crate::rules::{Chain, CutPolicy, Infeasible, Scheme};
use bitrack_model::Bits;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

#[derive(Debug, Deserialize)]
struct File {
    nets: HashMap<String, Chain>,
    rule_based: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    /// Name of the network; without it the name is `RES_ALPHA`.
    net: Option<String>,
    #[serde(default)]
    alpha: f64,
    #[serde(default)]
    res: u32,
    mode: Scheme,
    flash: u64,
    ram: u64,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Expected {
    Ok(Golden),
    RamInfeasible,
    FlashInfeasible,
}

#[derive(Debug, Deserialize)]
struct Golden {
    w_bits: Vec<u8>,
    a_out_bits: Vec<u8>,
    weight_bytes: u64,
    qparam_bytes: u64,
    flash_bytes: u64,
    peak_ram: u64,
}

impl Case {
    fn net(&self) -> String {
        self.net.clone().unwrap_or_else(|| format!("{}_{:?}", self.res, self.alpha))
    }

    fn compare(&self, found: &Result<CutPolicy, Infeasible>) -> Vec<String> {
        match (&self.expected, found) {
            (Expected::Ok(golden), Ok(policy)) => golden.compare(policy),
            (Expected::RamInfeasible, Err(Infeasible::Ram { .. }))
            | (Expected::FlashInfeasible, Err(Infeasible::Flash { .. })) => Vec::new(),
            (Expected::Ok(_), Err(error)) => vec![format!("infeasible ({error}), expected a policy")],
            (Expected::RamInfeasible, _) => vec![format!("{found:?}, expected too little RAM")],
            (Expected::FlashInfeasible, _) => vec![format!("{found:?}, expected too little flash")],
        }
    }
}

impl Golden {
    fn compare(&self, policy: &CutPolicy) -> Vec<String> {
        let numbers = |bits: &[Bits]| bits.iter().map(|b| b.get()).collect::<Vec<_>>();
        [
            differs("w_bits", &self.w_bits, &numbers(&policy.weights)),
            differs("a_out_bits", &self.a_out_bits, &numbers(&policy.activations)),
            differs("weight_bytes", &self.weight_bytes, &policy.weight_bytes),
            differs("qparam_bytes", &self.qparam_bytes, &policy.parameter_bytes),
            differs("flash_bytes", &self.flash_bytes, &policy.flash_bytes()),
            differs("peak_ram", &self.peak_ram, &policy.peak_ram),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Recomputes every case of `path` and compares bits, bytes, peak RAM and, for infeasible ones, which limit is at fault.
///
/// # Errors
/// A file that cannot be read or is of another form.
pub fn check_rule_based(path: &Path) -> Result<Tally, CheckError> {
    let file: File = read_json(path)?;
    if file.rule_based.is_empty() {
        let reason = "there is nothing to check: `rule_based` must not be empty".into();
        return Err(CheckError::Content { path: path.to_owned(), reason });
    }
    let mut tally = Tally::default();
    for (index, case) in file.rule_based.iter().enumerate() {
        let net = case.net();
        let missing = || CheckError::Case { path: path.to_owned(), case: index, reason: format!("no network `{net}`") };
        let chain = file.nets.get(&net).ok_or_else(missing)?;
        let found = chain.cut(case.mode, case.flash, case.ram);
        let name = format!("{net} {:?} flash {} ram {}", case.mode, case.flash, case.ram);
        tally.add(&name, case.compare(&found));
    }
    Ok(tally)
}
