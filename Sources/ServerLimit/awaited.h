// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_AWAITED_H
#define SERVER_LIMIT_AWAITED_H

#include <stdint.h>

/// A reply that will come: to which task, and to which of its steps.
struct awaited {
    uint32_t task;
    uint32_t step;
};

/// The replies that one node owes, in the order in which they will come. All zero is empty.
struct awaited_queue {
    struct awaited *entries;
    /// A power of two, or 0.
    uint32_t capacity;
    /// The number of the first entry, and of the one behind the last. They are counted on and on, past the capacity and
    /// round the end of 32 bits.
    uint32_t first;
    uint32_t end;
};

/// Puts one more behind the others.
void awaited_append(struct awaited_queue *queue, struct awaited awaited);

static inline uint32_t awaited_count(const struct awaited_queue *queue) {
    return queue->end - queue->first;
}

/// Takes the first; there must be one.
static inline struct awaited awaited_take_first(struct awaited_queue *queue) {
    return queue->entries[queue->first++ & (queue->capacity - 1)];
}

#endif
