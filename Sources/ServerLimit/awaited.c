// SPDX-License-Identifier: Apache-2.0
#include "awaited.h"
#include "failure.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

static void grow(struct awaited_queue *queue) {
    struct awaited_queue larger = {.capacity = queue->capacity == 0 ? FIRST_CAPACITY : 2 * queue->capacity};
    larger.entries = allocate(larger.capacity, sizeof *larger.entries);
    while (awaited_count(queue) > 0) larger.entries[larger.end++] = awaited_take_first(queue);
    free(queue->entries);
    *queue = larger;
}

void awaited_append(struct awaited_queue *queue, struct awaited awaited) {
    if (awaited_count(queue) == queue->capacity) grow(queue);
    queue->entries[queue->end++ & (queue->capacity - 1)] = awaited;
}
