//! Images that are not what they should be: an error, never a panic, never a byte out of bounds.

mod support;

use bitrack_engine::{Engine, LoadError};
use bitrack_image::builder::{ImageSpec, OpSpec};
use bitrack_image::{HEADER_LEN, Image, ImageError, Known, OpKind, crc32};
use proptest::prelude::*;
use support::recipe::recipes;
use support::{Network, Recipe, fixed_recipe, network};

const ARENA: usize = 1 << 16;

fn spec_of(network: &mut Network, kind: OpKind) -> &mut OpSpec {
    network.spec.ops.iter_mut().find(|spec| spec.op.kind == kind).expect("the network has every kind")
}

/// What the engine says about a network whose op of `kind` was spoiled. The builder must not have noticed.
fn spoiled(kind: OpKind, spoil: impl FnOnce(&mut OpSpec)) -> String {
    let mut network = network(&fixed_recipe());
    spoil(spec_of(&mut network, kind));
    let image = network.spec.build().expect("only the kernels know better");
    Engine::load(&image, ARENA).expect_err("the engine knows better").to_string()
}

#[test]
fn what_only_the_kernels_know_is_checked_at_load() {
    use OpKind::*;
    let extra_word = |spec: &mut OpSpec| spec.weights.extend([0; 4]);
    let negative = |spec: &mut OpSpec| spec.channels[1].1 = -1;
    let no_scratch = |spec: &mut OpSpec| (spec.op.scratch_len, spec.op.scratch_off) = (0, 0);
    for (kind, index) in [(Conv2d, 0), (DepthwiseConv2d, 1), (FullyConnected, 6)] {
        let length = format!("op {index}: packed weights have another length than the kernel reads");
        assert_eq!(spoiled(kind, extra_word), length);
        assert_eq!(spoiled(kind, negative), format!("op {index}: a channel's multiplier is negative"));
    }
    assert_eq!(spoiled(Conv2d, no_scratch), "op 0: scratch is smaller than the kernel needs");
    // One of depthwise, one for other shapes than this, none at all.
    for (kind, index, variant) in [(Conv2d, 0, 2), (Conv2d, 0, 1), (DepthwiseConv2d, 1, 4), (Softmax, 7, 1)] {
        let said = spoiled(kind, |spec| spec.op.variant = variant);
        assert_eq!(said, format!("op {index}: kernel variant does not exist"), "{kind:?} {variant}");
    }
    assert_eq!(spoiled(MaxPool, |spec| spec.op.params[1] = 2), "op 3: max pool's identity flag is neither 0 nor 1");
    assert_eq!(spoiled(MaxPool, |spec| spec.op.params[1] = 1), "op 3: max pool without rescaling changes the bits");
    assert_eq!(spoiled(AveragePool, |spec| spec.op.params[0] = -1), "op 4: pool's multiplier is negative");
    assert_eq!(spoiled(Softmax, extra_word), "op 7: softmax table has another length");
    let zero = |spec: &mut OpSpec| spec.weights[..4].fill(0);
    assert_eq!(spoiled(Softmax, zero), "op 7: softmax table entry is out of range");
    let huge = |spec: &mut OpSpec| spec.weights[7] = 0xFF;
    assert_eq!(spoiled(Softmax, huge), "op 7: softmax table entry is out of range");
}

