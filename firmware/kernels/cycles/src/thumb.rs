//! What an instruction costs beyond the one cycle of every instruction, from its encoding (ARMv7-M, chapter A5).

/// Kinds that the model tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One register from memory.
    Load,
    /// One register to memory.
    Store,
    /// That many registers at once, either way.
    Multiple(u32),
    Divide,
    Other,
}

impl Kind {
    /// Cycles beyond the first; `after` is the instruction before it in line, if there is one.
    pub fn extra_cycles(self, after: Option<Kind>) -> u64 {
        match self {
            Kind::Load if matches!(after, Some(Kind::Load | Kind::Store)) => 0,
            Kind::Load => 1,
            Kind::Multiple(registers) => registers.into(),
            Kind::Divide => 6,
            Kind::Store | Kind::Other => 0,
        }
    }
}

/// Classifies an instruction of two or four bytes.
pub fn kind(bytes: &[u8]) -> Kind {
    match *bytes {
        [a, b] => narrow(u16::from_le_bytes([a, b])),
        [a, b, c, d] => wide(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
        _ => Kind::Other,
    }
}

fn narrow(code: u16) -> Kind {
    match code >> 11 {
        // Register offset: three stores, then five loads.
        0b01010 | 0b01011 if code >> 9 & 7 < 3 => Kind::Store,
        0b01001..=0b01011 => Kind::Load,
        0b01100 | 0b01110 | 0b10000 | 0b10010 => Kind::Store,
        0b01101 | 0b01111 | 0b10001 | 0b10011 => Kind::Load,
        0b11000 | 0b11001 => Kind::Multiple((code & 0xFF).count_ones()),
        // PUSH and POP.
        0b10110 | 0b10111 if code & 0x0600 == 0x0400 => Kind::Multiple((code & 0x1FF).count_ones()),
        _ => Kind::Other,
    }
}

fn wide(first: u16, second: u16) -> Kind {
    let is_load = first & 0x10 != 0;
    let single = if is_load { Kind::Load } else { Kind::Store };
    match first >> 9 {
        0b111_0100 if first & 0x40 == 0 => Kind::Multiple(second.count_ones()),
        // LDRD and STRD index or write back; exclusive accesses and table branches do neither.
        0b111_0100 if first & 0x0120 != 0 => Kind::Multiple(2),
        0b111_0100 | 0b111_1100 => single,
        0b111_0110 => float(first, second, single),
        0b111_1101 if first & 0xFFD0 == 0xFB90 && second & 0xF0 == 0xF0 => Kind::Divide,
        _ => Kind::Other,
    }
}

/// Loads and stores of floating-point registers.
fn float(first: u16, second: u16, single: Kind) -> Kind {
    let is_move = first & 0xFFE0 == 0xEC40;
    if is_move || !matches!(second >> 8 & 0xF, 10 | 11) {
        return Kind::Other;
    }
    match first & 0x0120 {
        // VLDR and VSTR, of one register or of two.
        0x0100 if second & 0x0100 == 0 => single,
        0x0100 => Kind::Multiple(2),
        _ => Kind::Multiple(u32::from(second & 0xFF)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings as GNU as writes them.
    #[test]
    fn instructions_are_told_apart() {
        let narrow = [
            (0x6808, Kind::Load),        // ldr r0, [r1]
            (0x9804, Kind::Load),        // ldr r0, [sp, #16]
            (0x5888, Kind::Load),        // ldr r0, [r1, r2]
            (0x5C88, Kind::Load),        // ldrb r0, [r1, r2]
            (0x5088, Kind::Store),       // str r0, [r1, r2]
            (0x8008, Kind::Store),       // strh r0, [r1]
            (0xB5F0, Kind::Multiple(5)), // push {r4-r7, lr}
            (0xBD10, Kind::Multiple(2)), // pop {r4, pc}
            (0xC90C, Kind::Multiple(2)), // ldm r1!, {r2, r3}
            (0xB084, Kind::Other),       // sub sp, #16
            (0xBF50, Kind::Other),       // a hint
            (0x4408, Kind::Other),       // add r0, r1
        ];
        for (code, expected) in narrow {
            assert_eq!(kind(&u16::to_le_bytes(code)), expected, "{code:04x}");
        }
        let wide = [
            ([0xE8BC, 0x0300], Kind::Multiple(2)), // ldm.w r12!, {r8, r9}
            ([0xE92D, 0x4FF0], Kind::Multiple(9)), // push {r4-r11, lr}
            ([0xE9DD, 0x8905], Kind::Multiple(2)), // ldrd r8, r9, [sp, #20]
            ([0xE8D0, 0xF001], Kind::Load),        // tbb [r0, r1]
            ([0xF8DD, 0x8004], Kind::Load),        // ldr.w r8, [sp, #4]
            ([0xF848, 0x0B04], Kind::Store),       // str r0, [r8], #4
            ([0xFB90, 0xF0F1], Kind::Divide),      // sdiv r0, r0, r1
            ([0xFBB0, 0xF0F1], Kind::Divide),      // udiv r0, r0, r1
            ([0xFB22, 0x0803], Kind::Other),       // smlad r8, r2, r3, r0
            ([0xEC98, 0x0A04], Kind::Multiple(4)), // vldm r8, {s0-s3}
            ([0xED90, 0x0A00], Kind::Load),        // vldr s0, [r0]
            ([0xEC51, 0x0B10], Kind::Other),       // vmov r0, r1, d0
        ];
        for ([first, second], expected) in wide {
            let bytes = [u16::to_le_bytes(first), u16::to_le_bytes(second)].concat();
            assert_eq!(kind(&bytes), expected, "{first:04x} {second:04x}");
        }
    }

    #[test]
    fn loads_in_a_row_overlap() {
        assert_eq!(Kind::Load.extra_cycles(None), 1);
        assert_eq!(Kind::Load.extra_cycles(Some(Kind::Other)), 1);
        assert_eq!(Kind::Load.extra_cycles(Some(Kind::Load)), 0);
        assert_eq!(Kind::Multiple(3).extra_cycles(Some(Kind::Load)), 3);
    }
}
