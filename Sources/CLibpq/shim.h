// SPDX-License-Identifier: Apache-2.0

#ifndef CLIBPQ_SHIM_H
#define CLIBPQ_SHIM_H

#include <libpq-fe.h>

// Swift does not see macros that are characters.
static const int redlock_diagnostic_sqlstate = PG_DIAG_SQLSTATE;
static const int redlock_diagnostic_message = PG_DIAG_MESSAGE_PRIMARY;

#endif
