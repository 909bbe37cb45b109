//! Accuracy of an image on this host, with the engine and kernels that the board runs.

use bitrack_engine::{Engine, Observer};
use bitrack_kernels::activations;
use rayon::prelude::*;

use crate::bits::Bits;
use crate::dataset::{Dataset, Split};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::quantized::TensorQuant;

/// What an image made of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Which samples these were.
    pub split: Split,
    /// Share of samples whose class was found, 0 to 1.
    pub top1: f64,
    /// The class found for each sample: the first of the largest outputs.
    pub predictions: Vec<u16>,
    /// Output codes of each sample, one byte per class.
    pub outputs: Vec<Vec<u8>>,
}

/// Runs an image on every sample, in parallel.
///
/// # Errors
/// [`Error::Engine`] when the image is not valid; [`Error::Samples`] when the samples have another shape.
pub fn evaluate(image: &[u8], data: &Dataset) -> Result<Evaluation> {
    let image = HostImage::new(image)?;
    data.check_shape(image.input_shape())?;
    let engine = image.engine()?;
    let run = |(arena, sample): &mut (Aligned, Vec<f32>), index: usize| {
        data.read(index, sample);
        let output = engine.run(arena.bytes_mut(), &image.encode(sample)?, &mut ()).map_err(engine_error)?;
        image.decode(output)
    };
    let new = || (Aligned::zeroed(image.arena_len), Vec::new());
    let outputs: Vec<Vec<u8>> = (0..data.len()).into_par_iter().map_init(new, run).collect::<Result<_>>()?;
    let predictions: Vec<u16> = outputs.iter().map(|codes| first_largest(codes)).collect();
    let correct = predictions.iter().zip(data.labels()).filter(|(found, label)| found == label).count();
    Ok(Evaluation { split: data.split(), top1: correct as f64 / data.len() as f64, predictions, outputs })
}

fn first_largest(codes: &[u8]) -> u16 {
    let largest = codes.iter().max();
    codes.iter().position(|code| Some(code) == largest).unwrap_or(0) as u16
}

/// An image ready to run on this host, and the way of samples into it and out of it.
#[derive(Debug)]
pub struct HostImage {
    bytes: Aligned,
    arena_len: usize,
    input: End,
    output: End,
}

/// A tensor as it is packed: the network's input, its output, or what an op writes.
#[derive(Debug, Clone, Copy)]
struct End {
    shape: Shape,
    quant: TensorQuant,
    bytes: usize,
}

impl HostImage {
    /// Takes a copy of an image and validates it as a board does.
    ///
    /// # Errors
    /// [`Error::Engine`] says what is wrong with it.
    pub fn new(image: &[u8]) -> Result<Self> {
        let bytes = Aligned::from(image);
        let engine = Engine::load(bytes.bytes(), usize::MAX).map_err(engine_error)?;
        let arena_len = engine.image().header().arena_len as usize;
        let (input, output) = (End::of(&engine.input())?, End::of(&engine.output())?);
        Ok(Self { bytes, arena_len, input, output })
    }

    /// Shape of a sample.
    pub fn input_shape(&self) -> Shape {
        self.input.shape
    }

    /// Scale and zero point of the input.
    pub fn input_quant(&self) -> TensorQuant {
        self.input.quant
    }

    /// Scale and zero point of the output.
    pub fn output_quant(&self) -> TensorQuant {
        self.output.quant
    }

    /// A sample's packed codes, as they go to a board.
    ///
    /// # Errors
    /// [`Error::Samples`] when the sample has another length.
    pub fn encode(&self, sample: &[f32]) -> Result<Vec<u8>> {
        let codes: Vec<u8> = sample.iter().map(|&value| self.input.quant.code(value)).collect();
        let mut packed = vec![0; self.input.bytes];
        let bits = self.input.quant.bits.into();
        activations::pack(&codes, self.input.shape.c, bits, &mut packed).map_err(|e| Error::Samples(e.to_string()))?;
        Ok(packed)
    }

    /// Output codes, one per byte, of a packed output.
    ///
    /// # Errors
    /// [`Error::Samples`] when it has another length than the output tensor.
    pub fn decode(&self, packed: &[u8]) -> Result<Vec<u8>> {
        self.output.unpack(packed)
    }

