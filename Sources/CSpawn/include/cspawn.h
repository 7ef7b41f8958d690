// SPDX-License-Identifier: Apache-2.0
#ifndef CSPAWN_H
#define CSPAWN_H

#include "cguardian.h"
#include "cinheritance.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/wait.h>

/// What posix_spawn cannot do (terminal hand-over, parent-death signal, working directory, closing all but some descriptors),
/// done with fork and exec. It is C because between fork and exec of a process with threads only async-signal-safe
/// functions may run, and Swift promises that of none of its own.
struct cspawn_request {
    /// With a slash: that file (relative to `working_directory`); without: looked up in the PATH of `environment`.
    const char *program;
    /// NULL-terminated, `arguments[0]` included.
    char *const *arguments;
    /// NULL-terminated; the child gets exactly this.
    char *const *environment;
    /// Where the child starts, or NULL for the parent's own.
    const char *working_directory;
    /// Descriptors for 0, 1 and 2 of the child, or -1 to inherit.
    int standard_input, standard_output, standard_error;
    /// One of the `CSPAWN_GROUP_` values below.
    int process_group;
    /// Descriptor of the terminal whose foreground group the child becomes (needs CSPAWN_GROUP_OWN), or -1.
    /// The child owns the terminal before its program starts, so it never reads from the background. The caller takes
    /// the terminal back in every case, a failed exec included.
    int terminal;
    /// Signal the child gets when its parent dies, or 0 for none. Linux only (PR_SET_PDEATHSIG); ignored elsewhere.
    ///
    /// The kernel sends it when the THREAD that called `cspawn` ends, not the process. So call from a thread that lives
    /// as long as the process does: never from a pool (Dispatch, the Swift concurrency pool), whose idle threads end.
    /// It is not inherited by what the child itself starts, and a set-user-id program clears it.
    int parent_death_signal;
    /// What the child inherits as if this process had not been in between: it has those descriptors open (any other above
    /// 2 is closed), ignores those signals, may open as many files, and is the process for which sockets were opened
    /// (`LISTEN_PID` in `environment`) if that was this one. NULL for a clean start: no other descriptor is open, and every
    /// signal has its default disposition, whatever this process ignores. In both cases no signal is blocked.
    const struct cinheritance *inheritance;
    /// Where to put the guardian of the child's process group (needs CSPAWN_GROUP_OWN), or NULL for none. It stands
    /// guard before the program starts, so that there is no moment in which nobody does. If it cannot be started, its
    /// `process` is 0 and the child runs all the same.
    struct cguardian *guardian;
};

enum {
    CSPAWN_GROUP_INHERITED = 0, ///< Stay in the parent's process group.
    CSPAWN_GROUP_OWN = 1,       ///< Lead a process group of its own.
    CSPAWN_SESSION_OWN = 2,     ///< Lead a session of its own, without a controlling terminal.
};

/// Starts a program. Returns 0 once the program itself runs (exec succeeded), with its process id in `pid`; the caller
/// must wait for it. Otherwise returns the errno of the step that failed, and no child is left.
///
/// After a failed lookup or exec: ENOENT where a shell says 127 (nothing of that name), any other error where it says
/// 126 (found, but EACCES, a directory, ...).
/// A file without a `#!` line is run by /bin/sh, as execvp does.
int cspawn(const struct cspawn_request *request, pid_t *pid);

// The macros of sys/wait.h and signal.h, which Swift cannot import.

/// The process that waitid found; 0 if it found none.
static inline pid_t cspawn_process(const siginfo_t *information) { return information->si_pid; }

/// Whether the child ended by itself (exit), by the status of waitpid.
static inline bool cspawn_exited(int status) { return WIFEXITED(status); }
/// The exit code, if `cspawn_exited`.
static inline int cspawn_exit_code(int status) { return WEXITSTATUS(status); }
/// Whether a signal ended the child.
static inline bool cspawn_signaled(int status) { return WIFSIGNALED(status); }
/// The signal that ended the child, if `cspawn_signaled`.
static inline int cspawn_termination_signal(int status) { return WTERMSIG(status); }
/// Whether the child is stopped (waitpid with WUNTRACED).
static inline bool cspawn_stopped(int status) { return WIFSTOPPED(status); }
/// The signal that stopped the child, if `cspawn_stopped`.
static inline int cspawn_stop_signal(int status) { return WSTOPSIG(status); }
/// Whether the child was continued (waitpid with WCONTINUED).
static inline bool cspawn_continued(int status) { return WIFCONTINUED(status); }

#endif
