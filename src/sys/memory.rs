//! Static memory. A page of it that is never touched takes no memory.
//!
//! Its alignment is 1. The linker puts what has the least alignment at the end
//! (`--sort-section=alignment`). So these large blocks do not lie between the small variables,
//! which then share a page.

use std::cell::UnsafeCell;

/// `N` zeroed bytes, which are used through raw pointers.
#[repr(transparent)]
pub(super) struct Memory<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: rinit has one thread. The child that shares its memory runs while rinit is suspended.
unsafe impl<const N: usize> Sync for Memory<N> {}

impl<const N: usize> Memory<N> {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    /// Its first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }

    /// Its end, rounded down to the alignment that every ABI asks for at the top of a stack.
    pub(super) fn top(&self) -> *mut u8 {
        let end = self.start().wrapping_add(N);
        end.wrapping_sub(end.addr() % 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_the_last_aligned_place() {
        static BLOCKS: [Memory<1001>; 16] = [const { Memory::new() }; 16];
        for memory in &BLOCKS {
            let (end, top) = (memory.start().addr() + 1001, memory.top().addr());
            assert!(top % 16 == 0 && top <= end && end - top < 16);
        }
    }
}
