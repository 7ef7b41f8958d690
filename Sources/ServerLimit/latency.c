// SPDX-License-Identifier: Apache-2.0
#include "latency.h"

static unsigned index_of(uint64_t nanoseconds) {
    if (nanoseconds < LATENCY_STEPS) return (unsigned)nanoseconds;
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll(nanoseconds);
    unsigned shift = highest_bit - LATENCY_STEPS_LOG2;
    // The highest bit of what is left after the shift is always set, and counts for the first of these powers of two.
    return shift * LATENCY_STEPS + (unsigned)(nanoseconds >> shift);
}

/// The middle of the values that one counter counts.
static double middle_of(unsigned index) {
    if (index < LATENCY_STEPS) return index;
    unsigned shift = index / LATENCY_STEPS - 1;
    uint64_t lowest = (uint64_t)(index % LATENCY_STEPS + LATENCY_STEPS) << shift;
    return (double)lowest + (double)((UINT64_C(1) << shift) - 1) / 2;
}

void latency_record(struct latency *latency, uint64_t nanoseconds) {
    latency->counts[index_of(nanoseconds)]++;
    latency->total++;
    if (nanoseconds > latency->longest) latency->longest = nanoseconds;
}

double latency_microseconds(const struct latency *latency, double part) {
    double longest = (double)latency->longest;
    if (part >= 1) return longest / 1000;
    // At least one value, so that part 0 is the shortest.
    double wanted = part * (double)latency->total;
    uint64_t seen = 0;
    for (unsigned index = 0; index < LATENCY_COUNTERS; index++) {
        seen += latency->counts[index];
        if (seen == 0 || (double)seen < wanted) continue;
        double value = middle_of(index);
        return (value < longest ? value : longest) / 1000;
    }
    return longest / 1000;
}
