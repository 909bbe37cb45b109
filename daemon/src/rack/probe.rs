//! The debug probe: attaching, flashing, resetting. The only module that knows probe-rs. Everything here blocks.

use std::path::Path;
use std::time::Duration;

use probe_rs::MemoryInterface;
use probe_rs::Target;
use probe_rs::config::Registry;
use probe_rs::flashing::{DownloadOptions, ElfLoader, ElfOptions, FlashLoader, build_loader};
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, WireProtocol};
use probe_rs::{Permissions, Session};

use super::Fault;
use super::flash_plan::SectorWrite;
use crate::config::{BoardType, Core, Probe, Slot, Target as Description};

/// The emulated machines, as probe-rs describes chips.
const EMULATED: &str = include_str!("../../../firmware/virtual-board/mps2.yaml");

/// How long a core may take to stop or to start.
const CORE_TIMEOUT: Duration = Duration::from_millis(500);

/// The register that names a Cortex-M's core: Armv7-M Architecture Reference Manual, B3.2.3.
const CPUID: u64 = 0xE000_ED00;

/// A probe attached to its chip. Dropping it detaches, which also stops the core's cycle counter: detach, then measure.
pub struct Attached {
    session: Session,
    probe: String,
}

impl Attached {
    /// Opens exactly this probe and attaches to the chip of `board_type`.
    ///
    /// # Errors
    /// [`Fault::Probe`] naming the probe; [`Fault::Rig`] when the chip's description cannot be read.
    pub fn open(probe: &Probe, board_type: &BoardType) -> Result<Self, Fault> {
        let name = probe.to_string();
        let fault = |reason: String| Fault::Probe { probe: name.clone(), reason };
        let registry = registry(board_type)?;
        let selector = DebugProbeSelector {
            vendor_id: probe.vendor,
            product_id: probe.product,
            interface: None,
            serial_number: Some(probe.serial.clone()),
        };
        let mut opened = Lister::new().open(selector).map_err(|e| fault(format!("cannot open: {}", chain(&e))))?;
        opened.select_protocol(WireProtocol::Swd).map_err(|e| fault(chain(&e)))?;
        let session = opened.attach_with_registry(board_type.chip.as_str(), Permissions::default(), &registry);
        let session = session.map_err(|e| fault(format!("cannot attach to {}: {}", board_type.chip, chain(&e))))?;
        check_sectors(session.target(), board_type)?;
        let mut attached = Self { session, probe: name };
        attached.check_core(board_type)?;
        Ok(attached)
    }

    /// Refuses a chip with another core than the board type's, before anything is written to it.
    fn check_core(&mut self, board_type: &BoardType) -> Result<(), Fault> {
        let Some(expected) = board_type.core else { return Ok(()) };
        let cpuid = self.session.core(0).and_then(|mut core| core.read_word_32(CPUID));
        let cpuid = cpuid
            .map_err(|e| Fault::Probe { probe: self.probe.clone(), reason: format!("reading CPUID: {}", chain(&e)) })?;
        let part = (cpuid >> 4) & 0xFFF;
        if part == expected.part() {
            return Ok(());
        }
        let found = Core::of_part(part).map_or_else(|| format!("part {part:#x}"), |core| core.to_string());
        Err(Fault::Identity { what: "core", found, expected: expected.to_string() })
    }

    /// Writes the sectors of `data` that `writes` names, and reads them back.
    ///
    /// # Errors
    /// [`Fault::Flash`].
    pub fn flash(&mut self, data: &[u8], writes: &[SectorWrite]) -> Result<(), Fault> {
        let mut loader = self.session.target().flash_loader();
        for write in writes {
            let bytes = data.get(write.bytes.clone()).ok_or_else(|| Fault::Flash("sector outside the data".into()))?;
            loader.add_data(u64::from(write.address), bytes).map_err(|e| Fault::Flash(chain(&e)))?;
        }
        self.commit(&loader)
    }

    /// What `elf` puts where in flash.
    ///
    /// # Errors
    /// [`Fault::Rig`]: it is no firmware for this chip.
    pub fn elf(&mut self, elf: &Path) -> Result<Firmware, Fault> {
        let loader = build_loader(&mut self.session, elf, ElfLoader(ElfOptions::default()), None);
        let loader = loader.map_err(|e| Fault::Rig(format!("runner {}: {}", elf.display(), chain(&e))))?;
        Ok(Firmware { loader })
    }

    /// Writes firmware and reads it back.
    ///
    /// # Errors
    /// [`Fault::Flash`].
    pub fn flash_firmware(&mut self, firmware: &Firmware) -> Result<(), Fault> {
        self.commit(&firmware.loader)
    }

    /// Restarts the chip and detaches, so that nothing disturbs what it does next. `while_halted` is called when the chip
    /// has been reset and says nothing: whatever is on its line then is from before.
    ///
    /// # Errors
    /// [`Fault::Probe`].
    pub fn reset_and_detach(mut self, while_halted: impl FnOnce()) -> Result<(), Fault> {
        let fault =
            |e: probe_rs::Error| Fault::Probe { probe: self.probe.clone(), reason: format!("reset: {}", chain(&e)) };
        let mut core = self.session.core(0).map_err(fault)?;
        core.reset_and_halt(CORE_TIMEOUT).map_err(fault)?;
        while_halted();
        core.run().map_err(fault)
    }

    fn commit(&mut self, loader: &FlashLoader) -> Result<(), Fault> {
        let mut options = DownloadOptions::new();
        options.verify = true;
        loader.commit(&mut self.session, options).map_err(|e| Fault::Flash(chain(&e)))
    }
}

