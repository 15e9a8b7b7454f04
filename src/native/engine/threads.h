// A team of threads that stays alive between operations.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mixtune {

/**
 * Iterations of a waiting loop before the thread sleeps: about 50 µs, more than the time between two operations of a
 * busy queue.
 */
constexpr int kSpins = 1000;
/** Iterations of the loop in which a thread waits for the last tasks of others: some milliseconds. */
constexpr int kYields = 20 * kSpins;

/** Hints to the processor that this is a waiting loop. */
inline void pauseSpin() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Flushes denormals to zero on the calling thread: they cost hundreds of cycles and do not matter here. */
void flushDenormals();

/**
 * Threads that share the tasks of one operation at a time. Tasks are claimed one by one, so a thread that the system
 * has suspended only delays the task that it has begun. A result that must not depend on the number of threads has to
 * be computed by a single task, or combined from tasks whose number does not depend on it.
 */
class Team {
 public:
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  /**
   * Runs task(index, thread) for each index in [0, count) and returns when all have finished. Rethrows the first
   * failure.
   */
  template <class Task>
  void parallel(int64_t count, const Task& task) {
    run(
        count,
        [](const void* closure, int64_t index, int thread) { (*static_cast<const Task*>(closure))(index, thread); },
        &task);
  }

  /** Runs task(begin, end, thread) for ranges of at most `grain` that make up [0, count). */
  template <class Task>
  void ranges(int64_t count, int64_t grain, const Task& task) {
    parallel((count + grain - 1) / grain, [&](int64_t chunk, int thread) {
      const int64_t begin = chunk * grain;
      task(begin, begin + grain < count ? begin + grain : count, thread);
    });
  }

  /**
   * Runs task(begin, end, thread) for ranges of at most `grain` that make up [0, count), for work that reads memory in
   * order: the ranges of a thread are consecutive. Each thread first works on its own stretch, then helps with what is
   * left of the others'.
   */
  template <class Task>
  void stretches(int64_t count, int64_t grain, const Task& task) {
    const int64_t used = std::min<int64_t>(size_, (count + grain - 1) / grain);
    for (int64_t i = 0; i < used; i++) {
      stretches_[i].next = i * count / used;
      stretches_[i].end = (i + 1) * count / used;
    }
    parallel(used, [&](int64_t own, int thread) {
      for (int64_t i = 0; i < used; i++) {
        Stretch& stretch = stretches_[(own + i) % used];
        for (int64_t begin; (begin = stretch.next.fetch_add(grain, std::memory_order_relaxed)) < stretch.end;)
          task(begin, std::min(begin + grain, stretch.end), thread);
      }
    });
  }

 private:
  struct alignas(64) Stretch {
    std::atomic<int64_t> next;
    int64_t end;
  };
  using Invoke = void (*)(const void* closure, int64_t index, int thread);

  void run(int64_t count, Invoke invoke, const void* closure);
  void claimTasks(uint32_t epoch, int thread);
  void serve(int thread);
  bool waitForWork(uint32_t seen);

  int size_;
  std::vector<std::thread> workers_;
  /**
   * Upper half: number of the current job; lower half: its tasks not yet claimed. One word, so a claim is one exchange.
   */
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> done_{0};
  std::atomic<Invoke> invoke_{nullptr};
  std::atomic<const void*> closure_{nullptr};
  std::atomic<int64_t> count_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  /** One stretch per thread. */
  const std::unique_ptr<Stretch[]> stretches_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string failure_;
};

}  // namespace mixtune
