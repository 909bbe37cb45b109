//! Runs a validated flash image with the integer kernels, op by op, in a planned arena.
//!
//! Owns the interpreter: what remains to be checked when an image meets the kernels, and which kernel gets which
//! bytes. The board and the host run this same code, so that their outputs are comparable bit for bit. Does not know
//! where an image comes from, what a tick is, or what the numbers mean. `no_std`, no allocation.
//!
//! A loaded [`Engine`] cannot fault: everything an op will touch was checked by [`Engine::load`], here or, for an image that is known
//! again by its checksums, elsewhere.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

mod check;
mod constants;
mod lacking;
mod plan;
mod step;

use bitrack_image::{Image, ImageError, Known, Tensor, Vector};
use bitrack_kernels::Needs;
use bitrack_reason::Reason;

/// Arena and image must start at a multiple of this many bytes: kernels read words.
pub const ALIGN: usize = bitrack_image::ALIGN;

/// Why bytes are not an image that this engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadError {
    /// The image itself is inconsistent.
    Image(ImageError),
    /// The planned arena is larger than the one at hand. Bytes.
    ArenaTooSmall {
        /// What the image plans.
        needed: u32,
        /// What there is.
        have: u32,
    },
    /// No kernel would take this op: which op, and what about it.
    Op {
        /// The op's index.
        index: u16,
        /// What is wrong.
        what: Reason,
    },
    /// The image does not start at a multiple of [`ALIGN`].
    Misaligned,
    /// The weights are packed for kernels of another revision: nothing is wrong with the image, only with the pair.
    ForeignLayout {
        /// The image's.
        found: u16,
        /// This code's, [`bitrack_kernels::LAYOUT`].
        known: u16,
    },
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::ArenaTooSmall { needed, have } => {
                write!(f, "image needs an arena of {needed} bytes, there are {have}")
            }
            Self::Op { index, what } => write!(f, "op {index}: {what}"),
            Self::ForeignLayout { found, known } => {
                write!(f, "image is packed for kernels of layout {found}, these have {known}")
            }
            Self::Misaligned => write!(f, "image does not start at a multiple of {ALIGN} bytes"),
        }
    }
}

impl core::error::Error for LoadError {}

impl From<ImageError> for LoadError {
    #[inline(always)]
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

/// Why a run did not happen. An image that was loaded gives none of these when arena and input are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunError {
    /// The arena is smaller than planned, in bytes, or does not start at a multiple of [`ALIGN`].
    BadArena {
        /// What the image plans.
        needed: usize,
        /// What was given.
        have: usize,
    },
    /// The packed input has another length than the input tensor.
    InputLength {
        /// Bytes of the input tensor.
        needed: usize,
        /// Bytes given.
        have: usize,
    },
    /// An op is refused that was loaded: a defect of the engine, never of the image.
    Op {
        /// The op's index.
        index: u16,
        /// What is said to be wrong.
        what: Reason,
    },
}

impl core::fmt::Display for RunError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BadArena { needed, have } => write!(f, "arena of {have} bytes, {needed} aligned ones needed"),
            Self::InputLength { needed, have } => write!(f, "input of {have} bytes, the tensor has {needed}"),
            Self::Op { index, what } => write!(f, "op {index}: {what}"),
        }
    }
}

impl core::error::Error for RunError {}

/// Only packed weights have a layout.
fn check_layout(image: &Image<'_>) -> Result<(), LoadError> {
    let (found, known) = (image.header().layout, bitrack_kernels::LAYOUT);
    let packed = image.ops().any(|op| op.kind.has_weights());
    if packed && found != known { Err(LoadError::ForeignLayout { found, known }) } else { Ok(()) }
}

/// The kernels that must be compiled in to run `image`.
///
/// # Errors
/// What [`Engine::load`] would refuse for any other reason than the arena.
pub fn kernels(image: &Image<'_>) -> Result<Needs, LoadError> {
    check_layout(image)?;
    let mut needs = Needs::NONE;
    for index in 0..image.header().n_ops {
        needs = needs.join(check::needs_of(image, index).map_err(|what| LoadError::Op { index, what })?);
    }
    Ok(needs)
}

/// Looks on while ops run.
pub trait Observer {
    /// Op `index` is about to run.
    fn before(&mut self, _index: u16) {}

    /// Op `index` has run and left `output`, packed.
    fn after(&mut self, _index: u16, _output: &[u8]) {}
}

/// Looks away.
impl Observer for () {}

/// An image that has passed every check.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'i> {
    image: Image<'i>,
    input: Place,
    output: Place,
}

/// Where a packed tensor lies in the arena: bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    len: usize,
}

impl Place {
    fn of(tensor: &Tensor) -> Self {
        Self { start: tensor.arena_off as usize, len: tensor.bytes() }
    }

    fn range(self) -> core::ops::Range<usize> {
        self.start..self.start + self.len
    }
}

