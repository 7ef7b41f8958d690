// SPDX-License-Identifier: Apache-2.0
#ifndef SERVER_LIMIT_LOOP_H
#define SERVER_LIMIT_LOOP_H

#include "arguments.h"
#include "commands.h"
#include "measurement.h"

/// Acquires and releases locks, as many at the same time as there are tasks and as quickly as the nodes answer, and
/// measures that. Returns when everything is released and every reply was read. Ends the program if a node refuses or
/// fails: every task has a lock of its own, so there is no reason to.
void loop_run(const struct arguments *arguments, const struct commands *commands, struct measurement *measurement);

#endif
