//! The debug probe: Black Magic's remote protocol on one side, a memory bus on the other.
//!
//! It knows packets, SWD and the debug access port. It does not know QEMU, sockets or what a core
//! is: those are behind [`Bus`].

mod access_port;
mod packet;
mod swd;

use access_port::DebugAccessPort;
pub(crate) use packet::Framer;
use packet::{Reply, Request};
use swd::SwdWire;

/// The memory access was not answered by anything on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BusFault;

/// What a probe is wired to: the target's memory bus and its reset pin.
pub(crate) trait Bus {
    /// Reads `len` bytes from `address`.
    fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, BusFault>;
    /// Writes `data` at `address`.
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), BusFault>;
    /// Drives nRST; asserting it twice is the same as once.
    fn drive_reset_pin(&mut self, asserted: bool);
}

/// The probe's own state, of one client connection: a new client starts with a new one.
#[derive(Default)]
pub(crate) struct Probe {
    wire: SwdWire,
    port: DebugAccessPort,
}

/// Remote protocol version 4: 64 bit addresses in memory accesses.
const PROTOCOL_VERSION: u64 = 4;
/// Accelerated ADIv5 accesses are available (bit 0), nothing else is.
const ACCELERATORS: u64 = 1;
/// The clock that the probe says it runs at, in kHz; nothing depends on it.
const CLOCK_KHZ: u64 = 4000;

impl Probe {
    /// Answers the body of one request, the bytes between `!` and `#`.
    pub(crate) fn answer(&mut self, body: &[u8], bus: &mut dyn Bus) -> String {
        match packet::parse(body) {
            Ok(request) => self.perform(request, bus).to_string(),
            Err(reply) => reply.to_string(),
        }
    }

    fn perform(&mut self, request: Request, bus: &mut dyn Bus) -> Reply {
        match request {
            Request::Hello => Reply::Text("Bitrack virtual board"),
            Request::Voltage => Reply::Text("3.3V"),
            Request::ProtocolVersion => Reply::Value(PROTOCOL_VERSION),
            Request::Accelerators => Reply::Value(ACCELERATORS),
            Request::ClockKhz => Reply::Value(CLOCK_KHZ),
            Request::Ignored => Reply::Value(0),
            Request::ResetPin { asserted } => {
                bus.drive_reset_pin(asserted);
                Reply::Value(0)
            }
            Request::SwdOut { count, bits } => {
                self.wire.clock_out(count, bits, &mut self.port);
                Reply::Value(0)
            }
            Request::SwdIn { count } => Reply::Value(self.wire.clock_in(count)),
            Request::DpRead { address } => Reply::Word(self.port.read_dp(address)),
            Request::DpWrite { address, value } => {
                self.port.write_dp(address, value);
                Reply::Word(0)
            }
            Request::ApRead { port, address } => Reply::Word(self.port.read_ap(port, address)),
            Request::ApWrite { port, address, value } => {
                self.port.write_ap(port, address, value);
                Reply::Value(0)
            }
            Request::MemoryRead { address, len } => bus.read(address, len).map_or(Reply::Fault, Reply::Bytes),
            Request::MemoryWrite { address, data } => {
                bus.write(address, &data).map_or(Reply::Fault, |()| Reply::Value(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 256 bytes of memory at 0; everything else faults.
    struct SmallMemory {
        bytes: [u8; 256],
        reset: bool,
    }

    impl Bus for SmallMemory {
        fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, BusFault> {
            let start = usize::try_from(address).map_err(|_| BusFault)?;
            let end = start.checked_add(len).ok_or(BusFault)?;
            self.bytes.get(start..end).map(<[u8]>::to_vec).ok_or(BusFault)
        }

        fn write(&mut self, address: u64, data: &[u8]) -> Result<(), BusFault> {
            let start = usize::try_from(address).map_err(|_| BusFault)?;
            let end = start.checked_add(data.len()).ok_or(BusFault)?;
            let target = self.bytes.get_mut(start..end).ok_or(BusFault)?;
            target.copy_from_slice(data);
            Ok(())
        }

        fn drive_reset_pin(&mut self, asserted: bool) {
            self.reset = asserted;
        }
    }

    fn memory() -> SmallMemory {
        SmallMemory { bytes: [0; 256], reset: false }
    }

    /// Requests and replies of a real probe-rs 0.32 session.
    #[test]
    fn recorded_session_is_answered_as_recorded() {
        let mut probe = Probe::default();
        let mut bus = memory();
        for (request, reply) in [
            ("GA", "&KBitrack virtual board#"),
            ("HC", "&K4#"),
            ("HA", "&K1#"),
            ("GF003d0900", "&K0#"),
            ("Gf", "&Kfa0#"),
            ("Ad00ff0000", "&K7714a02b#"),
            ("AR0000000450000f00", "&K00000000#"),
            ("Ad00ff0004", "&K000f00f0#"),
            ("Aa0d0001fc", "&K11007724#"),
            ("Aa0d0101fc", "&K00000000#"),
            ("AM0000e30000400200000000000000100000000403005fa0", "&K0#"),
            ("Am0000e3000040000000000000001000000004", "&K03005fa0#"),
            ("Am0000e30000400000000900000004", "&P0#"),
            ("Am0000e3000040000000009000000000000004", "&E103#"),
            ("GZ1", "&K0#"),
        ] {
            assert_eq!(probe.answer(request.as_bytes(), &mut bus), reply, "{request}");
        }
        assert!(bus.reset);
    }

    /// The bit-banged part of the same session: line reset, JTAG-to-SWD, DPIDR, ABORT.
    #[test]
    fn recorded_bit_banging_is_answered_as_recorded() {
        let mut probe = Probe::default();
        let mut bus = memory();
        for (request, reply) in [
            ("So20ffffffff", "&K0#"),
            ("So137ffff", "&K0#"),
            ("So10e79e", "&K0#"),
            ("So20ffffffff", "&K0#"),
            ("So167ffff", "&K0#"),
            ("So08a5", "&K0#"),
            ("Si20", "&K5d00a3b9#"),
            ("Si04", "&K1#"),
            ("So080", "&K0#"),
            ("So0881", "&K0#"),
            ("Si03", "&K1#"),
            ("So201e", "&K0#"),
            ("So0b0", "&K0#"),
            ("So08b1", "&K0#"),
            ("Si03", "&K1#"),
            ("So200", "&K0#"),
            ("So135e800", "&K0#"),
            ("Si20", "&K1#"),
        ] {
            assert_eq!(probe.answer(request.as_bytes(), &mut bus), reply, "{request}");
        }
    }

    proptest! {
        /// Whatever arrives, there is one well-formed reply and no panic.
        #[test]
        fn any_body_is_answered(
            bodies in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..64),
                    "(S[oi]|A[dRaAmM]|G[AZVF]|H[CA])[0-9a-f]{0,60}".prop_map(String::into_bytes),
                ],
                1..40,
            ),
        ) {
            let mut probe = Probe::default();
            let mut bus = memory();
            for body in bodies {
                let reply = probe.answer(&body, &mut bus);
                prop_assert!(reply.starts_with('&') && reply.ends_with('#'), "{reply}");
            }
        }
    }
}
