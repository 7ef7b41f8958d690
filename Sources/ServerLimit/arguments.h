// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_ARGUMENTS_H
#define SERVER_LIMIT_ARGUMENTS_H

#include <stdint.h>

/// What is sent, and through what.
enum mode {
    MODE_PLAIN,   ///< SET NX PX and a compare-and-delete, as bytes.
    MODE_FILE,    ///< The commands of a file, as bytes.
    MODE_HIREDIS, ///< The same commands as MODE_PLAIN, formatted and read by hiredis.
};

/// What the program was asked for.
struct arguments {
    enum mode mode;
    /// The nodes: ports on 127.0.0.1.
    const uint16_t *ports;
    uint32_t node_count;
    uint32_t task_count;
    /// How long to measure; unused with a number of cycles.
    double seconds;
    /// How many cycles to measure, all there are; 0 to measure for a time.
    uint64_t cycles;
    /// The file of MODE_FILE, otherwise NULL.
    const char *commands_path;
};

/// Reads the command line; ends the program with its usage if it is wrong.
struct arguments arguments_parse(int count, char **values);

#endif
