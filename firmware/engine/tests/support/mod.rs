//! A small network with one op of every kind, and the same network in plain loops.
#![allow(dead_code, reason = "each test file uses its part")]

mod overlay;
pub mod recipe;

use bitrack_engine::{Engine, Observer};
use bitrack_image::builder::{ImageSpec, OpSpec, VectorSpec};
use bitrack_image::{Op, OpKind, Tensor, crc32};
use bitrack_kernels::{
    Bits, Channel, ConvShape, FcShape, Overlay, PoolShape, Requant, Rescale, Variant, activations, add, conv2d,
    depthwise, fully_connected, pool, reference,
};
pub use recipe::{Recipe, fixed_recipe};

const SIDE: u16 = 6;

/// A recipe made real.
pub struct Network {
    pub spec: ImageSpec,
    /// Packed input of the test vector.
    pub input: Vec<u8>,
    /// Packed output of each op, from plain loops.
    pub outputs: Vec<Vec<u8>>,
}

impl Network {
    pub fn image(&self) -> Vec<u8> {
        self.spec.build().expect("the builder accepts the network")
    }
}

/// What an observer saw: each op's output.
#[derive(Default)]
pub struct Recorder(pub Vec<Vec<u8>>);

impl Observer for Recorder {
    fn before(&mut self, index: u16) {
        assert_eq!(usize::from(index), self.0.len());
    }

    fn after(&mut self, index: u16, output: &[u8]) {
        assert_eq!(usize::from(index), self.0.len());
        self.0.push(output.to_vec());
    }
}

/// Loads and runs an image, and returns its output.
pub fn run(image: &[u8], input: &[u8]) -> Vec<u8> {
    let engine = Engine::load(image, 1 << 16).expect("image loads");
    let mut arena = vec![0; engine.image().header().arena_len as usize];
    engine.run(&mut arena, input, &mut ()).expect("image runs").to_vec()
}

/// Builds the network of `recipe`.
pub fn network(recipe: &Recipe) -> Network {
    let mut maker = Maker::new(recipe);
    let input = maker.first_tensor(SIDE, SIDE, recipe.in_c, recipe.act_bits[0]);
    let conv = maker.conv(input, recipe.mid_c, recipe.act_bits[1], recipe.w_bits[0]);
    let depthwise = maker.depthwise(conv, recipe.act_bits[2], recipe.w_bits[1]);
    let sum = maker.add(conv, depthwise, recipe.act_bits[3]);
    let max = maker.max_pool(sum, recipe.act_bits[4]);
    let average = maker.average_pool(max, recipe.act_bits[5]);
    let flat = maker.reshape(average, recipe.reshape_in_place);
    let fc = maker.fully_connected(flat, recipe.classes, recipe.act_bits[6], recipe.w_bits[2]);
    maker.softmax(fc);
    if recipe.overlaid {
        // The convolution's output is read by both ops behind it, and so is no chain's but as its end.
        maker.chain(&[input, conv]);
        maker.chain(&[depthwise, sum, max, average]);
    }
    maker.finish(recipe.overlaid)
}

/// Grows the packed image and the plain values side by side.
struct Maker {
    random: Random,
    tensors: Vec<Tensor>,
    plain: Vec<Vec<u8>>,
    ops: Vec<OpSpec>,
    /// How an op's output may lie over its last input, by the output.
    overlays: Vec<(u16, Overlay)>,
    arena_len: usize,
    scratch_len: usize,
}

impl Maker {
    fn new(recipe: &Recipe) -> Self {
        let random = Random(recipe.seed);
        Self { random, tensors: vec![], plain: vec![], ops: vec![], overlays: vec![], arena_len: 0, scratch_len: 0 }
    }

    fn first_tensor(&mut self, h: u16, w: u16, c: u16, bits: Bits) -> u16 {
        let len = usize::from(h) * usize::from(w) * usize::from(c);
        let values = (0..len).map(|_| self.random.below(u32::from(bits.max_activation()) + 1) as u8).collect();
        self.tensor(h, w, c, bits, values)
    }

