// SPDX-License-Identifier: Apache-2.0
#include "connection.h"
#include "failure.h"
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/// What is read at once; also the longest reply that is understood.
#define INPUT_BYTES (64 * 1024)
#define FIRST_OUTPUT_BYTES (64 * 1024)

/// The bytes from `start` to `end` are still to be used.
struct buffer {
    char *bytes;
    size_t capacity;
    size_t start;
    size_t end;
};

struct bytes_state {
    struct buffer output;
    struct buffer input;
};

static void move_to_front(struct buffer *buffer) {
    buffer->end -= buffer->start;
    if (buffer->start != 0 && buffer->end != 0) memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end);
    buffer->start = 0;
}

static void bytes_open(struct connection *connection) {
    struct bytes_state *state = allocate(1, sizeof *state);
    state->output = (struct buffer){.bytes = allocate(FIRST_OUTPUT_BYTES, 1), .capacity = FIRST_OUTPUT_BYTES};
    state->input = (struct buffer){.bytes = allocate(INPUT_BYTES, 1), .capacity = INPUT_BYTES};
    connection->transport_state = state;

    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (descriptor < 0 || fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0) {
        fail(EXIT_CODE_FAILED, "no socket for port %d: %s", connection->port, strerror(errno));
    }
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(connection->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int outcome = connect(descriptor, (const struct sockaddr *)&address, sizeof address);
    // An interrupted connect goes on by itself, as one that does not block.
    if (outcome != 0 && errno != EINPROGRESS && errno != EINTR) {
        fail(EXIT_CODE_FAILED, "cannot connect to the node at port %d: %s", connection->port, strerror(errno));
    }
    connection->descriptor = descriptor;
}

static void bytes_close(struct connection *connection) {
    struct bytes_state *state = connection->transport_state;
    close(connection->descriptor);
    free(state->output.bytes);
    free(state->input.bytes);
    free(state);
}

static void make_room(struct buffer *output, size_t count) {
    move_to_front(output);
    size_t capacity = output->capacity;
    while (capacity < output->end + count) capacity *= 2;
    if (capacity == output->capacity) return;
    output->bytes = reallocate(output->bytes, capacity, 1);
    output->capacity = capacity;
}

static void bytes_append(struct connection *connection, const struct command *command) {
    struct buffer *output = &((struct bytes_state *)connection->transport_state)->output;
    if (output->capacity - output->end < command->length) make_room(output, command->length);
    memcpy(output->bytes + output->end, command->bytes, command->length);
    output->end += command->length;
}

static bool bytes_send(struct connection *connection) {
    struct buffer *output = &((struct bytes_state *)connection->transport_state)->output;
    ssize_t count;
    do {
        count = write(connection->descriptor, output->bytes + output->start, output->end - output->start);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        fail(EXIT_CODE_FAILED, "lost the connection to the node at port %d: %s", connection->port, strerror(errno));
    }
    output->start += (size_t)count;
    if (output->start != output->end) return false;
    output->start = output->end = 0;
    return true;
}

static void bytes_receive(struct connection *connection) {
    struct buffer *input = &((struct bytes_state *)connection->transport_state)->input;
    move_to_front(input);
    if (input->end == input->capacity) {
        fail(EXIT_CODE_FAILED, "the node at port %d sent a reply that is too long", connection->port);
    }
    ssize_t count;
    do {
        count = read(connection->descriptor, input->bytes + input->end, input->capacity - input->end);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        fail(EXIT_CODE_FAILED, "lost the connection to the node at port %d: %s", connection->port, strerror(errno));
    }
    if (count == 0) fail(EXIT_CODE_FAILED, "the node at port %d closed the connection", connection->port);
    input->end += (size_t)count;
}

static bool bytes_next_reply(struct connection *connection, struct reply *reply) {
    struct buffer *input = &((struct bytes_state *)connection->transport_state)->input;
    ptrdiff_t count = reply_read(input->bytes + input->start, input->end - input->start, reply);
    if (count < 0) {
        fail(EXIT_CODE_FAILED, "the node at port %d sent something that is no reply", connection->port);
    }
    input->start += (size_t)count;
    return count > 0;
}

const struct transport bytes_transport = {
    .open = bytes_open,
    .close = bytes_close,
    .append = bytes_append,
    .send = bytes_send,
    .receive = bytes_receive,
    .next_reply = bytes_next_reply,
};
