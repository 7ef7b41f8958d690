// SPDX-License-Identifier: Apache-2.0

#ifndef REDLOCK_CLUA_SHIM_H
#define REDLOCK_CLUA_SHIM_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

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

#endif
