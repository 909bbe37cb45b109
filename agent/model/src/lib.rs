//! From a network's file to a flash image, and from an image to its accuracy; all on the host, without libtorch.
//!
//! ```text
//! file ─import─▶ FloatModel ─equalize─▶ Quantizer ─┐
//!                                Policy ───────────┴─quantize─▶ QuantizedModel ─lower─▶ Image ─evaluate─▶ accuracy
//!                                       └─footprint─▶ RAM and flash, without quantizing
//! ```
//!
//! Does not know boards, files other than models and data sets, HTTP, or how policies are found.

mod bits;
mod calibrate;
mod dataset;
mod error;
mod evaluate;
pub mod float;
pub mod graph;
mod lower;
mod plan;
mod policy;
mod quantize;
mod quantized;
pub mod tflite;

pub use bitrack_kernels::Variant;
pub use bits::Bits;
pub use calibrate::{Calibration, Histogram, RangeMethod};
pub use dataset::{Dataset, Samples, Split};
pub use error::{Error, Result};
pub use evaluate::{Evaluation, HostImage, evaluate};
pub use float::{FloatModel, FloatWeights};
pub use lower::{
    Footprint, Image, LowerOptions, Site, Variants, flash, footprint, kernels, lower, ram, ram_by_layer,
    scratch_by_layer, variants,
};
pub use plan::{Demand, MemoryPlan, plan};
pub use policy::Policy;
pub use quantize::{Quantizer, SOFTMAX_QUANT, equalize, quantize};
pub use quantized::{QuantizedModel, QuantizedWeights, TensorQuant};
pub use tflite::Imported;

use std::path::Path;

/// Reads a model: a TensorFlow Lite file (`.tflite`) or a network that [`FloatModel::save`] wrote (any other ending).
///
/// # Errors
/// See [`tflite::load`] and [`FloatModel::load`].
pub fn import(path: &Path) -> Result<Imported> {
    match path.extension() {
        Some(ending) if ending == "tflite" => tflite::load(path),
        _ => FloatModel::load(path).map(Imported::Float),
    }
}
