// SPDX-License-Identifier: Apache-2.0
#ifndef CSPAWN_PIPE_H
#define CSPAWN_PIPE_H

/// Opens a pipe whose ends no program that is started inherits, and neither of which is a standard descriptor. Returns 0
/// or an errno.
int cspawn_open_pipe(int ends[2]);

#endif
