// SPDX-License-Identifier: Apache-2.0

internal import CLua
internal import Hiredis
internal import Redlock
internal import RedlockTesting

/// Runs the scripts of simulated servers, in the Lua that Redis has, and keeps those of clients compiled.
///
/// All servers on one thread may have the same: a script leaves nothing behind in it.
package final class ScriptInterpreter {
    let state: OpaquePointer
    /// What the names in scripts stand for, but for the libraries behind them, as a reference into the registry.
    private var library: Int32 = 0
    /// What scripts see of that: they cannot write into it.
    private var environment: Int32 = 0
    /// What looks at an error before the script ends, as a reference into the registry.
    private var errorHandler: Int32 = 0
    private var functions: [ScriptFunction] = []
    /// The scripts of clients that were compiled.
    private var kept: [CompiledScript] = []
    /// What runs now, and on which server.
    private(set) var running: (script: CompiledScript, server: SimulatedServer)?

    /// An interpreter that knows no script yet.
    package init() {
        guard let state = redlock_lua_open() else { preconditionFailure("no memory for Lua") }
        self.state = state
        luaL_openlibs(state)
        lua_createtable(state, 0, 32)
        for name in Self.globals {
            lua_getfield(state, LUA_GLOBALSINDEX, name)
            lua_setfield(state, 1, name)
        }
        for name in Self.libraries {
            lua_getfield(state, LUA_GLOBALSINDEX, name)
            for chance in Self.chance { remove(chance) }
            pushReadOnly()
            lua_setfield(state, 1, name)
        }
        pushCalls()
        pushReadOnly()
        lua_setfield(state, 1, "redis")
        refuseUnknownNames()
        lua_pushvalue(state, 1)
        library = luaL_ref(state, LUA_REGISTRYINDEX)
        pushReadOnly()
        environment = luaL_ref(state, LUA_REGISTRYINDEX)
        push { $0.tellWhere() }
        errorHandler = luaL_ref(state, LUA_REGISTRYINDEX)
    }

    deinit {
        redlock_lua_close(state)
    }

    /// What scripts may call that is not in a library; not all that Redis has.
    private static let globals = [
        "assert", "error", "ipairs", "next", "pairs", "rawequal", "rawget", "select", "tonumber", "tostring", "type",
        "unpack",
    ]
    private static let libraries = ["string", "table", "math"]
    /// What would make two runs of a world differ.
    private static let chance = ["random", "randomseed"]

    private func remove(_ name: String) {
        lua_pushnil(state)
        lua_setfield(state, -2, name)
    }

    /// Puts in place of the table on top another, through which it can be read and not be written.
    private func pushReadOnly() {
        lua_createtable(state, 0, 0)
        lua_createtable(state, 0, 2)
        lua_pushvalue(state, -3)
        lua_setfield(state, -2, "__index")
        push { $0.raise("Attempt to modify a readonly table") }
        lua_setfield(state, -2, "__newindex")
        lua_setmetatable(state, -2)
        lua_remove(state, -2)
    }

    /// Has a script fail that reads a name in the table on top which is not there.
    private func refuseUnknownNames() {
        lua_createtable(state, 0, 1)
        push { interpreter in
            let name = interpreter.text(at: 2) ?? ""
            return interpreter.raise("Script attempted to access nonexistent global variable '\(name)'")
        }
        lua_setfield(state, -2, "__index")
        lua_setmetatable(state, -2)
    }

    /// Puts a function onto the stack, which answers how many results it has, or ends with `raise`.
    func push(_ body: @escaping (ScriptInterpreter) -> Int32) {
        let function = ScriptFunction(interpreter: self, body: body)
        functions.append(function)
        redlock_lua_push_function(
            state,
            { context, _ in
                guard let context else { preconditionFailure("a function without a context") }
                return Unmanaged<ScriptFunction>.fromOpaque(context).takeUnretainedValue().run()
            },
            Unmanaged.passUnretained(function).toOpaque()
        )
    }

    // MARK: Compiling

    /// A script, compiled now or before.
    ///
    /// - Parameter defect: what is wrong with it.
    func script(_ text: UnsafeRawBufferPointer, with defect: ScriptDefect?) throws(CommandError) -> CompiledScript {
        if let known = kept.first(where: { $0.isMade(of: text, with: defect) }) { return known }
        let whole = String(decoding: text, as: UTF8.self)
        let patched = defect?.patched(whole) ?? whole
        let status = patched.utf8CString.withUnsafeBufferPointer {
            luaL_loadbuffer(state, $0.baseAddress, $0.count - 1, "@user_script")
        }
        guard status == 0 else {
            defer { lua_settop(state, 0) }
            precondition(patched == whole, "a script does not compile with the mistake \(defect?.name ?? "")")
            throw CommandError(text: "ERR Error compiling script (new function): \(self.text(at: -1) ?? "")")
        }
        lua_rawgeti(state, LUA_REGISTRYINDEX, environment)
        lua_setfenv(state, -2)
        // What else there is, such as the marks of server processes, no other server asks for.
        let isKept = Script.all.contains { $0.text == whole }
        let script = CompiledScript(
            text: Array(text),
            defect: defect,
            digest: SHA1.hexDigest(of: whole),
            function: luaL_ref(state, LUA_REGISTRYINDEX),
            owner: isKept ? nil : self
        )
        if isKept { kept.append(script) }
        return script
    }

    fileprivate func forget(_ function: Int32) {
        luaL_unref(state, LUA_REGISTRYINDEX, function)
    }

    // MARK: Running

    /// Runs a script with as many keys, and what is behind them, from a place in the words on.
    func run(
        _ script: CompiledScript,
        _ words: Words,
        keys: Range<Int>,
        on server: SimulatedServer
    ) throws(CommandError) -> RESPValue {
        running = (script, server)
        defer {
            running = nil
            lua_settop(state, 0)
        }
        lua_rawgeti(state, LUA_REGISTRYINDEX, errorHandler)
        lua_rawgeti(state, LUA_REGISTRYINDEX, script.function)
        lua_rawgeti(state, LUA_REGISTRYINDEX, library)
        push(words, keys)
        lua_setfield(state, 3, "KEYS")
        push(words, keys.upperBound..<words.count)
        lua_setfield(state, 3, "ARGV")
        lua_settop(state, 2)
        guard lua_pcall(state, 0, 1, 1) == 0 else { throw CommandError(text: text(at: -1) ?? "") }
        return reply(at: lua_gettop(state))
    }

    private func push(_ words: Words, _ places: Range<Int>) {
        lua_createtable(state, Int32(places.count), 0)
        for (index, place) in places.enumerated() {
            push(words[place])
            lua_rawseti(state, -2, Int32(index + 1))
        }
    }

    /// Puts in place of an error what a client is told of it: with the script, and the line that the error is from.
    private func tellWhere() -> Int32 {
        var message = "ERR " + (text(at: 1) ?? "unknown error")
        if lua_type(state, 1) == LUA_TTABLE {
            lua_getfield(state, 1, "err")
            message = text(at: -1) ?? "ERR unknown error"
        }
        var place = lua_Debug()
        // The first level is what has raised the error; where that was called from Lua and is not, the line is the caller's.
        for level in Int32(1)...2 where lua_getstack(state, level, &place) != 0 {
            lua_getinfo(state, "Sl", &place)
            if place.currentline >= 0 { break }
        }
        let source = String(cString: place.source)
        push(message + " script: \(running?.script.digest ?? ""), on \(source):\(place.currentline).")
        return 1
    }
}

