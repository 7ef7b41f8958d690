// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void fail(enum exit_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("ServerLimit: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit((int)code);
}

void *allocate(size_t count, size_t size) {
    // Never NULL for nothing, which some systems answer.
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL) fail(EXIT_CODE_FAILED, "out of memory");
    return memory;
}

void *reallocate(void *memory, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) fail(EXIT_CODE_FAILED, "out of memory");
    void *larger = realloc(memory, count * size);
    if (larger == NULL) fail(EXIT_CODE_FAILED, "out of memory");
    return larger;
}
