// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_FAILURE_H
#define SERVER_LIMIT_FAILURE_H

#include <stddef.h>

/// The exit codes, numbered as in sysexits.h.
enum exit_code {
    EXIT_CODE_USAGE = 64,       ///< The arguments are wrong.
    EXIT_CODE_DATA = 65,        ///< The file of commands is not what it should be.
    EXIT_CODE_NO_INPUT = 66,    ///< The file of commands cannot be read.
    EXIT_CODE_UNAVAILABLE = 69, ///< The system has no epoll.
    EXIT_CODE_FAILED = 70,      ///< A node refused, failed or cannot be reached, or memory ran out.
    EXIT_CODE_OUTPUT = 74,      ///< The result cannot be printed.
};

/// Says on stderr what went wrong, and ends the program: a measurement with a mistake in it is worth nothing.
_Noreturn void fail(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Zeroed memory for `count` items.
void *allocate(size_t count, size_t size);

/// Memory that was allocated before, with another size.
void *reallocate(void *memory, size_t count, size_t size);

#endif