/// The image's own checks leave what an op overwrites of its last input to the kernels.
#[test]
fn overlays_that_no_kernel_bears_are_refused() {
    let over = |out: usize, input: usize, at: u32| {
        let mut network = network(&fixed_recipe());
        let tensors = &mut network.spec.tensors;
        tensors[out].arena_off = tensors[input].arena_off + at;
        // Alive when the others are, and in their way otherwise.
        for index in (0..tensors.len()).filter(|&index| index != out && index != input) {
            tensors[index].arena_off += 4096;
        }
        network.spec.ops.iter_mut().for_each(|spec| spec.op.scratch_off += 8192);
        network.spec.arena_len += 8192;
        let image = network.spec.build().expect("only the kernels know better");
        Engine::load(&image, ARENA).err().map(|error| error.to_string())
    };
    let refused = |op| Some(format!("op {op}: output overlaps the input"));
    assert_eq!(
        (over(1, 0, 4), over(4, 3, 4), over(5, 4, 0), over(7, 6, 0)),
        (refused(0), refused(3), refused(4), refused(6))
    );
    let second = "op 2: output overlaps the input";
    assert_eq!(over(3, 2, 4).as_deref(), Some(second));
    let mut network = network(&fixed_recipe());
    let input = network.spec.tensors[6].arena_off;
    network.spec.tensors[7].arena_off = network.spec.arena_len;
    network.spec.arena_len += 64;
    spec_of(&mut network, OpKind::FullyConnected).op.scratch_off = input;
    let image = network.spec.build().expect("only the kernels know better");
    let error = Engine::load(&image, ARENA).expect_err("the engine knows better").to_string();
    assert_eq!(error, "op 6: scratch overlaps a living tensor");
}

#[test]
fn an_arena_too_small_is_named_with_both_sizes() {
    let image = network(&fixed_recipe()).image();
    let needed = Engine::load(&image, ARENA).expect("image loads").image().header().arena_len;
    let have = needed - 1;
    assert_eq!(Engine::load(&image, have as usize).err(), Some(LoadError::ArenaTooSmall { needed, have }));
    assert!(Engine::load(&image, needed as usize).is_ok());
}

#[test]
fn weights_packed_for_other_kernels_are_refused() {
    let mut network = network(&fixed_recipe());
    network.spec.layout += 1;
    let image = network.spec.build().expect("the format does not know layouts");
    let (known, found) = (bitrack_kernels::LAYOUT, network.spec.layout);
    assert_eq!(Engine::load(&image, ARENA).err(), Some(LoadError::ForeignLayout { found, known }));
}

#[test]
fn a_misaligned_image_is_refused() {
    let image = network(&fixed_recipe()).image();
    let shifted = [&[0][..], &image].concat();
    assert_eq!(Engine::load(&shifted[1..], ARENA).err(), Some(LoadError::Misaligned));
}

#[test]
fn every_truncation_is_an_error() {
    let image = network(&fixed_recipe()).image();
    for len in 0..image.len() {
        let error = Engine::load(&image[..len], ARENA).expect_err("truncated");
        assert!(matches!(error, LoadError::Image(ImageError::Truncated { .. })), "{len}: {error}");
    }
}

#[test]
fn every_flipped_byte_is_an_error() {
    let mut image = network(&fixed_recipe()).image();
    for at in 0..image.len() {
        image[at] ^= 0x81;
        assert!(Engine::load(&image, ARENA).is_err(), "byte {at}");
        image[at] ^= 0x81;
    }
    assert!(Engine::load(&image, ARENA).is_ok(), "the check can also pass");
}

/// What an image is recognized by that [`Engine::load`] takes: nothing else is `known` here.
fn known(image: &[u8]) -> Known {
    Known::of(Engine::load(image, ARENA).expect("image loads").image())
}

/// As a runner that is bound to images loads them.
fn load_known<'i>(bytes: &'i [u8], arena_bytes: usize, known: &[Known]) -> Result<Engine<'i>, LoadError> {
    // SAFETY: they are of images that an engine has loaded.
    unsafe { Engine::load_known(bytes, arena_bytes, known) }
}

#[test]
fn an_image_that_is_known_runs_as_any_other() {
    let [first, second] = [network(&fixed_recipe()), network(&other_recipe())];
    let images = [first.image(), second.image()];
    for (network, image) in [&first, &second].into_iter().zip(&images) {
        let slot = [image.as_slice(), &[0xFF; 100]].concat();
        let engine = load_known(&slot, ARENA, &[known(&images[0]), known(&images[1])]).expect("is known");
        let mut arena = vec![0; ARENA];
        let output = engine.run(&mut arena, &network.input, &mut ()).expect("runs");
        assert_eq!(Some(output), network.outputs.last().map(Vec::as_slice));
    }
}

