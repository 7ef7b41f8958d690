// SPDX-License-Identifier: Apache-2.0
#include "measurement.h"
#include "failure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int64_t measurement_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct rusage usage_so_far(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) fail(EXIT_CODE_FAILED, "getrusage: %s", strerror(errno));
    return usage;
}

static int64_t nanoseconds_of(struct timeval time) {
    return ((int64_t)time.tv_sec * 1000000 + time.tv_usec) * 1000;
}

static int64_t processor_now(void) {
    struct rusage usage = usage_so_far();
    return nanoseconds_of(usage.ru_utime) + nanoseconds_of(usage.ru_stime);
}

/// The most memory that this program had, in bytes. Linux tells it in a file of its own: there, `ru_maxrss` is at least
/// that of the process which started this one.
static int64_t peak_memory(void) {
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) return usage_so_far().ru_maxrss;
    int64_t kibibytes = 0;
    char line[256];
    while (fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmHWM: %" SCNd64, &kibibytes) == 1) break;
    }
    fclose(status);
    return kibibytes * 1024;
}

void measurement_begin(struct measurement *measurement, int64_t now) {
    measurement->is_running = true;
    measurement->began = now;
    measurement->processor_began = processor_now();
}

void measurement_end(struct measurement *measurement, int64_t now) {
    measurement->is_running = false;
    measurement->nanoseconds = now - measurement->began;
    measurement->processor_nanoseconds = processor_now() - measurement->processor_began;
}

static void print_point(const struct latency *latency, double part) {
    // Only the last part is 1, and only the first has no comma before it.
    const char *separator = part == 0 ? "" : ",";
    printf("%s{\"part\":%.5f,\"microseconds\":%.3f}", separator, part, latency_microseconds(latency, part));
}

/// Prints the distribution: in steps of a twentieth up to nine tenths, then nine points for each further digit 9 of the
/// part, as the slowest are the interesting ones.
static void print_distribution(const struct latency *latency) {
    for (int twentieth = 0; twentieth < 18; twentieth++) print_point(latency, twentieth / 20.0);
    for (double rest = 0.1; rest > 0.00005; rest /= 10) {
        for (int tenth = 0; tenth < 9; tenth++) print_point(latency, 1 - rest * (10 - tenth) / 10);
    }
    print_point(latency, 1);
}

static void print_latency(const struct latency *latency) {
    printf(
        "{\"median\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"longest\":%.3f,\"distribution\":[",
        latency_microseconds(latency, 0.5),
        latency_microseconds(latency, 0.9),
        latency_microseconds(latency, 0.99),
        latency_microseconds(latency, 0.999),
        latency_microseconds(latency, 1)
    );
    print_distribution(latency);
    printf("]}");
}

void measurement_print(const struct measurement *measurement) {
    printf("{\"seconds\":%.9f,\"cycles\":%" PRIu64, (double)measurement->nanoseconds / 1e9, measurement->cycles);
    if (measurement->acquire.total > 0) {
        printf(",\"acquire\":");
        print_latency(&measurement->acquire);
    }
    printf(",\"processorSeconds\":%.6f", (double)measurement->processor_nanoseconds / 1e9);
    // Linux counts in KiB.
    printf(",\"peakMemoryBytes\":%" PRId64, peak_memory());
    printf(",\"acquisitionsOfEach\":[],\"lostLeases\":0,\"overlaps\":0}\n");
    if (fflush(stdout) != 0) fail(EXIT_CODE_OUTPUT, "the result cannot be printed: %s", strerror(errno));
}
