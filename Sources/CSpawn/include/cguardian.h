// SPDX-License-Identifier: Apache-2.0
#ifndef CGUARDIAN_H
#define CGUARDIAN_H

#include <stdint.h>
#include <sys/types.h>

/// A process that does nothing but watch over another process group: when its starter ends without dismissing it,
/// killed with KILL for example, it kills that group. The parent-death signal does that for one child; this does it
/// for everything the child started in its group, and on systems that have no parent-death signal. It also kills the
/// group at a deadline that its starter did not move on in time, because it is stopped for example.
struct cguardian {
    pid_t process;
    /// Only the starter holds this end of a pipe, so the guardian sees the pipe end when the starter ends. Deadlines go
    /// through it.
    int lifeline;
};

/// Starts a guardian of the process group `group`. Returns 0 or an errno. The guardian is in a session of its own,
/// holds no descriptor but its pipe, and ignores every signal that can be ignored.
int cguardian_start(pid_t group, struct cguardian *guardian);

/// The time on the clock of the deadlines, in nanoseconds: one that goes on while the machine sleeps.
int64_t cguardian_now(void);

/// Sets when the group is killed, by the clock of `cguardian_now`; the last deadline that was set counts. There is none
/// at first. Never blocks.
void cguardian_set_deadline(const struct cguardian *guardian, int64_t nanoseconds);

/// Ends a guardian without harm to the group. To be called while the group is still known to be the same one: before
/// its leader is waited for.
void cguardian_dismiss(const struct cguardian *guardian);

#endif
