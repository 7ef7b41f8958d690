// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "cspawn.h"
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#ifndef NSIG
#define NSIG 65
#endif

/// Everything the child needs that must be allocated or computed before the fork.
struct prepared {
    const struct cspawn_request *request;
    const char *path;      // value of PATH; used only for a program without a slash
    char *candidate;       // room for the longest PATH entry, a slash and the program
    char **shell_arguments; // room for {"/bin/sh", file, arguments[1]..., NULL}
    char **environment;    // with room for `listener` in place of the entry that names this process
    char *listener;        // LISTEN_PID=, and room for the number of the child; NULL if none was named
    int descriptor_limit;  // for systems without close_range
    pid_t parent;
    int report;            // write end of the error pipe, close-on-exec
    int gate[2];           // the child waits at its read end until the guardian stands guard; -1 without a guardian
};

static const char *path_of(char *const *environment) {
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin"; // unset, as opposed to empty
}

/// Services that are started with open sockets (systemd) are told which process the sockets are for. They are this
/// process's, and it passes them on; so the child is to find its own number there, which is known after the fork.
static int prepare_environment(struct prepared *prepared) {
    static const char name[] = "LISTEN_PID=";
    char *const *given = prepared->request->environment;
    size_t count = 0;
    while (given[count] != NULL) count++;
    prepared->environment = calloc(count + 1, sizeof(char *));
    if (prepared->environment == NULL) return ENOMEM;
    memcpy(prepared->environment, given, count * sizeof(char *));
    if (prepared->request->inheritance == NULL) return 0;
    for (size_t place = 0; place < count; place++) {
        if (strncmp(given[place], name, sizeof name - 1) != 0) continue;
        if (strtol(given[place] + sizeof name - 1, NULL, 10) != prepared->parent) continue;
        prepared->listener = malloc(sizeof name + 20);
        if (prepared->listener == NULL) return ENOMEM;
        memcpy(prepared->listener, name, sizeof name);
        prepared->environment[place] = prepared->listener;
    }
    return 0;
}

static int prepare(struct prepared *prepared, const struct cspawn_request *request) {
    memset(prepared, 0, sizeof *prepared);
    prepared->request = request;
    prepared->parent = getpid();
    prepared->path = path_of(request->environment);
    long limit = sysconf(_SC_OPEN_MAX);
    // An unlimited or huge limit must not make the loop take seconds.
    prepared->descriptor_limit = limit < 0 || limit > 1 << 20 ? 1 << 20 : (int)limit;
    size_t count = 0;
    while (request->arguments[count] != NULL) count++;
    prepared->shell_arguments = calloc(count + 3, sizeof(char *));
    prepared->candidate = malloc(strlen(prepared->path) + strlen(request->program) + 2);
    if (prepared->shell_arguments == NULL || prepared->candidate == NULL) return ENOMEM;
    return prepare_environment(prepared);
}

static void dispose(struct prepared *prepared) {
    free(prepared->shell_arguments);
    free(prepared->candidate);
    free(prepared->environment);
    free(prepared->listener);
}

/// A close-on-exec pipe, its descriptors above 2 so that the child's standard descriptors cannot overwrite them.
int cspawn_open_pipe(int ends[2]) {
    int raw[2];
#if defined(__linux__)
    if (pipe2(raw, O_CLOEXEC) != 0) return errno;
#else
    if (pipe(raw) != 0) return errno;
#endif
    int error = 0;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
        if (ends[i] < 0 && error == 0) error = errno;
        close(raw[i]);
    }
    if (error != 0) {
        for (int i = 0; i < 2; i++) if (ends[i] >= 0) close(ends[i]);
    }
    return error;
}

// From here to the end of run_child: only async-signal-safe functions, no allocation, no lock.

static int take_group_and_terminal(const struct cspawn_request *request) {
    if (request->process_group == CSPAWN_GROUP_OWN && setpgid(0, 0) != 0) return errno;
    if (request->process_group == CSPAWN_SESSION_OWN && setsid() < 0) return errno;
    // All signals are blocked here, so SIGTTOU cannot stop us for doing this from the background.
    if (request->terminal >= 0 && tcsetpgrp(request->terminal, getpid()) != 0) return errno;
    return 0;
}

