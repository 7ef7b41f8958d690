/* SPDX-License-Identifier: Apache-2.0 */

/* Answers for the clocks of the process that it is loaded into by LD_PRELOAD, so that a test can make them jump, go at
 * another rate or stand still. What they show is read, again for every answer, from the file that CLOCK_SHIM_FILE names
 * (ClockShim.swift writes it); without that variable they are left alone.
 *
 * The two waits that Dispatch, and so Swift, does until a time on a clock go by the same clocks: absolute timers of
 * timerfd_settime and sem_timedwait. All other waits, those for a length of time among them, go by the real ones.
 *
 * Nothing here allocates, locks, or asks the C library for the time: the allocator of Redis asks for it itself. */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8 && sizeof(time_t) == 8, "the system calls used here are those of 64-bit systems");

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
#define MILLION INT64_C(1000000)

/* How long a wait may go on before it looks whether its clock was moved. */
#define LONGEST_WAIT_NANOSECONDS (10 * MILLION)

enum { WALL, CONTINUOUS, SUSPENDING, CLOCK_COUNT, NONE = -1 };

static const clockid_t real_clocks[CLOCK_COUNT] = {CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC};

/* What a clock shows, in nanoseconds: it goes on from an anchor at a rate of its own. */
struct line {
    int64_t real;  /* The anchor: when the real clock shows this ... */
    int64_t shown; /* ... it shows this. */
    int64_t rate;  /* In parts per million: MILLION keeps pace with the real clock, 0 stands still. */
};

struct settings {
    int64_t version; /* Odd while they are being changed. */
    struct line lines[CLOCK_COUNT];
};

/* NULL when the clocks are left alone. */
static const struct settings *settings;

__attribute__((constructor)) static void load_settings(void) {
    const char *path = getenv("CLOCK_SHIM_FILE");
    if (path == NULL) return;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    void *mapping = mmap(NULL, sizeof *settings, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapping == MAP_FAILED) {
        /* To go on with the real clocks would let a test pass that tests nothing. */
        static const char message[] = "clock_shim: the file that CLOCK_SHIM_FILE names cannot be mapped\n";
        ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
        (void)written;
        _exit(127);
    }
    close(descriptor);
    settings = mapping;
}

static int64_t nanoseconds_of(struct timespec time) {
    return time.tv_sec * NANOSECONDS_PER_SECOND + time.tv_nsec;
}

static struct timespec timespec_of(int64_t nanoseconds) {
    struct timespec time = {nanoseconds / NANOSECONDS_PER_SECOND, nanoseconds % NANOSECONDS_PER_SECOND};
    if (time.tv_nsec < 0) {
        time.tv_sec -= 1;
        time.tv_nsec += NANOSECONDS_PER_SECOND;
    }
    return time;
}

static int64_t real_time(clockid_t clock) {
    struct timespec now;
    syscall(SYS_clock_gettime, clock, &now);
    return nanoseconds_of(now);
}

/* The coarse and raw variants of a clock show what the clock itself shows. */
static int place_of(clockid_t clock) {
    if (settings == NULL) return NONE;
    switch (clock) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE:
        return WALL;
    case CLOCK_BOOTTIME:
        return CONTINUOUS;
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_COARSE: case CLOCK_MONOTONIC_RAW:
        return SUSPENDING;
    default:
        return NONE;
    }
}

static int64_t shown_time(int place) {
    const struct line *shared = &settings->lines[place];
    struct line line;
    int64_t version, now;
    do {
        version = __atomic_load_n(&settings->version, __ATOMIC_ACQUIRE);
        line.real = __atomic_load_n(&shared->real, __ATOMIC_RELAXED);
        line.shown = __atomic_load_n(&shared->shown, __ATOMIC_RELAXED);
        line.rate = __atomic_load_n(&shared->rate, __ATOMIC_RELAXED);
        /* Read before the second look at the version: a time later than the one at which the clock was frozen, shown by
         * the line it was on before, would let it step back. */
        now = real_time(real_clocks[place]);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (version % 2 != 0 || version != __atomic_load_n(&settings->version, __ATOMIC_RELAXED));
    int64_t elapsed = now - line.real;
    /* In two parts, because the product would not fit. */
    return line.shown + elapsed / MILLION * line.rate + elapsed % MILLION * line.rate / MILLION;
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    int place = place_of(clock);
    if (place == NONE) return (int)syscall(SYS_clock_gettime, clock, result);
    *result = timespec_of(shown_time(place));
    return 0;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    if (zone != NULL) memset(zone, 0, sizeof(struct timezone));
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) *result = now.tv_sec;
    return now.tv_sec;
}

/* How long to wait for a time on the clock before it is to be looked at again. */
static int64_t next_wait(int place, int64_t deadline) {
    int64_t left = deadline - shown_time(place);
    return left < LONGEST_WAIT_NANOSECONDS ? left : LONGEST_WAIT_NANOSECONDS;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    if (settings == NULL) return sem_clockwait(semaphore, CLOCK_REALTIME, deadline);
    for (;;) {
        int64_t wait = next_wait(WALL, nanoseconds_of(*deadline));
        struct timespec end = timespec_of(real_time(CLOCK_MONOTONIC) + (wait > 0 ? wait : 0));
        if (sem_clockwait(semaphore, CLOCK_MONOTONIC, &end) == 0) return 0;
        if (errno != ETIMEDOUT || wait <= 0) return -1;
    }
}

/* By descriptor: the place of the timer's clock, plus one. Timers with higher descriptors go by the real clocks. */
static uint8_t timers[4096];

static int place_of_timer(int timer) {
    return settings != NULL && timer >= 0 && (size_t)timer < sizeof timers ? timers[timer] - 1 : NONE;
}

int timerfd_create(clockid_t clock, int flags) {
    int timer = (int)syscall(SYS_timerfd_create, clock, flags);
    if (timer >= 0 && (size_t)timer < sizeof timers) timers[timer] = (uint8_t)(place_of(clock) + 1);
    return timer;
}

/* An absolute timer goes off too early rather than too late. Dispatch looks at the clock then, and sets it again. */
int timerfd_settime(int timer, int flags, const struct itimerspec *value, struct itimerspec *previous) {
    int place = place_of_timer(timer);
    int64_t deadline = nanoseconds_of(value->it_value);
    if (place == NONE || (flags & TFD_TIMER_ABSTIME) == 0 || deadline == 0) {
        return (int)syscall(SYS_timerfd_settime, timer, flags, value, previous);
    }
    int64_t wait = next_wait(place, deadline);
    struct itimerspec relative = {.it_interval = value->it_interval, .it_value = timespec_of(wait > 0 ? wait : 1)};
    return (int)syscall(SYS_timerfd_settime, timer, 0, &relative, previous);
}
