//! The heap, in place of the C library's: zeroed memory of the binary's own, and the kernel's when that is used up.
//!
//! The C library's allocator prepares itself before main, in every container, whether it is needed or not: four
//! system calls (getrandom, three times brk), pages that stay dirty and, on glibc, 35 KiB of code. rinit allocates
//! some 2 KiB in a usual life, and 60 KiB more for a moment where it has options to read. malloc(3) calls this
//! interposition; `malloc.rs` has the symbols.

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull, null_mut};

/// Every block is aligned to this, as malloc(3) promises for any object; before it lies its header.
const ALIGN: usize = 16;

/// Room for the header in front of a block.
const HEADER: usize = ALIGN;

/// The smallest block's size, with its header, and the largest that comes from a chunk.
const SMALLEST: usize = 2 * ALIGN;
const LARGEST: usize = 32 * 1024;

/// Sizes between them: one free list each.
const CLASSES: usize = 4 * (LARGEST.ilog2() - ALIGN.ilog2()) as usize;

/// What comes first: enough for a usual run without options, of which glibc takes 1.8 KiB before main and musl nothing;
/// small enough to share a page with other data that is written. What is freed in it stays unused.
const NEAR: usize = if cfg!(target_env = "musl") { 384 } else { 2048 };

/// What comes after it. Pages of it that are never used do not exist. It is enough for a usual life with any options,
/// so that an mmap(2) refused, once the command runs, ends no init.
const RESERVE: usize = 256 * 1024;

/// The pages that are worth a system call to give back.
const WORTH_GIVING_BACK: usize = 16 * 1024;

/// What is asked of the kernel when a chunk is used up.
const CHUNK: usize = 256 * 1024;

/// The header of a block that was moved up to be aligned more strictly: how far, with this bit. Sizes are even.
const MOVED: usize = 1;

/// Blocks in four sizes to each power of two. A freed one waits in its size's list to be used again; a large one is
/// the kernel's own mapping and goes back to it; and when the last one of the reserve is freed, as after the command
/// line has been read, the reserve's pages go back. So memory stays as flat as what is in use.
///
/// For one thread: the process has no other, and the child that shares its memory runs while it stands still.
pub struct Heap {
    /// Of words that are aligned as blocks have to be.
    near: UnsafeCell<[u128; NEAR / ALIGN]>,
    state: UnsafeCell<State>,
}

struct State {
    /// What is used of [`NEAR`].
    near: usize,
    /// The freed blocks of each size: each holds the address of the next in its first word.
    free: [*mut u8; CLASSES],
    /// Where the reserve begins; null before it is used.
    reserve: *mut u8,
    /// What is left of the newest chunk: of the reserve, or of what the kernel gave when that was used up.
    next: *mut u8,
    left: usize,
    /// Blocks of all chunks that are in use.
    in_use: usize,
}

// SAFETY: only one thread ever uses a heap: rinit has no other.
unsafe impl Sync for Heap {}

impl Heap {
    /// A heap with nothing handed out.
    #[allow(clippy::new_without_default, reason = "a static needs a const fn")]
    pub const fn new() -> Self {
        let (reserve, next) = (null_mut(), null_mut());
        let state = State { near: 0, free: [null_mut(); CLASSES], reserve, next, left: 0, in_use: 0 };
        Self { near: UnsafeCell::new([0; NEAR / ALIGN]), state: UnsafeCell::new(state) }
    }

