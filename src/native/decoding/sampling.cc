// The next token of each row of logits, as src/generation/sampler.ts defines it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "engine/operations.h"
#include "registers/simd.h"

namespace mixtune {

namespace {

/** Number of logits in a block. The largest value and total weight of each are known, so that most can be skipped. */
constexpr int64_t kBlock = 256;

/** Number of doubles with the sampling options of a sequence, in the order of the members of `Sampling`. */
constexpr int64_t kOptions = 5;

struct Sampling {
  float temperature;
  int64_t topK;
  double topP;
  float minP;
  float repetitionPenalty;

  Sampling(const double* options, int64_t vocabulary)
      : temperature(static_cast<float>(options[0])),
        topK(options[1] > 0 ? static_cast<int64_t>(std::min(options[1], static_cast<double>(vocabulary))) : 0),
        topP(options[2]),
        minP(static_cast<float>(options[3])),
        repetitionPenalty(static_cast<float>(options[4])) {}

  bool draws() const { return temperature > 0; }
  bool filters() const { return topK > 0 || topP < 1 || minP > 0; }
  bool penalises() const { return repetitionPenalty != 1; }
};

/**
 * A row of logits and weights exp((logit − largest) / temperature), with the largest logit and the sum of each block.
 */
struct Row {
  const float* logits;
  float* weights;
  float* largest;
  double* sums;
  int64_t vocabulary, blocks, best;
  double total;

  int64_t end(int64_t block) const { return std::min(vocabulary, (block + 1) * kBlock); }
};

/** Finds the largest logit of the row and of each block. Returns false if a logit is not finite. */
bool findBest(Row& row) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  int64_t bestBlock = 0;
  // NaN and infinity times 0 are NaN; anything else times 0 is 0.
  Vec nothing{};
  for (int64_t block = 0; block < row.blocks; block++) {
    const int64_t first = block * kBlock, end = row.end(block);
    Vec best = splat(lowest);
    int64_t i = first;
    for (; i + kLanes <= end; i += kLanes) {
      best = maximum(load(row.logits + i), best);
      nothing += load(row.logits + i) * 0.0f;
    }
    if (i < end) {
      best = maximum(firstLanes(loadPart(row.logits + i, end - i), end - i, lowest), best);
      nothing += loadPart(row.logits + i, end - i) * 0.0f;
    }
    row.largest[block] = maxOfLanes(best);
    if (row.largest[block] > row.largest[bestBlock]) bestBlock = block;
  }
  if (!(sumOfLanes(nothing) == 0)) return false;
  row.best = bestBlock * kBlock;
  while (!(row.logits[row.best] == row.largest[bestBlock])) row.best++;
  return true;
}

void weigh(Row& row, float temperature) {
  const float largest = row.logits[row.best], scale = 1.0f / temperature;
  row.total = 0;
  for (int64_t block = 0; block < row.blocks; block++) {
    const int64_t first = block * kBlock;
    Vec sum{};
    forEachVec(row.end(block) - first, [&](int64_t i, auto load, auto store) {
      store(row.weights + first + i, exponential((load(row.logits + first + i) - largest) * scale));
      sum += load(row.weights + first + i);
    });
    row.total += row.sums[block] = sumOfLanes(sum);
  }
}

int64_t drawFromAll(const Row& row, double uniform) {
  double rest = uniform * row.total;
  for (int64_t block = 0; block < row.blocks; block++) {
    if (rest < row.sums[block])
      for (int64_t i = block * kBlock; i < row.end(block); i++) {
        rest -= row.weights[i];
        if (rest < 0) return i;
      }
    else
      rest -= row.sums[block];
  }
  return row.best;
}

struct Candidate {
  float weight;
  float logit;
  int32_t id;
};

/** Collects every token whose weight is at least `cut`. Returns their total weight. */
double collect(const Row& row, float temperature, float cut, Candidate* candidates, int64_t& count) {
  const float largest = row.logits[row.best];
  double mass = 0;
  count = 0;
  for (int64_t block = 0; block < row.blocks; block++) {
    if (std::exp((row.largest[block] - largest) / temperature) * 1.00001f < cut) continue;
    for (int64_t i = block * kBlock; i < row.end(block); i++) {
      if (row.weights[i] < cut) continue;
      mass += row.weights[i];
      candidates[count++] = {row.weights[i], row.logits[i], static_cast<int32_t>(i)};
    }
  }
  return mass;
}

/** Samples from the most likely tokens: top-k, then top-p, then min-p. */
int64_t drawFromLikeliest(const Row& row, const Sampling& sampling, double uniform, Scratch& scratch) {
  auto* candidates = scratch.take<Candidate>(row.vocabulary);
  const int64_t topK = sampling.topK;
  int64_t count = 0;
  for (float cut = 1.0f / 64;; cut = cut > 1e-30f ? cut / 64 : 0.0f) {
    const double mass = collect(row, sampling.temperature, cut, candidates, count);
    const bool holdsMinP = cut <= sampling.minP;
    if (cut == 0) break;
    if (topK > 0 ? count >= topK || (sampling.topP >= 1 && holdsMinP) : holdsMinP || mass >= sampling.topP * row.total)
      break;
  }
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  double total = row.total;
  if (topK > 0) {
    if (count > topK) std::nth_element(candidates, candidates + topK - 1, candidates + count, likelier);
    count = std::min(count, topK);
    total = 0;
    for (int64_t i = 0; i < count; i++) total += candidates[i].weight;
  }
  std::sort(candidates, candidates + count, likelier);
  double mass = 0;
  int64_t kept = 0;
  while (kept < count && (sampling.topP >= 1 || mass < sampling.topP * total) &&
         candidates[kept].weight >= sampling.minP)
    mass += candidates[kept++].weight;
  double rest = uniform * mass;
  for (int64_t i = 0; i < kept; i++) {
    rest -= candidates[i].weight;
    if (rest < 0) return candidates[i].id;
  }
  return candidates[std::max<int64_t>(kept, 1) - 1].id;
}

/** A uniform number in [0, 1) from two words, computed as in RandomStream. */
double uniformOf(const int32_t* words) {
  const double high = static_cast<uint32_t>(words[0]) >> 5, low = static_cast<uint32_t>(words[1]) >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

}  // namespace

/**
 * rows, vocabulary, sequences, logits, random words [rows, 2] or 0, sequence of each row, sampling options of each
 * sequence [sequences, kOptions] (doubles), tokens seen [sequences, vocabulary / 32 rounded up] or 0, tokens,
 * log-probabilities or 0.
 */
void operations::sampleTokens(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), vocabulary = in.extent(), sequenceCount = in.extent();
  const int64_t words = (vocabulary + 31) / 32;
  const float* logits = in.read(rows * vocabulary);
  const int32_t* draws = in.read<int32_t>(rows * 2);
  const int32_t* sequences = in.read<int32_t>(rows);
  const double* options = in.read<double>(sequenceCount * kOptions);
  uint32_t* seen = in.write<uint32_t>(sequenceCount * words);
  int32_t* tokens = in.write<int32_t>(rows);
  float* logProbs = in.write(rows);
  const auto samplingOf = [&](int64_t row) { return Sampling(options + sequences[row] * kOptions, vocabulary); };
  for (int64_t row = 0; row < rows; row++) {
    if (sequences[row] < 0 || sequences[row] >= sequenceCount) throw std::runtime_error("a sequence does not exist");
    if (samplingOf(row).draws() && !draws) throw std::runtime_error("no random numbers");
    if (samplingOf(row).penalises() && !seen) throw std::runtime_error("no tokens to penalise");
  }
  engine.count(0, 4 * static_cast<double>(rows * vocabulary));

