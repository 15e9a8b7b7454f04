#include "memory.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <new>

namespace mixtune {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = 2 << 20;

size_t roundUp(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

size_t sizeClass(size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  return bytes;  // so that a step beyond a tensor is one beyond its block
#endif
  size_t power = 1024;
  while (power * 2 <= bytes) power *= 2;
  return bytes <= power ? power : roundUp(bytes, power / 4);
}

}  // namespace

void FreeAligned::operator()(void* memory) const { std::free(memory); }

AlignedMemory allocateAligned(size_t bytes, size_t used) {
  const bool huge = used >= kHugePage;
  // One line more: kernels read whole vectors where that costs nothing.
  void* memory = nullptr;
  const size_t size = roundUp(bytes, kAlignment) + kAlignment;
  if (posix_memalign(&memory, huge ? kHugePage : kAlignment, size) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (huge) madvise(memory, used / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return AlignedMemory(static_cast<char*>(memory));
}

Block* Pool::allocate(size_t bytes) {
  const size_t size = sizeClass(bytes);
  std::vector<Block*>& available = free_[size];
  Block* block;
  if (available.empty()) {
    auto fresh = std::make_unique<Block>();
    fresh->bytes = size;
    fresh->memory = allocateAligned(size, bytes);
    block = fresh.get();
    blocks_.push_back(std::move(fresh));
    held_ += size;
  } else {
    block = available.back();
    available.pop_back();
  }
  used_ += size;
  return block;
}

void Pool::free(Block* block) {
  free_[block->bytes].push_back(block);
  used_ -= block->bytes;
}

void* Scratch::takeBytes(size_t bytes) {
  const size_t size = roundUp(bytes, kAlignment) + kAlignment;  // apart, so that equal arrays do not share cache sets
  if (chunks_.empty() || offset_ + size > chunks_.back().bytes) {
    const size_t fresh = size > (1u << 16) ? size : (1u << 16);
    chunks_.push_back({allocateAligned(fresh), fresh});
    offset_ = 0;
  }
  void* taken = chunks_.back().memory.get() + offset_;
  offset_ += size;
  return taken;
}

void Scratch::reset() {
  offset_ = 0;
  if (chunks_.size() < 2) return;
  const size_t total = held();
  chunks_.clear();
  chunks_.push_back({allocateAligned(total), total});
}

size_t Scratch::held() const {
  size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.bytes;
  return total;
}

}  // namespace mixtune
