//! Writes one pixel's values into its lane of a column buffer.

use core::marker::PhantomData;

use super::Order;
use super::lane::{self, Form, Fours, Lane};
use crate::buffers::Input;
use crate::built::{self, NARROW};
use crate::parts::{Parts, ensure};
use crate::{Bits, Kernel};

/// Narrow values that can be summed in 16 bits; whole groups.
const SUMMED: usize = 4096;

/// A lane from value 0 on.
pub(crate) struct Writer<'a> {
    lane: Lane,
    order: Order,
    /// Values for which there is room.
    room: usize,
    fours: Fours,
    /// The values of a group of eight that is not full.
    eight: [u8; 8],
    kept: usize,
    words: PhantomData<&'a mut [u32]>,
}

impl<'a> Writer<'a> {
    /// `words` holds as many values of each lane as fill it, whole groups.
    pub fn new(words: &'a mut [u32], lane: Lane, order: Order) -> Self {
        // SAFETY: as many words as there are.
        unsafe { Self::at(words.as_mut_ptr(), words.len(), lane, order) }
    }

    /// The same for `count` words from `words` on, which may lie over what is expanded as [`Writer::expand`] says.
    ///
    /// # Safety
    /// The words must exist, and nobody else may touch them as long as the writer lives, but for reading what it is given.
    #[cfg_attr(not(feature = "all"), inline(never))]
    pub unsafe fn at(words: *mut u32, count: usize, lane: Lane, order: Order) -> Self {
        let target = words.wrapping_add(lane.index);
        let fours = Fours { target, step_bytes: 4 * lane.count, group: 0, phase: 0, sum: 0 };
        let room = count / lane.count * 2;
        Writer { lane, order, room, fours, eight: [0; 8], kept: 0, words: PhantomData }
    }

    /// The sum of all values of whole groups.
    pub fn sum(&self) -> i32 {
        self.fours.sum as i32
    }

    /// Writes `count` times the same value.
    #[cfg_attr(not(feature = "all"), inline(never))]
    pub fn fill(&mut self, value: u8, count: usize) {
        let whole = self.whole_groups(count);
        let mut word = self.advance(whole);
        let pair = u32::from(value) * 0x0001_0001;
        for _ in 0..whole / 2 {
            // SAFETY: `advance` checked that there is room for `whole / 2` words of the lane.
            unsafe { *word = pair };
            word = word.wrapping_add(self.lane.count);
        }
        self.fours.sum += u32::from(value) * whole as u32;
        self.bytes(&value, 0, count - whole);
    }

    /// Completes the last group with zeros.
    pub fn end_row(&mut self) {
        let pending = self.pending();
        match self.order() {
            _ if pending == 0 => {}
            Order::Fours => self.end_four(pending),
            Order::Eights => self.bytes(&0, 0, self.order().group() - pending),
        }
    }

    /// Writes a group of four of which only `pending` values are there.
    fn end_four(&mut self, pending: usize) {
        let missing = Order::Fours.group() - pending;
        self.take_room(missing);
        let group = self.fours.group >> (8 * missing);
        let pairs = [group & 0x00FF_00FF, group >> 8 & 0x00FF_00FF];
        for pair in pairs {
            // SAFETY: room was taken for all four values, which are two words of the lane.
            unsafe { *self.fours.target = pair };
            self.fours.target = self.fours.target.wrapping_add(self.lane.count);
        }
        let halves = pairs[0] + pairs[1];
        self.fours.sum += (halves & 0xFFFF) + (halves >> 16);
        self.fours.phase = 0;
    }

    /// Expands `count` packed values: group by group from the front on, none written before it was read.
    #[cfg_attr(not(feature = "all"), inline(never))]
    pub fn expand(&mut self, packed: Input<'_>, count: usize, bits: Bits) {
        let bits = built::activations(bits);
        let form = Form::of(self.order(), bits);
        let whole = if form.is_some() { self.whole_groups(count) } else { 0 };
        ensure(count * usize::from(bits.get()) <= 8 * packed.len());
        let (mut part, mut left) = (packed.pointer(), whole);
        if let Some(form) = form {
            while left > 0 {
                // Bytes are summed in 32 bits.
                let now = if NARROW { left.min(SUMMED) } else { left };
                // SAFETY: `whole` values are no more than `count`, which lie in `packed`.
                unsafe { self.groups(form, part, now) };
                part = part.wrapping_add(now * usize::from(bits.get()) / 8);
                left -= now;
            }
        }
        self.one_by_one(part, count - whole, bits);
    }