static void die_with_parent(const struct prepared *prepared) {
#if defined(__linux__)
    if (prepared->request->parent_death_signal == 0) return;
    prctl(PR_SET_PDEATHSIG, prepared->request->parent_death_signal, 0, 0, 0);
    // A parent that died before the prctl sends nothing any more: look, or we would live for ever.
    if (getppid() != prepared->parent) _exit(127);
#else
    (void)prepared;
#endif
}

static int place_standard_descriptors(const struct cspawn_request *request) {
    int sources[3] = {request->standard_input, request->standard_output, request->standard_error};
    // A source that is itself one of 0, 1, 2 would be overwritten by an earlier dup2: move it out of the way.
    for (int target = 0; target < 3; target++) {
        if (sources[target] < 0 || sources[target] > 2 || sources[target] == target) continue;
        sources[target] = fcntl(sources[target], F_DUPFD, 3);
        if (sources[target] < 0) return errno;
    }
    for (int target = 0; target < 3; target++) {
        if (sources[target] < 0) continue;
        if (sources[target] == target) {
            if (fcntl(target, F_SETFD, 0) != 0) return errno; // dup2 onto itself keeps close-on-exec
        } else if (dup2(sources[target], target) < 0) {
            return errno;
        }
    }
    return 0;
}

/// Closes the descriptors from `first` to `last`, both included.
static void close_range_of(int first, int last, const struct prepared *prepared) {
    if (first > last) return;
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0u) == 0) return;
#endif
    if (last >= prepared->descriptor_limit) last = prepared->descriptor_limit - 1;
    for (int descriptor = first; descriptor <= last; descriptor++) close(descriptor);
}

/// Closes all but the standard ones, those that were inherited, and the end of the pipe by which a failure is reported.
static void close_other_descriptors(const struct prepared *prepared) {
    const struct cinheritance *inheritance = prepared->request->inheritance;
    size_t count = inheritance == NULL ? 0 : inheritance->descriptor_count;
    int first = 3;
    bool has_passed_report = false;
    for (size_t place = 0; place < count || !has_passed_report;) {
        int kept = place < count ? inheritance->descriptors[place] : INT_MAX;
        if (!has_passed_report && prepared->report <= kept) {
            has_passed_report = true;
            kept = prepared->report;
        } else {
            place++;
        }
        close_range_of(first, kept - 1, prepared);
        if (first <= kept) first = kept + 1;
    }
    close_range_of(first, INT_MAX, prepared);
}

