//! Whole networks against plain loops.

mod support;

use bitrack_engine::{Engine, RunError};
use bitrack_image::{Op, OpKind};
use proptest::prelude::*;
use support::recipe::recipes;
use support::{Recorder, fixed_recipe, network, run};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_op_gives_what_plain_loops_give(recipe in recipes()) {
        let network = network(&recipe);
        let image = network.image();
        let engine = Engine::load(&image, 1 << 16).expect("image loads");
        let mut arena = vec![0xEE; engine.image().header().arena_len as usize];
        let mut recorder = Recorder::default();
        let output = engine.run(&mut arena, &network.input, &mut recorder).expect("image runs").to_vec();
        for (index, (seen, plain)) in recorder.0.iter().zip(&network.outputs).enumerate() {
            prop_assert_eq!(seen, plain, "op {}", index);
        }
        prop_assert_eq!(recorder.0.len(), network.outputs.len());
        prop_assert_eq!(Some(&output), network.outputs.last());
    }

    #[test]
    fn what_lay_in_the_arena_before_does_not_matter(recipe in recipes(), dirt: u8) {
        let network = network(&recipe);
        let image = network.image();
        let engine = Engine::load(&image, 1 << 16).expect("image loads");
        let mut arena = vec![dirt; engine.image().header().arena_len as usize];
        let output = engine.run(&mut arena, &network.input, &mut ()).expect("image runs").to_vec();
        prop_assert_eq!(&output, network.outputs.last().expect("has ops"));
    }

    #[test]
    fn nothing_beyond_the_predicted_high_water_mark_is_written(recipe in recipes()) {
        let network = network(&recipe);
        let image = network.image();
        let engine = Engine::load(&image, 1 << 16).expect("image loads");
        let mut arena = vec![0xA5; engine.image().header().arena_len as usize + 64];
        engine.run(&mut arena, &network.input, &mut ()).expect("image runs");
        let mark = engine.arena_high_water();
        prop_assert!(mark <= engine.image().header().arena_len as usize);
        prop_assert!(arena[mark..].iter().all(|&byte| byte == 0xA5));
    }
}

#[test]
fn a_test_vector_brings_its_expected_output_and_checksums() {
    let network = network(&fixed_recipe());
    let image = network.image();
    let engine = Engine::load(&image, 1 << 16).expect("image loads");
    let vector = engine.image().vector(0).expect("has a vector");
    assert_eq!(run(&image, vector.input), vector.expected);
    for (index, output) in network.outputs.iter().enumerate() {
        assert_eq!(vector.op_crc(index), Some(bitrack_image::crc32(output)));
    }
}

#[test]
fn a_tensor_may_be_added_to_itself() {
    let mut network = network(&fixed_recipe());
    let add = network.spec.ops.iter_mut().find(|spec| spec.op.kind == OpKind::Add).expect("has an add");
    add.op = Op { in1: add.op.in0, params: [3, 5, 0, 3], act_min: 0, ..add.op };
    let image = network.image();
    let engine = Engine::load(&image, 1 << 16).expect("image loads");
    let mut arena = vec![0; engine.image().header().arena_len as usize];
    let mut recorder = Recorder::default();
    engine.run(&mut arena, &network.input, &mut recorder).expect("image runs");
    let add = &engine.image().op(2).expect("op 2 is the add");
    let sum = recorder.0[2].iter().flat_map(|byte| [byte & 15, byte >> 4]);
    let summand = recorder.0[0].iter().flat_map(|byte| [byte & 15, byte >> 4]);
    // (3x + 5x) / 8 is x again: below the clamp, both tensors have four bits.
    for (channel, (y, x)) in sum.zip(summand).enumerate() {
        let padding = channel % 6 == 5;
        assert_eq!(y, if padding { 0 } else { x.min(add.act_max) });
    }
}

#[test]
fn wrong_arenas_and_inputs_are_refused() {
    let network = network(&fixed_recipe());
    let image = network.image();
    let engine = Engine::load(&image, 1 << 16).expect("image loads");
    let needed = engine.image().header().arena_len as usize;
    let mut arena = vec![0; needed + 1];
    let short = engine.run(&mut arena[..needed - 1], &network.input, &mut ());
    assert_eq!(short, Err(RunError::BadArena { needed, have: needed - 1 }));
    let misaligned = engine.run(&mut arena[1..], &network.input, &mut ());
    assert_eq!(misaligned, Err(RunError::BadArena { needed, have: needed }));
    let input = &network.input[1..];
    let wrong = engine.run(&mut arena, input, &mut ());
    assert_eq!(wrong, Err(RunError::InputLength { needed: input.len() + 1, have: input.len() }));
}
