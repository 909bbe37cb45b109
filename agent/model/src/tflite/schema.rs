//! The tables of TensorFlow Lite's FlatBuffers schema that the importer reads, with the schema's field numbers
//! (tensorflow/compiler/mlir/lite/schema/schema.fbs).
//!
//! [`root`] verifies every offset before anything is read: a damaged file is an error, never a wild read.

use flatbuffers::{Follow, ForwardsUOffset, InvalidFlatbuffer, Table, Vector, Verifiable, Verifier, VerifierOptions};

type Numbers<'a, T> = ForwardsUOffset<Vector<'a, T>>;
type Tables<'a, T> = ForwardsUOffset<Vector<'a, ForwardsUOffset<T>>>;

/// Byte offset of field `number` in a table's vtable.
const fn slot(number: u16) -> u16 {
    4 + 2 * number
}

/// Declares a table: its fields' types and numbers become a verifier and one accessor each.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty = $number:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(Table<'a>);

        impl<'a> Follow<'a> for $name<'a> {
            type Inner = Self;
            unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {
                // SAFETY: the caller of `follow` promises a valid table at `loc`.
                Self(unsafe { Table::new(buf, loc) })
            }
        }

        impl<'a> Verifiable for $name<'a> {
            fn run_verifier(v: &mut Verifier, pos: usize) -> Result<(), InvalidFlatbuffer> {
                v.visit_table(pos)?
                    $(.visit_field::<$ty>(stringify!($field), slot($number), false)?)*
                    .finish();
                Ok(())
            }
        }

        impl<'a> $name<'a> {
            $(pub fn $field(&self) -> Option<<$ty as Follow<'a>>::Inner> {
                // SAFETY: `root` verified this table with the same type for the same field.
                unsafe { self.0.get::<$ty>(slot($number), None) }
            })*
        }
    };
}

table!(Model {
    operator_codes: Tables<'a, OperatorCode<'a>> = 1,
    subgraphs: Tables<'a, SubGraph<'a>> = 2,
    buffers: Tables<'a, Buffer<'a>> = 4,
});

table!(OperatorCode { deprecated_builtin_code: i8 = 0, builtin_code: i32 = 3 });

table!(SubGraph {
    tensors: Tables<'a, Tensor<'a>> = 0,
    inputs: Numbers<'a, i32> = 1,
    outputs: Numbers<'a, i32> = 2,
    operators: Tables<'a, Operator<'a>> = 3,
});

table!(Tensor {
    shape: Numbers<'a, i32> = 0,
    kind: i8 = 1,
    buffer: u32 = 2,
    quantization: ForwardsUOffset<Quantization<'a>> = 4,
    shape_signature: Numbers<'a, i32> = 7,
});

table!(Quantization {
    scale: Numbers<'a, f32> = 2,
    zero_point: Numbers<'a, i64> = 3,
    quantized_dimension: i32 = 6,
});

table!(Buffer { data: Numbers<'a, u8> = 0 });

table!(Conv2dOptions {
    padding: i8 = 0,
    stride_w: i32 = 1,
    stride_h: i32 = 2,
    activation: i8 = 3,
    dilation_w: i32 = 4,
    dilation_h: i32 = 5,
});

table!(DepthwiseConv2dOptions {
    padding: i8 = 0,
    stride_w: i32 = 1,
    stride_h: i32 = 2,
    activation: i8 = 4,
    dilation_w: i32 = 5,
    dilation_h: i32 = 6,
});

table!(Pool2dOptions {
    padding: i8 = 0,
    stride_w: i32 = 1,
    stride_h: i32 = 2,
    filter_w: i32 = 3,
    filter_h: i32 = 4,
    activation: i8 = 5,
});

table!(FullyConnectedOptions { activation: i8 = 0, weights_format: i8 = 1 });

table!(SoftmaxOptions { beta: f32 = 0 });

table!(AddOptions { activation: i8 = 0 });

/// An operator. Written by hand because its options are a union, verified as the type it says it is.
#[derive(Clone, Copy)]
pub struct Operator<'a>(Table<'a>);

const OPCODE_INDEX: u16 = slot(0);
const INPUTS: u16 = slot(1);
const OUTPUTS: u16 = slot(2);
const OPTIONS_TYPE: u16 = slot(3);
const OPTIONS: u16 = slot(4);

impl<'a> Follow<'a> for Operator<'a> {
    type Inner = Self;
    unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {
        // SAFETY: the caller of `follow` promises a valid table at `loc`.
        Self(unsafe { Table::new(buf, loc) })
    }
}

