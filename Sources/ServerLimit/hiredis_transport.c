// SPDX-License-Identifier: Apache-2.0
#include "connection.h"
#include "failure.h"
#include "transport.h"

#include <string.h>

// Some installations put the folder `hiredis` on the include path, others the folder above it.
#if __has_include(<hiredis/hiredis.h>)
#include <hiredis/hiredis.h>
#else
#include <hiredis.h>
#endif

_Noreturn static void fail_as_context_says(const struct connection *connection) {
    const redisContext *context = connection->transport_state;
    fail(EXIT_CODE_FAILED, "lost the connection to the node at port %d: %s", connection->port, context->errstr);
}

static void hiredis_open(struct connection *connection) {
    redisContext *context = redisConnectNonBlock("127.0.0.1", connection->port);
    if (context == NULL) fail(EXIT_CODE_FAILED, "out of memory");
    connection->transport_state = context;
    if (context->err != 0) {
        fail(EXIT_CODE_FAILED, "cannot connect to the node at port %d: %s", connection->port, context->errstr);
    }
    connection->descriptor = context->fd;
}

static void hiredis_close(struct connection *connection) {
    redisFree(connection->transport_state);
}

static void hiredis_append(struct connection *connection, const struct command *command) {
    redisContext *context = connection->transport_state;
    // The arguments are not changed; hiredis just does not say so.
    const char **arguments = (const char **)command->arguments;
    int outcome = redisAppendCommandArgv(context, command->argument_count, arguments, command->argument_lengths);
    if (outcome != REDIS_OK) fail_as_context_says(connection);
}

static bool hiredis_send(struct connection *connection) {
    int is_done = 0;
    if (redisBufferWrite(connection->transport_state, &is_done) != REDIS_OK) fail_as_context_says(connection);
    return is_done != 0;
}

static void hiredis_receive(struct connection *connection) {
    if (redisBufferRead(connection->transport_state) != REDIS_OK) fail_as_context_says(connection);
}

static void set_array(struct reply *reply, const redisReply *content) {
    reply->kind = REPLY_ARRAY;
    if (content->elements > 0 && content->element[0]->type == REDIS_REPLY_INTEGER) {
        reply->integer = content->element[0]->integer;
    }
}

static void set_reply(struct reply *reply, const redisReply *content) {
    reply->integer = 0;
    switch (content->type) {
    case REDIS_REPLY_STATUS: reply->kind = strcmp(content->str, "OK") == 0 ? REPLY_OK : REPLY_STATUS; break;
    case REDIS_REPLY_ERROR: reply_set_error(reply, content->str, strlen(content->str)); break;
    case REDIS_REPLY_INTEGER:
        reply->kind = REPLY_INTEGER;
        reply->integer = content->integer;
        break;
    case REDIS_REPLY_NIL: reply->kind = REPLY_NULL; break;
    case REDIS_REPLY_ARRAY: set_array(reply, content); break;
    default: reply->kind = REPLY_BULK; break;
    }
}

static bool hiredis_next_reply(struct connection *connection, struct reply *reply) {
    void *content = NULL;
    if (redisGetReplyFromReader(connection->transport_state, &content) != REDIS_OK) fail_as_context_says(connection);
    if (content == NULL) return false;
    set_reply(reply, content);
    freeReplyObject(content);
    return true;
}

const struct transport hiredis_transport = {
    .open = hiredis_open,
    .close = hiredis_close,
    .append = hiredis_append,
    .send = hiredis_send,
    .receive = hiredis_receive,
    .next_reply = hiredis_next_reply,
};
