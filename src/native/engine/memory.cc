#include "engine/memory.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>

namespace mixtune {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = 2 << 20;

size_t roundUp(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

size_t sizeClass(size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  return bytes;  // so that an access beyond a tensor is an access beyond its block
#endif
  size_t power = 4096;
  while (power * 2 <= bytes) power *= 2;
  return roundUp(bytes, power / 64);
}

/**
 * One cache line more than requested: kernels may then read whole vectors at the end, and arrays of equal size start in
 * different cache sets.
 */
size_t withMargin(size_t bytes) { return roundUp(bytes, kAlignment) + kAlignment; }

char* allocatePages(size_t size, size_t huge) {
  void* memory = nullptr;
  if (posix_memalign(&memory, huge > 0 ? kHugePage : kAlignment, size) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (huge > 0) madvise(memory, huge, MADV_HUGEPAGE);
#endif
  return static_cast<char*>(memory);
}

}  // namespace

/** Consecutive pieces. The space after the last one is never touched, so it takes no memory. */
struct Region {
  static constexpr size_t kBytes = 64 << 20, kMostOfPiece = 16 << 20, kLeastOfPiece = 16 << 10;

  char* memory = allocatePages(kBytes, kBytes);
  size_t taken = 0;
  int pieces = 0;

  ~Region() { std::free(memory); }
};

namespace {

/** Guards all regions, because both the engine and the script thread allocate and free. */
std::mutex regions;
Region* current = nullptr;

}  // namespace

void FreeAligned::operator()(void* memory) const {
  if (!region) return std::free(memory);
  std::lock_guard<std::mutex> lock(regions);
  if (--region->pieces > 0) return;
  if (region == current) current = nullptr;
  delete region;
}

AlignedMemory allocateAligned(size_t bytes) {
  return AlignedMemory(allocatePages(withMargin(bytes), bytes / kHugePage * kHugePage));
}

AlignedMemory allocateShared(size_t bytes) {
  const size_t size = withMargin(bytes);
  bool alone = size < Region::kLeastOfPiece || size > Region::kMostOfPiece;
#if defined(__SANITIZE_ADDRESS__)
  alone = true;
#endif
  if (alone) return allocateAligned(bytes);
  std::lock_guard<std::mutex> lock(regions);
  if (!current || current->taken + size > Region::kBytes) current = new Region();
  char* piece = current->memory + current->taken;
  current->taken += size;
  current->pieces++;
  return AlignedMemory(piece, {current});
}

Block* Pool::allocate(size_t bytes) {
  const size_t size = sizeClass(bytes);
  Block* block = takeFree(size);
  if (!block) {
    auto fresh = std::make_unique<Block>();
    fresh->bytes = size;
    fresh->memory = allocateShared(size);
    block = fresh.get();
    blocks_.push_back(std::move(fresh));
    held_ += size;
  }
  used_ += block->bytes;
  return block;
}

Block* Pool::takeFree(size_t least) {
  const auto found = free_.lower_bound(least);
  if (found == free_.end() || found->first > least + least / 4) return nullptr;
  Block* block = found->second.back();
  found->second.pop_back();
  if (found->second.empty()) free_.erase(found);
  return block;
}

void Pool::free(Block* block) {
  free_[block->bytes].push_back(block);
  used_ -= block->bytes;
}

void* Scratch::takeBytes(size_t bytes) {
  const size_t size = withMargin(bytes);
  if (chunks_.empty() || offset_ + size > chunks_.back().bytes) {
    const size_t fresh = std::max({size, wanted_, size_t{1} << 16});
    chunks_.push_back({allocateAligned(fresh), fresh});
    offset_ = 0;
  }
  void* taken = chunks_.back().memory.get() + offset_;
  offset_ += size;
  return taken;
}

ScratchFrame::~ScratchFrame() {
  auto& chunks = scratch_.chunks_;
  // Several new chunks are replaced with a single one of their total size when the next frame needs it.
  if (chunks.size() > chunks_ + 1)
    for (scratch_.wanted_ = 0; chunks.size() > chunks_; chunks.pop_back()) scratch_.wanted_ += chunks.back().bytes;
  scratch_.offset_ = chunks.size() == chunks_ ? offset_ : 0;
}

void Scratch::reset() {
  offset_ = wanted_ = 0;
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