    fn tensor(&mut self, h: u16, w: u16, c: u16, bits: Bits, plain: Vec<u8>) -> u16 {
        let zero = self.random.below(u32::from(bits.max_activation()) + 1) as u8;
        let tensor = Tensor { h, w, c, bits: bits.get(), zero, scale: 0.5, arena_off: self.arena_len as u32 };
        self.arena_len = (self.arena_len + tensor.bytes()).next_multiple_of(4);
        self.tensors.push(tensor);
        self.plain.push(plain);
        (self.tensors.len() - 1) as u16
    }

    fn push(&mut self, op: Op, weights: Vec<u8>, channels: &[Channel]) {
        let channels = channels.iter().map(|c| (c.bias, c.mult)).collect();
        self.ops.push(OpSpec { op, weights, channels });
    }

    /// A random requantization for `op`, whose output is `out`.
    fn requant(&mut self, op: &mut Op, bits: Bits) -> Requant {
        let max = u32::from(bits.max_activation());
        op.act_min = self.random.below(max / 2 + 1) as u8;
        op.act_max = (max / 2 + self.random.below(max - max / 2 + 1)) as u8;
        op.shift = self.random.below(3) as u8;
        let out_zero = self.tensors[usize::from(op.out)].zero;
        Requant { shift: op.shift, out_zero, act_min: op.act_min, act_max: op.act_max }
    }

    fn channels(&mut self, count: u16) -> Vec<Channel> {
        let random = &mut self.random;
        let channel = |_| Channel { bias: random.below(2000) as i32 - 1000, mult: (random.next() >> 4) as i32 };
        (0..count).map(channel).collect()
    }

    fn weights(&mut self, len: usize, bits: Bits) -> Vec<i8> {
        (0..len)
            .map(|_| (self.random.next() as u8 & bits.max_activation()) as i8)
            .map(|code| code.wrapping_add(bits.min_weight()))
            .collect()
    }

    fn conv(&mut self, input: u16, out_c: u16, bits: Bits, w_bits: Bits) -> u16 {
        let from = self.tensors[usize::from(input)];
        let shape = window3(&from, out_c);
        let out = self.tensor(from.h, from.w, out_c, bits, vec![0; usize::from(from.h * from.w * out_c)]);
        let mut op = windowed(OpKind::Conv2d, input, out, (3, 1, 1));
        op.w_bits = w_bits.get();
        let requant = self.requant(&mut op, bits);
        let plain_weights = self.weights(usize::from(out_c) * shape.k_len(), w_bits);
        let channels = self.channels(out_c);
        let mut packed = vec![0; conv2d::weights_len(&shape, w_bits)];
        conv2d::pack(&shape, w_bits, width(&from), &plain_weights, &mut packed).expect("weights pack");
        op.scratch_len = conv2d::scratch_len(&shape, w_bits, width(&from), bits) as u32;
        let (plain_in, plain_out) = pair(&mut self.plain, input, out);
        self.overlays.push((out, conv2d::overlay(&shape, width(&from), bits)));
        reference::conv2d(&shape, from.zero, plain_in, &plain_weights, &channels, requant, plain_out);
        self.push(op, packed, &channels);
        out
    }

    fn depthwise(&mut self, input: u16, bits: Bits, w_bits: Bits) -> u16 {
        let from = self.tensors[usize::from(input)];
        let shape = window3(&from, from.c);
        let out = self.tensor(from.h, from.w, from.c, bits, vec![0; from.elements()]);
        let mut op = windowed(OpKind::DepthwiseConv2d, input, out, (3, 1, 1));
        op.w_bits = w_bits.get();
        let requant = self.requant(&mut op, bits);
        let variants: Vec<_> =
            Variant::ALL.into_iter().filter(|&variant| depthwise::exists(variant, &shape, op.shift)).collect();
        let variant = variants[self.random.below(variants.len() as u32) as usize];
        op.variant = variant.code();
        let plain_weights = self.weights(9 * usize::from(from.c), w_bits);
        let channels = self.channels(from.c);
        let mut packed = vec![0; depthwise::weights_len(&shape, w_bits)];
        depthwise::pack(&shape, w_bits, &plain_weights, &mut packed).expect("weights pack");
        op.scratch_len = depthwise::scratch_len(&shape, variant, w_bits, width(&from), bits) as u32;
        let (plain_in, plain_out) = pair(&mut self.plain, input, out);
        reference::depthwise(&shape, from.zero, plain_in, &plain_weights, &channels, requant, plain_out);
        self.push(op, packed, &channels);
        out
    }

