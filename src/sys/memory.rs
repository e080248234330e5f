//! Memory of the binary's own. Pages of it that are never touched do not exist.

use std::cell::UnsafeCell;

/// `N` zeroed bytes, which raw pointers use.
#[repr(C, align(64))]
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

    /// One more than its last byte.
    pub(super) fn end(&self) -> *mut u8 {
        self.start().wrapping_add(N)
    }
}