/// A function that scripts call.
private final class ScriptFunction {
    private unowned let interpreter: ScriptInterpreter
    private let body: (ScriptInterpreter) -> Int32

    init(interpreter: ScriptInterpreter, body: @escaping (ScriptInterpreter) -> Int32) {
        self.interpreter = interpreter
        self.body = body
    }

    func run() -> Int32 { body(interpreter) }
}

/// A script, compiled.
final class CompiledScript {
    private let text: [UInt8]
    private let defect: ScriptDefect?
    /// By which clients name it, whatever is wrong with it.
    let digest: String
    private let digestBytes: [UInt8]
    /// The function, as a reference into the registry.
    let function: Int32
    /// What keeps the function as long as the script is there; nil if it is kept for longer.
    private let owner: ScriptInterpreter?

    init(text: [UInt8], defect: ScriptDefect?, digest: String, function: Int32, owner: ScriptInterpreter?) {
        self.text = text
        self.defect = defect
        self.digest = digest
        digestBytes = Array(digest.utf8)
        self.function = function
        self.owner = owner
    }

    deinit {
        owner?.forget(function)
    }

    func isNamed(_ digest: UnsafeRawBufferPointer) -> Bool {
        digestBytes.withUnsafeBytes { $0.isEqual(to: digest) }
    }

    func isMade(of text: UnsafeRawBufferPointer, with defect: ScriptDefect?) -> Bool {
        self.text.withUnsafeBytes { $0.isEqual(to: text) } && self.defect?.name == defect?.name
    }
}
