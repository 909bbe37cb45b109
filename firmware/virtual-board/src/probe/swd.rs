//! The target's end of the SWD wire, bit by bit (ARM ADIv5.2, chapter B4).
//!
//! probe-rs connects by raw bits even where it has accelerated commands afterwards. Bits arrive
//! split over requests at any place, so the wire is one state machine over a stream.

use std::collections::VecDeque;

use super::access_port::DebugAccessPort;

/// This many ones in a row are a line reset.
const LINE_RESET_ONES: u32 = 50;
/// A header is start, APnDP, RnW, A2, A3, parity, stop, park.
const HEADER_BITS: u32 = 8;
/// A write's payload is 32 bits of data and their parity.
const DATA_BITS: u32 = 33;
/// Acknowledgements, first bit on the wire in bit 0.
const ACK_OK: u64 = 0b001;
const ACK_FAULT: u64 = 0b100;

/// Where in a transfer the wire is.
#[derive(Clone, Copy, Default)]
enum State {
    /// Out of step: only a line reset helps.
    #[default]
    Lost,
    Idle,
    Header {
        bits: u64,
        count: u32,
    },
    /// The payload of a write to a debug port register.
    Data {
        register: u8,
        bits: u64,
        count: u32,
    },
}

/// The wire's state.
#[derive(Default)]
pub(super) struct SwdWire {
    state: State,
    consecutive_ones: u32,
    /// Bits that the target is about to drive.
    outgoing: VecDeque<bool>,
}

impl SwdWire {
    /// The probe drives `count` bits, least significant first.
    pub(super) fn clock_out(&mut self, count: u8, bits: u64, port: &mut DebugAccessPort) {
        for index in 0..count {
            self.clock_bit(bits >> index & 1 != 0, port);
        }
    }

    /// The probe reads `count` bits; a wire that nobody drives is pulled up.
    pub(super) fn clock_in(&mut self, count: u8) -> u64 {
        (0..count).fold(0, |bits, index| {
            let bit = self.outgoing.pop_front().unwrap_or(true);
            bits | u64::from(bit) << index
        })
    }

    fn clock_bit(&mut self, bit: bool, port: &mut DebugAccessPort) {
        if self.is_line_reset(bit) {
            return;
        }
        self.state = match self.state {
            State::Lost => State::Lost,
            State::Idle if !bit => State::Idle,
            State::Idle => State::Header { bits: 1, count: 1 },
            State::Header { bits, count } => self.header_bit(bits | u64::from(bit) << count, count + 1, port),
            State::Data { register, bits, count } => {
                data_bit(register, bits | u64::from(bit) << count, count + 1, port)
            }
        };
    }

    /// Counts ones; true while a line reset lasts and for the zero that ends it.
    fn is_line_reset(&mut self, bit: bool) -> bool {
        let ones = self.consecutive_ones;
        self.consecutive_ones = if bit { ones.saturating_add(1) } else { 0 };
        if self.consecutive_ones >= LINE_RESET_ONES {
            self.outgoing.clear();
            self.state = State::Lost;
            return true;
        }
        let ends = ones >= LINE_RESET_ONES;
        if ends {
            self.state = State::Idle;
        }
        ends
    }

    fn header_bit(&mut self, bits: u64, count: u32, port: &mut DebugAccessPort) -> State {
        if count < HEADER_BITS {
            return State::Header { bits, count };
        }
        let parity_is_even = (bits >> 1 & 0x1F).count_ones().is_multiple_of(2);
        let framed = bits & 0xC1 == 0x81;
        if !(parity_is_even && framed) {
            return State::Lost;
        }
        self.outgoing.clear();
        self.transfer(bits, port)
    }

    /// Starts the transfer that a valid header asks for. Access ports are reached by accelerated
    /// commands only, so over the wire they answer FAULT.
    fn transfer(&mut self, header: u64, port: &mut DebugAccessPort) -> State {
        let is_access_port = header & 2 != 0;
        let is_read = header & 4 != 0;
        let register = (header >> 3 & 3) as u8 * 4;
        if is_access_port {
            self.drive(ACK_FAULT, 3);
            return State::Idle;
        }
        self.drive(ACK_OK, 3);
        if !is_read {
            return State::Data { register, bits: 0, count: 0 };
        }
        let value = port.read_dp(register);
        self.drive(u64::from(value), 32);
        self.drive(u64::from(value.count_ones() % 2), 1);
        State::Idle
    }

