// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_COMMAND_FILE_H
#define SERVER_LIMIT_COMMAND_FILE_H

#include "commands.h"

/// Reads commands from a file, so that the nodes are sent the very bytes that another client sends them.
///
/// The file is, with all numbers of 32 bits and little endian:
///
///     8 bytes   "RLCMD001"
///     number    how many tasks
///     number    how many nodes
///
///     for each node, what it is sent before all else:
///         number    how many replies that has; none of them may be an error
///         number    how many bytes follow
///         bytes     the commands; none at all if there are no replies
///
///     for each task, for each node:
///         number, bytes    how long the acquire is, and the acquire
///         number, bytes    how long the release is, and the release
///
/// An acquire is one command and a release is one command, each an array of bulk strings, so that each has one reply.
/// The nodes speak version 2 of the protocol. Which replies are grants is said in reply.h.
///
/// There may be more tasks than are asked for; the first ones are taken. There must be as many nodes as are asked for.
/// Otherwise, and if the file is anything else, the program ends.
struct commands commands_read(const char *path, uint32_t task_count, uint32_t node_count);

#endif
