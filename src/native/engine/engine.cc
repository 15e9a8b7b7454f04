#include "engine/engine.h"

#include <chrono>
#include <cmath>
#include <cstring>

#include "registers/amx.h"
#include "engine/operations.h"

namespace mixtune {

bool bfloat16IsFast() {
#if MIXTUNE_AMX
  return amxIsAllowed();
#elif defined(__AVX512BF16__) && defined(MIXTUNE_NAMED_TARGET)
  return true;
#elif defined(__AVX512BF16__)
  // Measured: twice the speed of floats on Zen 5, half of it on Intel's processors outside of their tile registers.
  return __builtin_cpu_is("amd");
#else
  return false;
#endif
}

Engine::Engine(int threads, bool bfloat16)
    : team(threads),
      products(!bfloat16          ? Products::kFloat
               : bfloat16IsFast() ? Products::kBfloat16
                                  : Products::kRoundedFloat),
      threadScratch_(static_cast<size_t>(threads)),
      costs_(kOperationCount),
      thread_([this] { serve(); }) {}

Engine::~Engine() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Command& Engine::claimSlot() {
  while (written_.load() - executed_.load(std::memory_order_acquire) >= kQueue)
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  return queue_[written_.load() % kQueue];
}

void Engine::publish() {
  written_.fetch_add(1);
  if (asleep_) {
    std::lock_guard<std::mutex> lock(mutex_);
    wake_.notify_one();
  }
}

void Engine::enqueue(int operation, const double* values, int count) {
  Command& command = claimSlot();
  command.operation = operation;
  command.count = count;
  std::memcpy(command.values, values, static_cast<size_t>(count) * sizeof(double));
  publish();
}

void Engine::enqueue(std::function<void()> action) {
  Command& command = claimSlot();
  command.operation = -1;
  command.action = std::move(action);
  publish();
}

bool Engine::waitForCommand() {
  const auto ready = [&] { return stop_ || written_.load() != executed_.load(); };
  for (int spins = 0; spins < kSpins; spins++) {
    if (ready()) return !stop_;
    pauseSpin();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  asleep_ = true;
  wake_.wait(lock, ready);
  asleep_ = false;
  return !stop_;
}

void Engine::serve() {
  flushDenormals();
  while (waitForCommand()) {
    execute(queue_[executed_.load() % kQueue]);
    executed_.fetch_add(1, std::memory_order_release);
  }
}

void Engine::execute(Command& command) {
  try {
    if (command.operation < 0) {
      const std::function<void()> action = std::move(command.action);
      command.action = nullptr;
      action();
    } else {
      Arguments arguments(command.values, command.count);
      cost_ = &costs_[static_cast<size_t>(command.operation)];
      const auto begun = std::chrono::steady_clock::now();
      kOperations[command.operation].run(*this, arguments);
      cost_->calls++;
      cost_->seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    }
    size_t held = 0;
    scratch.reset();
    held += scratch.held();
    for (Scratch& each : threadScratch_) {
      each.reset();
      held += each.held();
    }
    heldOutsidePool = held + static_cast<size_t>(packedBytes.load());
  } catch (const std::exception& error) {
    const char* name = command.operation < 0 ? "copy" : kOperations[command.operation].name;
    if (failure_.empty()) failure_ = std::string("native ") + name + ": " + error.what();
  }
}

std::string Engine::takeFailure() {
  std::string failure;
  failure.swap(failure_);
  return failure;
}

void Engine::addRotary(std::vector<double> frequencies) {
  RotaryTable& table = rotaryTables_.emplace_back();
  table.frequencies = std::move(frequencies);
  table.headDim = 2 * static_cast<int64_t>(table.frequencies.size() - 1);
}

const RotaryTable& Engine::rotaryTable(int64_t number, int64_t headDim, int64_t positions) {
  if (number < 0 || number >= static_cast<int64_t>(rotaryTables_.size()))
    throw std::runtime_error("there is no such rotary embedding");
  RotaryTable& table = rotaryTables_[static_cast<size_t>(number)];
  if (table.headDim != headDim) throw std::runtime_error("a rotary embedding of another head size");
  const double factor = table.frequencies.back();
  for (; table.positions < positions; table.positions++) {
    for (int64_t i = 0; i < headDim / 2; i++) {
      const double angle = static_cast<double>(table.positions) * table.frequencies[static_cast<size_t>(i)];
      table.cosine.push_back(static_cast<float>(factor * std::cos(angle)));
      table.sine.push_back(static_cast<float>(factor * std::sin(angle)));
    }
  }
  return table;
}

}  // namespace mixtune
