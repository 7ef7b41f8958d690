// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Numbers as scripts see them: Lua 5.1 knows doubles alone.
enum LuaNumber {
    /// What `tonumber` makes of a text; nil if it is no number.
    ///
    /// It takes what strtod takes, such as hexadecimal digits, exponents and infinities, with white space around it.
    static func number(_ text: String) -> Double? {
        text.withCString { start in
            var end: UnsafeMutablePointer<CChar>?
            let number = strtod(start, &end)
            guard var place = end.map({ UnsafePointer($0) }), place != start else { return nil }
            while isspace(Int32(place.pointee)) != 0 { place += 1 }
            return place.pointee == 0 ? number : nil
        }
    }

    /// What `string.format('%.0f')` makes of a number.
    static func text(_ number: Double) -> String {
        if let integer = Int64(exactly: number), integer != 0 { return String(integer) }
        // The longest double has a sign and 309 digits.
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 312) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            _ = withVaList([number]) { vsnprintf(start, buffer.count, "%.0f", $0) }
            return String(cString: start)
        }
    }

    /// The integer that a number becomes in a reply: what is behind the point is cut off, and what does not fit is the
    /// least integer, as processors convert it.
    static func integer(_ number: Double) -> Int64 {
        Int64(exactly: number.rounded(.towardZero)) ?? .min
    }

    /// What `math.max` makes of numbers.
    static func maximum(_ first: Double, _ others: Double...) -> Double {
        // Not the standard library's, which has an order of its own for what is no number.
        others.reduce(first) { $1 > $0 ? $1 : $0 }
    }
}
