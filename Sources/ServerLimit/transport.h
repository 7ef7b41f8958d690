// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_TRANSPORT_H
#define SERVER_LIMIT_TRANSPORT_H

#include "commands.h"
#include "reply.h"

#include <stdbool.h>

struct connection;

/// How a connection sends and receives. Its functions do what those of connection.h say.
struct transport {
    /// Sets the descriptor and begins to connect, without waiting.
    void (*open)(struct connection *connection);
    void (*close)(struct connection *connection);
    void (*append)(struct connection *connection, const struct command *command);
    /// Writes once; whether everything has left.
    bool (*send)(struct connection *connection);
    /// Reads once. Not having anything to read is no failure.
    void (*receive)(struct connection *connection);
    bool (*next_reply)(struct connection *connection, struct reply *reply);
};

/// Copies prepared bytes into a buffer and looks at replies where they were read: as little as possible.
extern const struct transport bytes_transport;

/// Lets hiredis format commands and read replies, as C programs do it.
extern const struct transport hiredis_transport;

#endif