static void set_signals(const struct cinheritance *inheritance) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    for (int number = 1; number < NSIG; number++) {
        bool is_ignored = inheritance != NULL && sigismember(&inheritance->ignored_signals, number) == 1;
        action.sa_handler = is_ignored ? SIG_IGN : SIG_DFL;
        sigaction(number, &action, NULL); // refused for KILL and STOP
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/// Writes the number of this process behind `LISTEN_PID=`, by hand: what formats numbers may allocate.
static void name_listener(char *listener) {
    if (listener == NULL) return;
    char digits[20];
    size_t count = 0;
    for (pid_t rest = getpid(); rest > 0; rest /= 10) digits[count++] = (char)('0' + rest % 10);
    char *next = listener + strlen(listener);
    while (count > 0) *next++ = digits[--count];
    *next = '\0';
}

static int execute_file(const struct prepared *prepared, const char *file) {
    const struct cspawn_request *request = prepared->request;
    execve(file, request->arguments, prepared->environment);
    if (errno != ENOEXEC) return errno;
    char **arguments = prepared->shell_arguments;
    arguments[0] = (char *)"/bin/sh";
    arguments[1] = (char *)file;
    size_t count = 1;
    for (; request->arguments[0] != NULL && request->arguments[count] != NULL; count++) {
        arguments[count + 1] = request->arguments[count];
    }
    arguments[count + 1] = NULL;
    execve(arguments[0], arguments, prepared->environment);
    return ENOEXEC;
}

/// Returns only when it failed: EACCES if something of that name was found but may not be executed, else ENOENT.
static int execute(const struct prepared *prepared) {
    const char *program = prepared->request->program;
    if (*program == '\0') return ENOENT;
    if (strchr(program, '/') != NULL) return execute_file(prepared, program);
    int found = ENOENT;
    const char *entry = prepared->path;
    for (;;) {
        size_t length = strcspn(entry, ":");
        char *candidate = prepared->candidate;
        memcpy(candidate, entry, length);
        // An empty entry is the working directory, by POSIX.
        if (length > 0) candidate[length++] = '/';
        memcpy(candidate + length, program, strlen(program) + 1);
        int error = execute_file(prepared, candidate);
        switch (error) {
        case ENOENT: case ENOTDIR: case ENAMETOOLONG: case ELOOP: case ESTALE: case ENODEV: case ETIMEDOUT:
            break; // nothing there; the next entry may have it
        case EACCES:
            found = EACCES;
            break;
        default:
            return error;
        }
        entry += strcspn(entry, ":");
        if (*entry == '\0') return found;
        entry++;
    }
}

/// Returns when the parent opens the gate; ends with a parent that died before it did.
static void wait_at_gate(const struct prepared *prepared) {
    if (prepared->gate[0] < 0) return;
    close(prepared->gate[1]);
    char go;
    ssize_t count;
    do {
        count = read(prepared->gate[0], &go, 1);
    } while (count < 0 && errno == EINTR);
    if (count != 1) _exit(127);
}

/// Starts the guardian, and lets the child go on with or without it.
static void open_gate(const struct prepared *prepared, pid_t child) {
    if (prepared->gate[0] < 0) return;
    close(prepared->gate[0]);
    struct cguardian *guardian = prepared->request->guardian;
    if (child > 0 && cguardian_start(child, guardian) != 0) guardian->process = 0;
    ssize_t written;
    do {
        written = write(prepared->gate[1], "", 1);
    } while (written < 0 && errno == EINTR);
    close(prepared->gate[1]);
}

static void run_child(const struct prepared *prepared) {
    const struct cspawn_request *request = prepared->request;
    int error = take_group_and_terminal(request);
    if (error == 0) {
        die_with_parent(prepared);
        wait_at_gate(prepared);
        error = place_standard_descriptors(request);
    }
    if (error == 0) {
        close_other_descriptors(prepared);
        if (request->working_directory != NULL && chdir(request->working_directory) != 0) error = errno;
    }
    if (error == 0) {
        name_listener(prepared->listener);
        // Raised for this process alone, perhaps.
        if (request->inheritance != NULL) setrlimit(RLIMIT_NOFILE, &request->inheritance->descriptor_limit);
        set_signals(request->inheritance);
        error = execute(prepared);
    }
    ssize_t written;
    do {
        written = write(prepared->report, &error, sizeof error);
    } while (written < 0 && errno == EINTR);
    _exit(127);
}

/// Waits for the child's exec: 0 if the pipe closed by it, else the error the child wrote.
static int read_report(int descriptor) {
    int error = 0;
    ssize_t count;
    do {
        count = read(descriptor, &error, sizeof error);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof error ? error : 0;
}

int cspawn(const struct cspawn_request *request, pid_t *pid) {
    const bool needs_own_group = request->terminal >= 0 || request->guardian != NULL;
    if (needs_own_group && request->process_group != CSPAWN_GROUP_OWN) return EINVAL;
    if (request->guardian != NULL) request->guardian->process = 0;
    struct prepared prepared;
    int ends[2] = {-1, -1};
    int error = prepare(&prepared, request);
    prepared.gate[0] = prepared.gate[1] = -1;
    if (error == 0) error = cspawn_open_pipe(ends);
    if (error == 0 && request->guardian != NULL) {
        error = cspawn_open_pipe(prepared.gate);
        if (error != 0) {
            close(ends[0]);
            close(ends[1]);
        }
    }
    if (error != 0) {
        dispose(&prepared);
        return error;
    }
    prepared.report = ends[1];

    // Blocked over the fork, so that no signal handler of the parent runs in the child.
    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    pid_t child = fork();
    if (child == 0) run_child(&prepared);
    if (child < 0) error = errno;
    pthread_sigmask(SIG_SETMASK, &previous, NULL);

    close(ends[1]);
    open_gate(&prepared, child);
    if (child > 0) {
        // The child sets its group before exec and we wait for exec, so setpgid here as well would add nothing.
        error = read_report(ends[0]);
        if (error != 0) {
            if (request->guardian != NULL && request->guardian->process != 0) cguardian_dismiss(request->guardian);
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    close(ends[0]);
    dispose(&prepared);
    if (error == 0) *pid = child;
    return error;
}