    fn add(&mut self, first: u16, second: u16, bits: Bits) -> u16 {
        let from = self.tensors[usize::from(first)];
        let out = self.tensor(from.h, from.w, from.c, bits, vec![0; from.elements()]);
        let mut op = Op { in1: second, ..Op::new(OpKind::Add, first, out) };
        self.requant(&mut op, bits);
        op.shift = 0;
        op.params = [1000, -700, 5000, 9];
        let inputs = [first, second].map(|t| self.plain[usize::from(t)].clone());
        let range = (op.act_min, op.act_max);
        let plain_out = &mut self.plain[usize::from(out)];
        let summand = self.tensors[usize::from(second)].bytes();
        self.overlays.push((out, add::overlay(summand, self.tensors[usize::from(out)].bytes())));
        reference::add([&inputs[0], &inputs[1]], [1000, -700], 5000, 9, range, plain_out);
        self.push(op, vec![], &[]);
        out
    }

    fn max_pool(&mut self, input: u16, bits: Bits) -> u16 {
        let from = self.tensors[usize::from(input)];
        let (shape, out) = self.pooled(&from, 2, 2, bits);
        let mut op = windowed(OpKind::MaxPool, input, out, (2, 2, 0));
        let requant = self.requant(&mut op, bits);
        let identity = bits == width(&from) && self.random.below(2) == 0;
        op.params = [1 << 30, i32::from(identity), 0, 0];
        let rescale = (!identity).then_some(Rescale { mult: 1 << 30, requant });
        let (plain_in, plain_out) = pair(&mut self.plain, input, out);
        self.overlays.push((out, pool::overlay(&shape, width(&from), bits)));
        reference::max_pool(&shape, from.zero, plain_in, rescale, plain_out);
        self.push(op, vec![], &[]);
        out
    }

    fn average_pool(&mut self, input: u16, bits: Bits) -> u16 {
        let from = self.tensors[usize::from(input)];
        let (shape, out) = self.pooled(&from, 2, 1, bits);
        let mut op = windowed(OpKind::AveragePool, input, out, (2, 1, 0));
        let requant = self.requant(&mut op, bits);
        let mult = 1 << 28;
        op.params = [mult, 0, 0, 0];
        let (plain_in, plain_out) = pair(&mut self.plain, input, out);
        self.overlays.push((out, pool::overlay(&shape, width(&from), bits)));
        reference::average_pool(&shape, from.zero, plain_in, Rescale { mult, requant }, plain_out);
        self.push(op, vec![], &[]);
        out
    }

    fn pooled(&mut self, from: &Tensor, k: u16, stride: u16, bits: Bits) -> (PoolShape, u16) {
        let side = |size: u16| (size - k) / stride + 1;
        let (out_h, out_w) = (side(from.h), side(from.w));
        let out = self.tensor(out_h, out_w, from.c, bits, vec![0; usize::from(out_h * out_w * from.c)]);
        let shape = PoolShape {
            in_h: from.h,
            in_w: from.w,
            channels: from.c,
            out_h,
            out_w,
            k_h: k,
            k_w: k,
            stride_h: stride,
            stride_w: stride,
            pad_top: 0,
            pad_left: 0,
        };
        (shape, out)
    }

    fn reshape(&mut self, input: u16, in_place: bool) -> u16 {
        let from = self.tensors[usize::from(input)];
        let bits = width(&from);
        let out = self.tensor(1, 1, from.elements() as u16, bits, self.plain[usize::from(input)].clone());
        self.tensors[usize::from(out)].zero = from.zero;
        let same_bytes = bitrack_kernels::reshape::is_alias(from.c.into(), from.elements() as u32, bits);
        if in_place && same_bytes {
            self.tensors[usize::from(out)].arena_off = from.arena_off;
        }
        let op = Op { act_max: bits.max_activation(), ..Op::new(OpKind::Reshape, input, out) };
        self.push(op, vec![], &[]);
        out
    }

