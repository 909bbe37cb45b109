//! Import of TensorFlow Lite files: float32 networks, and int8 ones with their scales exactly as they are.
//!
//! Supported: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, AVERAGE_POOL_2D, MAX_POOL_2D, MEAN over height and width, ADD,
//! RESHAPE, SOFTMAX, and PAD in front of a convolution; fused RELU and RELU6; batch 1, no dilation.
//! Everything else is refused with the operator's name and index.

mod constants;
mod numbers;
mod operators;
mod schema;

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::float::FloatModel;
use crate::graph::{Graph, Op, Shape, TensorId};
use crate::quantized::QuantizedModel;
use constants::ElementType;

/// A file's network.
#[derive(Debug, Clone, PartialEq)]
pub enum Imported {
    /// float32 weights: to be quantized by a policy.
    Float(FloatModel),
    /// int8 weights and activations: runs as it is.
    Quantized(QuantizedModel),
}

impl Imported {
    /// The topology.
    pub fn graph(&self) -> &Graph {
        match self {
            Self::Float(model) => model.graph(),
            Self::Quantized(model) => model.graph(),
        }
    }
}

/// Reads a TensorFlow Lite file. The network is named after the file.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadModelFile`] when the bytes are damaged; [`Error::Operator`] when an operator is not supported.
pub fn load(path: &Path) -> Result<Imported> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let name = path.file_stem().map_or("model".into(), |s| s.to_string_lossy().into_owned());
    parse(&bytes, &name).map_err(|error| match error {
        Error::Model(reason) => Error::BadModelFile { path: path.to_owned(), reason },
        other => other,
    })
}

/// [`load`] for bytes already read. No input makes it panic.
pub fn parse(bytes: &[u8], name: &str) -> Result<Imported> {
    let model = schema::root(bytes).map_err(Error::Model)?;
    let mut importer = Importer::new(model, name)?;
    let operators = importer.subgraph.operators().ok_or_else(|| Error::Model("has no operators".into()))?;
    for (index, operator) in operators.iter().enumerate() {
        let name = operators::name(&model, &operator);
        operators::import(&mut importer, &operator).map_err(|reason| Error::operator(index, &name, reason))?;
    }
    importer.finish()
}

/// Where a layer's constants are in the file.
#[derive(Debug, Clone, Copy)]
struct WeightSource {
    weights: i32,
    bias: Option<i32>,
    /// Weights are stored `[taps][channels]`.
    channels_last: bool,
}

/// An explicit PAD waiting for the convolution that absorbs it.
#[derive(Debug, Clone, Copy)]
struct Padded {
    source: i32,
    /// Rows and columns before and after.
    before: [usize; 2],
    after: [usize; 2],
}

/// The graph under construction.
struct Importer<'a> {
    model: schema::Model<'a>,
    subgraph: schema::SubGraph<'a>,
    tensors: Vec<schema::Tensor<'a>>,
    element: ElementType,
    graph: Graph,
    /// The file's tensor number of each of our tensors, to look up its quantization.
    sources: Vec<i32>,
    ids: HashMap<i32, TensorId>,
    padded: HashMap<i32, Padded>,
    weights: Vec<Option<WeightSource>>,
}

impl<'a> Importer<'a> {
    fn new(model: schema::Model<'a>, name: &str) -> Result<Self> {
        let bad = |reason: &str| Error::Model(reason.to_owned());
        let subgraphs =
            model.subgraphs().filter(|s| s.len() == 1).ok_or_else(|| bad("must have exactly one subgraph"))?;
        let subgraph = subgraphs.get(0);
        let tensors: Vec<_> = subgraph.tensors().ok_or_else(|| bad("has no tensors"))?.iter().collect();
        let input = single(subgraph.inputs()).ok_or_else(|| bad("must have exactly one input"))?;
        let tensor = tensors.get(input as usize).ok_or_else(|| bad("input is not a tensor"))?;
        let shape = shape(tensor).map_err(|reason| Error::Model(format!("input: {reason}")))?;
        let element = ElementType::of(tensor);
        if !matches!(element, ElementType::Float32 | ElementType::Int8) {
            return Err(Error::Model(format!("input is {element}: only float32 and int8 are supported")));
        }
        let graph = Graph::new(name, shape);
        let ids = HashMap::from([(input, TensorId(0))]);
        let (sources, padded, weights) = (vec![input], HashMap::new(), Vec::new());
        Ok(Self { model, subgraph, tensors, element, graph, sources, ids, padded, weights })
    }

