//! `hil-agent import`.

use anyhow::Context;
use bitrack_model::graph::Graph;
use bitrack_model::{Imported, import};
use std::path::PathBuf;

/// Read a network and say what is in it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .tflite file, or what `hil-agent train` wrote
    file: PathBuf,
}

/// Prints a summary.
///
/// # Errors
/// A file that cannot be imported; the message names the operator.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let imported = import(&args.file).with_context(|| format!("cannot import {}", args.file.display()))?;
    match &imported {
        Imported::Float(model) => print(model.graph(), "float32"),
        Imported::Quantized(model) => print(model.graph(), "int8"),
    }
    Ok(())
}

fn print(graph: &Graph, numbers: &str) {
    println!("{}: {numbers}, {} -> {}", graph.name, graph.shape(graph.input), graph.shape(graph.output));
    for layer in &graph.layers {
        let weights = graph.weight_shape(layer).map_or(0, |shape| shape.elements());
        let (input, output) = (graph.input_shape(layer).to_string(), graph.shape(layer.output).to_string());
        let macs = graph.macs(layer);
        println!(
            "  {:<24} {:<16} {input:>12} -> {output:<12} {weights:>8} weights {macs:>10} MACs",
            layer.name,
            layer.op.name()
        );
    }
    let weights: usize = graph.layers.iter().filter_map(|l| graph.weight_shape(l)).map(|shape| shape.elements()).sum();
    let macs: usize = graph.layers.iter().map(|layer| graph.macs(layer)).sum();
    println!("{} layers, {weights} weights, {macs} MACs per inference", graph.layers.len());
    let (slots, activations) = (graph.weight_layers().len(), graph.activation_slots().len());
    println!("a policy chooses the bits of {slots} weight tensors and {activations} activation tensors");
}
