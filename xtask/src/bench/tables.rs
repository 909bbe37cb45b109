//! The figures for people: whole networks beside other libraries, and single layers per multiply-accumulate.

use super::anchors::{CMIX_NN, CMSIS_NN};
use super::row::{Cpu, Row};

/// Networks in the order of [`super::anchors::Anchor::totals`], with the short names of the tables.
const NETWORKS: [(&str, &str); 4] =
    [("KWS DS-CNN", "KWS"), ("IC ResNet-8", "IC"), ("VWW MobileNetV1-0.25", "VWW"), ("AD autoencoder", "AD")];

/// Widths, 8/8 first: the others are given as a ratio to it.
const BITS: [(u8, u8); 9] = [(8, 8), (8, 4), (8, 2), (4, 8), (4, 4), (4, 2), (2, 8), (2, 4), (2, 2)];

/// The layers of one network at one pair of widths.
pub fn layers<'a>(rows: &'a [Row], network: &str, bits: (u8, u8)) -> Vec<&'a Row> {
    rows.iter().filter(|row| row.network == network && row.bits() == bits).collect()
}

/// All networks' sums that a set of rows has, of the usual variants.
pub fn totals(rows: &[Row]) -> Vec<Row> {
    let usual = |rows: Vec<_>| rows.into_iter().filter(|row: &&Row| row.usual).collect::<Vec<_>>();
    let all = NETWORKS.iter().flat_map(|(name, _)| BITS.map(|bits| usual(layers(rows, name, bits))));
    all.filter_map(|layers| Row::total(&layers)).collect()
}

/// Whole networks on one core.
pub fn print_totals(rows: &[Row], cpu: Cpu) {
    println!("\n{} (emulated), instructions per inference; in brackets the ratio to our 8/8", cpu.name());
    print!("{:<14}", "bits w/a");
    NETWORKS.iter().for_each(|(_, short)| print!("{short:>20}"));
    println!();
    let of = |network, bits| Row::total(&layers(rows, network, bits)).map_or(0, |total| total.instructions);
    let ours = NETWORKS.map(|(network, _)| of(network, BITS[0]));
    for anchor in CMSIS_NN.iter().filter(|anchor| anchor.cpu == cpu) {
        print_line(anchor.name, anchor.totals, ours);
    }
    for bits in BITS {
        print_line(&format!("{}/{}", bits.0, bits.1), NETWORKS.map(|(network, _)| of(network, bits)), ours);
    }
}

fn print_line(name: &str, counts: [u64; 4], ours: [u64; 4]) {
    print!("{name:<14}");
    for (count, eight) in counts.into_iter().zip(ours) {
        print!("{count:>12} ({:>4.2})", count as f64 / eight as f64);
    }
    println!();
}

/// Estimated cycles of whole networks, if they were estimated.
pub fn print_cycles(rows: &[Row]) {
    let Some(_) = rows.iter().find(|row| row.cycles.is_some()) else { return };
    println!("\nestimated Cortex-M4 cycles per inference, no wait states; not measured on any chip");
    println!(
        "  model: instructions + 1 per load not overlapped by the one before + 1 per register of LDM, STM, LDRD, STRD \
         + 2 per taken branch + 6 per divide"
    );
    for bits in BITS {
        print!("{:<14}", format!("{}/{}", bits.0, bits.1));
        for (network, _) in NETWORKS {
            let cycles = Row::total(&layers(rows, network, bits)).and_then(|total| total.cycles);
            print!("{:>20}", cycles.map_or(String::from("-"), |cycles| cycles.to_string()));
        }
        println!();
    }
}

/// Layers beside CMix-NN's.
pub fn print_sub_byte(rows: &[Row]) {
    println!("\nCMix-NN's best correct figures, and ours as a part of them");
    for anchor in CMIX_NN {
        print!("{:<22}{:<10}", anchor.network, anchor.layer);
        for (bits, theirs) in anchor.figures {
            let ours = layers(rows, anchor.network, *bits).into_iter().find(|row| row.layer == anchor.layer);
            let ratio = ours.map_or(f64::NAN, |row| row.instructions as f64 / *theirs as f64);
            print!("  {}/{} {theirs} {ratio:.2}", bits.0, bits.1);
        }
        println!();
    }
}

/// Instructions per multiply-accumulate of each layer at every pair of widths; those without weights, instructions.
pub fn print_layers(rows: &[Row]) {
    println!("\ninstructions per multiply-accumulate (of layers without any, instructions) by w/a");
    print!("{:<22}{:<18}{:<34}", "network", "layer", "shape");
    BITS.iter().for_each(|(w, a)| print!("{:>9}", format!("{w}/{a}")));
    println!();
    for first in rows.iter().filter(|row| row.bits() == BITS[0]) {
        print!("{:<22}{:<18}{:<34}", first.network, first.layer, first.shape);
        for bits in BITS {
            let row = layers(rows, &first.network, bits).into_iter().find(|row| row.layer == first.layer);
            let cell = row.map_or(String::from("-"), |row| match row.per_mac() {
                Some(rate) => format!("{rate:.2}"),
                None => row.instructions.to_string(),
            });
            print!("{cell:>9}");
        }
        println!();
    }
}

/// Widths at which all variants are counted.
const VARIANT_BITS: [(u8, u8); 3] = [(8, 8), (4, 4), (2, 2)];

/// Instructions, estimated cycles and bytes of scratch of shapes for which there are several variants, the usual one first.
pub fn print_variants(usual: &[Row], others: &[Row]) {
    println!("\nvariants: instructions (estimated cycles) by w/a, and scratch in bytes at 8/8");
    let mut done: Vec<&str> = Vec::new();
    for first in usual.iter().filter(|row| row.bits() == VARIANT_BITS[0]) {
        let of_layer = |row: &&Row| (&row.network, &row.layer) == (&first.network, &first.layer);
        let rows: Vec<&Row> = usual.iter().chain(others).filter(of_layer).collect();
        if done.contains(&first.shape.as_str()) || rows.iter().all(|row| row.usual) {
            continue;
        }
        done.push(&first.shape);
        let mut names: Vec<&str> = Vec::new();
        for row in &rows {
            if !names.contains(&row.variant.as_str()) {
                names.push(&row.variant);
            }
        }
        names.iter().for_each(|name| print_variant(first, name, &rows));
    }
}

fn print_variant(layer: &Row, name: &str, rows: &[&Row]) {
    print!("{:<8}{:<34}{name:<10}", layer.op, layer.shape);
    let of = |bits| rows.iter().find(|row| row.variant == name && row.bits() == bits);
    for bits in VARIANT_BITS {
        let cell = of(bits).map_or(String::from("-"), |row| {
            let cycles = row.cycles.map_or(String::from("-"), |cycles| cycles.to_string());
            format!("{} ({cycles})", row.instructions)
        });
        print!("{cell:>22}");
    }
    println!("{:>8}", of(VARIANT_BITS[0]).map_or(0, |row| row.scratch_bytes));
}