    /// Runs one packed input; the packed output.
    ///
    /// # Errors
    /// [`Error::Engine`] when the input has another length than the image's.
    pub fn run(&self, input: &[u8]) -> Result<Vec<u8>> {
        let mut arena = Aligned::zeroed(self.arena_len);
        let output = self.engine()?.run(arena.bytes_mut(), input, &mut ()).map_err(engine_error)?;
        Ok(output.to_vec())
    }

    /// [`HostImage::run`], and the CRC-32 of every op's packed output.
    ///
    /// # Errors
    /// [`Error::Engine`] when the input has another length than the image's.
    pub fn run_with_crcs(&self, input: &[u8]) -> Result<(Vec<u8>, Vec<u32>)> {
        let mut arena = Aligned::zeroed(self.arena_len);
        let mut crcs = Crcs(Vec::new());
        let output = self.engine()?.run(arena.bytes_mut(), input, &mut crcs).map_err(engine_error)?;
        Ok((output.to_vec(), crcs.0))
    }

    /// Codes of every op's output, one per byte, for one packed input: for comparison with other implementations.
    ///
    /// # Errors
    /// [`Error::Engine`] when the input has another length than the image's.
    pub fn trace(&self, input: &[u8]) -> Result<Vec<Vec<u8>>> {
        let engine = self.engine()?;
        let mut arena = Aligned::zeroed(self.arena_len);
        let mut outputs = Outputs(Vec::new());
        engine.run(arena.bytes_mut(), input, &mut outputs).map_err(engine_error)?;
        let tensors = engine.image().ops().map(|op| engine.image().tensor(op.out));
        let unpacked = |(tensor, packed): (Option<bitrack_image::Tensor>, Vec<u8>)| {
            let end = End::of(&tensor.ok_or_else(|| engine_error("an op writes no tensor"))?)?;
            end.unpack(&packed)
        };
        tensors.zip(outputs.0).map(unpacked).collect()
    }

    fn engine(&self) -> Result<Engine<'_>> {
        Engine::load(self.bytes.bytes(), self.arena_len).map_err(engine_error)
    }
}

impl End {
    fn of(tensor: &bitrack_image::Tensor) -> Result<Self> {
        let bits = Bits::try_from(tensor.bits).map_err(Error::Engine)?;
        let shape = Shape::new(tensor.h.into(), tensor.w.into(), tensor.c.into());
        let quant = TensorQuant { bits, scale: tensor.scale, zero: tensor.zero };
        Ok(Self { shape, quant, bytes: tensor.bytes() })
    }

    fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>> {
        let mut codes = vec![0; self.shape.elements()];
        let bits = self.quant.bits.into();
        activations::unpack(packed, self.shape.c, bits, &mut codes).map_err(|e| Error::Samples(e.to_string()))?;
        Ok(codes)
    }
}

/// Keeps what every op wrote.
struct Outputs(Vec<Vec<u8>>);

impl Observer for Outputs {
    fn after(&mut self, _index: u16, output: &[u8]) {
        self.0.push(output.to_vec());
    }
}

/// Notes the checksum of what every op wrote.
struct Crcs(Vec<u32>);

impl Observer for Crcs {
    fn after(&mut self, _index: u16, output: &[u8]) {
        self.0.push(bitrack_image::crc32(output));
    }
}

/// Bytes that start at a multiple of [`bitrack_engine::ALIGN`], which a `Vec<u8>` need not.
#[derive(Debug)]
struct Aligned {
    storage: Vec<u8>,
    offset: usize,
    len: usize,
}

impl Aligned {
    fn zeroed(len: usize) -> Self {
        let storage = vec![0; len + bitrack_engine::ALIGN];
        let offset = storage.as_ptr().align_offset(bitrack_engine::ALIGN);
        Self { storage, offset, len }
    }

    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.bytes_mut().copy_from_slice(bytes);
        aligned
    }

    fn bytes(&self) -> &[u8] {
        &self.storage[self.offset..self.offset + self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.offset..self.offset + self.len]
    }
}

fn engine_error(error: impl std::fmt::Display) -> Error {
    Error::Engine(error.to_string())
}
