// SPDX-License-Identifier: Apache-2.0
#include "reply.h"

#include <string.h>

/// Arrays in arrays are read up to here; no answer to an acquire is deeper.
#define MOST_DEPTH 8

/// Longer numbers than this may not fit into 64 bits; no node has reason to send them.
#define MOST_DIGITS 18

enum progress { COMPLETE, INCOMPLETE, MALFORMED };

struct cursor {
    const char *at;
    const char *end;
};

struct line {
    const char *text;
    size_t length;
};

static enum progress read_line(struct cursor *cursor, struct line *line) {
    const char *line_end = memchr(cursor->at, '\r', (size_t)(cursor->end - cursor->at));
    if (line_end == NULL || line_end + 1 == cursor->end) return INCOMPLETE;
    if (line_end[1] != '\n') return MALFORMED;
    *line = (struct line){.text = cursor->at, .length = (size_t)(line_end - cursor->at)};
    cursor->at = line_end + 2;
    return COMPLETE;
}

static enum progress read_integer(struct cursor *cursor, int64_t *integer) {
    struct line line;
    enum progress progress = read_line(cursor, &line);
    if (progress != COMPLETE) return progress;
    bool is_negative = line.length > 0 && line.text[0] == '-';
    size_t place = is_negative ? 1 : 0;
    if (line.length == place || line.length - place > MOST_DIGITS) return MALFORMED;
    int64_t magnitude = 0;
    for (; place < line.length; place++) {
        if (line.text[place] < '0' || line.text[place] > '9') return MALFORMED;
        magnitude = 10 * magnitude + (line.text[place] - '0');
    }
    *integer = is_negative ? -magnitude : magnitude;
    return COMPLETE;
}

static enum progress read_status(struct cursor *cursor, struct reply *reply) {
    struct line line;
    enum progress progress = read_line(cursor, &line);
    if (progress != COMPLETE) return progress;
    bool is_ok = line.length == 2 && memcmp(line.text, "OK", 2) == 0;
    reply->kind = is_ok ? REPLY_OK : REPLY_STATUS;
    return COMPLETE;
}

static enum progress read_error(struct cursor *cursor, struct reply *reply) {
    struct line line;
    enum progress progress = read_line(cursor, &line);
    if (progress != COMPLETE) return progress;
    reply_set_error(reply, line.text, line.length);
    return COMPLETE;
}

static enum progress read_bulk(struct cursor *cursor, struct reply *reply) {
    int64_t length;
    enum progress progress = read_integer(cursor, &length);
    if (progress != COMPLETE) return progress;
    if (length < 0) {
        reply->kind = REPLY_NULL;
        return length == -1 ? COMPLETE : MALFORMED;
    }
    reply->kind = REPLY_BULK;
    if (cursor->end - cursor->at < length + 2) return INCOMPLETE;
    cursor->at += length;
    if (cursor->at[0] != '\r' || cursor->at[1] != '\n') return MALFORMED;
    cursor->at += 2;
    return COMPLETE;
}

static enum progress read_any(struct cursor *cursor, int depth, struct reply *reply);

static enum progress read_array(struct cursor *cursor, int depth, struct reply *reply) {
    int64_t count;
    enum progress progress = read_integer(cursor, &count);
    if (progress != COMPLETE) return progress;
    if (count < -1 || depth == MOST_DEPTH) return MALFORMED;
    reply->kind = count < 0 ? REPLY_NULL : REPLY_ARRAY;
    for (int64_t place = 0; place < count; place++) {
        struct reply element;
        progress = read_any(cursor, depth + 1, &element);
        if (progress != COMPLETE) return progress;
        if (place == 0 && element.kind == REPLY_INTEGER) reply->integer = element.integer;
    }
    return COMPLETE;
}

static enum progress read_any(struct cursor *cursor, int depth, struct reply *reply) {
    reply->integer = 0;
    if (cursor->at == cursor->end) return INCOMPLETE;
    switch (*cursor->at++) {
    case '+': return read_status(cursor, reply);
    case '-': return read_error(cursor, reply);
    case ':': reply->kind = REPLY_INTEGER; return read_integer(cursor, &reply->integer);
    case '$': return read_bulk(cursor, reply);
    case '*': return read_array(cursor, depth, reply);
    default: return MALFORMED;
    }
}

ptrdiff_t reply_read(const char *bytes, size_t length, struct reply *reply) {
    struct cursor cursor = {.at = bytes, .end = bytes + length};
    switch (read_any(&cursor, 0, reply)) {
    case COMPLETE: return cursor.at - bytes;
    case INCOMPLETE: return 0;
    case MALFORMED: break;
    }
    return -1;
}

void reply_set_error(struct reply *reply, const char *text, size_t length) {
    size_t room = sizeof reply->error - 1;
    if (length > room) length = room;
    reply->kind = REPLY_ERROR;
    memcpy(reply->error, text, length);
    reply->error[length] = '\0';
}

const char *reply_description(const struct reply *reply) {
    switch (reply->kind) {
    case REPLY_OK: return "OK";
    case REPLY_STATUS: return "a status";
    case REPLY_ERROR: return reply->error;
    case REPLY_INTEGER: return reply->integer == 0 ? "0" : reply->integer < 0 ? "a negative integer" : "an integer";
    case REPLY_BULK: return "a string";
    case REPLY_NULL: return "null";
    case REPLY_ARRAY: return "an array";
    }
    return "an unknown reply";
}
