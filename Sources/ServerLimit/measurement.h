// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_MEASUREMENT_H
#define SERVER_LIMIT_MEASUREMENT_H

#include "latency.h"

#include <stdbool.h>
#include <stdint.h>

/// What is measured, from a beginning to an end.
struct measurement {
    /// Whether it has begun and not ended; only then anything is counted.
    bool is_running;
    /// When it began, by the clock of `measurement_now`, and with how much processor time.
    int64_t began;
    int64_t processor_began;
    /// How long it took.
    int64_t nanoseconds;
    /// The processor time of the program meanwhile, in user space and in the system.
    int64_t processor_nanoseconds;
    /// How often a lock was acquired and released again.
    uint64_t cycles;
    /// How long it took until a lock was acquired.
    struct latency acquire;
};

/// The time of a clock that nobody sets, in nanoseconds.
int64_t measurement_now(void);

void measurement_begin(struct measurement *measurement, int64_t now);
void measurement_end(struct measurement *measurement, int64_t now);

/// Prints it on stdout, as one line of JSON. The names and units are those of `Measurement` in RedlockBenchmarks.
void measurement_print(const struct measurement *measurement);

#endif