    /// A block of at least `size` bytes; null where memory is short.
    ///
    /// # Safety
    /// One thread at a time.
    pub unsafe fn allocate(&self, size: usize) -> *mut u8 {
        let Some(whole) = size.checked_add(HEADER) else { return null_mut() };
        // SAFETY: the caller's promise; nothing below calls back.
        let state = unsafe { &mut *self.state.get() };
        let block = match class(whole) {
            _ if whole <= NEAR - state.near => {
                let whole = whole.next_multiple_of(ALIGN);
                let start = self.near.get().cast::<u8>().wrapping_add(state.near);
                state.near += whole;
                NonNull::new(start).map(|start| (start, whole))
            }
            None => map(whole),
            Some((place, whole)) => match state.free.get_mut(place) {
                Some(first) if !first.is_null() => {
                    let block = *first;
                    // SAFETY: a freed block holds the next one's address.
                    *first = unsafe { block.cast::<*mut u8>().read() };
                    state.in_use += 1;
                    return block;
                }
                _ => state.cut(whole).map(|start| (start, whole)),
            },
        };
        let Some((start, whole)) = block else { return null_mut() };
        // SAFETY: the block begins with room for its header, aligned for it.
        unsafe {
            start.as_ptr().cast::<usize>().write(whole);
            start.as_ptr().add(HEADER)
        }
    }

    /// A block whose address is a multiple of `align`, a power of two.
    ///
    /// # Safety
    /// One thread at a time.
    pub unsafe fn allocate_aligned(&self, align: usize, size: usize) -> *mut u8 {
        if align <= ALIGN {
            // SAFETY: the caller's promise.
            return unsafe { self.allocate(size) };
        }
        let Some(room) = size.checked_add(align) else { return null_mut() };
        // SAFETY: the caller's promise.
        let block = unsafe { self.allocate(room) };
        if block.is_null() {
            return block;
        }
        let distance = block.align_offset(align);
        // SAFETY: `distance` is below `align`, for which there is room, and a multiple of 16: where it is not 0
        // there is room for a header before the moved block, too.
        unsafe {
            let moved = block.add(distance);
            if distance > 0 {
                moved.sub(HEADER).cast::<usize>().write(distance | MOVED);
            }
            moved
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It is one of this heap's, or null, and not used any more. One thread at a time.
    pub unsafe fn free(&self, block: *mut u8) {
        if block.is_null() {
            return;
        }
        // SAFETY: the caller's promise: each block has a header, and a moved one the way back to its start.
        unsafe {
            let (start, whole) = Self::origin(block);
            let state = &mut *self.state.get();
            if start.addr().wrapping_sub(self.near.get().addr()) < NEAR {
                return;
            }
            match class(whole).and_then(|(place, _)| state.free.get_mut(place)) {
                Some(first) => {
                    let block = start.add(HEADER);
                    block.cast::<*mut u8>().write(*first);
                    *first = block;
                    state.in_use -= 1;
                    if state.in_use == 0 {
                        state.empty();
                    }
                }
                None => {
                    libc::munmap(start.cast(), whole);
                }
            }
        }
    }

    /// Makes a block larger or smaller, moving it if need be. Null where memory is short: then it stays as it is.
    ///
    /// # Safety
    /// As for [`Heap::free`].
    pub unsafe fn reallocate(&self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            // SAFETY: the caller's promise.
            return unsafe { self.allocate(size) };
        }
        // SAFETY: the caller's promise; two live blocks do not overlap, and each is as long as what is copied.
        unsafe {
            let room = Self::room(block);
            if size <= room && room / 4 <= size.max(SMALLEST) {
                return block;
            }
            let moved = self.allocate(size);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, room.min(size));
                self.free(block);
            }
            moved
        }
    }

    /// The bytes that a block can hold.
    ///
    /// # Safety
    /// It is one of a heap's, and in use.
    pub unsafe fn room(block: *mut u8) -> usize {
        // SAFETY: the caller's promise.
        let (start, whole) = unsafe { Self::origin(block) };
        whole - (block.addr() - start.addr())
    }

    /// Where a block begins, with its header, and how long it is with it.
    unsafe fn origin(block: *mut u8) -> (*mut u8, usize) {
        // SAFETY: the caller's promise: in front of the block is its header.
        unsafe {
            let start = block.sub(HEADER);
            let header = start.cast::<usize>().read();
            if header & MOVED == 0 {
                return (start, header);
            }
            let start = block.sub(header & !MOVED).sub(HEADER);
            (start, start.cast::<usize>().read())
        }
    }
}

