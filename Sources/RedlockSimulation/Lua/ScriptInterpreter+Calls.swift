// SPDX-License-Identifier: Apache-2.0

internal import CLua
internal import Hiredis

/// What scripts call of the server that runs them.
extension ScriptInterpreter {
    /// Puts the table `redis` onto the stack.
    func pushCalls() {
        lua_createtable(state, 0, 4)
        push { $0.call(raisesErrors: true) }
        lua_setfield(state, -2, "call")
        push { $0.call(raisesErrors: false) }
        lua_setfield(state, -2, "pcall")
        push { $0.makeErrorReply() }
        lua_setfield(state, -2, "error_reply")
        push { $0.makeStatusReply() }
        lua_setfield(state, -2, "status_reply")
    }

    /// Has the script fail with an error, at the line that it is at.
    func raise(_ message: String) -> Int32 {
        luaL_where(state, 1)
        push(message)
        lua_concat(state, 2)
        return -1
    }

    /// redis.call and redis.pcall.
    private func call(raisesErrors: Bool) -> Int32 {
        guard let server = running?.server else { preconditionFailure("a call outside of a script") }
        do throws(CommandError) {
            let count = lua_gettop(state)
            guard count > 0 else { throw .noWords }
            for place in 1...count { try makeText(at: place) }
            push(try reply(of: server, count: Int(count)))
            return 1
        } catch {
            push(error: error.text)
            return raisesErrors ? -1 : 1
        }
    }

    /// Puts what Redis makes of it in place of an argument that is a number.
    private func makeText(at place: Int32) throws(CommandError) {
        switch lua_type(state, place) {
        case LUA_TSTRING: break
        case LUA_TNUMBER:
            let number = lua_tonumber(state, place)
            if let integer = LuaNumber.writtenAsInteger(number) {
                push(.digits(integer))
            } else {
                push(LuaNumber.text(number))
            }
            lua_replace(state, place)
        default: throw .notAWord
        }
    }

    private func reply(of server: SimulatedServer, count: Int) throws(CommandError) -> Reply {
        let result: Result<Reply, CommandError> = withUnsafeTemporaryAllocation(
            of: UnsafeRawBufferPointer.self,
            capacity: count
        ) { words in
            for index in 0..<count { words.initializeElement(at: index, to: bytes(at: Int32(index + 1))) }
            let words = Words(UnsafeBufferPointer(words))
            return Result { () throws(CommandError) in try server.callFromScript(words) }
        }
        return try result.get()
    }

    /// redis.error_reply: what has no code is given one.
    private func makeErrorReply() -> Int32 {
        guard lua_gettop(state) == 1, lua_type(state, 1) == LUA_TSTRING, let text = text(at: 1) else {
            push(error: "ERR wrong number or type of arguments")
            return 1
        }
        let message = text.hasPrefix("-") ? String(text.dropFirst()) : text
        push(error: message.contains(" ") ? message : "ERR " + message)
        return 1
    }

    /// redis.status_reply.
    private func makeStatusReply() -> Int32 {
        guard lua_gettop(state) == 1, lua_type(state, 1) == LUA_TSTRING, let text = text(at: 1) else {
            push(error: "ERR wrong number or type of arguments")
            return 1
        }
        push(text, as: "ok")
        return 1
    }
}

extension SimulatedServer {
    /// Carries out what a script calls.
    fileprivate func callFromScript(_ words: Words) throws(CommandError) -> Reply {
        guard let command = Command(words) else { throw .unknownInScript }
        guard command.admits(wordCount: words.count) else { throw .wordCountInScript }
        guard command.isForScripts else { throw .notForScripts }
        return try perform(command, words)
    }
}

extension CommandError {
    fileprivate static let noWords = CommandError(
        text: "ERR Please specify at least one argument for this redis lib call"
    )
    fileprivate static let notAWord = CommandError(
        text: "ERR Lua redis lib command arguments must be strings or integers"
    )
    fileprivate static let unknownInScript = CommandError(text: "ERR Unknown Redis command called from script")
    fileprivate static let wordCountInScript = CommandError(
        text: "ERR Wrong number of args calling Redis command from script"
    )
    fileprivate static let notForScripts = CommandError(text: "ERR This Redis command is not allowed from script")
}
