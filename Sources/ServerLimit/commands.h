// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_COMMANDS_H
#define SERVER_LIMIT_COMMANDS_H

#include <stddef.h>
#include <stdint.h>

/// One command, or several in a setup, ready to be sent.
struct command {
    const char *bytes;
    size_t length;
    /// The command once more, for hiredis to format; none where it comes as bytes only.
    int argument_count;
    const char *const *arguments;
    const size_t *argument_lengths;
};

/// What a node is sent before all else.
struct setup {
    struct command command;
    uint32_t reply_count;
};

/// What one task sends to one node, in every cycle.
struct cycle_commands {
    struct command acquire;
    struct command release;
};

/// All that will be sent. It is prepared before anything is measured, and lives as long as the program.
struct commands {
    uint32_t task_count;
    uint32_t node_count;
    /// One for each node.
    const struct setup *setups;
    /// One for each node of the first task, then those of the second, and so on.
    const struct cycle_commands *cycles;
};

/// What a client sends that has nothing but the lock: SET NX PX, and a compare-and-delete by EVALSHA.
struct commands commands_make_plain(uint32_t task_count, uint32_t node_count);

static inline const struct cycle_commands *commands_of(const struct commands *commands, uint32_t task, uint32_t node) {
    return &commands->cycles[(size_t)task * commands->node_count + node];
}

#endif
