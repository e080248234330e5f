//! malloc(3) and its family, for the C library and for Rust's standard library alike: [`Heap`] under the C names.
//! A static binary takes these in place of the C library's.

use std::ffi::{c_int, c_void};

use rinit::sys::heap::Heap;

static HEAP: Heap = Heap::new();

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: rinit has one thread.
    unsafe { HEAP.allocate(size) }.cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(whole) = count.checked_mul(size) else { return std::ptr::null_mut() };
    // SAFETY: rinit has one thread; the block is as long as what is zeroed.
    unsafe {
        let block = HEAP.allocate(whole);
        if !block.is_null() {
            block.write_bytes(0, whole);
        }
        block.cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: rinit has one thread, and the caller hands in what it got here.
    unsafe { HEAP.reallocate(block.cast(), size) }.cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: rinit has one thread, and the caller hands in what it got here.
    unsafe { HEAP.free(block.cast()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    // SAFETY: rinit has one thread.
    unsafe { HEAP.allocate_aligned(align, size) }.cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: rinit has one thread.
    unsafe { HEAP.allocate_aligned(align, size) }.cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // SAFETY: rinit has one thread, and the caller has room for a pointer.
    unsafe {
        let block = HEAP.allocate_aligned(align, size);
        if block.is_null() {
            return libc::ENOMEM;
        }
        place.write(block.cast());
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller hands in a block that it got here, or null.
    if block.is_null() { 0 } else { unsafe { Heap::room(block.cast()) } }
}
