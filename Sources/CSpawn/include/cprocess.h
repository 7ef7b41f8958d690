// SPDX-License-Identifier: Apache-2.0
#ifndef CPROCESS_H
#define CPROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/// What the system tells of other processes, and of how many this one may start.

/// The process that started `process`, or took it over; 0 where there is none or the system does not tell.
pid_t cprocess_parent(pid_t process);

/// Whether the program that `process` runs has this name; the system keeps 15 characters of it.
bool cprocess_is_named(pid_t process, const char *name);

/// Whether any process of the group still runs. One that has ended and was not waited for does not.
bool cprocess_group_runs(pid_t group);

/// Starts so many threads at the same time and ends them again. Returns 0, or the errno for which one could not be started.
int cprocess_try_threads(int count);

#endif
