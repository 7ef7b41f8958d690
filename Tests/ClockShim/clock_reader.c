/* SPDX-License-Identifier: Apache-2.0 */

/* Says what the clocks of its process show, and waits by them. It reads lines from its standard input:
 *
 *     read                     answers with the clocks, in nanoseconds, in the order of `answer_read`
 *     watch MILLISECONDS       answers how often CLOCK_BOOTTIME and CLOCK_MONOTONIC stepped back in that time
 *     semaphore MILLISECONDS   answers "begun", and when sem_timedwait has waited so long by CLOCK_REALTIME, "over"
 *     timer MILLISECONDS       answers "begun", and when a timer has waited so long by CLOCK_BOOTTIME, "over" */

#define _GNU_SOURCE

#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
#define NANOSECONDS_PER_MILLISECOND INT64_C(1000000)

static int64_t clock_time(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

static struct timespec after(clockid_t clock, int64_t milliseconds) {
    int64_t time = clock_time(clock) + milliseconds * NANOSECONDS_PER_MILLISECOND;
    return (struct timespec){time / NANOSECONDS_PER_SECOND, time % NANOSECONDS_PER_SECOND};
}

static void answer_read(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    int64_t times[] = {
        clock_time(CLOCK_REALTIME),
        clock_time(CLOCK_REALTIME_COARSE),
        now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_usec * 1000,
        time(NULL) * NANOSECONDS_PER_SECOND,
        clock_time(CLOCK_BOOTTIME),
        clock_time(CLOCK_MONOTONIC),
        clock_time(CLOCK_MONOTONIC_COARSE),
        clock_time(CLOCK_MONOTONIC_RAW),
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) printf("%" PRId64 " ", times[i]);
    printf("\n");
}

static void answer_watch(int64_t milliseconds) {
    static const clockid_t clocks[] = {CLOCK_BOOTTIME, CLOCK_MONOTONIC};
    int64_t last[] = {0, 0};
    int steps_back = 0;
    for (int64_t end = clock_time(CLOCK_REALTIME) + milliseconds * NANOSECONDS_PER_MILLISECOND;
         clock_time(CLOCK_REALTIME) < end;) {
        for (int i = 0; i < 2; i++) {
            int64_t now = clock_time(clocks[i]);
            if (now < last[i]) steps_back++;
            last[i] = now;
        }
    }
    printf("%d\n", steps_back);
}

static void answer_semaphore(int64_t milliseconds) {
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    struct timespec deadline = after(CLOCK_REALTIME, milliseconds);
    printf("begun\n");
    printf(sem_timedwait(&semaphore, &deadline) == 0 ? "taken\n" : "over\n");
}

/* As Dispatch does it: when the timer goes off, the clock is asked whether it is time. */
static void answer_timer(int64_t milliseconds) {
    int64_t end = clock_time(CLOCK_BOOTTIME) + milliseconds * NANOSECONDS_PER_MILLISECOND;
    struct itimerspec value = {.it_value = {end / NANOSECONDS_PER_SECOND, end % NANOSECONDS_PER_SECOND}};
    int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    uint64_t count;
    printf("begun\n");
    do {
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &value, NULL);
        if (read(timer, &count, sizeof count) != sizeof count) break;
    } while (clock_time(CLOCK_BOOTTIME) < end);
    close(timer);
    printf("over\n");
}

int main(void) {
    char line[100];
    int64_t milliseconds;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "watch %" SCNd64, &milliseconds) == 1) answer_watch(milliseconds);
        else if (sscanf(line, "semaphore %" SCNd64, &milliseconds) == 1) answer_semaphore(milliseconds);
        else if (sscanf(line, "timer %" SCNd64, &milliseconds) == 1) answer_timer(milliseconds);
        else answer_read();
    }
    return 0;
}