/// An ELF file's contents, by flash address.
pub struct Firmware {
    loader: FlashLoader,
}

impl Firmware {
    /// The addresses of the sectors it covers.
    pub fn sectors(&self, sector: u32) -> Vec<u32> {
        let size = u64::from(sector);
        let covered = self.loader.data().filter(|(_, bytes)| !bytes.is_empty()).flat_map(|(address, bytes)| {
            let last = (address + bytes.len() as u64 - 1) / size;
            (address / size..=last).map(move |i| (i * size) as u32)
        });
        let mut sectors: Vec<u32> = covered.collect();
        sectors.sort_unstable();
        sectors.dedup();
        sectors
    }
}

/// Erasing must not reach beyond what the daemon believes it erases: what lies there would be gone unnoticed.
fn check_sectors(target: &Target, board_type: &BoardType) -> Result<(), Fault> {
    let erased_by = |slot: &Slot| {
        let (base, end) = (u64::from(slot.base), u64::from(slot.base) + u64::from(slot.length));
        let properties = target.flash_algorithms.iter().map(|a| &a.flash_properties);
        let here = properties.filter(move |p| p.address_range.contains(&base) && end <= p.address_range.end);
        here.filter_map(move |p| p.sectors.iter().rfind(|s| s.address <= base - p.address_range.start).map(|s| s.size))
    };
    let wrong =
        board_type.slots.iter().find(|slot| !erased_by(slot).any(|size| u64::from(board_type.sector) % size == 0));
    let Some(slot) = wrong else { return Ok(()) };
    let (name, chip, sector, base) = (&board_type.name, &board_type.chip, board_type.sector, slot.base);
    let reason = format!("no flash algorithm of {chip} erases its slot at {base:#x} by {sector:#x} bytes");
    Err(Fault::Rig(format!("board type {name}: {reason}; correct `sector` or `slots`")))
}

/// Whether the probe can be seen. One that speaks over TCP is taken at its word: only opening it would tell.
pub fn probe_is_there(probe: &Probe) -> bool {
    let selector = DebugProbeSelector {
        vendor_id: probe.vendor,
        product_id: probe.product,
        interface: None,
        serial_number: Some(probe.serial.clone()),
    };
    !Lister::new().list(Some(&selector)).is_empty()
}

fn registry(board_type: &BoardType) -> Result<Registry, Fault> {
    let mut registry = Registry::from_builtin_families();
    let yaml = match &board_type.target {
        Description::Builtin => return Ok(registry),
        Description::Emulated => EMULATED.to_owned(),
        Description::File(path) => {
            let unreadable = |e| Fault::Rig(format!("chip description {}: {e}", path.display()));
            std::fs::read_to_string(path).map_err(unreadable)?
        }
    };
    let bad = |e| Fault::Rig(format!("chip description of {}: {}", board_type.name, chain(&e)));
    registry.add_target_family_from_yaml(&yaml).map_err(bad)?;
    Ok(registry)
}

/// An error with its causes: probe-rs's outermost ones say little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_board_type_is_a_chip_probe_rs_knows() {
        for name in BoardType::builtin_names() {
            let board_type = BoardType::builtin(name).expect("built in");
            let registry = registry(&board_type).expect("descriptions");
            let target = registry.get_target_by_name(&board_type.chip).expect(name);
            for slot in &board_type.slots {
                let inside = target.memory_map.iter().filter_map(|r| r.as_nvm_region()).any(|nvm| {
                    let range = u64::from(slot.base)..u64::from(slot.base) + u64::from(slot.length);
                    nvm.range.start <= range.start && range.end <= nvm.range.end
                });
                assert!(inside, "{name}: slot {:#x} is not in flash", slot.base);
            }
            check_sectors(&target, &board_type).expect(name);
            let wrong = BoardType { sector: 0x10, ..board_type };
            assert!(matches!(check_sectors(&target, &wrong), Err(Fault::Rig(_))), "{name}: sectors of 16 bytes");
        }
    }

    /// A probe server that takes what it is sent, says nothing, and goes away when told.
    fn mute_server() -> (Probe, std::sync::mpsc::Sender<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (leave, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let connection = listener.accept();
            // Either end of the channel going away ends the server too.
            let _ = told.recv();
            drop(connection);
        });
        (format!("1d50:6018:{address}").parse().expect("a selector"), leave)
    }

    #[tokio::test]
    async fn a_probe_server_that_falls_silent_is_given_up_on_and_one_that_leaves_is_a_fault() {
        let hands = super::super::blocking::Hands::new();
        let (probe, leave) = mute_server();
        let open = move || Attached::open(&probe, &BoardType::builtin("mps2-an386").expect("built in")).map(drop);
        let result = hands.call("attaching", Duration::from_millis(200), open).await;
        assert!(matches!(result, Err(Fault::Stuck { what: "attaching", .. })), "{result:?}");
        leave.send(()).expect("it waits");
        // The stuck call ends with the connection, and the board can be used again.
        hands.call("next", Duration::from_secs(30), || Ok(())).await.expect("free again");
    }

    #[test]
    fn a_probe_that_is_not_there_is_named() {
        let probe: Probe = "1d50:6018:127.0.0.1:1".parse().expect("a selector");
        let error =
            Attached::open(&probe, &BoardType::builtin("mps2-an386").expect("built in")).err().expect("no probe");
        assert!(matches!(&error, Fault::Probe { probe, .. } if probe == "1d50:6018:127.0.0.1:1"), "{error}");
    }
}
