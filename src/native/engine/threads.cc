#include "engine/threads.h"

#include <chrono>
#include <exception>
#include <stdexcept>

#include "registers/simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace mixtune {

void flushDenormals() {
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
  uint64_t control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  asm volatile("msr fpcr, %0" : : "r"(control | (1ull << 24)));
#endif
}

Team::Team(int threads) : size_(threads), stretches_(new Stretch[static_cast<size_t>(threads)]) {
  for (int thread = 1; thread < threads; thread++) workers_.emplace_back([this, thread] { serve(thread); });
}

Team::~Team() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Team::run(int64_t count, Invoke invoke, const void* closure) {
  if (count <= 1 || size_ == 1) {
    for (int64_t index = 0; index < count; index++) invoke(closure, index, 0);
    finishStreams();
    return;
  }
  if (count > UINT32_MAX) throw std::runtime_error("too many tasks");
  invoke_ = invoke;
  closure_ = closure;
  count_ = count;
  done_ = 0;
  const uint32_t epoch = static_cast<uint32_t>(ticket_.load() >> 32) + 1;
  ticket_ = (static_cast<uint64_t>(epoch) << 32) | static_cast<uint64_t>(count);
  if (sleepers_ > 0) {
    std::lock_guard<std::mutex> lock(mutex_);
    wake_.notify_all();
  }
  claimTasks(epoch, 0);
  for (int turn = 0; done_.load(std::memory_order_acquire) < count; turn++) {
    // The last task may need this processor, but a sleeping thread would wake up late.
    if (turn < kSpins)
      pauseSpin();
    else if (turn < kYields)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (!failure_.empty()) {
    std::string failure;
    failure.swap(failure_);
    throw std::runtime_error(failure);
  }
}

void Team::claimTasks(uint32_t epoch, int thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(ticket >> 32) == epoch && static_cast<uint32_t>(ticket) > 0) {
    if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
    // The job cannot end before the claimed task is done, so its description is stable from here on.
    const int64_t index = count_.load() - static_cast<int64_t>(static_cast<uint32_t>(ticket));
    try {
      invoke_.load()(closure_.load(), index, thread);
      finishStreams();
    } catch (const std::exception& error) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (failure_.empty()) failure_ = error.what();
    }
    done_.fetch_add(1, std::memory_order_release);
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

bool Team::waitForWork(uint32_t seen) {
  const auto ready = [&] { return stop_ || static_cast<uint32_t>(ticket_.load() >> 32) != seen; };
  for (int spins = 0; spins < kSpins; spins++) {
    if (ready()) return !stop_;
    pauseSpin();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  sleepers_++;
  wake_.wait(lock, ready);
  sleepers_--;
  return !stop_;
}

void Team::serve(int thread) {
  flushDenormals();
  uint32_t seen = 0;
  while (waitForWork(seen)) {
    seen = static_cast<uint32_t>(ticket_.load() >> 32);
    claimTasks(seen, thread);
  }
}

}  // namespace mixtune