    /// Expands values that do not fill groups of their own.
    fn one_by_one(&mut self, packed: *const u8, count: usize, bits: Bits) {
        match (self.order(), bits) {
            _ if count == 0 => {}
            (_, Bits::B8) => self.bytes(packed, 1, count),
            (Order::Fours, _) if !Kernel::PartialQuads.is_built() => built::missing(),
            (Order::Fours, _) => {
                self.take_room(count);
                // SAFETY: so many values lie in `packed`, and there is room for them.
                unsafe { lane::fields(&mut self.fours, packed, bits, count) };
            }
            (Order::Eights, _) => (0..count).for_each(|k| {
                // SAFETY: so many values lie there, by this module's calls.
                let value = unsafe { lane::value(packed, k, bits) };
                self.bytes(&value, 0, 1);
            }),
        }
    }

    /// Expands `count > 0` packed values, whole groups.
    ///
    /// # Safety
    /// So many values must lie at `packed`.
    unsafe fn groups(&mut self, form: Form, packed: *const u8, count: usize) {
        let target = self.advance(count);
        let groups = count / self.order().group();
        // SAFETY: the caller's promise, and `advance` checked that there is room for them.
        self.fours.sum += unsafe { lane::expand(form, packed, target, groups, self.fours.step_bytes) };
    }

    /// Writes `count` values that lie `step` bytes apart.
    fn bytes(&mut self, values: *const u8, step: usize, count: usize) {
        if count == 0 {
            return;
        }
        match self.order() {
            Order::Fours => {
                self.take_room(count);
                // SAFETY: the values exist, by this module's calls, and there is room for them.
                unsafe { lane::fours(&mut self.fours, values, step, count) };
            }
            Order::Eights => (0..count).for_each(|i| {
                // SAFETY: the values exist, by this module's calls.
                *self.eight.part_mut(self.kept) = unsafe { *values.add(i * step) };
                self.kept = (self.kept + 1) % self.eight.len();
                if self.kept == 0 {
                    let group = self.eight;
                    // SAFETY: eight values.
                    unsafe { self.groups(Form::BytesToEights, group.as_ptr(), group.len()) };
                }
            }),
        }
    }

    /// Known to the compiler where it is always the same.
    #[inline(always)]
    fn order(&self) -> Order {
        if NARROW { self.order } else { Order::Fours }
    }

    /// Values of the last group, if it is not full.
    fn pending(&self) -> usize {
        match self.order() {
            Order::Fours => (self.fours.phase >> 30) as usize,
            Order::Eights => self.kept,
        }
    }

    /// How many of the next `count` values are whole groups.
    fn whole_groups(&self, count: usize) -> usize {
        if self.pending() == 0 { count & !(self.order().group() - 1) } else { 0 }
    }

    /// Moves on by `count` values, whole groups; returns their first word.
    fn advance(&mut self, count: usize) -> *mut u32 {
        self.take_room(count);
        let target = self.fours.target;
        self.fours.target = target.wrapping_add(count / 2 * self.lane.count);
        target
    }

    fn take_room(&mut self, count: usize) {
        ensure(count <= self.room);
        self.room -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_alternate_in_fours() {
        let mut words = [0; 8];
        for lane in 0..2 {
            let mut writer = Writer::new(&mut words, Lane::of_pair(lane), Order::Fours);
            writer.expand(Input::from(&[1, 2, 3, 4, 5][..]), 5, Bits::B8);
            writer.end_row();
            assert_eq!(writer.sum(), 15);
        }
        assert_eq!(words, [0x3_0001, 0x3_0001, 0x4_0002, 0x4_0002, 5, 5, 0, 0]);
    }

    #[test]
    fn eights_pair_across_halves() {
        let packed = [0x21, 0x43, 0x65, 0x87];
        let mut words = [0; 4];
        let mut writer = Writer::new(&mut words, Lane::ALONE, Order::Eights);
        writer.expand(Input::from(&packed[..]), 8, Bits::B4);
        assert_eq!((words, 36), ([0x5_0001, 0x6_0002, 0x7_0003, 0x8_0004], 36));
        let mut again = [0; 4];
        let mut writer = Writer::new(&mut again, Lane::ALONE, Order::Eights);
        (1..=8).for_each(|value| writer.fill(value, 1));
        assert_eq!((writer.sum(), words), (36, again));
    }
}
