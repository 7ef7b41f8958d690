// SPDX-License-Identifier: Apache-2.0

// Measures how fast Redis servers can grant and release locks to one client that does as little as possible: one
// thread, one connection for each node, commands that were encoded before. Ours is compared with it.

#include "arguments.h"
#include "command_file.h"
#include "commands.h"
#include "loop.h"
#include "measurement.h"

#include <signal.h>

static struct commands prepare_commands(const struct arguments *arguments) {
    if (arguments->mode == MODE_FILE) {
        return commands_read(arguments->commands_path, arguments->task_count, arguments->node_count);
    }
    return commands_make_plain(arguments->task_count, arguments->node_count);
}

int main(int count, char **values) {
    struct arguments arguments = arguments_parse(count, values);
    // A connection that is lost is an error of the write, which says which node it was.
    signal(SIGPIPE, SIG_IGN);
    struct commands commands = prepare_commands(&arguments);
    static struct measurement measurement;
    loop_run(&arguments, &commands, &measurement);
    measurement_print(&measurement);
    return 0;
}
