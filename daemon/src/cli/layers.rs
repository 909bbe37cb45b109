//! Layer by layer: how a candidate computes its own, and what the variants of kernels take for those of a campaign.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::args::Format;
use super::client::Client;
use super::exit::{self, Failure};
use super::table::Table;
use crate::types::{Candidate, CandidateDetail, Layer, VariantCosts};

/// `hil campaign show NAME --episode N`
pub fn of_episode(client: &Client, campaign: &str, episode: u32, format: Format) -> Result<(), Failure> {
    let candidates: Vec<Candidate> = client.get(&format!("campaigns/{campaign}/candidates"))?;
    let Some(candidate) = candidates.iter().find(|candidate| candidate.index == episode) else {
        let failure = Failure::error(format!("campaign {campaign} has no episode {episode}"));
        return Err(Failure { code: exit::NOT_FOUND, ..failure }.help(format!("hil campaign show {campaign}")));
    };
    if format == Format::Json {
        let detail: CandidateDetail = detail(client, candidate)?;
        println!("{:#}", json!(detail));
        return Ok(());
    }
    of(client, candidate)?.print(format)
}

/// The layers of a candidate.
pub fn of(client: &Client, candidate: &Candidate) -> Result<Table, Failure> {
    Ok(table(&detail(client, candidate)?.layers, candidate.unit.as_deref().unwrap_or("ticks")))
}

fn detail(client: &Client, candidate: &Candidate) -> Result<CandidateDetail, Failure> {
    client.get(&format!("candidates/{}", candidate.id))
}

fn table(layers: &[Layer], unit: &str) -> Table {
    let mut table = Table::new(&["#", "layer", "kind", "variant", "weights", "in", "out", unit]);
    let row = |layer: &Layer| -> Vec<Value> {
        let bits = &layer.bits;
        vec![
            json!(layer.index),
            json!(bits.name),
            json!(bits.kind),
            json!(bits.variant),
            json!(bits.weight_bits),
            json!(bits.input_bits),
            json!(bits.output_bits),
            json!(layer.ticks),
        ]
    };
    table.rows = layers.iter().map(row).collect();
    table
}

/// `hil campaign layers NAME`
pub fn variants(client: &Client, campaign: &str, layer: Option<&str>, format: Format) -> Result<(), Failure> {
    let mut costs: Vec<VariantCosts> = client.get(&format!("campaigns/{campaign}/layer-variants"))?;
    costs.retain(|cost| layer.is_none_or(|name| cost.layers.iter().any(|other| other == name)));
    if costs.is_empty() {
        let which = layer.map_or_else(|| "no layer".to_owned(), |name| format!("layer {name}, if there is one,"));
        let failure =
            Failure::error(format!("{which} of {campaign} was measured by more than one variant of its kernel"));
        return Err(Failure { code: exit::NOT_FOUND, ..failure }.help("hil campaign profile NAME"));
    }
    if format == Format::Json {
        println!("{:#}", json!(costs));
        return Ok(());
    }
    variant_table(&costs).print(format)
}

/// A column for every variant that was measured, then by how many per cent the slowest takes longer than the fastest, and what is in use.
fn variant_table(costs: &[VariantCosts]) -> Table {
    let names: BTreeSet<&str> = costs.iter().flat_map(|c| &c.costs).map(|cost| cost.variant.as_str()).collect();
    let mut table = Table::new(&["board type", "layers", "weights", "in", "out"]);
    table.columns.extend(names.iter().map(|name| (*name).to_owned()));
    table.columns.extend(["fastest", "slowest %", "latest"].map(str::to_owned));
    let row = |c: &VariantCosts| -> Vec<Value> {
        let ticks = |name: &&str| c.costs.iter().find(|cost| cost.variant == **name).map(|cost| cost.ticks.round());
        let fastest = c.costs.first();
        let over = fastest.zip(c.costs.last()).map(|(fastest, slowest)| 100.0 * (slowest.ticks / fastest.ticks - 1.0));
        let bits = [json!(c.weight_bits), json!(c.input_bits), json!(c.output_bits)];
        let mut row = vec![json!(c.board_type), json!(layers(c))];
        row.extend(bits);
        row.extend(names.iter().map(|name| json!(ticks(name))));
        row.extend([
            json!(fastest.map(|f| &f.variant)),
            json!(over.map(|o| (o * 10.0).round() / 10.0)),
            json!(c.latest),
        ]);
        row
    };
    table.rows = costs.iter().map(row).collect();
    table
}

/// The first layer's name, and how many are like it.
fn layers(costs: &VariantCosts) -> String {
    match costs.layers.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidates_layers_tell_their_variant() {
        let layer = |index: u32, kind: &str, variant: Option<&str>, bits: Option<u8>| -> Layer {
            serde_json::from_value(json!({
                "index": index, "name": format!("{kind}_{index}"), "kind": kind, "weight_bits": bits, "input_bits": 8,
                "output_bits": 4, "variant": variant, "ticks": 1000 * index,
            }))
            .expect("a layer")
        };
        let layers = [layer(1, "depthwise", Some("map"), Some(4)), layer(2, "average_pool", None, None)];
        insta::assert_snapshot!(table(&layers, "instructions").render(Format::Table), @r"
        #  layer           kind          variant  weights  in  out  instructions
        -  --------------  ------------  -------  -------  --  ---  ------------
        1  depthwise_1     depthwise     map            4   8    4          1000
        2  average_pool_2  average_pool  -              -   8    4          2000
        ");
    }

    #[test]
    fn variants_stand_side_by_side_and_the_fastest_is_named() {
        let costs: VariantCosts = serde_json::from_value(json!({
            "board_type": "mps2-an386", "layers": ["dw_1", "dw_3"], "geometry": "depthwise ...", "weight_bits": 4, "input_bits": 8,
            "output_bits": 2, "latest": "map", "costs": [
                { "variant": "map", "samples": 3, "ticks": 158_577.0 }, { "variant": "rows", "samples": 1, "ticks": 174_447.4 },
            ],
        }))
        .expect("costs");
        let alone = VariantCosts { layers: vec!["pw_2".into()], latest: None, ..costs.clone() };
        insta::assert_snapshot!(variant_table(&[costs, alone]).render(Format::Table), @r"
        board type  layers           weights  in  out     map    rows  fastest  slowest %  latest
        ----------  ---------------  -------  --  ---  ------  ------  -------  ---------  ------
        mps2-an386  dw_1 and 1 more        4   8    2  158577  174447  map             10  map
        mps2-an386  pw_2                   4   8    2  158577  174447  map             10  -
        ");
    }
}
