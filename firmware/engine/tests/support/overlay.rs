//! Moves a network's buffers over each other, as far as kernels bear it.

use bitrack_image::OpKind;

use super::Maker;

impl Maker {
    /// Moves a chain of tensors, each over the one before it.
    pub(super) fn chain(&mut self, tensors: &[u16]) {
        let mut at = self.arena_len;
        for pair in tensors.windows(2).rev() {
            let [from, to] = [pair[0], pair[1]].map(usize::from);
            let overlay = self.overlays.iter().find(|(out, _)| *out == pair[1]).expect("the op bears one").1;
            self.tensors[to].arena_off = at as u32;
            at += overlay.before.next_multiple_of(4);
            self.tensors[from].arena_off = at as u32;
        }
        let ends = tensors.iter().map(|&t| &self.tensors[usize::from(t)]).map(|t| t.arena_off as usize + t.bytes());
        self.arena_len = ends.max().expect("a chain has tensors").next_multiple_of(4);
    }

    /// Puts the fully connected layer's scratch over its input, which moves to scratch's end.
    pub(super) fn overlay_scratch(&mut self) {
        let fc = self.ops.iter_mut().find(|spec| spec.op.kind == OpKind::FullyConnected).expect("has one");
        let (input, len) = (fc.op.in0, fc.op.scratch_len as usize);
        let at = self.tensors[usize::from(input)].bytes();
        let behind = (len - at).next_multiple_of(4);
        let alias = self.tensors[usize::from(input)].arena_off;
        fc.op.scratch_off = self.arena_len as u32;
        // With what it is an alias of, or that is an alias of it.
        for tensor in self.tensors.iter_mut().filter(|tensor| tensor.arena_off == alias) {
            tensor.arena_off = (self.arena_len + behind) as u32;
        }
        self.arena_len = (self.arena_len + behind + at.max(len - behind)).next_multiple_of(4);
    }
}
