// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_REPLY_H
#define SERVER_LIMIT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_kind {
    REPLY_OK,     ///< The status OK.
    REPLY_STATUS, ///< Any other status.
    REPLY_ERROR,
    REPLY_INTEGER,
    REPLY_BULK,
    REPLY_NULL,
    REPLY_ARRAY,
};

/// As much of a reply as is needed to tell what it means.
struct reply {
    enum reply_kind kind;
    /// The integer, or the first one of an array; 0 where there is none.
    int64_t integer;
    /// Of an error, what it says, cut off where it is long; not set in other replies.
    char error[160];
};

/// Reads the reply at the beginning of `bytes`, in version 2 of the protocol. Returns how many bytes it takes, 0 if it
/// is not complete, or -1 if this is no reply.
ptrdiff_t reply_read(const char *bytes, size_t length, struct reply *reply);

/// Notes what an error says.
void reply_set_error(struct reply *reply, const char *text, size_t length);

/// What a reply is, for people to read.
const char *reply_description(const struct reply *reply);

/// Whether an acquire was granted.
///
/// SET NX answers OK, or null if the lock is held. The scripts of our client answer an integer, or an array whose first
/// element is that integer where several locks are acquired at once: above 0 is a grant, and the fencing token where
/// there are any; 0 is a node with another record than the one that the client admitted; less than 0 is a lock that is
/// held, and for how long. Commands for slots are not for this program: a node refuses them with an integer above 0 if
/// it has another number of slots.
static inline bool reply_is_grant(const struct reply *reply) {
    if (reply->kind == REPLY_OK) return true;
    return (reply->kind == REPLY_INTEGER || reply->kind == REPLY_ARRAY) && reply->integer > 0;
}

/// Whether a release deleted the lock. Scripts answer 0 where there was none, and 2 where they also woke one who waits.
static inline bool reply_is_release(const struct reply *reply) {
    return reply->kind == REPLY_INTEGER && reply->integer > 0;
}

#endif
