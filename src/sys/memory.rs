//! Memory of the binary's own. Pages of it that are never touched do not exist.
//!
//! It asks for no alignment. The linker puts what asks for the least at the end (`--sort-section=alignment`), and so these large pieces
//! do not lie between the small variables, which then share a page.

use std::cell::UnsafeCell;

/// `N` zeroed bytes, which raw pointers use.
#[repr(transparent)]
pub(super) struct Memory<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: rinit has one thread. The child that shares its memory runs while it stands still.
unsafe impl<const N: usize> Sync for Memory<N> {}

impl<const N: usize> Memory<N> {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    /// Its first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }

    /// Its end, rounded down to what every ABI asks of the top of a stack.
    pub(super) fn top(&self) -> *mut u8 {
        let end = self.start().wrapping_add(N);
        end.wrapping_sub(end.addr() % 16)
    }
}
