//! One layer at one combination of widths on one core: what the kernels' bench program prints, and what we write as CSV.

use std::fmt::Write as _;

/// The cores that are emulated, by QEMU's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cpu {
    M4,
    M7,
}

impl Cpu {
    pub fn name(self) -> &'static str {
        match self {
            Cpu::M4 => "cortex-m4",
            Cpu::M7 => "cortex-m7",
        }
    }

    pub fn machine(self) -> &'static str {
        match self {
            Cpu::M4 => "mps2-an386",
            Cpu::M7 => "mps2-an500",
        }
    }
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub network: String,
    pub layer: String,
    pub op: String,
    pub shape: String,
    pub weight_bits: u8,
    /// Of the output and, but for a network's first layer, of the input.
    pub activation_bits: u8,
    pub macs: u64,
    pub instructions: u64,
    pub scratch_bytes: u64,
    pub variant: String,
    /// Whether that is what a compiler takes which knows no better.
    pub usual: bool,
    /// By the model of `firmware/kernels/cycles`.
    pub cycles: Option<u64>,
}

impl Row {
    /// Reads `network,layer,op,shape,wbits,abits,macs,instructions,scratch,variant,usual`.
    pub fn parse(line: &str) -> Option<Row> {
        let fields: Vec<&str> = line.split(',').collect();
        let [network, layer, op, shape, ref numbers @ ..] = fields[..] else { return None };
        let [weight_bits, activation_bits, macs, instructions, scratch, variant, usual] = numbers[..] else {
            return None;
        };
        Some(Row {
            network: network.to_owned(),
            layer: layer.to_owned(),
            op: op.to_owned(),
            shape: shape.to_owned(),
            weight_bits: weight_bits.parse().ok()?,
            activation_bits: activation_bits.parse().ok()?,
            macs: macs.parse().ok()?,
            instructions: instructions.parse().ok()?,
            scratch_bytes: scratch.parse().ok()?,
            variant: variant.to_owned(),
            usual: usual == "1",
            cycles: None,
        })
    }

    /// Weight and activation bits.
    pub fn bits(&self) -> (u8, u8) {
        (self.weight_bits, self.activation_bits)
    }

    pub fn per_mac(&self) -> Option<f64> {
        (self.macs > 0).then(|| self.instructions as f64 / self.macs as f64)
    }

    /// The sum of a network's layers, with the largest scratch.
    pub fn total(layers: &[&Row]) -> Option<Row> {
        let first = layers.first()?;
        Some(Row {
            layer: String::from("TOTAL"),
            op: String::from("model"),
            shape: String::new(),
            variant: String::new(),
            macs: layers.iter().map(|row| row.macs).sum(),
            instructions: layers.iter().map(|row| row.instructions).sum(),
            scratch_bytes: layers.iter().map(|row| row.scratch_bytes).max().unwrap_or(0),
            cycles: layers.iter().map(|row| row.cycles).sum(),
            ..(*first).clone()
        })
    }
}

/// Column names, those of published comparisons of these networks.
pub const CSV_HEAD: &str = "anchor,version_commit,cpu,model,layer,op,shape,wbits,abits,macs,instructions,instr_per_mac,\
                            verified,scratch_bytes,est_m4_cycles_0ws,variant";

/// A row as CSV; `revision` is the source's.
pub fn csv(row: &Row, cpu: Cpu, revision: &str) -> String {
    let mut line = format!("bitrack,{revision},{},{},{},{},{}", cpu.name(), row.network, row.layer, row.op, row.shape);
    let rate = row.per_mac().map_or(String::new(), |rate| format!("{rate:.3}"));
    let verified = if row.layer == "TOTAL" { "sum of layers" } else { "bit-exact" };
    let cycles = row.cycles.map_or(String::new(), |cycles| cycles.to_string());
    let Row { weight_bits, activation_bits, macs, instructions, scratch_bytes, variant, .. } = row;
    let numbers = format!("{weight_bits},{activation_bits},{macs},{instructions},{rate}");
    writeln!(line, ",{numbers},{verified},{scratch_bytes},{cycles},{variant}").expect("a string takes everything");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "KWS DS-CNN,pw1,conv,25x5x64->25x5x64 k1x1 s1,4,8,512000,400000,256,pixels,1";

    #[test]
    fn a_row_keeps_its_columns() {
        let row = Row { cycles: Some(7), ..Row::parse(LINE).unwrap() };
        let expected = "bitrack,abc,cortex-m4,KWS DS-CNN,pw1,conv,25x5x64->25x5x64 k1x1 s1,4,8,512000,400000,0.781,\
                        bit-exact,256,7,pixels\n";
        assert_eq!(csv(&row, Cpu::M4, "abc"), expected);
        assert_eq!(CSV_HEAD.split(',').count(), expected.split(',').count());
        assert_eq!(Row::parse("# 2430 cases"), None);
    }

    #[test]
    fn a_total_has_cycles_only_if_all_layers_have() {
        let row = Row::parse(LINE).unwrap();
        let estimated = Row { cycles: Some(7), ..row.clone() };
        let sum = Row::total(&[&estimated, &estimated]).unwrap();
        assert_eq!((sum.instructions, sum.scratch_bytes, sum.cycles), (800_000, 256, Some(14)));
        assert_eq!(Row::total(&[&estimated, &row]).unwrap().cycles, None);
    }
}
