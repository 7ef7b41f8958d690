// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_LATENCY_H
#define SERVER_LIMIT_LATENCY_H

#include <stdint.h>

/// Every power of two is divided into so many counters of equal width, so that no value is off by more than 1/256.
#define LATENCY_STEPS_LOG2 7
#define LATENCY_STEPS (1 << LATENCY_STEPS_LOG2)
/// Enough for all 64-bit values: those below LATENCY_STEPS have a counter each, then come the powers of two.
#define LATENCY_COUNTERS ((64 - LATENCY_STEPS_LOG2 + 1) * LATENCY_STEPS)

/// How long something took, each time: a histogram of fixed size.
struct latency {
    uint64_t counts[LATENCY_COUNTERS];
    uint64_t total;
    uint64_t longest;
};

/// Counts one value.
void latency_record(struct latency *latency, uint64_t nanoseconds);

/// The value that the given part of all, from 0 to 1, does not exceed; of a histogram with at least one value.
double latency_microseconds(const struct latency *latency, double part);

#endif
