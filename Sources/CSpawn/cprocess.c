// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "cprocess.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <dirent.h>
#include <fcntl.h>
#endif

/// What is asked of a process.
struct standing {
    char state;
    pid_t parent, group;
    char name[32];
};

#if defined(__APPLE__)

static bool read_standing(pid_t process, struct standing *standing) {
    struct kinfo_proc information;
    size_t size = sizeof information;
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, process};
    if (sysctl(name, 4, &information, &size, NULL, 0) != 0 || size == 0) return false;
    standing->parent = information.kp_eproc.e_ppid;
    snprintf(standing->name, sizeof standing->name, "%s", information.kp_proc.p_comm);
    return true;
}

/// 1: one runs, 0: none does, -1: not known.
static int group_runs(pid_t group) {
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PGRP, group};
    size_t size = 0;
    if (sysctl(name, 4, NULL, &size, NULL, 0) != 0) return -1;
    // Room for some that come meanwhile.
    size += 16 * sizeof(struct kinfo_proc);
    struct kinfo_proc *processes = malloc(size);
    if (processes == NULL) return -1;
    int runs = sysctl(name, 4, processes, &size, NULL, 0) == 0 ? 0 : -1;
    for (size_t place = 0; runs == 0 && place < size / sizeof *processes; place++) {
        if (processes[place].kp_proc.p_stat != SZOMB) runs = 1;
    }
    free(processes);
    return runs;
}

#else

/// Reads /proc/<process>/stat; the name of the program, which may hold anything, ends with the last parenthesis.
static bool read_standing_of(const char *process, struct standing *standing) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%s/stat", process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    if (count <= 0) return false;
    text[count] = '\0';
    const char *start = strchr(text, '('), *end = strrchr(text, ')');
    if (start == NULL || end == NULL || end < start) return false;
    snprintf(standing->name, sizeof standing->name, "%.*s", (int)(end - start - 1), start + 1);
    return sscanf(end + 1, " %c %d %d", &standing->state, &standing->parent, &standing->group) == 3;
}

static bool read_standing(pid_t process, struct standing *standing) {
    char number[16];
    snprintf(number, sizeof number, "%d", process);
    return read_standing_of(number, standing);
}

/// 1: one runs, 0: none does, -1: not known.
static int group_runs(pid_t group) {
    struct standing standing;
    DIR *folder = opendir("/proc");
    if (folder == NULL) return -1;
    int runs = read_standing_of("self", &standing) ? 0 : -1;
    struct dirent *entry;
    while (runs == 0 && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !read_standing_of(entry->d_name, &standing)) continue;
        if (standing.group == group && standing.state != 'Z' && standing.state != 'X') runs = 1;
    }
    closedir(folder);
    return runs;
}

#endif

pid_t cprocess_parent(pid_t process) {
    struct standing standing;
    return read_standing(process, &standing) ? standing.parent : 0;
}

bool cprocess_is_named(pid_t process, const char *name) {
    struct standing standing;
    return read_standing(process, &standing) && strcmp(standing.name, name) == 0;
}

bool cprocess_group_runs(pid_t group) {
    // Tells at once, and for sure, where the group is gone.
    if (kill(-group, 0) != 0 && errno == ESRCH) return false;
    return group_runs(group) != 0;
}

/// Threads that wait for the last of them.
struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t ending;
    bool is_over;
};

static void *attend(void *argument) {
    struct meeting *meeting = argument;
    pthread_mutex_lock(&meeting->mutex);
    while (!meeting->is_over) pthread_cond_wait(&meeting->ending, &meeting->mutex);
    pthread_mutex_unlock(&meeting->mutex);
    return NULL;
}

int cprocess_try_threads(int count) {
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    if (threads == NULL) return ENOMEM;
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    int error = 0, started = 0;
    while (started < count && error == 0) {
        error = pthread_create(&threads[started], NULL, attend, &meeting);
        if (error == 0) started++;
    }
    pthread_mutex_lock(&meeting.mutex);
    meeting.is_over = true;
    pthread_cond_broadcast(&meeting.ending);
    pthread_mutex_unlock(&meeting.mutex);
    for (int place = 0; place < started; place++) pthread_join(threads[place], NULL);
    free(threads);
    return error;
}
