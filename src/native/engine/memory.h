// Memory: blocks for tensors, taken from a pool and returned to it, and scratch that lives for one operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace mixtune {

struct Region;

struct FreeAligned {
  /** The region that the memory is a piece of, if any. */
  Region* region = nullptr;
  void operator()(void* memory) const;
};
using AlignedMemory = std::unique_ptr<char, FreeAligned>;

/**
 * Allocates at least `bytes` bytes at an address that is a multiple of 64, on huge pages if the system has them. Throws
 * std::bad_alloc.
 */
AlignedMemory allocateAligned(size_t bytes);

/**
 * Allocates at least `bytes` bytes, aligned to 64, for long-lived data. It shares huge pages with other such memory,
 * and returns to the system only together with it. Throws std::bad_alloc.
 */
AlignedMemory allocateShared(size_t bytes);

/** A weight laid out for matrix products; valid while `version` equals that of its block and the shape is the same. */
struct PackedCopy {
  uint64_t version = 0;
  /** Version of the block when it was last packed without being kept. */
  uint64_t asked = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  size_t bytes = 0;
  AlignedMemory memory;
};

/**
 * A block of tensor memory. The script thread allocates and frees it; only the engine thread accesses anything else.
 */
struct Block {
  size_t bytes = 0;
  AlignedMemory memory;
  /** Incremented by every operation that writes; 0 is never a version. */
  uint64_t version = 1;
  PackedCopy packed;

  const float* data() const { return reinterpret_cast<const float*>(memory.get()); }
};

/**
 * Blocks by size class, with 64 classes per power of two. A freed block can be reused at once, because operations run
 * in the order in which they were enqueued, for requests of at least four fifths of its size. Used by one thread.
 */
class Pool {
 public:
  Block* allocate(size_t bytes);
  void free(Block* block);
  size_t used() const { return used_; }
  size_t held() const { return held_; }

 private:
  /** A free block of at least `least` bytes and not many more; null if there is none. */
  Block* takeFree(size_t least);

  /** Free blocks by size; no list is empty. */
  std::map<size_t, std::vector<Block*>> free_;
  std::vector<std::unique_ptr<Block>> blocks_;
  size_t used_ = 0;
  size_t held_ = 0;
};

/** Memory that is freed all at once. Grows to the most that was ever needed and keeps it. */
class Scratch {
 public:
  template <class T>
  T* take(int64_t count) {
    return static_cast<T*>(takeBytes(static_cast<size_t>(count) * sizeof(T)));
  }
  void reset();
  size_t held() const;

 private:
  struct Chunk {
    AlignedMemory memory;
    size_t bytes;
  };
  friend class ScratchFrame;
  void* takeBytes(size_t bytes);

  std::vector<Chunk> chunks_;
  size_t offset_ = 0;
  /** Minimum size of the next chunk. */
  size_t wanted_ = 0;
};

/** At its end, frees the scratch memory taken since its construction. */
class ScratchFrame {
 public:
  explicit ScratchFrame(Scratch& scratch)
      : scratch_(scratch), chunks_(scratch.chunks_.size()), offset_(scratch.offset_) {}
  ~ScratchFrame();
  ScratchFrame(const ScratchFrame&) = delete;
  ScratchFrame& operator=(const ScratchFrame&) = delete;

 private:
  Scratch& scratch_;
  size_t chunks_, offset_;
};

}  // namespace mixtune
