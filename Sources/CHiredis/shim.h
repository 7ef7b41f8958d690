// SPDX-License-Identifier: Apache-2.0

#ifndef REDLOCK_CHIREDIS_SHIM_H
#define REDLOCK_CHIREDIS_SHIM_H

#include <stddef.h>

// Some installations put the folder `hiredis` on the include path, others the folder above it.
#if __has_include(<hiredis/hiredis.h>)
#include <hiredis/hiredis.h>
#else
#include <hiredis.h>
#endif

/// The item that the reader is in the middle of, or NULL between two replies.
/// hiredis 0.14 keeps its tasks in the reader, 1.x behind pointers.
static inline const redisReadTask *redlock_reader_current_task(const redisReader *reader) {
    if (reader->ridx < 0) {
        return NULL;
    }
#if HIREDIS_MAJOR >= 1
    return reader->task[reader->ridx];
#else
    return &reader->rstack[reader->ridx];
#endif
}

/// hiredis' description of the error, NUL-terminated. An accessor because Swift sees a C array as a tuple.
static inline const char *redlock_reader_error_text(const redisReader *reader) {
    return reader->errstr;
}

#endif
