// SPDX-License-Identifier: Apache-2.0
#ifndef CINHERITANCE_H
#define CINHERITANCE_H

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

/// What this process got from the process that started it, for programs that it starts in its own place: they are to
/// find what they would have found without it.
struct cinheritance {
    /// The signals that were ignored (nohup, `trap '' INT`).
    ///
    /// Not those that were blocked: libraries that start programs from a thread which blocks signals pass that on by
    /// mistake, and a command that is deaf to TERM could not be told of a loss.
    sigset_t ignored_signals;
    /// How many files may be open.
    struct rlimit descriptor_limit;
    /// The open descriptors above 2, ascending: those of a jobserver, of socket activation, of a redirection.
    int *descriptors;
    size_t descriptor_count;
};

/// Takes down what was inherited. To be called once, before anything changes it or opens a descriptor. Returns 0 or an
/// errno.
int cinheritance_read(struct cinheritance *inheritance);

/// Opens those of the descriptors 0, 1 and 2 that are closed, so that nothing else gets their numbers: a result would be
/// written into it. They lead to nothing, the wrong way round: what is read from them or written to them fails. A program
/// that is started finds them closed. Returns 0 or an errno.
int cinheritance_fill_standard_descriptors(void);

#endif