impl<'i> Engine<'i> {
    /// Checks `bytes` (which may be longer than the image, as a slot is) in full: the image's own consistency, and that
    /// every op's shapes, packed weights, channel constants, scratch and alignment are what its kernel asks for.
    ///
    /// # Errors
    /// The first thing found wrong. No input makes it panic.
    #[inline(never)]
    pub fn load(bytes: &'i [u8], arena_bytes: usize) -> Result<Self, LoadError> {
        let parsed = Image::parse(bytes);
        let image = match &parsed {
            Ok(image) => image,
            Err(error) => return Err((*error).into()),
        };
        let engine = Self::on_this_board::<LoadError>(image, arena_bytes)?;
        check_layout(image)?;
        for index in 0..image.header().n_ops {
            check::op(image, index).map_err(|what| LoadError::Op { index, what })?;
        }
        Ok(engine)
    }

    /// Checks that `bytes` are one of the images that are `known` to pass [`Engine::load`], by checksums over all of it, and what
    /// depends on where they lie and on the arena at hand.
    ///
    /// # Safety
    /// An engine of this revision, with the same kernels or more compiled in, has loaded each image that is `known`, given an arena large
    /// enough.
    ///
    /// # Errors
    /// `bytes` are something else, are misaligned, or plan more than `arena_bytes`.
    #[inline(always)]
    pub unsafe fn load_known<E>(bytes: &'i [u8], arena_bytes: usize, known: &[Known]) -> Result<Self, E>
    where
        E: From<ImageError> + From<LoadError>,
    {
        match Image::parse_known::<E>(bytes, known) {
            Ok(image) => Self::on_this_board(&image, arena_bytes),
            Err(error) => Err(error),
        }
    }

    /// What depends on where an image lies, and on the arena it is given.
    #[inline(always)]
    fn on_this_board<E: From<LoadError>>(image: &Image<'i>, arena_bytes: usize) -> Result<Self, E> {
        if !is_aligned(image.bytes()) {
            return Err(E::from(LoadError::Misaligned));
        }
        let needed = image.header().arena_len;
        if needed as usize > arena_bytes {
            return Err(E::from(LoadError::ArenaTooSmall { needed, have: arena_bytes as u32 }));
        }
        // The header's own checks: both exist.
        match (&image.tensor(image.header().input), &image.tensor(image.header().output)) {
            (Some(input), Some(output)) => {
                Ok(Self { image: *image, input: Place::of(input), output: Place::of(output) })
            }
            _ => Err(E::from(LoadError::Image(ImageError::BadHeader { field: Reason::Output }))),
        }
    }

    /// The image.
    pub fn image(&self) -> &Image<'i> {
        &self.image
    }

    /// The network's input tensor.
    pub fn input(&self) -> Tensor {
        self.image.tensor(self.image.header().input).expect("checked when the image was loaded")
    }

    /// The network's output tensor.
    pub fn output(&self) -> Tensor {
        self.image.tensor(self.image.header().output).expect("checked when the image was loaded")
    }

    /// Bytes of the packed input.
    pub fn input_len(&self) -> usize {
        self.input.len
    }

    /// Bytes of the packed output.
    pub fn output_len(&self) -> usize {
        self.output.len
    }

    /// Test vector `index` of the image, if there is one.
    pub fn vector(&self, index: u16) -> Option<Vector<'i>> {
        self.image.vector_of(index, self.input.len, self.output.len)
    }

    /// Bytes from the arena's start to the end of the last tensor or scratch that a run writes: what a painted arena
    /// shows at most. Tensors that no op writes are not counted.
    pub fn arena_high_water(&self) -> usize {
        let outputs = self.image.ops().filter_map(|op| self.image.tensor(op.out));
        let tensors = outputs.chain([self.input()]).map(|t| t.arena_off as usize + t.bytes());
        let scratch =
            self.image.ops().filter(|op| op.scratch_len > 0).map(|op| (op.scratch_off + op.scratch_len) as usize);
        tensors.chain(scratch).max().unwrap_or(0)
    }

    /// Where a run leaves the network's packed output in the arena.
    pub fn output_range(&self) -> core::ops::Range<usize> {
        self.output.range()
    }

    /// Runs the network on a packed `input` and returns its packed output, which lies in `arena`.
    ///
    /// # Errors
    /// `arena` or `input` is not what the image needs.
    pub fn run<'a>(
        &self,
        arena: &'a mut [u8],
        input: &[u8],
        observer: &mut dyn Observer,
    ) -> Result<&'a [u8], RunError> {
        let needed = self.image.header().arena_len as usize;
        let bad_arena = RunError::BadArena { needed, have: arena.len() };
        if arena.len() < needed || !is_aligned(arena) {
            return Err(bad_arena);
        }
        let (needed, have) = (self.input.len, input.len());
        let place = arena.get_mut(self.input.range()).ok_or(bad_arena)?;
        if needed != have || place.len() != have {
            return Err(RunError::InputLength { needed, have });
        }
        place.copy_from_slice(input);
        for index in 0..self.image.header().n_ops {
            observer.before(index);
            let written = step::run(&self.image, index, arena).map_err(|what| RunError::Op { index, what })?;
            observer.after(index, arena.get(written).ok_or(bad_arena)?);
        }
        arena.get(self.output_range()).ok_or(bad_arena)
    }
}

fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(ALIGN)
}