    fn drive(&mut self, bits: u64, count: u32) {
        self.outgoing.extend((0..count).map(|index| bits >> index & 1 != 0));
    }
}

/// Takes a bit of a write's payload and performs the write after the last, unless its parity is wrong.
fn data_bit(register: u8, bits: u64, count: u32, port: &mut DebugAccessPort) -> State {
    if count < DATA_BITS {
        return State::Data { register, bits, count };
    }
    if bits.count_ones().is_multiple_of(2) {
        port.write_dp(register, bits as u32);
    }
    State::Idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const READ_CTRL_STAT: u64 = 0x8D;
    const WRITE_CTRL_STAT: u64 = 0xA9;

    fn reset_line(wire: &mut SwdWire, port: &mut DebugAccessPort) {
        wire.clock_out(32, u64::MAX, port);
        wire.clock_out(22, 0x7FFFF, port);
    }

    #[test]
    fn write_then_read_over_any_split() {
        for split in 1..33 {
            let (mut wire, mut port) = (SwdWire::default(), DebugAccessPort::default());
            reset_line(&mut wire, &mut port);
            wire.clock_out(8, WRITE_CTRL_STAT, &mut port);
            assert_eq!(wire.clock_in(3), ACK_OK);
            let payload = 0x5000_0F00u64; // even number of ones: parity 0
            wire.clock_out(split, payload, &mut port);
            wire.clock_out(33 - split, payload >> split, &mut port);
            wire.clock_out(8, READ_CTRL_STAT, &mut port);
            assert_eq!(wire.clock_in(3), ACK_OK);
            assert_eq!(wire.clock_in(32), 0xF000_0F00, "split at {split}");
            assert_eq!(wire.clock_in(1), 0);
        }
    }

    #[test]
    fn wrong_data_parity_writes_nothing() {
        let (mut wire, mut port) = (SwdWire::default(), DebugAccessPort::default());
        reset_line(&mut wire, &mut port);
        wire.clock_out(8, WRITE_CTRL_STAT, &mut port);
        wire.clock_in(3);
        wire.clock_out(33, 1 << 32 | 0x5000_0000, &mut port);
        assert_eq!(port.read_dp(4), 0);
    }

    #[test]
    fn bad_header_is_ignored_until_the_next_line_reset() {
        let (mut wire, mut port) = (SwdWire::default(), DebugAccessPort::default());
        reset_line(&mut wire, &mut port);
        wire.clock_out(8, READ_CTRL_STAT ^ 0x20, &mut port);
        assert_eq!(wire.clock_in(3), 0b111);
        wire.clock_out(8, READ_CTRL_STAT, &mut port);
        assert_eq!(wire.clock_in(3), 0b111);
        reset_line(&mut wire, &mut port);
        wire.clock_out(8, READ_CTRL_STAT, &mut port);
        assert_eq!(wire.clock_in(3), ACK_OK);
    }

    proptest! {
        /// After any traffic a line reset brings the wire back, and the identity reads right.
        #[test]
        fn line_reset_recovers_from_anything(
            traffic in prop::collection::vec((any::<bool>(), 0u8..=33, any::<u64>()), 0..60),
        ) {
            let (mut wire, mut port) = (SwdWire::default(), DebugAccessPort::default());
            for (out, count, bits) in traffic {
                if out {
                    wire.clock_out(count, bits, &mut port);
                } else {
                    wire.clock_in(count);
                }
            }
            reset_line(&mut wire, &mut port);
            wire.clock_out(8, 0xA5, &mut port);
            prop_assert_eq!(wire.clock_in(3), ACK_OK);
            prop_assert_eq!(wire.clock_in(32), 0x2BA0_1477);
        }
    }
}
