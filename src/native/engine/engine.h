// The engine: a queue of operations, the thread that runs them in order, and what operations use.
#pragma once

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/memory.h"
#include "engine/threads.h"

namespace mixtune {

class Engine;

/** The form of the operands of matrix products. */
enum class Products { kFloat, kRoundedFloat, kBfloat16 };

/** Whether products of bfloat16 pairs are faster than those of floats. */
bool bfloat16IsFast();

/** The numbers of a call, read in the order in which JavaScript wrote them. */
class Arguments {
 public:
  Arguments(const double* values, int count) : next_(values), end_(values + count) {}

  double number() {
    if (next_ == end_) throw std::runtime_error("an argument is missing");
    return *next_++;
  }
  int64_t integer() {
    const double value = number();
    if (!(value >= -kLargestInteger && value <= kLargestInteger && value == std::trunc(value)))
      throw std::runtime_error("a size is not an integer");
    return static_cast<int64_t>(value);
  }
  /** An extent of an array: at least 1, and small enough that the product of two cannot overflow. */
  int64_t extent() {
    const int64_t value = integer();
    if (value < 1 || value > INT32_MAX) throw std::runtime_error("a size of " + std::to_string(value));
    return value;
  }
  float real() { return static_cast<float>(number()); }
  bool flag() { return number() != 0; }

  /** A block with at least `count` elements of type T; null for a tensor that was not given. */
  template <class T>
  Block* block(int64_t count) {
    Block* block = reinterpret_cast<Block*>(static_cast<uintptr_t>(number()));
    if (count < 0) throw std::runtime_error("a size is negative");
    if (block && static_cast<size_t>(count) > block->bytes / sizeof(T))
      throw std::runtime_error("a tensor is smaller than its shape says");
    return block;
  }

  template <class T = float>
  const T* read(int64_t count) {
    Block* block = this->block<T>(count);
    return block ? reinterpret_cast<const T*>(block->memory.get()) : nullptr;
  }

  /** A block for writing, which invalidates packed copies of its old contents. */
  template <class T = float>
  T* write(int64_t count) {
    Block* block = this->block<T>(count);
    if (!block) return nullptr;
    block->version++;
    return reinterpret_cast<T*>(block->memory.get());
  }

 private:
  /** 2⁵³: up to this, every integer is exact in a double. */
  static constexpr double kLargestInteger = 9007199254740992.0;

  const double* next_;
  const double* end_;
};

/** The target of a gradient, from two arguments: accumulate?, and the tensor or 0. */
struct GradientTarget {
  bool accumulate;
  float* data;

  GradientTarget(Arguments& in, int64_t count) : accumulate(in.flag()), data(in.write(count)) {}
};

using Operation = void (*)(Engine&, Arguments&);

constexpr int kMaxArguments = 40;

struct Command {
  /** Index in the table of operations; if −1, `action` is called instead. */
  int operation = -1;
  int count = 0;
  double values[kMaxArguments];
  std::function<void()> action;
};

/** The cost of one operation so far. Written by the engine thread; exact only after a fence. */
struct OperationCost {
  uint64_t calls = 0;
  double seconds = 0;
  double flops = 0;
  /** Minimum traffic between memory and processor in bytes, assuming cold caches. */
  double bytes = 0;
};

/** factor · cos and factor · sin of position · frequency, [position][headDim / 2] each. */
struct RotaryTable {
  /** Frequency of each pair of a head's elements in radians per position, then the factor, [headDim / 2 + 1]. */
  std::vector<double> frequencies;
  int64_t headDim = 0;
  int64_t positions = 0;
  std::vector<float> cosine;
  std::vector<float> sine;
};

class Engine {
 public:
  Engine(int threads, bool bfloat16);
  /** Drops commands that are still queued and ends the threads. */
  ~Engine();

  /** Script thread: appends a command; waits if the queue is full. */
  void enqueue(int operation, const double* values, int count);
  void enqueue(std::function<void()> action);
  /** Script thread: true if all commands have run, so that this thread may access blocks. */
  bool idle() const { return executed_.load(std::memory_order_acquire) == written_.load(); }
  Pool pool;

  /** The members from here to `costs` are for operations, on the engine thread. */
  Team team;
  const Products products;
  Scratch scratch;
  Scratch& scratchOf(int thread) { return threadScratch_[static_cast<size_t>(thread)]; }
  /** Adds a rotary embedding, with frequencies as in RotaryTable; the first one is number 0. */
  void addRotary(std::vector<double> frequencies);
  /** The table with this number, extended to at least this many positions. */
  const RotaryTable& rotaryTable(int64_t number, int64_t headDim, int64_t positions);

  /** Adds to the cost of the current operation. */
  void count(double flops, double bytes) {
    cost_->flops += flops;
    cost_->bytes += bytes;
  }
  /** Costs by operation, in the order of kOperations. */
  const std::vector<OperationCost>& costs() const { return costs_; }

  /** Engine thread: the first failure since the last call, empty if there was none. */
  std::string takeFailure();

  /** Bytes outside the pool: packed weights and scratch. */
  std::atomic<size_t> heldOutsidePool{0};
  std::atomic<int64_t> packedBytes{0};

 private:
  static constexpr size_t kQueue = 2048;

  Command& claimSlot();
  void publish();
  bool waitForCommand();
  void execute(Command& command);
  void serve();

  std::vector<Scratch> threadScratch_;
  std::vector<OperationCost> costs_;
  OperationCost* cost_ = nullptr;
  std::vector<RotaryTable> rotaryTables_;
  std::string failure_;
  std::vector<Command> queue_{kQueue};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> executed_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace mixtune
