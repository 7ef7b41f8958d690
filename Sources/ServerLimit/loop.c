// SPDX-License-Identifier: Apache-2.0
#include "loop.h"
#include "connection.h"
#include "failure.h"

#if defined(__linux__)

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/// How many connections are looked at in one pass; more take turns.
#define MOST_EVENTS 64
#define LONGEST_SILENCE_MILLISECONDS 10000

/// A node that owes so many replies to steps that ended without it does not keep up with the others. It would take more
/// memory with every cycle, and in the end it is the others that are measured.
#define MOST_LATE_REPLIES (1u << 20)

/// One that acquires its lock and releases it, again and again.
struct task {
    /// Counted on with every acquire and every release, from 0, so that a reply that comes late is told from one that
    /// is waited for. Even while it acquires, odd while it releases.
    uint32_t step;
    /// How many nodes have answered in this step.
    uint32_t answers;
    /// When the acquire began.
    int64_t began;
};

struct loop {
    const struct commands *commands;
    struct measurement *measurement;
    struct connection *connections;
    uint32_t node_count;
    uint32_t quorum;
    struct task *tasks;
    int epoll;
    /// How many cycles may still begin.
    uint64_t cycles_to_begin;
    /// How many cycles to measure; 0 for as many as the time allows.
    uint64_t cycles_wanted;
    /// When to begin measuring, and when to end, where the time is what counts.
    int64_t measuring_begins;
    int64_t measuring_ends;
    bool has_measured;
};

// MARK: Tasks

static bool is_acquiring(uint32_t step) {
    return step % 2 == 0;
}

/// Sends a command of the task to all nodes: it leaves with all else that this pass of the loop sends.
static void ask_all_nodes(struct loop *loop, uint32_t number) {
    struct task *task = &loop->tasks[number];
    task->answers = 0;
    for (uint32_t node = 0; node < loop->node_count; node++) {
        struct connection *connection = &loop->connections[node];
        const struct cycle_commands *cycle = commands_of(loop->commands, number, node);
        connection_append(connection, is_acquiring(task->step) ? &cycle->acquire : &cycle->release);
        awaited_append(&connection->awaited, (struct awaited){.task = number, .step = task->step});
    }
}

static void begin_cycle(struct loop *loop, uint32_t number) {
    if (loop->cycles_to_begin == 0) return;
    loop->cycles_to_begin--;
    loop->tasks[number].began = measurement_now();
    ask_all_nodes(loop, number);
}

static void begin_release(struct loop *loop, uint32_t number) {
    struct measurement *measurement = loop->measurement;
    int64_t took = measurement_now() - loop->tasks[number].began;
    if (measurement->is_running) latency_record(&measurement->acquire, (uint64_t)took);
    ask_all_nodes(loop, number);
}

static void end_cycle(struct loop *loop, uint32_t number) {
    if (loop->measurement->is_running) loop->measurement->cycles++;
    begin_cycle(loop, number);
}

/// Counts an answer; a quorum of them ends the step.
static void count_answer(struct loop *loop, struct awaited awaited) {
    struct task *task = &loop->tasks[awaited.task];
    // The others were enough.
    if (awaited.step != task->step) return;
    task->answers++;
    if (task->answers < loop->quorum) return;
    task->step++;
    if (is_acquiring(task->step)) {
        end_cycle(loop, awaited.task);
    } else {
        begin_release(loop, awaited.task);
    }
}

// MARK: Replies

static void check_reply(const struct connection *connection, struct awaited awaited, const struct reply *reply) {
    bool is_acquire = is_acquiring(awaited.step);
    if (is_acquire ? reply_is_grant(reply) : reply_is_release(reply)) return;
    fail(
        EXIT_CODE_FAILED,
        "the node at port %d refused to %s the lock of task %u: %s",
        connection->port,
        is_acquire ? "grant" : "release",
        awaited.task,
        reply_description(reply)
    );
}

static void receive_replies(struct loop *loop, struct connection *connection) {
    connection_receive(connection);
    struct reply reply;
    while (connection_next_reply(connection, &reply)) {
        if (awaited_count(&connection->awaited) == 0) {
            fail(EXIT_CODE_FAILED, "the node at port %d sent a reply to nothing", connection->port);
        }
        struct awaited awaited = awaited_take_first(&connection->awaited);
        check_reply(connection, awaited, &reply);
        count_answer(loop, awaited);
    }
}

/// The first connection whose node owes replies; NULL if there is none.
static const struct connection *first_awaited(const struct loop *loop) {
    for (uint32_t node = 0; node < loop->node_count; node++) {
        if (awaited_count(&loop->connections[node].awaited) > 0) return &loop->connections[node];
    }
    return NULL;
}

// MARK: Events

static void watch(const struct loop *loop, uint32_t node, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u32 = node};
    if (epoll_ctl(loop->epoll, operation, loop->connections[node].descriptor, &event) != 0) {
        fail(EXIT_CODE_FAILED, "epoll_ctl: %s", strerror(errno));
    }
}

