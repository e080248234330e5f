//! The memory that reading options takes: one piece of the binary's own, given back before the command starts.
//!
//! The C library's allocator would ask the kernel for memory a dozen times, in every container that has an option or a variable. rinit
//! allocates nothing without them, and nothing at all once the command runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Enough for any options. What does not fit (a long command line behind an option) is the C library's.
const SIZE: usize = 256 * 1024;

/// Memory that is handed out from its start. What is freed can be used again only when nothing is in use, or if it was handed out last.
#[derive(Debug)]
pub struct Arena;

struct State {
    memory: [u8; SIZE],
    /// Where the next block goes.
    next: usize,
    /// How far memory has been used since it was last given back.
    used: usize,
    /// Blocks in use.
    blocks: usize,
    #[cfg(rinit_alloc_guard)]
    is_closed: bool,
}

struct Shared(UnsafeCell<State>);

// SAFETY: rinit has one thread. The child that shares its memory runs while it stands still.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(State {
    memory: [0; SIZE],
    next: 0,
    used: 0,
    blocks: 0,
    #[cfg(rinit_alloc_guard)]
    is_closed: false,
}));

impl State {
    /// Where a block of this layout goes, if there is room.
    fn place(&self, layout: Layout) -> Option<usize> {
        let base = self.memory.as_ptr().addr();
        let start = (base + self.next).checked_next_multiple_of(layout.align())? - base;
        (start.checked_add(layout.size())? <= SIZE).then_some(start)
    }

    /// The offset of a block, if it is the arena's.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.memory.as_ptr().addr());
        (offset < SIZE).then_some(offset)
    }

    fn use_until(&mut self, end: usize) {
        self.next = end;
        self.used = self.used.max(end);
    }
}

/// The state. Nothing that is called while it is borrowed allocates.
fn state() -> &'static mut State {
    // SAFETY: rinit has one thread, and no borrow outlives a call of this file.
    unsafe { &mut *STATE.0.get() }
}

// SAFETY: blocks do not overlap: each begins at or behind `next`, which goes back only to the start of the last block or, if none is in use,
// to the start of all.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let state = state();
        #[cfg(rinit_alloc_guard)]
        if state.is_closed {
            std::process::abort();
        }
        let Some(start) = state.place(layout) else {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc(layout) };
        };
        state.use_until(start + layout.size());
        state.blocks += 1;
        state.memory.as_mut_ptr().wrapping_add(start)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let state = state();
        let Some(offset) = state.offset(block) else {
            // SAFETY: not the arena's, so System's.
            return unsafe { System.dealloc(block, layout) };
        };
        state.blocks -= 1;
        if state.blocks == 0 {
            state.next = 0;
        } else if offset + layout.size() == state.next {
            state.next = offset;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let state = state();
        let offset = state.offset(block);
        if let Some(offset) = offset.filter(|offset| offset + layout.size() == state.next && offset + size <= SIZE) {
            state.use_until(offset + size);
            return block;
        }
        if offset.is_none() {
            // SAFETY: not the arena's, so System's.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller vouches for the size. The new block does not overlap the old one, and both hold what is copied.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Gives the pages back to the kernel that hold nothing any more. From here on rinit allocates nothing.
pub(crate) fn release() {
    let state = state();
    #[cfg(rinit_alloc_guard)]
    {
        state.is_closed = true;
    }
    if state.used == 0 {
        return;
    }
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| usize::try_from(page).ok()).unwrap_or(64 * 1024);
    let base = state.memory.as_mut_ptr();
    let first = (base.addr() + state.next).next_multiple_of(page);
    let length = (base.addr() + state.used).saturating_sub(first) / page * page;
    let start = base.wrapping_add(first - base.addr());
    // SAFETY: whole pages behind the last block in use. Refused, they just stay.
    unsafe { libc::madvise(start.cast(), length, libc::MADV_DONTNEED) };
    state.used = state.next;
}
