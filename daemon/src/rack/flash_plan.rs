//! Where an image goes and which sectors that costs: pure decisions, so that wear can be reasoned about and tested.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Fault;
use crate::config::{BoardType, Slot};
use crate::store::SectorState;

/// What the store knows of a board's flash, by sector address.
pub type Sectors = BTreeMap<u32, SectorState>;

/// One sector to write: its address, and which bytes of the data go there (the rest stays erased).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectorWrite {
    pub address: u32,
    pub sha256: String,
    pub bytes: std::ops::Range<usize>,
}

/// Where an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashPlan {
    /// Index of the slot.
    pub slot: usize,
    /// Only what differs from what is there.
    pub writes: Vec<SectorWrite>,
}

impl FlashPlan {
    /// Bytes to be programmed.
    pub fn bytes(&self) -> usize {
        self.writes.iter().map(|w| w.bytes.len()).sum()
    }
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The sectors that `data` at `base` covers.
pub fn sectors_of(base: u32, data: &[u8], sector: u32) -> Vec<SectorWrite> {
    let size = sector as usize;
    let write = |(i, chunk): (usize, &[u8])| SectorWrite {
        address: base + (i * size) as u32,
        sha256: sha256(chunk),
        bytes: i * size..i * size + chunk.len(),
    };
    data.chunks(size).enumerate().map(write).collect()
}

/// Chooses the slot that needs the least: none if it holds the image already, else the least worn one, so that slots
/// take turns; and in it only the sectors that differ.
///
/// # Errors
/// The image fits no slot, or every slot it fits has a sector to write that is worn out.
pub fn plan(image: &[u8], board_type: &BoardType, known: &Sectors) -> Result<FlashPlan, Fault> {
    let largest = board_type.slots.iter().map(|s| s.length).max().unwrap_or(0);
    if image.len() > largest as usize {
        return Err(Fault::TooBigForSlot { bytes: image.len() as u32, slot: largest });
    }
    let fits = |(_, slot): &(usize, &Slot)| image.len() <= slot.length as usize;
    let plans = board_type.slots.iter().enumerate().filter(fits).map(|(index, slot)| {
        let writes = changed(sectors_of(slot.base, image, board_type.sector), known);
        FlashPlan { slot: index, writes }
    });
    let wear = |plan: &FlashPlan| worst(plan, known).map_or(0, |(_, erases)| erases);
    let cost = |plan: &FlashPlan| (!plan.writes.is_empty(), wear(plan), plan.writes.len(), plan.slot);
    let best = plans.min_by_key(cost).expect("an image that fits the largest slot fits a slot");
    match worst(&best, known) {
        Some((address, erases)) if erases >= board_type.endurance => {
            Err(Fault::WornOut { address, erases, endurance: board_type.endurance })
        }
        _ => Ok(best),
    }
}

fn changed(writes: Vec<SectorWrite>, known: &Sectors) -> Vec<SectorWrite> {
    let there = |w: &SectorWrite| known.get(&w.address).is_some_and(|s| s.sha256.as_ref() == Some(&w.sha256));
    writes.into_iter().filter(|w| !there(w)).collect()
}

/// The most worn sector a plan erases.
fn worst(plan: &FlashPlan, known: &Sectors) -> Option<(u32, u32)> {
    let erases = |w: &SectorWrite| (w.address, known.get(&w.address).map_or(0, |s| s.erases));
    plan.writes.iter().map(erases).max_by_key(|(_, erases)| *erases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board_type() -> BoardType {
        let mut board_type = BoardType::builtin("mps2-an386").expect("built in");
        board_type.sector = 16;
        board_type.endurance = 10;
        board_type.slots = vec![Slot { base: 0x100, length: 64 }, Slot { base: 0x200, length: 128 }];
        board_type
    }

    /// Writes a plan's sectors, as the daemon would.
    fn flash(plan: &FlashPlan, known: &mut Sectors) {
        for write in &plan.writes {
            let sector = known.entry(write.address).or_default();
            sector.erases += 1;
            sector.sha256 = Some(write.sha256.clone());
        }
    }

    #[test]
    fn what_is_there_is_never_flashed_again() {
        let mut known = Sectors::new();
        let image = [1u8; 40];
        let first = plan(&image, &board_type(), &known).expect("fits");
        assert_eq!((first.writes.len(), first.bytes()), (3, 40));
        flash(&first, &mut known);
        let again = plan(&image, &board_type(), &known).expect("fits");
        assert_eq!((again.slot, again.writes.len()), (first.slot, 0));
    }

    #[test]
    fn slots_take_turns_and_only_changed_sectors_are_written() {
        let mut known = Sectors::new();
        let mut used = Vec::new();
        for step in 0..4u8 {
            let mut image = [7u8; 48];
            image[40] = step;
            let plan = plan(&image, &board_type(), &known).expect("fits");
            flash(&plan, &mut known);
            used.push((plan.slot, plan.writes.len()));
        }
        assert_eq!(used, [(0, 3), (1, 3), (0, 1), (1, 1)]);
    }

    #[test]
    fn a_sector_whose_write_was_cut_short_is_written_again() {
        let mut known = Sectors::new();
        let image = [1u8; 16];
        known.insert(0x100, SectorState { sha256: None, erases: 1 });
        known.insert(0x200, SectorState { sha256: None, erases: 5 });
        let plan = plan(&image, &board_type(), &known).expect("fits");
        assert_eq!((plan.slot, plan.writes.len()), (0, 1));
    }

    #[test]
    fn what_fits_nowhere_is_refused_and_what_fits_one_slot_goes_there() {
        let known = Sectors::new();
        let error = plan(&[0; 129], &board_type(), &known).expect_err("too big");
        assert!(matches!(error, Fault::TooBigForSlot { bytes: 129, slot: 128 }));
        assert_eq!(plan(&[0; 100], &board_type(), &known).expect("fits").slot, 1);
    }

    #[test]
    fn flashing_stops_at_the_chips_endurance() {
        let mut known = Sectors::new();
        for step in 0..20u8 {
            flash(&plan(&[step; 16], &board_type(), &known).expect("not worn yet"), &mut known);
        }
        let error = plan(&[99; 16], &board_type(), &known).expect_err("ten erases in each of two slots");
        assert!(matches!(error, Fault::WornOut { erases: 10, endurance: 10, .. }), "{error}");
        assert!(plan(&[19; 16], &board_type(), &known).is_ok(), "what is there can still be measured");
    }
}
