// SPDX-License-Identifier: Apache-2.0

#ifndef REDLOCK_CLUA_SHIM_H
#define REDLOCK_CLUA_SHIM_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

/// What a script calls: answers how many results it has put on the stack, or a negative number if what is on top of the
/// stack is an error that the script is to end with.
typedef int (*redlock_lua_body)(void *context, lua_State *state);

struct redlock_lua_function {
    redlock_lua_body body;
    void *context;
};

/// Lua leaves a function that raises an error with a jump, which no frame of Swift may be jumped over: the body has
/// returned by then.
static int redlock_lua_enter(lua_State *state) {
    const struct redlock_lua_function *function = lua_touserdata(state, lua_upvalueindex(1));
    int count = function->body(function->context, state);
    return count < 0 ? lua_error(state) : count;
}

/// Puts a function onto the stack.
static inline void redlock_lua_push_function(lua_State *state, redlock_lua_body body, void *context) {
    struct redlock_lua_function *function = lua_newuserdata(state, sizeof *function);
    function->body = body;
    function->context = context;
    lua_pushcclosure(state, redlock_lua_enter, 1);
}

/// Sizes of pieces of memory are counted in this many bytes, which is also what they are aligned to.
enum { redlock_lua_unit = 16, redlock_lua_unit_limit = 32, redlock_lua_block_size = 1 << 16 };

/// The memory of a state. Scripts leave many small pieces behind, each of which is kept for the next of its size.
struct redlock_lua_memory {
    void *pieces[redlock_lua_unit_limit + 1];
    /// All blocks; each begins with the address of the one before it.
    void *blocks;
    /// What is left of the newest block.
    char *rest;
    size_t rest_size;
};

static void *redlock_lua_take_piece(struct redlock_lua_memory *memory, size_t units) {
    void *piece = memory->pieces[units];
    if (piece != NULL) {
        memory->pieces[units] = *(void **)piece;
        return piece;
    }
    size_t size = units * redlock_lua_unit;
    if (memory->rest_size < size) {
        char *block = malloc(redlock_lua_block_size);
        if (block == NULL) {
            return NULL;
        }
        *(void **)block = memory->blocks;
        memory->blocks = block;
        memory->rest = block + redlock_lua_unit;
        memory->rest_size = redlock_lua_block_size - redlock_lua_unit;
    }
    piece = memory->rest;
    memory->rest += size;
    memory->rest_size -= size;
    return piece;
}

/// What Lua calls for memory: a new piece, another size, or none any more.
static void *redlock_lua_resize(void *context, void *piece, size_t old_size, size_t size) {
    struct redlock_lua_memory *memory = context;
    size_t old_units = piece == NULL ? 0 : (old_size + redlock_lua_unit - 1) / redlock_lua_unit;
    size_t units = (size + redlock_lua_unit - 1) / redlock_lua_unit;
    if (old_units > redlock_lua_unit_limit && units > redlock_lua_unit_limit) {
        return realloc(piece, size);
    }
    if (old_units == units) {
        return piece;
    }
    void *other = NULL;
    if (units > 0) {
        other = units > redlock_lua_unit_limit ? malloc(size) : redlock_lua_take_piece(memory, units);
        if (other == NULL) {
            return NULL;
        }
        if (old_units > 0) {
            memcpy(other, piece, old_size < size ? old_size : size);
        }
    }
    if (old_units > redlock_lua_unit_limit) {
        free(piece);
    } else if (old_units > 0) {
        *(void **)piece = memory->pieces[old_units];
        memory->pieces[old_units] = piece;
    }
    return other;
}

/// A new state with memory of its own; NULL if there is none.
static inline lua_State *redlock_lua_open(void) {
    struct redlock_lua_memory *memory = calloc(1, sizeof *memory);
    return memory == NULL ? NULL : lua_newstate(redlock_lua_resize, memory);
}

/// Ends a state and gives its memory back.
static inline void redlock_lua_close(lua_State *state) {
    void *context;
    lua_getallocf(state, &context);
    struct redlock_lua_memory *memory = context;
    lua_close(state);
    while (memory->blocks != NULL) {
        void *block = memory->blocks;
        memory->blocks = *(void **)block;
        free(block);
    }
    free(memory);
}

#endif
