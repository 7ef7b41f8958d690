// SPDX-License-Identifier: Apache-2.0
#include "connection.h"
#include "failure.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LONGEST_WAIT_MILLISECONDS 10000

static void wait_for(const struct connection *connection, short events) {
    struct pollfd request = {.fd = connection->descriptor, .events = events};
    int ready;
    do {
        ready = poll(&request, 1, LONGEST_WAIT_MILLISECONDS);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) fail(EXIT_CODE_FAILED, "poll: %s", strerror(errno));
    if (ready == 0) fail(EXIT_CODE_FAILED, "the node at port %d does not answer", connection->port);
}

static void finish_connecting(const struct connection *connection) {
    wait_for(connection, POLLOUT);
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) {
        fail(EXIT_CODE_FAILED, "cannot connect to the node at port %d: %s", connection->port, strerror(error));
    }
}

/// What leaves in one write is all there is to send, so there is nothing to wait for.
static void send_at_once(const struct connection *connection) {
    int on = 1;
    if (setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        fail(EXIT_CODE_FAILED, "TCP_NODELAY cannot be set for port %d: %s", connection->port, strerror(errno));
    }
}

void connection_open(struct connection *connection, uint16_t port, const struct transport *transport) {
    *connection = (struct connection){.port = port, .descriptor = -1, .transport = transport};
    transport->open(connection);
    finish_connecting(connection);
    send_at_once(connection);
}

void connection_close(struct connection *connection) {
    connection->transport->close(connection);
}

void connection_set_up(struct connection *connection, const struct setup *setup) {
    if (setup->reply_count == 0) return;
    connection_append(connection, &setup->command);
    for (uint32_t count = 0; count < setup->reply_count;) {
        if (connection->has_unsent) connection_send(connection);
        wait_for(connection, connection->has_unsent ? POLLIN | POLLOUT : POLLIN);
        connection_receive(connection);
        struct reply reply;
        while (count < setup->reply_count && connection_next_reply(connection, &reply)) {
            if (reply.kind == REPLY_ERROR) {
                fail(EXIT_CODE_FAILED, "the node at port %d refused the setup: %s", connection->port, reply.error);
            }
            count++;
        }
    }
}