impl Verifiable for Operator<'_> {
    fn run_verifier(v: &mut Verifier, pos: usize) -> Result<(), InvalidFlatbuffer> {
        v.visit_table(pos)?
            .visit_field::<u32>("opcode_index", OPCODE_INDEX, false)?
            .visit_field::<Numbers<'_, i32>>("inputs", INPUTS, false)?
            .visit_field::<Numbers<'_, i32>>("outputs", OUTPUTS, false)?
            .visit_union::<u8, _>("options_type", OPTIONS_TYPE, "options", OPTIONS, false, verify_options)?
            .finish();
        Ok(())
    }
}

/// A table that is an operator's options, with its number in the union.
pub trait Options<'a>: Follow<'a, Inner = Self> + 'a {
    const TYPE: u8;
}

macro_rules! options {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(impl<'a> Options<'a> for $name<'a> { const TYPE: u8 = $number; })*

        /// Options of other types are not verified, and [`Operator::options`] never reads them.
        fn verify_options(kind: u8, v: &mut Verifier, pos: usize) -> Result<(), InvalidFlatbuffer> {
            match kind {
                $($number => v.verify_union_variant::<ForwardsUOffset<$name<'_>>>(stringify!($name), pos),)*
                _ => Ok(()),
            }
        }
    };
}

options!(
    Conv2dOptions = 1,
    DepthwiseConv2dOptions = 2,
    Pool2dOptions = 5,
    FullyConnectedOptions = 8,
    SoftmaxOptions = 9,
    AddOptions = 11,
);

impl<'a> Operator<'a> {
    pub fn opcode_index(&self) -> u32 {
        // SAFETY: `root` verified this field as u32.
        unsafe { self.0.get::<u32>(OPCODE_INDEX, Some(0)) }.unwrap_or(0)
    }

    pub fn inputs(&self) -> Vec<i32> {
        // SAFETY: `root` verified this field as a vector of i32.
        unsafe { self.0.get::<Numbers<'a, i32>>(INPUTS, None) }.map_or(Vec::new(), |v| v.iter().collect())
    }

    pub fn outputs(&self) -> Vec<i32> {
        // SAFETY: `root` verified this field as a vector of i32.
        unsafe { self.0.get::<Numbers<'a, i32>>(OUTPUTS, None) }.map_or(Vec::new(), |v| v.iter().collect())
    }

    /// The options, if they are of type `T`.
    pub fn options<T: Options<'a>>(&self) -> Option<T> {
        // SAFETY: `root` verified this field as u8.
        let kind = unsafe { self.0.get::<u8>(OPTIONS_TYPE, Some(0)) };
        // SAFETY: `root` verified the options as a table of the type that `kind` says.
        (kind == Some(T::TYPE)).then(|| unsafe { self.0.get::<ForwardsUOffset<T>>(OPTIONS, None) }).flatten()
    }
}

/// Verifies `bytes` as a TensorFlow Lite model.
pub fn root(bytes: &[u8]) -> Result<Model<'_>, String> {
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err("not a TensorFlow Lite file (no TFL3 mark)".into());
    }
    let first_line = |e: InvalidFlatbuffer| e.to_string().lines().next().unwrap_or("damaged").to_owned();
    flatbuffers::root_with_opts::<Model<'_>>(&VerifierOptions::default(), bytes).map_err(first_line)
}