    fn tensor(&self, number: i32) -> Result<&schema::Tensor<'a>, String> {
        usize::try_from(number)
            .ok()
            .and_then(|n| self.tensors.get(n))
            .ok_or_else(|| format!("tensor {number} does not exist"))
    }

    /// Our id of an activation tensor that an earlier operator wrote.
    fn id(&self, number: i32) -> Result<TensorId, String> {
        if self.padded.contains_key(&number) {
            return Err("reads the output of a PAD, which only a convolution can absorb".into());
        }
        self.ids.get(&number).copied().ok_or_else(|| format!("reads tensor {number}, which nothing wrote"))
    }

    /// Shape of an activation tensor in the file, which must have the network's element type.
    fn activation_shape(&self, number: i32) -> Result<Shape, String> {
        let tensor = self.tensor(number)?;
        match ElementType::of(tensor) {
            found if found == self.element => shape(tensor),
            found => Err(format!("tensor {number} is {found} in a network of {}", self.element)),
        }
    }

    /// Appends a layer that writes the file's tensor `output`.
    fn push(
        &mut self,
        op: Op,
        inputs: Vec<TensorId>,
        output: i32,
        weights: Option<WeightSource>,
    ) -> Result<(), String> {
        let shape = self.activation_shape(output)?;
        if self.ids.contains_key(&output) {
            return Err(format!("writes tensor {output}, which was written before"));
        }
        let id = self.append(op, inputs, shape, output, weights);
        self.ids.insert(output, id);
        Ok(())
    }

    /// Appends a layer whose output stands for the file's tensor `source` (or a reshaped view of it).
    fn append(
        &mut self,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Shape,
        source: i32,
        weights: Option<WeightSource>,
    ) -> TensorId {
        self.weights.push(weights);
        self.sources.push(source);
        self.graph.push(op, inputs, shape)
    }

    fn finish(mut self) -> Result<Imported> {
        let output =
            single(self.subgraph.outputs()).ok_or_else(|| Error::Model("must have exactly one output".into()))?;
        self.graph.output = self.id(output).map_err(|reason| Error::Model(format!("output: {reason}")))?;
        self.graph.check()?;
        match self.element {
            ElementType::Float32 => self.float_model().map(Imported::Float),
            _ => self.quantized_model().map(Imported::Quantized),
        }
    }
}

fn single(numbers: Option<flatbuffers::Vector<'_, i32>>) -> Option<i32> {
    numbers.filter(|v| v.len() == 1).map(|v| v.get(0))
}

/// Our shape of an activation tensor: `[1, h, w, c]`, `[1, w, c]` or `[1, c]`.
fn shape(tensor: &schema::Tensor<'_>) -> Result<Shape, String> {
    let dims = constants::dims(tensor);
    let dynamic = tensor.shape_signature().is_some_and(|s| s.iter().skip(1).any(|d| d < 0));
    let sizes: Option<Vec<usize>> =
        dims.iter().map(|&d| usize::try_from(d).ok().filter(|&d| d > 0 && d < 1 << 16)).collect();
    match sizes.as_deref() {
        _ if dynamic => Err(format!("shape {dims:?} is dynamic")),
        Some(&[1, h, w, c]) => Ok(Shape::new(h, w, c)),
        Some(&[1, w, c]) => Ok(Shape::new(1, w, c)),
        Some(&[1, c]) => Ok(Shape::new(1, 1, c)),
        _ => Err(format!("shape {dims:?} is not supported: batch 1 and 2 to 4 dimensions are")),
    }
}
