// SPDX-License-Identifier: Apache-2.0
#include "command_file.h"
#include "failure.h"
#include "reply.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'R', 'L', 'C', 'M', 'D', '0', '0', '1'};

/// What of a file has not been read yet; the bytes stay where they are, for the commands to point to.
struct file {
    const char *path;
    const char *bytes;
    size_t length;
};

static struct file read_whole(const char *path) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) fail(EXIT_CODE_NO_INPUT, "%s cannot be opened: %s", path, strerror(errno));
    char *bytes = NULL;
    size_t length = 0, capacity = 0;
    do {
        if (length == capacity) {
            capacity = capacity == 0 ? 1 << 16 : 2 * capacity;
            bytes = reallocate(bytes, capacity, 1);
        }
        length += fread(bytes + length, 1, capacity - length, stream);
    } while (!feof(stream) && !ferror(stream));
    if (ferror(stream)) fail(EXIT_CODE_NO_INPUT, "%s cannot be read: %s", path, strerror(errno));
    fclose(stream);
    return (struct file){.path = path, .bytes = bytes, .length = length};
}

static const char *take(struct file *file, size_t count) {
    if (file->length < count) fail(EXIT_CODE_DATA, "%s ends too early", file->path);
    const char *bytes = file->bytes;
    file->bytes += count;
    file->length -= count;
    return bytes;
}

static uint32_t take_number(struct file *file) {
    const unsigned char *bytes = (const unsigned char *)take(file, 4);
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static struct command take_bytes(struct file *file) {
    size_t length = take_number(file);
    return (struct command){.bytes = take(file, length), .length = length};
}

static struct setup take_setup(struct file *file) {
    uint32_t reply_count = take_number(file);
    struct command command = take_bytes(file);
    if ((command.length == 0) != (reply_count == 0)) {
        fail(EXIT_CODE_DATA, "%s has a setup without replies, or replies without a setup", file->path);
    }
    return (struct setup){.command = command, .reply_count = reply_count};
}

/// Commands are written as replies are, so whoever can read those sees whether this is one: no more and no less, as the
/// replies to all that follow would be taken for those to others.
static struct command take_command(struct file *file) {
    struct command command = take_bytes(file);
    struct reply content;
    ptrdiff_t count = reply_read(command.bytes, command.length, &content);
    bool is_one = count > 0 && (size_t)count == command.length && content.kind == REPLY_ARRAY;
    if (!is_one) fail(EXIT_CODE_DATA, "%s has something in it that is not one command", file->path);
    return command;
}

static struct cycle_commands take_cycle(struct file *file) {
    struct cycle_commands cycle;
    cycle.acquire = take_command(file);
    cycle.release = take_command(file);
    return cycle;
}

/// Reads what is there for one task and one node, at least eight bytes of lengths, as often as the file says.
static const struct cycle_commands *take_cycles(struct file *file, uint32_t task_count, uint32_t node_count) {
    if (task_count > file->length / 8 / node_count) fail(EXIT_CODE_DATA, "%s ends too early", file->path);
    size_t count = (size_t)task_count * node_count;
    struct cycle_commands *cycles = allocate(count, sizeof *cycles);
    for (size_t i = 0; i < count; i++) cycles[i] = take_cycle(file);
    return cycles;
}

struct commands commands_read(const char *path, uint32_t task_count, uint32_t node_count) {
    struct file file = read_whole(path);
    if (memcmp(take(&file, sizeof magic), magic, sizeof magic) != 0) {
        fail(EXIT_CODE_DATA, "%s is not a file of commands", path);
    }
    uint32_t tasks_in_file = take_number(&file);
    uint32_t nodes_in_file = take_number(&file);
    if (tasks_in_file < task_count) fail(EXIT_CODE_DATA, "%s has commands for %u tasks only", path, tasks_in_file);
    if (nodes_in_file != node_count) fail(EXIT_CODE_DATA, "%s has commands for %u nodes", path, nodes_in_file);

    struct setup *setups = allocate(node_count, sizeof *setups);
    for (uint32_t node = 0; node < node_count; node++) setups[node] = take_setup(&file);
    const struct cycle_commands *cycles = take_cycles(&file, tasks_in_file, node_count);
    if (file.length != 0) fail(EXIT_CODE_DATA, "%s goes on behind its end", path);
    return (struct commands){
        .task_count = task_count,
        .node_count = node_count,
        .setups = setups,
        .cycles = cycles,
    };
}
