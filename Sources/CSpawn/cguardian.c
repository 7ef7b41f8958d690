// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "cguardian.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
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

static void watch(pid_t group, int pipe, int limit) {
    // All signals are blocked here. A session of its own keeps the terminal's signals and hang-ups away as well.
    setsid();
    close_all_but(pipe, limit);
    char byte;
    while (read(pipe, &byte, 1) < 0 && errno == EINTR) {}
    kill(-group, SIGKILL);
    _exit(0);
}

int cguardian_start(pid_t group, struct cguardian *guardian) {
    int ends[2];
#if defined(__linux__)
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
#else
    if (pipe(ends) != 0) return errno;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
    long open_max = sysconf(_SC_OPEN_MAX);
    int limit = open_max < 0 || open_max > 1 << 20 ? 1 << 20 : (int)open_max;

    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    pid_t process = fork();
    int error = process < 0 ? errno : 0;
    if (process == 0) watch(group, ends[0], limit);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);

    close(ends[0]);
    if (process < 0) {
        close(ends[1]);
        return error;
    }
    guardian->process = process;
    guardian->lifeline = ends[1];
    return 0;
}

void cguardian_dismiss(const struct cguardian *guardian) {
    // Before the pipe is closed: the end of the pipe is what makes it kill.
    kill(guardian->process, SIGKILL);
    while (waitpid(guardian->process, NULL, 0) < 0 && errno == EINTR) {}
    close(guardian->lifeline);
}
