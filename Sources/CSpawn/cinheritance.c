// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "cinheritance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NSIG
#define NSIG 65
#endif

static void read_signals(struct cinheritance *inheritance) {
    sigemptyset(&inheritance->ignored_signals);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            sigaddset(&inheritance->ignored_signals, number);
        }
    }
}

static int append(struct cinheritance *inheritance, size_t *capacity, int descriptor) {
    if (inheritance->descriptor_count == *capacity) {
        size_t larger = *capacity == 0 ? 16 : *capacity * 2;
        int *descriptors = realloc(inheritance->descriptors, larger * sizeof *descriptors);
        if (descriptors == NULL) return ENOMEM;
        inheritance->descriptors = descriptors;
        *capacity = larger;
    }
    inheritance->descriptors[inheritance->descriptor_count++] = descriptor;
    return 0;
}

static int ascending(const void *left, const void *right) {
    return *(const int *)left - *(const int *)right;
}

/// The system lists the open descriptors in a folder; where that is missing, each number is tried.
static int read_descriptors(struct cinheritance *inheritance) {
    size_t capacity = 0;
    int error = 0;
    DIR *folder = opendir("/dev/fd");
    if (folder == NULL) {
        int limit = inheritance->descriptor_limit.rlim_cur > 65536 ? 65536 : (int)inheritance->descriptor_limit.rlim_cur;
        for (int descriptor = 3; descriptor < limit && error == 0; descriptor++) {
            if (fcntl(descriptor, F_GETFD) >= 0) error = append(inheritance, &capacity, descriptor);
        }
        return error;
    }
    struct dirent *entry;
    while (error == 0 && (entry = readdir(folder)) != NULL) {
        char *end;
        long descriptor = strtol(entry->d_name, &end, 10);
        if (end == entry->d_name || *end != '\0' || descriptor < 3 || descriptor == dirfd(folder)) continue;
        error = append(inheritance, &capacity, (int)descriptor);
    }
    closedir(folder);
    if (inheritance->descriptor_count > 1) {
        qsort(inheritance->descriptors, inheritance->descriptor_count, sizeof(int), ascending);
    }
    return error;
}

int cinheritance_read(struct cinheritance *inheritance) {
    memset(inheritance, 0, sizeof *inheritance);
    read_signals(inheritance);
    if (getrlimit(RLIMIT_NOFILE, &inheritance->descriptor_limit) != 0) return errno;
    return read_descriptors(inheritance);
}

int cinheritance_fill_standard_descriptors(void) {
    for (int descriptor = 0; descriptor < 3; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0) continue;
        int direction = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        int opened = open("/dev/null", direction | O_CLOEXEC);
        // Without devices, a folder does: it can be neither read from nor written to.
        if (opened < 0) opened = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (opened < 0) return errno;
        // The lowest free number is the one that is wanted, as those below it are open by now.
        if (opened != descriptor) return EBADF;
    }
    return 0;
}
