// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "cguardian.h"
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

/// Only async-signal-safe functions: the process that forked may have had other threads.
static void close_all_but(int kept, int limit) {
#if defined(__linux__) && defined(SYS_close_range)
    if ((kept == 0 || syscall(SYS_close_range, 0u, (unsigned)kept - 1, 0u) == 0)
        && syscall(SYS_close_range, (unsigned)kept + 1, ~0u, 0u) == 0) {
        return;
    }
#endif
    for (int descriptor = 0; descriptor < limit; descriptor++) {
        if (descriptor != kept) close(descriptor);
    }
}

/// The clock that poll sleeps by stands still while the machine does, so a sleep must not be long.
#define LONGEST_SLEEP_MILLISECONDS 100

static int milliseconds_until(int64_t deadline) {
    int64_t left = deadline - cguardian_now();
    if (left <= 0) return 0;
    return left > LONGEST_SLEEP_MILLISECONDS * INT64_C(1000000) ? LONGEST_SLEEP_MILLISECONDS
                                                                : (int)((left + 999999) / 1000000);
}

int64_t cguardian_now(void) {
    struct timespec now;
#if defined(__APPLE__)
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
#else
    clock_gettime(CLOCK_BOOTTIME, &now);
#endif
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void watch(pid_t group, int pipe, int limit) {
    // All signals are blocked here. A session of its own keeps the terminal's signals and hang-ups away as well.
    setsid();
    close_all_but(pipe, limit);
    int64_t deadline = INT64_MAX;
    for (;;) {
        struct pollfd request = {.fd = pipe, .events = POLLIN};
        int ready = poll(&request, 1, milliseconds_until(deadline));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) {
            // Judged only when nothing is left to read: a newer deadline may have come while this process could not run.
            if (cguardian_now() < deadline) continue;
            kill(-group, SIGKILL);
            // Again and again, should the group have grown in that moment, until there is nobody to be told by.
            if (poll(&request, 1, LONGEST_SLEEP_MILLISECONDS) == 0) continue;
        }
        // Written in one piece, so read in one piece; all else is the end of the pipe.
        ssize_t count = read(pipe, &deadline, sizeof deadline);
        if (count != (ssize_t)sizeof deadline && !(count < 0 && errno == EINTR)) break;
    }
    kill(-group, SIGKILL);
    _exit(0);
}

int cguardian_start(pid_t group, struct cguardian *guardian) {
    int ends[2];
    int error = cspawn_open_pipe(ends);
    if (error != 0) return error;
    long open_max = sysconf(_SC_OPEN_MAX);
    int limit = open_max < 0 || open_max > 1 << 20 ? 1 << 20 : (int)open_max;

    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    pid_t process = fork();
    if (process < 0) error = errno;
    if (process == 0) watch(group, ends[0], limit);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);

    close(ends[0]);
    if (process < 0) {
        close(ends[1]);
        return error;
    }
    // A guardian that somebody stopped reads nothing, and must not stop its starter as well.
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    guardian->process = process;
    guardian->lifeline = ends[1];
    return 0;
}

void cguardian_set_deadline(const struct cguardian *guardian, int64_t nanoseconds) {
    ssize_t written;
    do {
        written = write(guardian->lifeline, &nanoseconds, sizeof nanoseconds);
    } while (written < 0 && errno == EINTR);
}

void cguardian_dismiss(const struct cguardian *guardian) {
    // Before the pipe is closed: the end of the pipe is what makes it kill.
    kill(guardian->process, SIGKILL);
    while (waitpid(guardian->process, NULL, 0) < 0 && errno == EINTR) {}
    close(guardian->lifeline);
}
