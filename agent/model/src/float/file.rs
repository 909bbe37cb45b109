//! A float network as one safetensors file, the way training hands it over.
//!
//! Tensors `LAYER.weight` (`[out, kernel_h, kernel_w, in]`, float32) and `LAYER.bias` (`[out]`); the graph is the
//! JSON string `graph` of the metadata, and `crc32` covers graph and tensors in layer order, because safetensors has no
//! checksum of its own.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{FloatModel, FloatWeights};
use crate::error::{Error, Result};
use crate::graph::{Graph, WeightShape};

/// A tensor on its way into a file.
struct Entry {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    fn view(&self) -> Result<(&str, TensorView<'_>), String> {
        let view = TensorView::new(Dtype::F32, self.shape.clone(), &self.bytes).map_err(text)?;
        Ok((&self.name, view))
    }
}

impl FloatModel {
    /// Writes the network to `path`, whole or not at all (a temporary file in the same folder, then renamed).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = self.to_bytes().map_err(|reason| Error::BadModelFile { path: path.to_owned(), reason })?;
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        std::fs::write(&partial, bytes).map_err(Error::io(&partial))?;
        std::fs::rename(&partial, path).map_err(Error::io(path))
    }

    /// Reads a network that [`FloatModel::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadModelFile`] when it is damaged; what [`FloatModel::new`] checks.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Self::from_bytes(&bytes).map_err(|error| match error {
            Error::Model(reason) => Error::BadModelFile { path: path.to_owned(), reason },
            other => other,
        })
    }

    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let entries = self.entries();
        let graph = graph_json(&self.graph);
        let crc = checksum(&graph, entries.iter().map(|e| e.bytes.as_slice()));
        let metadata = HashMap::from([("graph".to_owned(), graph), ("crc32".to_owned(), format!("{crc:08x}"))]);
        let views = entries.iter().map(Entry::view).collect::<Result<Vec<_>, String>>();
        safetensors::serialize(views?, Some(metadata)).map_err(text)
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (layer, weights) in self.graph.layers.iter().zip(&self.weights) {
            let (Some(shape), Some(weights)) = (self.graph.weight_shape(layer), weights) else { continue };
            let WeightShape { out, kernel, input } = shape;
            entries.push(entry(
                format!("{}.weight", layer.name),
                vec![out, kernel[0], kernel[1], input],
                &weights.values,
            ));
            entries.push(entry(format!("{}.bias", layer.name), vec![out], &weights.bias));
        }
        entries
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::Model(reason);
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| bad(text(e)))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(text(e)))?;
        let field = |key: &str| header.metadata().as_ref().and_then(|m| m.get(key)).cloned();
        let json = field("graph").ok_or_else(|| bad("the metadata has no graph".into()))?;
        let graph: Graph = serde_json::from_str(&json).map_err(|e| bad(format!("graph: {e}")))?;
        graph.check()?;
        let raw = read_entries(&graph, &tensors).map_err(bad)?;
        let computed = checksum(&json, raw.iter().flatten().flat_map(|(w, b)| [*w, *b]));
        if field("crc32") != Some(format!("{computed:08x}")) {
            return Err(bad("checksum does not match".into()));
        }
        let floats = |(w, b): &(&[u8], &[u8])| FloatWeights { values: from_le(w), bias: from_le(b) };
        Self::new(graph, raw.iter().map(|entry| entry.as_ref().map(floats)).collect())
    }
}

/// The graph as it stands in the file's metadata; also what names the model.
pub(crate) fn graph_json(graph: &Graph) -> String {
    serde_json::to_string(graph).expect("a graph has no map with keys that are not strings, and no writer that fails")
}

type RawWeights<'a> = Option<(&'a [u8], &'a [u8])>;

fn read_entries<'a>(graph: &Graph, tensors: &SafeTensors<'a>) -> Result<Vec<RawWeights<'a>>, String> {
    let get = |name: String| {
        let view = tensors.tensor(&name).map_err(|e| format!("{name}: {e}"))?;
        if view.dtype() == Dtype::F32 { Ok(view.data()) } else { Err(format!("{name} is not float32")) }
    };
    let read = |layer: &crate::graph::Layer| {
        if !layer.op.has_weights() {
            return Ok(None);
        }
        Ok(Some((get(format!("{}.weight", layer.name))?, get(format!("{}.bias", layer.name))?)))
    };
    graph.layers.iter().map(read).collect()
}

fn entry(name: String, shape: Vec<usize>, values: &[f32]) -> Entry {
    Entry { name, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
}

fn checksum<'a>(graph: &str, parts: impl Iterator<Item = &'a [u8]>) -> u32 {
    let mut all = graph.as_bytes().to_vec();
    parts.for_each(|part| all.extend_from_slice(part));
    bitrack_image::crc32(&all)
}

fn from_le(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