    fn fully_connected(&mut self, input: u16, classes: u16, bits: Bits, w_bits: Bits) -> u16 {
        let from = self.tensors[usize::from(input)];
        let shape = FcShape { in_features: from.c.into(), out_features: classes.into() };
        let out = self.tensor(1, 1, classes, bits, vec![0; classes.into()]);
        let mut op = Op { w_bits: w_bits.get(), ..Op::new(OpKind::FullyConnected, input, out) };
        let requant = self.requant(&mut op, bits);
        let plain_weights = self.weights(usize::from(classes) * usize::from(from.c), w_bits);
        let channels = self.channels(classes);
        let mut packed = vec![0; fully_connected::weights_len(&shape, w_bits)];
        fully_connected::pack(&shape, w_bits, width(&from), &plain_weights, &mut packed).expect("weights pack");
        op.scratch_len = fully_connected::scratch_len(&shape, w_bits, width(&from), bits) as u32;
        let (plain_in, plain_out) = pair(&mut self.plain, input, out);
        reference::fully_connected(&shape, plain_in, &plain_weights, &channels, requant, plain_out);
        self.push(op, packed, &channels);
        out
    }

    fn softmax(&mut self, input: u16) -> u16 {
        let from = self.tensors[usize::from(input)];
        let out = self.tensor(1, 1, from.c, Bits::B8, vec![0; from.c.into()]);
        let entry = |d: u32| ((1u32 << 23) as f64 * (-0.1 * f64::from(d)).exp()).round() as u32;
        let table: Vec<u32> = (0..=u32::from(from.max_code())).map(entry).collect();
        let (plain_in, plain_out) = pair(&mut self.plain, input, out);
        reference::softmax(plain_in, &table, plain_out);
        let bytes = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        self.push(Op::new(OpKind::Softmax, input, out), bytes, &[]);
        out
    }

    fn finish(mut self, overlaid: bool) -> Network {
        self.scratch_len = self.ops.iter().map(|spec| spec.op.scratch_len as usize).max().unwrap_or(0);
        for spec in &mut self.ops {
            spec.op.scratch_off = if spec.op.scratch_len > 0 { self.arena_len as u32 } else { 0 };
        }
        if overlaid {
            self.arena_len += self.scratch_len;
            self.overlay_scratch();
        }
        let packed: Vec<Vec<u8>> = self.tensors.iter().zip(&self.plain).map(|(t, plain)| pack(t, plain)).collect();
        let outputs: Vec<_> = self.ops.iter().map(|spec| packed[usize::from(spec.op.out)].clone()).collect();
        let output = self.ops.last().expect("has ops").op.out;
        let vector = VectorSpec {
            input: packed[0].clone(),
            expected: packed[usize::from(output)].clone(),
            op_crcs: outputs.iter().map(|bytes| crc32(bytes)).collect(),
        };
        let spec = ImageSpec {
            tensors: self.tensors,
            ops: self.ops,
            input: 0,
            output,
            arena_len: (self.arena_len + self.scratch_len) as u32,
            model_id: 7,
            layout: bitrack_kernels::LAYOUT,
            section_align_log2: 4,
            vectors: vec![vector],
        };
        Network { spec, input: packed[0].clone(), outputs }
    }
}

fn window3(from: &Tensor, out_c: u16) -> ConvShape {
    ConvShape {
        in_h: from.h,
        in_w: from.w,
        in_c: from.c,
        out_h: from.h,
        out_w: from.w,
        out_c,
        k_h: 3,
        k_w: 3,
        stride_h: 1,
        stride_w: 1,
        pad_top: 1,
        pad_left: 1,
    }
}

fn windowed(kind: OpKind, input: u16, out: u16, (k, stride, pad): (u16, u16, u16)) -> Op {
    let op = Op::new(kind, input, out);
    Op { k_h: k, k_w: k, stride_h: stride, stride_w: stride, pad_top: pad, pad_left: pad, ..op }
}

fn width(tensor: &Tensor) -> Bits {
    Bits::try_from(tensor.bits).expect("2, 4 or 8")
}

fn pack(tensor: &Tensor, plain: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; tensor.bytes()];
    activations::pack(plain, tensor.c.into(), width(tensor), &mut packed).expect("values fit");
    packed
}

fn pair(plain: &mut [Vec<u8>], input: u16, out: u16) -> (&[u8], &mut [u8]) {
    let [input, out] = plain.get_disjoint_mut([usize::from(input), usize::from(out)]).expect("two tensors");
    (input, out)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 32) as u32
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }
}
