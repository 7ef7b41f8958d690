// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_CONNECTION_H
#define SERVER_LIMIT_CONNECTION_H

#include "awaited.h"
#include "commands.h"
#include "reply.h"
#include "transport.h"

#include <stdbool.h>
#include <stdint.h>

/// The connection to one node.
struct connection {
    uint16_t port;
    /// Never blocks.
    int descriptor;
    const struct transport *transport;
    /// What the transport keeps.
    void *transport_state;
    /// Whether something was appended that has not left yet.
    bool has_unsent;
    /// Whether the loop is told when the system takes more.
    bool waits_for_room;
    struct awaited_queue awaited;
};

/// Connects to a port of this machine; ends the program if nobody answers there. So do the other functions if the
/// connection is lost.
void connection_open(struct connection *connection, uint16_t port, const struct transport *transport);

void connection_close(struct connection *connection);

/// Sends a setup and waits for its replies; ends the program if one is an error.
void connection_set_up(struct connection *connection, const struct setup *setup);

/// Puts a command behind those that are to be sent.
static inline void connection_append(struct connection *connection, const struct command *command) {
    connection->transport->append(connection, command);
    connection->has_unsent = true;
}

/// Sends what is to be sent, as far as the system takes it now.
static inline void connection_send(struct connection *connection) {
    connection->has_unsent = !connection->transport->send(connection);
}

/// Reads what there is, once.
static inline void connection_receive(struct connection *connection) {
    connection->transport->receive(connection);
}

/// Takes the next reply of those that were received completely; false if there is none.
static inline bool connection_next_reply(struct connection *connection, struct reply *reply) {
    return connection->transport->next_reply(connection, reply);
}

#endif
