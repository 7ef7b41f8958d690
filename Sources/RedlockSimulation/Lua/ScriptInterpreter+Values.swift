// SPDX-License-Identifier: Apache-2.0

internal import CLua
internal import Hiredis

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// Values on their way into scripts and out of them, as Redis converts them.
extension ScriptInterpreter {
    // MARK: Into a script

    func push(_ text: String) {
        var text = text
        text.withUTF8 { push(UnsafeRawBufferPointer($0)) }
    }

    func push(_ bytes: UnsafeRawBufferPointer) {
        lua_pushlstring(state, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
    }

    /// The answer of a command: null becomes false, a status a table with `ok`.
    func push(_ reply: Reply) {
        switch reply {
        case .integer(let number): lua_pushnumber(state, Double(number))
        case .text(let text): push(text)
        case .digits(let number): number.withDecimalDigits { push($0) }
        case .status(let text): push(text, as: "ok")
        case .null: lua_pushboolean(state, 0)
        case .array(let elements):
            lua_createtable(state, Int32(elements.count), 0)
            for (index, element) in elements.enumerated() {
                push(element)
                lua_rawseti(state, -2, Int32(index + 1))
            }
        }
    }

    func push(error text: String) {
        push(text, as: "err")
    }

    /// A table with one field.
    func push(_ text: String, as field: String) {
        lua_createtable(state, 0, 1)
        push(text)
        lua_setfield(state, -2, field)
    }

    // MARK: Out of a script

    func bytes(at place: Int32) -> UnsafeRawBufferPointer {
        var count = 0
        let start = lua_tolstring(state, place, &count)
        return UnsafeRawBufferPointer(start: start, count: count)
    }

    /// A text, or a number as Lua writes it; nil for anything else.
    func text(at place: Int32) -> String? {
        guard lua_isstring(state, place) != 0 else { return nil }
        return String(decoding: bytes(at: place), as: UTF8.self)
    }

    /// What a script answers: false becomes null, a number loses what is behind its point, a table ends before its first nil.
    func reply(at place: Int32) -> RESPValue {
        switch lua_type(state, place) {
        case LUA_TSTRING: .bulkString(bytes(at: place).copied)
        case LUA_TNUMBER: .integer(LuaNumber.integer(lua_tonumber(state, place)))
        case LUA_TBOOLEAN: lua_toboolean(state, place) != 0 ? .integer(1) : .null
        case LUA_TTABLE: replyOfTable(at: place)
        default: .null
        }
    }

    private func replyOfTable(at place: Int32) -> RESPValue {
        if let error = field("err", at: place) { return .error(error) }
        if let status = field("ok", at: place) { return .simpleString(status) }
        var elements: [RESPValue] = []
        guard lua_checkstack(state, 2) != 0 else { return .error("ERR reached lua stack limit") }
        while true {
            lua_rawgeti(state, place, Int32(elements.count + 1))
            defer { lua_settop(state, -2) }
            guard lua_type(state, -1) != LUA_TNIL else { return .array(elements) }
            elements.append(reply(at: lua_gettop(state)))
        }
    }

    private func field(_ name: String, at place: Int32) -> String? {
        lua_getfield(state, place, name)
        defer { lua_settop(state, -2) }
        return lua_type(state, -1) == LUA_TSTRING ? text(at: -1) : nil
    }
}

/// Numbers as scripts have them: Lua 5.1 knows doubles alone.
enum LuaNumber {
    /// What Redis makes of a number where a command takes it, and of a score.
    static func text(_ number: Double) -> String {
        if let integer = writtenAsInteger(number) { return String(integer) }
        // A sign, 17 digits, a point and an exponent of three digits.
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            _ = withVaList([number]) { vsnprintf(start, buffer.count, "%.17g", $0) }
            return String(cString: start)
        }
    }

    /// The integer whose digits are the text of a number; nil if that has a point, an exponent or the sign of a zero.
    static func writtenAsInteger(_ number: Double) -> Int64? {
        guard abs(number) < 1e17, let integer = Int64(exactly: number) else { return nil }
        return integer == 0 && number.sign == .minus ? nil : integer
    }

    /// The integer that a number becomes in a reply: what is behind the point is cut off, and what does not fit is the
    /// least integer, as processors convert it.
    static func integer(_ number: Double) -> Int64 {
        Int64(exactly: number.rounded(.towardZero)) ?? .min
    }
}