impl State {
    /// A piece of the newest chunk. What is left of the one before stays unused.
    fn cut(&mut self, whole: usize) -> Option<NonNull<u8>> {
        if self.reserve.is_null() {
            self.reserve = reserve();
            (self.next, self.left) = (self.reserve, RESERVE);
        }
        if self.left < whole {
            let (chunk, length) = map(CHUNK)?;
            (self.next, self.left) = (chunk.as_ptr(), length);
        }
        let start = NonNull::new(self.next)?;
        // `whole` is a multiple of 16, so what follows is aligned as a header has to be.
        self.next = self.next.wrapping_add(whole);
        self.left -= whole;
        self.in_use += 1;
        Some(start)
    }

    /// Nothing is in use: begins the reserve anew. Not where the kernel has given more, which would be forgotten.
    fn empty(&mut self) {
        let used = self.next.addr().wrapping_sub(self.reserve.addr());
        if used > RESERVE {
            return;
        }
        self.free = [null_mut(); CLASSES];
        (self.next, self.left) = (self.reserve, RESERVE);
        if used >= WORTH_GIVING_BACK {
            give_back(self.reserve, used);
        }
    }
}

// A section of its own, which linkers put behind `.bss`: among the others it would part what rinit and the C library
// write, and make them dirty a page more.
std::arch::global_asm!(
    ".pushsection .reserve, \"aw\", %nobits",
    ".balign 16",
    "rinit_heap_reserve: .zero {size}",
    ".popsection",
    size = const RESERVE,
);

/// The zeroed memory of the binary's own.
#[cfg(not(test))]
fn reserve() -> *mut u8 {
    unsafe extern "C" {
        static mut rinit_heap_reserve: [u8; RESERVE];
    }
    (&raw mut rinit_heap_reserve).cast()
}

/// Each heap of a test has one of its own.
#[cfg(test)]
fn reserve() -> *mut u8 {
    map(RESERVE).map_or(null_mut(), |(start, _)| start.as_ptr())
}

/// Lets go of the whole pages among these bytes, which are zero when they are used again: madvise(2).
fn give_back(start: *mut u8, length: usize) {
    // SAFETY: takes a number only.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(1 << 16);
    let before = start.addr().next_multiple_of(page) - start.addr();
    let whole = length.saturating_sub(before) / page * page;
    // SAFETY: inside the reserve, where no block is in use. Refused, the pages just stay.
    unsafe { libc::madvise(start.wrapping_add(before).cast(), whole, libc::MADV_DONTNEED) };
}

/// The free list that blocks of at least this size, header included, wait in, and their size; none where they are too
/// large for a chunk.
fn class(whole: usize) -> Option<(usize, usize)> {
    let whole = whole.max(SMALLEST);
    if whole > LARGEST {
        return None;
    }
    let power = (whole - 1).ilog2();
    let step = (1_usize << power >> 2).max(ALIGN);
    let size = whole.next_multiple_of(step);
    Some((4 * (power - ALIGN.ilog2()) as usize + (size - (1 << power)) / step - 1, size))
}