static void check_pace(const struct loop *loop, const struct connection *connection) {
    if (awaited_count(&connection->awaited) <= MOST_LATE_REPLIES + loop->commands->task_count) return;
    fail(EXIT_CODE_FAILED, "the node at port %d does not keep up", connection->port);
}

/// Sends to all nodes what this pass of the loop has for them, with one write each.
static void send_to_all(struct loop *loop) {
    for (uint32_t node = 0; node < loop->node_count; node++) {
        struct connection *connection = &loop->connections[node];
        if (!connection->has_unsent) continue;
        check_pace(loop, connection);
        connection_send(connection);
        if (connection->has_unsent == connection->waits_for_room) continue;
        connection->waits_for_room = connection->has_unsent;
        watch(loop, node, EPOLL_CTL_MOD, connection->waits_for_room ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static int wait_for_events(const struct loop *loop, struct epoll_event events[MOST_EVENTS]) {
    int count;
    do {
        count = epoll_wait(loop->epoll, events, MOST_EVENTS, LONGEST_SILENCE_MILLISECONDS);
    } while (count < 0 && errno == EINTR);
    if (count < 0) fail(EXIT_CODE_FAILED, "epoll_wait: %s", strerror(errno));
    if (count == 0) fail(EXIT_CODE_FAILED, "the node at port %d does not answer", first_awaited(loop)->port);
    return count;
}

static bool is_over(const struct loop *loop, int64_t now) {
    if (loop->cycles_wanted > 0) return loop->measurement->cycles == loop->cycles_wanted;
    return now >= loop->measuring_ends;
}

static void end_measuring(struct loop *loop, int64_t now) {
    measurement_end(loop->measurement, now);
    loop->has_measured = true;
    loop->cycles_to_begin = 0;
}

/// Begins to measure, and ends it, when it is time.
static void follow_clock(struct loop *loop) {
    if (loop->has_measured) return;
    int64_t now = measurement_now();
    if (!loop->measurement->is_running) {
        if (now >= loop->measuring_begins) measurement_begin(loop->measurement, now);
        return;
    }
    if (is_over(loop, now)) end_measuring(loop, now);
}

static void run_one_pass(struct loop *loop) {
    struct epoll_event events[MOST_EVENTS];
    int count = wait_for_events(loop, events);
    for (int i = 0; i < count; i++) {
        if (events[i].events != EPOLLOUT) receive_replies(loop, &loop->connections[events[i].data.u32]);
    }
    follow_clock(loop);
    send_to_all(loop);
}

// MARK: Beginning and end

static void connect_to_all(struct loop *loop, const struct arguments *arguments) {
    const struct transport *transport = arguments->mode == MODE_HIREDIS ? &hiredis_transport : &bytes_transport;
    loop->connections = allocate(loop->node_count, sizeof *loop->connections);
    for (uint32_t node = 0; node < loop->node_count; node++) {
        connection_open(&loop->connections[node], arguments->ports[node], transport);
        connection_set_up(&loop->connections[node], &loop->commands->setups[node]);
        watch(loop, node, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void set_times(struct loop *loop, const struct arguments *arguments) {
    int64_t now = measurement_now();
    loop->cycles_wanted = arguments->cycles;
    if (arguments->cycles > 0) {
        // Everything counts from the first command on.
        loop->cycles_to_begin = arguments->cycles;
        measurement_begin(loop->measurement, now);
    } else {
        int64_t nanoseconds = (int64_t)(arguments->seconds * 1e9);
        loop->cycles_to_begin = UINT64_MAX;
        loop->measuring_begins = now + nanoseconds / 10;
        loop->measuring_ends = loop->measuring_begins + nanoseconds;
    }
}

static void close_all(struct loop *loop) {
    for (uint32_t node = 0; node < loop->node_count; node++) connection_close(&loop->connections[node]);
    free(loop->connections);
    free(loop->tasks);
    close(loop->epoll);
}

void loop_run(const struct arguments *arguments, const struct commands *commands, struct measurement *measurement) {
    struct loop loop = {
        .commands = commands,
        .measurement = measurement,
        .node_count = arguments->node_count,
        .quorum = arguments->node_count / 2 + 1,
        .tasks = allocate(arguments->task_count, sizeof *loop.tasks),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
    };
    if (loop.epoll < 0) fail(EXIT_CODE_FAILED, "epoll_create1: %s", strerror(errno));
    connect_to_all(&loop, arguments);
    set_times(&loop, arguments);
    for (uint32_t number = 0; number < arguments->task_count; number++) begin_cycle(&loop, number);
    send_to_all(&loop);
    while (first_awaited(&loop) != NULL) run_one_pass(&loop);
    close_all(&loop);
}

#else

void loop_run(const struct arguments *arguments, const struct commands *commands, struct measurement *measurement) {
    (void)arguments;
    (void)commands;
    (void)measurement;
    fail(EXIT_CODE_UNAVAILABLE, "this needs epoll, which only Linux has");
}

#endif
