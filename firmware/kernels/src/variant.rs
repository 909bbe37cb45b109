//! Ways to compute the same operator, bit for bit: an image names one for every op.

/// How an operator goes about its work. Which of them there are for a shape, [`conv2d::exists`](crate::conv2d::exists) and
/// [`depthwise::exists`](crate::depthwise::exists) say; operators other than those two have [`Variant::General`] only. Variants differ in
/// what they need of scratch, of [`Kernel`](crate::Kernel)s and of time, not in how weights are packed. Numbers are those in images, and
/// stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Variant {
    /// What every operator has, for every shape: a convolution's windows two by two, depthwise kernels of any size.
    #[default]
    General = 0,
    /// Pointwise convolution: pixels side by side are expanded and multiplied in one loop.
    Pixels = 1,
    /// Depthwise 3x3: row by row of outputs at stride 1, pixels in pairs at stride 2 both ways. Channels beyond the last four are left to the
    /// general loops, and so is all of a layer with a left shift of more than eight bits.
    Rows = 2,
    /// Depthwise 3x3 at stride 1 on maps 3, 5 and 6 pixels wide, without a left shift: bands of rows. Channels beyond the last four as above.
    Map = 3,
}

impl Variant {
    /// All of them, from the most general to the most special.
    pub const ALL: [Variant; 4] = [Variant::General, Variant::Pixels, Variant::Rows, Variant::Map];

    /// That with a number in an image.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Variant::General),
            1 => Some(Variant::Pixels),
            2 => Some(Variant::Rows),
            3 => Some(Variant::Map),
            _ => None,
        }
    }

    /// Its number in an image.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Its name in tables, reports and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::General => "general",
            Variant::Pixels => "pixels",
            Variant::Rows => "rows",
            Variant::Map => "map",
        }
    }

    /// That of a name.
    pub fn named(name: &str) -> Option<Self> {
        Variant::ALL.into_iter().find(|variant| variant.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_there_and_back() {
        for (index, variant) in Variant::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(variant.code()), index);
            assert_eq!(Variant::from_code(variant.code()), Some(variant));
            assert_eq!(Variant::named(variant.name()), Some(variant));
        }
        assert_eq!((Variant::from_code(4), Variant::named("columns")), (None, None));
    }
}