/// Zeroed pages of the kernel's, and their length: mmap(2). The length is never a size that comes from a chunk.
fn map(length: usize) -> Option<(NonNull<u8>, usize)> {
    const PAGE: usize = 64 * 1024;
    let length = length.checked_next_multiple_of(PAGE)?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new pages, anywhere.
    let start = unsafe { libc::mmap(null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()).map(|start| (start, length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of numbers that look random, the same in each run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) as usize % limit
        }
    }

    #[test]
    fn blocks_never_overlap_and_keep_their_bytes() {
        let heap = Box::new(Heap::new());
        let mut numbers = Numbers(1);
        let mut blocks: Vec<(*mut u8, usize, u8)> = Vec::new();
        for round in 0..60_000 {
            let mark = round as u8;
            let limit = [64, 600, 5_000, 100_000][numbers.below(4)];
            let size = numbers.below(limit);
            // SAFETY: each block is used within its size, and freed once.
            unsafe {
                match numbers.below(3) {
                    0 if !blocks.is_empty() => {
                        let (block, size, mark) = blocks.swap_remove(numbers.below(blocks.len()));
                        assert!((0..size).all(|at| *block.add(at) == mark), "bytes of a block changed");
                        heap.free(block);
                    }
                    1 if !blocks.is_empty() => {
                        let which = numbers.below(blocks.len());
                        let (block, old, old_mark) = blocks[which];
                        let moved = heap.reallocate(block, size);
                        assert!((0..old.min(size)).all(|at| *moved.add(at) == old_mark));
                        moved.write_bytes(mark, size);
                        blocks[which] = (moved, size, mark);
                    }
                    _ => {
                        let align = 1 << numbers.below(13);
                        let block = heap.allocate_aligned(align, size);
                        assert!(!block.is_null() && block.addr().is_multiple_of(align.max(ALIGN)));
                        assert!(Heap::room(block) >= size);
                        block.write_bytes(mark, size);
                        blocks.push((block, size, mark));
                    }
                }
            }
            if blocks.len() > 300 {
                let (block, ..) = blocks.swap_remove(0);
                // SAFETY: in use until here.
                unsafe { heap.free(block) };
            }
        }
    }

    #[test]
    fn sizes_come_in_steps_and_each_has_its_list() {
        let mut last = None;
        for whole in 1..=LARGEST {
            let (place, size) = class(whole).unwrap();
            assert!(size >= whole && size.is_multiple_of(ALIGN) && place < CLASSES);
            assert!(size <= SMALLEST.max(whole + whole / 4 + ALIGN), "{whole} becomes {size}");
            assert_eq!(class(size), Some((place, size)), "a block goes back to where it came from");
            if last.is_some_and(|(_, smaller)| smaller != size) {
                assert!(last.is_some_and(|(before, _)| before < place));
            }
            last = Some((place, size));
        }
        assert_eq!(class(LARGEST + 1), None);
    }

    /// Uses up what comes before the reserve, and takes one block of that.
    unsafe fn first_of_the_reserve(heap: &Heap) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                let block = heap.allocate(1);
                if (*heap.state.get()).in_use == 1 {
                    return block;
                }
            }
        }
    }

    #[test]
    fn freed_memory_is_used_again() {
        let heap = Box::new(Heap::new());
        // SAFETY: each block is freed once.
        unsafe {
            first_of_the_reserve(&heap);
            for size in [1, 100, 3_000, 30_000] {
                let first = heap.allocate(size);
                heap.free(first);
                for _ in 0..10_000 {
                    let again = heap.allocate(size);
                    assert_eq!(again, first);
                    heap.free(again);
                }
            }
        }
    }

    #[test]
    fn an_empty_heap_begins_anew_on_zeroed_pages() {
        let heap = Box::new(Heap::new());
        // SAFETY: each block is used within its size, and freed once.
        unsafe {
            let block = first_of_the_reserve(&heap);
            let state = heap.state.get();
            let first = (*state).reserve;
            let blocks: Vec<_> = (1..100).map(|size| heap.allocate(size * 30)).collect();
            for block in &blocks {
                block.write_bytes(0xff, 20);
            }
            blocks.into_iter().for_each(|block| heap.free(block));
            assert_ne!((*state).next, first, "one is still in use");
            let used = (*state).next.addr() - first.addr();
            heap.free(block);
            assert_eq!(((*state).in_use, (*state).next), (0, first));
            // But for a part of a page at the end.
            let pages = std::slice::from_raw_parts(first, used - 64 * 1024);
            assert!(pages.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_cannot_be_is_null() {
        let heap = Box::new(Heap::new());
        // SAFETY: nothing is handed out.
        unsafe {
            assert!(heap.allocate(usize::MAX).is_null());
            assert!(heap.allocate(usize::MAX / 2).is_null());
            assert!(heap.allocate_aligned(4096, usize::MAX - 100).is_null());
            heap.free(null_mut());
        }
    }
}
