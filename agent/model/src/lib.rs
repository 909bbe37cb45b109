//! From a network's file to a flash image, and from an image to its accuracy; all on the host, without libtorch.
//!
//! ```text
//! file ─import─▶ FloatModel ─calibrate─▶ Calibration ─┐
//!                                    Policy ──────────┴─quantize─▶ QuantizedModel ─lower─▶ image ─evaluate─▶ accuracy
//! ```
//!
//! Does not know boards, files other than models and data sets, HTTP, or how policies are found.

mod bits;
mod dataset;
mod error;
pub mod float;
pub mod graph;
mod quantized;
pub mod tflite;

pub use bits::Bits;
pub use dataset::{Dataset, Samples, Split};
pub use error::{Error, Result};
pub use float::{FloatModel, FloatWeights};
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
