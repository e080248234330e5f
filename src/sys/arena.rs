//! The memory that reading options takes: one piece of the binary's own, given back before the command starts.
//!
//! The C library's allocator would ask the kernel for memory a dozen times, in every container that has an option. rinit allocates
//! nothing without options, and nothing at all once the command runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::memory::Memory;

/// Enough for any options. What does not fit (a long command line behind an option) is the C library's.
const SIZE: usize = 256 * 1024;

static MEMORY: Memory<SIZE> = Memory::new();

/// Where the next block goes.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// How far memory has been used since it was last given back.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Blocks in use.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// Whether the command is about to run.
#[cfg(rinit_alloc_guard)]
static IS_CLOSED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Hands memory out from its start. What is freed can be used again if it was handed out last, and all of it if no block is in use.
#[derive(Debug)]
pub struct Arena;

impl Arena {
    /// Where a block of this layout goes, if there is room.
    fn place(layout: Layout) -> Option<usize> {
        let base = MEMORY.start().addr();
        let start = (base + NEXT.load(Relaxed)).checked_next_multiple_of(layout.align())? - base;
        (start.checked_add(layout.size())? <= SIZE).then_some(start)
    }

    /// The place of a block, if it is the arena's.
    fn place_of(block: *mut u8) -> Option<usize> {
        Some(block.addr().wrapping_sub(MEMORY.start().addr())).filter(|place| *place < SIZE)
    }
}

// SAFETY: blocks do not overlap. Each begins at or behind NEXT, which goes back only to the start of the last block, or to the start of
// all if no block is in use. rinit has one thread.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(rinit_alloc_guard)]
        if IS_CLOSED.load(Relaxed) {
            std::process::abort();
        }
        let Some(start) = Self::place(layout) else {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc(layout) };
        };
        let end = start + layout.size();
        NEXT.store(end, Relaxed);
        USED.store(end.max(USED.load(Relaxed)), Relaxed);
        BLOCKS.store(BLOCKS.load(Relaxed) + 1, Relaxed);
        MEMORY.start().wrapping_add(start)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(start) = Self::place_of(block) else {
            // SAFETY: not the arena's, so System's.
            return unsafe { System.dealloc(block, layout) };
        };
        let blocks = BLOCKS.load(Relaxed) - 1;
        BLOCKS.store(blocks, Relaxed);
        if blocks == 0 {
            NEXT.store(0, Relaxed);
        } else if start + layout.size() == NEXT.load(Relaxed) {
            NEXT.store(start, Relaxed);
        }
    }
}

/// Gives the pages back to the kernel that hold nothing any more. From here on rinit allocates nothing.
pub(crate) fn release() {
    #[cfg(rinit_alloc_guard)]
    {
        IS_CLOSED.store(true, Relaxed);
        // A test's proof that the guard works.
        if super::environment::variable("TRIP_ALLOC_GUARD").is_some_and(|value| !value.is_empty()) {
            drop(std::hint::black_box(Box::new(0_u8)));
        }
    }
    let (next, used) = (NEXT.load(Relaxed), USED.load(Relaxed));
    if used == next {
        return;
    }
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| usize::try_from(page).ok()).unwrap_or(64 * 1024);
    let base = MEMORY.start().addr();
    let first = (base + next).next_multiple_of(page) - base;
    let end = (base + used).next_multiple_of(page) - base;
    // The last page of all may also hold what the linker has placed behind the arena.
    let length = if end <= SIZE { end } else { end - page }.saturating_sub(first);
    // SAFETY: whole pages behind the last block in use. Refused, they just stay.
    unsafe { libc::madvise(MEMORY.start().wrapping_add(first).cast(), length, libc::MADV_DONTNEED) };
    USED.store(next, Relaxed);
}
