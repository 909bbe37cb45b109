//! What other libraries take for the same networks and layers: instructions, counted the same way (QEMU, `-icount`), each
//! library's outputs verified.

use super::row::Cpu;

/// A library's whole networks on a core: KWS, IC, VWW, AD.
pub struct Anchor {
    pub name: &'static str,
    pub cpu: Cpu,
    pub totals: [u64; 4],
}

/// CMSIS-NN 99f736a, the best bit-exact build of those tried on each core.
pub const CMSIS_NN: &[Anchor] = &[
    Anchor { name: "CMSIS-NN s8", cpu: Cpu::M4, totals: [7_223_702, 28_502_129, 22_601_966, 570_194] },
    Anchor { name: "CMSIS-NN s4", cpu: Cpu::M4, totals: [12_738_801, 46_457_264, 38_704_203, 1_138_384] },
    Anchor { name: "CMSIS-NN s8", cpu: Cpu::M7, totals: [7_294_123, 28_614_722, 23_043_121, 570_234] },
    Anchor { name: "CMSIS-NN s4", cpu: Cpu::M7, totals: [13_720_216, 50_549_815, 41_384_456, 1_360_974] },
];

/// CMix-NN a97415f on a Cortex-M4: for a layer of ours, its best correct figure at `(weight bits, activation bits)`.
pub struct SubByte {
    pub network: &'static str,
    pub layer: &'static str,
    pub figures: &'static [((u8, u8), u64)],
}

/// With quantization per layer, its fastest, and whatever output width is fastest. Its depthwise kernels for narrow weights
/// compute wrong results.
pub const CMIX_NN: &[SubByte] = &[
    SubByte {
        network: "KWS DS-CNN",
        layer: "pw1",
        figures: &[
            ((8, 8), 1_047_307),
            ((4, 8), 1_019_403),
            ((2, 8), 987_208),
            ((8, 4), 1_052_610),
            ((4, 4), 1_024_706),
            ((2, 4), 992_511),
            ((8, 2), 1_072_235),
            ((4, 2), 1_044_331),
            ((2, 2), 1_012_326),
        ],
    },
    SubByte {
        network: "VWW MobileNetV1-0.25",
        layer: "pw5",
        figures: &[
            ((8, 8), 1_197_406),
            ((4, 8), 1_164_862),
            ((2, 8), 1_128_213),
            ((8, 4), 1_203_513),
            ((4, 4), 1_170_969),
            ((2, 4), 1_134_320),
            ((8, 2), 1_226_121),
            ((4, 2), 1_193_577),
            ((2, 2), 1_157_145),
        ],
    },
    SubByte {
        network: "IC ResNet-8",
        layer: "s2_conv2",
        figures: &[
            ((8, 8), 4_442_111),
            ((4, 8), 4_355_675),
            ((2, 8), 4_179_929),
            ((8, 4), 4_487_349),
            ((4, 4), 4_400_822),
            ((2, 4), 4_225_077),
            ((8, 2), 4_549_376),
            ((4, 2), 4_462_849),
            ((2, 2), 4_287_104),
        ],
    },
    SubByte {
        network: "VWW MobileNetV1-0.25",
        layer: "dw5",
        figures: &[((8, 8), 715_077), ((8, 4), 998_737), ((8, 2), 939_167)],
    },
];
