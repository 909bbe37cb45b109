//! Adam in 8 bits against Adam in 32, on a problem whose gradients differ by six orders of magnitude.

use super::*;

const SIZE: usize = 256;
const SMALL_BLOCK: usize = 64;
const STEPS: usize = 400;

/// Half the sum of `h x²`, with another `h` for every block.
fn curvature(index: usize) -> f32 {
    [1e3, 1.0, 1e-1, 1e-3][index / SMALL_BLOCK]
}

fn loss(x: &[f32]) -> f64 {
    x.iter().enumerate().map(|(i, &x)| 0.5 * f64::from(curvature(i)) * f64::from(x) * f64::from(x)).sum()
}

/// The largest weight that a run from all ones comes to, and where it ends.
fn run(mut adam: Adam) -> (f64, Vec<f32>) {
    let mut x = vec![1.0f32; SIZE];
    let mut farthest = 0.0f64;
    for _ in 0..STEPS {
        // The sign of the noise changes from step to step, as that of a mini-batch's does.
        let noise = |i: usize, step: u32| if (i as u32 * 7 + step * 13) % 5 < 2 { 0.3 } else { -0.2 };
        let step = adam.steps();
        let gradient: Vec<f32> = (0..SIZE).map(|i| curvature(i) * (x[i] + noise(i, step))).collect();
        adam.step(&mut [&mut x], &[&gradient], 0.01).expect("of one size");
        farthest = x.iter().fold(farthest, |far, x| far.max(f64::from(x.abs())));
    }
    (farthest, x)
}

fn with(first: Codebook, second: Codebook, block: usize) -> Adam {
    let moments = Moments::Blockwise {
        first: Quantized::zeros(SIZE, block, first),
        second: Quantized::zeros(SIZE, block, second),
    };
    Adam { betas: Betas::default(), steps: 0, moments: vec![moments] }
}

#[test]
fn blockwise_follows_full_precision_where_linear_for_the_whole_tensor_diverges() {
    let (farthest, full) = run(Adam::new(&[SIZE], MomentFormat::Full, Betas::default()));
    assert!(farthest <= 1.0 && loss(&full) < 0.02 * loss(&[1.0; SIZE]));

    let (farthest, blockwise) = run(Adam::new(&[SIZE], MomentFormat::Blockwise(SMALL_BLOCK), Betas::default()));
    assert!(farthest <= 1.0, "{farthest}");
    let apart = full.iter().zip(&blockwise).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 0.05, "{apart}");

    // The small second moments round to zero beside the large ones, and what is divided by nothing flies away: farther than
    // 400 steps of about the rate can come.
    let (farthest, _) = run(with(Codebook::linear(-1.0), Codebook::linear(0.0), SIZE));
    assert!(farthest > 25.0 * STEPS as f64 * 0.01, "{farthest}");
}

#[test]
fn eight_bits_take_a_quarter_of_the_memory() {
    let bytes = |format| Adam::new(&[10 * BLOCK], format, Betas::default()).moment_bytes();
    assert_eq!(bytes(MomentFormat::Full), 8 * 10 * BLOCK);
    assert_eq!(bytes(MomentFormat::Blockwise(BLOCK)), 2 * 10 * BLOCK + 2 * 10 * 4);
}

#[test]
fn the_first_step_has_the_size_of_the_rate() {
    for format in [MomentFormat::Full, MomentFormat::Blockwise(2)] {
        let mut adam = Adam::new(&[3], format, Betas::default());
        let mut x = [0.0f32; 3];
        adam.step(&mut [&mut x], &[&[2.0, -0.5, 0.0]], 0.1).expect("of one size");
        for (x, expected) in x.iter().zip([-0.1f32, 0.1, 0.0]) {
            assert!((x - expected).abs() < 1e-6, "{format:?}: {x}");
        }
    }
}

#[test]
fn tensors_of_other_sizes_are_refused_and_nothing_is_changed() {
    let mut adam = Adam::new(&[2, 1], MomentFormat::Full, Betas::default());
    let before = adam.clone();
    let error = adam.step(&mut [&mut [0.0; 2]], &[&[1.0; 2]], 0.1).expect_err("one is missing");
    assert_eq!(error.to_string(), "the optimizer was made for tensors of [2, 1] elements, not [2]");
    assert_eq!(adam, before);
}

#[test]
fn a_saved_optimizer_goes_on_bit_for_bit() {
    let gradient: Vec<f32> = (0..SIZE).map(|i| (i as f32 - 100.0) / 7.0).collect();
    let mut adam = Adam::new(&[SIZE], MomentFormat::Blockwise(SMALL_BLOCK), Betas::default());
    let mut x = vec![0.5f32; SIZE];
    adam.step(&mut [&mut x], &[&gradient], 0.01).expect("of one size");
    let text = serde_json::to_string(&adam).expect("plain data");
    let mut again: Adam = serde_json::from_str(&text).expect("what was written");
    let mut y = x.clone();
    adam.step(&mut [&mut x], &[&gradient], 0.01).expect("of one size");
    again.step(&mut [&mut y], &[&gradient], 0.01).expect("of one size");
    assert_eq!((x, adam), (y, again));
}
