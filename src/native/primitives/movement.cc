// Operations that move elements, which are 32-bit words of any type: table lookup and its gradient, transposes, slices.
#include <cstring>
#include <string>

#include "engine/operations.h"
#include "registers/simd.h"

namespace mixtune {

namespace {

constexpr int64_t kGrain = 16384;

void checkIds(const int32_t* ids, int64_t count, int64_t rows) {
  for (int64_t i = 0; i < count; i++)
    if (ids[i] < 0 || ids[i] >= rows)
      throw std::runtime_error("id " + std::to_string(ids[i]) + " at index " + std::to_string(i) +
                               " is outside a table of " + std::to_string(rows) + " rows");
}

void checkPart(int64_t start, int64_t width, int64_t slab) {
  if (start < 0 || width < 0 || start + width > slab) throw std::runtime_error("a part lies outside the whole");
}

int64_t rowsOfTask(int64_t width) { return kGrain / (width > 0 ? width : 1) + 1; }

/** Calls copy(row) for each of `outer` runs of `width` elements. */
template <class Copy>
void forEachRun(Engine& engine, int64_t outer, int64_t width, const Copy& copy) {
  engine.team.ranges(outer, rowsOfTask(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) copy(row);
  });
}

void addRun(float* to, const float* from, int64_t count) {
  forEachVec(count, [&](int64_t i, auto load, auto store) { store(to + i, load(to + i) + load(from + i)); });
}

}  // namespace

/** count of ids, rows of the table, width of a row, table, ids, out. */
void operations::gather(Engine& engine, Arguments& in) {
  const int64_t count = in.integer(), rows = in.integer(), width = in.integer();
  const float* table = in.read(rows * width);
  const int32_t* ids = in.read<int32_t>(count);
  float* out = in.write(count * width);
  checkIds(ids, count, rows);
  forEachRun(engine, count, width, [&](int64_t i) {
    std::memcpy(out + i * width, table + ids[i] * width, static_cast<size_t>(width) * sizeof(float));
  });
}

/**
 * count of ids, rows of the table, width of a row, source, ids, out. Tasks split the columns, so sums follow the order
 * of ids.
 */
void operations::scatterAdd(Engine& engine, Arguments& in) {
  const int64_t count = in.integer(), rows = in.integer(), width = in.integer();
  const float* source = in.read(count * width);
  const int32_t* ids = in.read<int32_t>(count);
  float* out = in.write(rows * width);
  checkIds(ids, count, rows);
  engine.team.ranges(width, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = 0; i < count; i++) addRun(out + ids[i] * width + begin, source + i * width + begin, end - begin);
  });
}

/** extents of the result [4], step of x for each [4], x, out. */
void operations::transpose(Engine& engine, Arguments& in) {
  int64_t extent[4], step[4];
  for (int64_t& each : extent) each = in.integer();
  for (int64_t& each : step) each = in.integer();
  const int64_t columns = extent[3], rows = extent[0] * extent[1] * extent[2];
  int64_t last = 0;
  for (int d = 0; d < 4; d++) last += (extent[d] - 1) * step[d];
  const uint32_t* x = in.read<uint32_t>(last + 1);
  uint32_t* out = in.write<uint32_t>(rows * columns);
  forEachRun(engine, rows, columns, [&](int64_t row) {
    const int64_t outer = row / extent[2];
    const uint32_t* from = x + row % extent[2] * step[2] + outer % extent[1] * step[1] + outer / extent[1] * step[0];
    uint32_t* to = out + row * columns;
    if (step[3] == 1)
      std::memcpy(to, from, static_cast<size_t>(columns) * sizeof(uint32_t));
    else
      for (int64_t i = 0; i < columns; i++) to[i] = from[i * step[3]];
  });
}

/** outer, elements of x per outer, first of them, elements of out per outer, x, out. */
void operations::slice(Engine& engine, Arguments& in) {
  const int64_t outer = in.integer(), slab = in.integer(), start = in.integer(), width = in.integer();
  checkPart(start, width, slab);
  const float* x = in.read(outer * slab);
  float* out = in.write(outer * width);
  forEachRun(engine, outer, width, [&](int64_t row) {
    std::memcpy(out + row * width, x + row * slab + start, static_cast<size_t>(width) * sizeof(float));
  });
}

/** outer, elements of out per outer, first of them, elements of x per outer, accumulate?, x, out. */
void operations::place(Engine& engine, Arguments& in) {
  const int64_t outer = in.integer(), slab = in.integer(), start = in.integer(), width = in.integer();
  const bool accumulate = in.flag();
  checkPart(start, width, slab);
  const float* x = in.read(outer * width);
  float* out = in.write(outer * slab);
  forEachRun(engine, outer, width, [&](int64_t row) {
    float* to = out + row * slab + start;
    if (accumulate)
      addRun(to, x + row * width, width);
    else
      std::memcpy(to, x + row * width, static_cast<size_t>(width) * sizeof(float));
  });
}

}  // namespace mixtune
