//! Read-only registers by which a debugger finds the debug components: the ROM table and the
//! component and peripheral ids (ARM ADIv5.2, chapter D; part numbers of a Cortex-M4).

const ROM_TABLE: u32 = 0xE00F_F000;
/// Offsets from the ROM table to SCS, DWT, FPB and ITM, present; TPIU and ETM, absent.
const ROM_ENTRIES: [u32; 6] = [0xFFF0_F003, 0xFFF0_2003, 0xFFF0_3003, 0xFFF0_1003, 0xFFF4_1002, 0xFFF4_2002];

/// Base address, ARM part number and component class of what has ids.
const COMPONENTS: [(u32, u32, u32); 5] = [
    (0xE000_0000, 0x001, 0xE), // ITM
    (0xE000_1000, 0x002, 0xE), // DWT
    (0xE000_2000, 0x003, 0xE), // FPB
    (0xE000_E000, 0x00C, 0xE), // SCS
    (ROM_TABLE, 0x4C4, 0x1),
];

/// The word at `address` if it is one of these registers.
pub(super) fn read(address: u32) -> Option<u32> {
    let (base, offset) = (address & !0xFFF, address & 0xFFF);
    let component = COMPONENTS.iter().find(|(at, _, _)| *at == base);
    match (offset, component) {
        (0xFD0.., Some((_, part, class))) => Some(id_register(offset, *part, *class)),
        (_, _) if base == ROM_TABLE => Some(ROM_ENTRIES.get(offset as usize / 4).copied().unwrap_or(0)),
        _ => None,
    }
}

/// PIDR4 to 7, PIDR0 to 3 and CIDR0 to 3, one byte in each word from offset 0xFD0.
fn id_register(offset: u32, part: u32, class: u32) -> u32 {
    const JEP106_ARM: u32 = 0x3B;
    match offset {
        0xFD0 => 0x04,
        0xFE0 => part & 0xFF,
        0xFE4 => (JEP106_ARM & 0xF) << 4 | part >> 8,
        0xFE8 => 0x08 | JEP106_ARM >> 4,
        0xFF0 => 0x0D,
        0xFF4 => class << 4,
        0xFF8 => 0x05,
        0xFFC => 0xB1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rom_table_ends_and_its_entries_have_ids() {
        let first_entry = read(ROM_TABLE).expect("an entry");
        let scs = ROM_TABLE.wrapping_add(first_entry & !0xFFF);
        assert_eq!(scs, 0xE000_E000);
        assert_eq!(read(scs + 0xFE0), Some(0x0C));
        assert_eq!(read(ROM_TABLE + 24), Some(0));
        assert_eq!(read(0xE000_ED00), None, "CPUID is QEMU's");
    }
}