fn other_recipe() -> Recipe {
    Recipe { seed: 77, ..fixed_recipe() }
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let (image, other) = (network(&fixed_recipe()).image(), network(&other_recipe()).image());
    let id = |image: &[u8]| Image::parse(image).expect("valid").id();
    let only = [known(&image)];
    let unknown = ImageError::Unknown { found: id(&other), known: id(&image) };
    assert_eq!(load_known(&other, ARENA, &only).err(), Some(LoadError::Image(unknown)));
    assert_eq!(load_known(&[0xFF; 4096], ARENA, &only).err(), Some(LoadError::Image(ImageError::BadMagic)));
}

#[test]
fn what_a_board_has_is_checked_for_known_images_too() {
    let image = network(&fixed_recipe()).image();
    let needed = Engine::load(&image, ARENA).expect("image loads").image().header().arena_len;
    let (have, only) = (needed - 1, [known(&image)]);
    assert_eq!(load_known(&image, have as usize, &only).err(), Some(LoadError::ArenaTooSmall { needed, have }));
    assert!(load_known(&image, needed as usize, &only).is_ok());
    let shifted = [&[0][..], &image].concat();
    assert_eq!(load_known(&shifted[1..], ARENA, &only).err(), Some(LoadError::Misaligned));
    for len in 0..image.len() {
        let error = load_known(&image[..len], ARENA, &only).expect_err("truncated");
        assert!(matches!(error, LoadError::Image(ImageError::Truncated { .. })), "{len}: {error}");
    }
}

#[test]
fn every_flipped_bit_of_a_known_image_is_an_error() {
    let mut image = network(&fixed_recipe()).image();
    let only = [known(&image)];
    for bit in 0..8 * image.len() {
        image[bit / 8] ^= 1 << (bit % 8);
        assert!(load_known(&image, ARENA, &only).is_err(), "bit {bit}");
        image[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(load_known(&image, ARENA, &only).is_ok(), "the check can also pass");
}

/// Makes all checksums right again, so that only the checks behind them are left.
fn reseal(image: &mut [u8], spec: &ImageSpec) {
    let ops_off = HEADER_LEN + spec.tensors.len() * bitrack_image::TENSOR_LEN;
    for index in 0..spec.ops.len() {
        let record = ops_off + index * bitrack_image::OP_LEN;
        let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes")) as usize;
        let (off, len) = (word(record + 24), word(record + 28));
        if let Some(crc) = off.checked_add(len).and_then(|end| image.get(off..end)).map(crc32) {
            image[record + 32..record + 36].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let body = crc32(&image[HEADER_LEN..]);
    image[12..16].copy_from_slice(&body.to_le_bytes());
    let header = crc32(&image[..HEADER_LEN - 4]);
    image[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&header.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The checksums vouch for the line, not for the host: an image with right checksums and a wrong field must still
    /// be refused or run without fault.
    #[test]
    fn a_wrong_field_under_right_checksums_never_faults(
        recipe in recipes(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let network = network(&recipe);
        let mut image = network.image();
        // Header and tables: the packed weights behind them may hold anything.
        let tables = HEADER_LEN
            + network.spec.tensors.len() * bitrack_image::TENSOR_LEN
            + network.spec.ops.len() * bitrack_image::OP_LEN;
        for (at, value) in changes {
            image[at.index(tables)] = value;
        }
        reseal(&mut image, &network.spec);
        if let Ok(engine) = Engine::load(&image, ARENA) {
            let arena_len = engine.image().header().arena_len as usize;
            let mut arena = vec![0; arena_len + 16];
            arena[arena_len..].fill(0xA5);
            let input = vec![0; engine.input().bytes()];
            let output = engine.run(&mut arena[..arena_len], &input, &mut ()).map(<[u8]>::len);
            prop_assert_eq!(output, Ok(engine.output().bytes()));
            prop_assert!(arena[arena_len..].iter().all(|&byte| byte == 0xA5));
        }
    }

    #[test]
    fn garbage_is_never_an_image(bytes: Vec<u8>) {
        prop_assert!(Engine::load(&bytes, ARENA).is_err());
    }
}