  engine.team.ranges(rows, 16384 / vocabulary + 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    for (int64_t index = begin; index < end; index++) {
      scratch.reset();
      const int64_t blocks = (vocabulary + kBlock - 1) / kBlock;
      Row row{logits + index * vocabulary,
              scratch.take<float>(vocabulary),
              scratch.take<float>(blocks),
              scratch.take<double>(blocks),
              vocabulary,
              blocks,
              0,
              0};
      const Sampling sampling = samplingOf(index);
      const float temperature = sampling.draws() ? sampling.temperature : 1.0f;
      if (!findBest(row)) {
        tokens[index] = -1;
        if (logProbs) logProbs[index] = std::numeric_limits<float>::quiet_NaN();
        continue;
      }
      if (sampling.draws() || logProbs) weigh(row, temperature);
      const Row free = row;
      if (sampling.penalises()) {
        float* penalised = scratch.take<float>(vocabulary);
        const uint32_t* marks = seen + sequences[index] * words;
        for (int64_t i = 0; i < vocabulary; i++) {
          const float x = row.logits[i], penalty = sampling.repetitionPenalty;
          penalised[i] = marks[i / 32] >> (i % 32) & 1 ? (x > 0 ? x / penalty : x * penalty) : x;
        }
        row.logits = penalised;
        findBest(row);
        if (sampling.draws()) weigh(row, temperature);
      }
      const int64_t token = !sampling.draws() ? row.best
                            : sampling.filters()
                                ? drawFromLikeliest(row, sampling, uniformOf(draws + index * 2), scratch)
                                : drawFromAll(row, uniformOf(draws + index * 2));
      tokens[index] = static_cast<int32_t>(token);
      if (sampling.penalises()) seen[sequences[index] * words + token / 32] |= 1u << (token % 32);
      if (logProbs)
        logProbs[index] =
            static_cast<float>((free.logits[token] - free.logits[free.best]) / temperature - std::log(free.total));
    }
  });
}

/**
 * count, drawn count, drawn tokens, tokens: a token −1 − r is replaced with the one drawn in row r, or with 0 if none
 * was.
 */
void operations::drawnTokens(Engine&, Arguments& in) {
  const int64_t count = in.integer(), drawnCount = in.integer();
  const int32_t* drawn = in.read<int32_t>(drawnCount);
  int32_t* tokens = in.write<int32_t>(count);
  for (int64_t i = 0; i < count; i++) {
    if (tokens[i] >= 0) continue;
    const int64_t row = -1 - static_cast<int64_t>(tokens[i]);
    if (row >= drawnCount) throw std::runtime_error("no token was drawn in row " + std::to_string(row));
    tokens[i] = std::max(drawn[row], 0);
  }
}

}  // namespace mixtune
