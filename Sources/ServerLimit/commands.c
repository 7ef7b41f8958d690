// SPDX-License-Identifier: Apache-2.0
#include "commands.h"
#include "failure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RELEASE_SCRIPT "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\nreturn 0"

/// The SHA-1 of the script. Should it be wrong, the first release is answered with NOSCRIPT, and the program ends.
#define RELEASE_DIGEST "7f8f6677b8f2b4b65b9b9905151ced126e6b7e49"

#define TTL_MILLISECONDS "10000"

enum { ACQUIRE_ARGUMENT_COUNT = 6, RELEASE_ARGUMENT_COUNT = 5, SETUP_ARGUMENT_COUNT = 3 };

/// The longest beginning of an argument or a command: a sign, the digits of a 64-bit number, a line end.
enum { MOST_PREFIX_BYTES = 24 };

/// What the commands of one task are made of.
struct plain_lock {
    char name[sizeof "limit:" + 10];
    char token[40 + 1];
    const char *acquire[ACQUIRE_ARGUMENT_COUNT];
    size_t acquire_lengths[ACQUIRE_ARGUMENT_COUNT];
    const char *release[RELEASE_ARGUMENT_COUNT];
    size_t release_lengths[RELEASE_ARGUMENT_COUNT];
};

static size_t most_encoded_bytes(int count, const size_t *lengths) {
    size_t bytes = MOST_PREFIX_BYTES;
    for (int i = 0; i < count; i++) bytes += MOST_PREFIX_BYTES + lengths[i] + strlen("\r\n");
    return bytes;
}

/// Encodes a command: its number of arguments, and each with its length before it.
static struct command encode(int count, const char *const *arguments, size_t *lengths) {
    for (int i = 0; i < count; i++) lengths[i] = strlen(arguments[i]);
    char *bytes = allocate(most_encoded_bytes(count, lengths) + 1, 1);
    char *end = bytes + sprintf(bytes, "*%d\r\n", count);
    for (int i = 0; i < count; i++) end += sprintf(end, "$%zu\r\n%s\r\n", lengths[i], arguments[i]);
    return (struct command){
        .bytes = bytes,
        .length = (size_t)(end - bytes),
        .argument_count = count,
        .arguments = arguments,
        .argument_lengths = lengths,
    };
}

static const struct setup *make_setups(uint32_t node_count) {
    static const char *const arguments[SETUP_ARGUMENT_COUNT] = {"SCRIPT", "LOAD", RELEASE_SCRIPT};
    static size_t lengths[SETUP_ARGUMENT_COUNT];
    struct setup *setups = allocate(node_count, sizeof *setups);
    struct command command = encode(SETUP_ARGUMENT_COUNT, arguments, lengths);
    for (uint32_t node = 0; node < node_count; node++) {
        setups[node] = (struct setup){.command = command, .reply_count = 1};
    }
    return setups;
}

static struct cycle_commands make_cycle(uint32_t task, struct plain_lock *lock) {
    snprintf(lock->name, sizeof lock->name, "limit:%08" PRIu32, task);
    snprintf(lock->token, sizeof lock->token, "%040" PRIu32, task);
    memcpy(
        lock->acquire,
        (const char *[]){"SET", lock->name, lock->token, "NX", "PX", TTL_MILLISECONDS},
        sizeof lock->acquire
    );
    memcpy(
        lock->release,
        (const char *[]){"EVALSHA", RELEASE_DIGEST, "1", lock->name, lock->token},
        sizeof lock->release
    );
    return (struct cycle_commands){
        .acquire = encode(ACQUIRE_ARGUMENT_COUNT, lock->acquire, lock->acquire_lengths),
        .release = encode(RELEASE_ARGUMENT_COUNT, lock->release, lock->release_lengths),
    };
}

struct commands commands_make_plain(uint32_t task_count, uint32_t node_count) {
    struct plain_lock *locks = allocate(task_count, sizeof *locks);
    struct cycle_commands *cycles = allocate((size_t)task_count * node_count, sizeof *cycles);
    for (uint32_t task = 0; task < task_count; task++) {
        struct cycle_commands cycle = make_cycle(task, &locks[task]);
        for (uint32_t node = 0; node < node_count; node++) cycles[(size_t)task * node_count + node] = cycle;
    }
    return (struct commands){
        .task_count = task_count,
        .node_count = node_count,
        .setups = make_setups(node_count),
        .cycles = cycles,
    };
}
