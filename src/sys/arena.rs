//! The allocator for the parsing of options: one static block of memory, given back before the
//! command starts.
//!
//! The C library's allocator would ask the kernel for memory a dozen times, in every container that
//! uses an option. Without options rinit allocates nothing, and once the command runs it never
//! does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::memory::Memory;

/// Enough for any options. What does not fit (a long command line after an option) comes from the C
/// library's allocator.
const SIZE: usize = 256 * 1024;

static MEMORY: Memory<SIZE> = Memory::new();

/// The offset of the next block.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The end of the memory that has been used since the last release, as an offset.
static USED: AtomicUsize = AtomicUsize::new(0);

/// The number of blocks in use.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// Whether the command is about to run.
#[cfg(rinit_alloc_guard)]
static IS_CLOSED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Hands memory out from start to end. Reuses a freed block if it was the last one, and all memory
/// if no block is in use.
pub struct Arena;

impl Arena {
    /// The offset for a block of this layout, if there is room.
    fn place(layout: Layout) -> Option<usize> {
        let base = MEMORY.start().addr();
        let start = (base + NEXT.load(Relaxed)).checked_next_multiple_of(layout.align())? - base;
        (start.checked_add(layout.size())? <= SIZE).then_some(start)
    }

    /// The offset of a block, if it is in the arena.
    fn place_of(block: *mut u8) -> Option<usize> {
        Some(block.addr().wrapping_sub(MEMORY.start().addr())).filter(|place| *place < SIZE)
    }
}

// SAFETY: blocks do not overlap. Each begins at or after NEXT. NEXT goes back only to the start of
// the last block, when that is freed, or to 0, when no block is in use. rinit has one thread.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(rinit_alloc_guard)]
        if IS_CLOSED.load(Relaxed) {
            std::process::abort();
        }
        let Some(start) = Self::place(layout) else {
            // SAFETY: the caller guarantees a valid layout.
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
            // SAFETY: the block is not in the arena, so System has allocated it.
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

/// Gives pages that are no longer in use back to the kernel. From here on rinit allocates nothing.
pub(crate) fn release() {
    #[cfg(rinit_alloc_guard)]
    {
        IS_CLOSED.store(true, Relaxed);
        // With this variable, a test proves that the guard works.
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
    let (first, length) = whole_pages(MEMORY.start().addr(), next, used, page);
    // SAFETY: these are whole pages of the arena, after the last block in use. If the kernel
    // refuses the call, they just stay.
    unsafe { libc::madvise(MEMORY.start().wrapping_add(first).cast(), length, libc::MADV_DONTNEED) };
    USED.store(next, Relaxed);
}

/// The pages of the arena at `base` that hold nothing before `next` and something before `used`, as
/// an offset and a length.
fn whole_pages(base: usize, next: usize, used: usize, page: usize) -> (usize, usize) {
    let first = (base + next).next_multiple_of(page) - base;
    let end = (base + used).next_multiple_of(page) - base;
    // The last page may also hold what the linker has placed after the arena.
    (first, if end <= SIZE { end } else { end - page }.saturating_sub(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn a_release_is_of_whole_pages_within_the_arena() {
        for (base, next, used, pages) in [
            (0x10000, 0, 0x1000, (0, 0x1000)),
            (0x10000, 1, 0x1001, (0x1000, 0x1000)),
            (0x10000, 0, SIZE, (0, SIZE)),
            (0x10008, 0, 0x2000, (0xff8, 0x2000)),
            (0x10008, 0xff8, 0xff9, (0xff8, 0x1000)),
            (0x10008, 0xff9, 0xffa, (0x1ff8, 0)),
            (0x10008, 0, SIZE, (0xff8, SIZE - 0x1000)),
            (0x10008, SIZE - 1, SIZE, (SIZE + 0xff8, 0)),
        ] {
            assert_eq!(whole_pages(base, next, used, 0x1000), pages, "{base:x} {next:x} {used:x}");
        }
        assert_eq!(Arena::place_of(MEMORY.start().wrapping_add(SIZE)), None);
    }

    /// The tests' own allocator is another one, so the arena is this test's alone.
    #[test]
    fn blocks_are_apart_and_their_memory_is_used_again() {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap() as usize;
        // SAFETY: each block is freed once, with the layout that it was allocated with.
        unsafe {
            let alloc = |size, align| {
                let block = Arena.alloc(layout(size, align));
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                block.write_bytes(0xff, size);
                block
            };
            let free = |block, size, align| Arena.dealloc(block, layout(size, align));
            let place = Arena::place_of;

            let (first, second, third) = (alloc(10, 1), alloc(16, 8), alloc(3, 64));
            assert_eq!(place(first), Some(0));
            assert!(place(second).unwrap() >= 10 && place(third).unwrap() >= place(second).unwrap() + 16);
            // The last block is used again, one before it is not.
            free(third, 3, 64);
            assert_eq!(alloc(3, 64), third);
            free(second, 16, 8);
            let fourth = alloc(16, 8);
            assert!(place(fourth).unwrap() >= place(third).unwrap() + 3);
            free(fourth, 16, 8);
            free(first, 10, 1);
            // Only now is none in use.
            let fifth = alloc(1, 1);
            assert!(place(fifth).unwrap() > place(third).unwrap());
            free(third, 3, 64);
            free(fifth, 1, 1);
            assert_eq!((NEXT.load(Relaxed), BLOCKS.load(Relaxed)), (0, 0));

            // What does not fit comes from elsewhere.
            let all = alloc(SIZE, 1);
            let (over, large) = (alloc(1, 1), alloc(SIZE + 1, 1));
            assert_eq!([all, over, large].map(place), [Some(0), None, None]);
            free(over, 1, 1);
            free(large, SIZE + 1, 1);
            assert_eq!(BLOCKS.load(Relaxed), 1);
            free(all, SIZE, 1);

            // A release gives back whole pages that are free, and no others.
            let kept = alloc(page, 1);
            let rest = alloc(4 * page, 1);
            free(rest, 4 * page, 1);
            release();
            let is = |byte, from: *mut u8, size| (0..size).all(|at| *from.wrapping_add(at) == byte);
            let end_of_page = rest.wrapping_add(rest.addr().next_multiple_of(page) - rest.addr());
            assert!(is(0xff, kept, page) && is(0xff, rest, end_of_page.addr() - rest.addr()));
            assert!(is(0, end_of_page, rest.addr() + 4 * page - end_of_page.addr()));
            // What was used before the last release counts no more.
            let again = alloc(4 * page, 1);
            release();
            assert!(is(0xff, again, 4 * page));
            free(again, 4 * page, 1);
            free(kept, page, 1);
            release();
            assert!(is(0, end_of_page, 3 * page));
        }
    }
}
