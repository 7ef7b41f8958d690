// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The words of one command: its name and its arguments, in memory that its sender keeps until the answer.
struct Words {
    private let words: UnsafeBufferPointer<UnsafeRawBufferPointer>

    init(_ words: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
        self.words = words
    }

    /// No words, where nothing reads them.
    static var none: Words { Words(UnsafeBufferPointer(start: nil, count: 0)) }

    /// Runs the body on the words of a command as clients send it.
    static func withWords<Result>(
        of command: UnsafeRawBufferPointer,
        _ body: (Words) -> Result
    ) -> Result {
        var place = 0
        let count = length(in: command, at: &place)
        return withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: count) { words in
            for index in 0..<count {
                let length = length(in: command, at: &place)
                words.initializeElement(
                    at: index,
                    to: UnsafeRawBufferPointer(rebasing: command[place..<place + length])
                )
                place += length + 2
            }
            return body(Words(UnsafeBufferPointer(words)))
        }
    }

    /// Reads a sign, a number and a line end.
    private static func length(in command: UnsafeRawBufferPointer, at place: inout Int) -> Int {
        var length = 0
        place += 1
        while command[place] != UInt8(ascii: "\r") {
            length = 10 * length + Int(command[place] - UInt8(ascii: "0"))
            place += 1
        }
        place += 2
        return length
    }

    var count: Int { words.count }

    subscript(place: Int) -> UnsafeRawBufferPointer { words[place] }

    /// A word as a text; bytes that are not UTF-8 are replaced.
    func text(_ place: Int) -> String {
        String(decoding: words[place], as: UTF8.self)
    }

    /// The words from a place on, as texts.
    func texts(from place: Int) -> [String] {
        (place..<max(place, count)).map(text)
    }

    /// Whether a word is an option, however it is spelled.
    func isOption(_ option: String, at place: Int) -> Bool {
        place < count && words[place].count == option.utf8.count && text(place).uppercased() == option
    }

    /// A word as what Redis takes for an integer: no white space, no plus sign, no leading zeros.
    func integer(_ place: Int) throws(CommandError) -> Int64 {
        guard let number = Self.integer(words[place]) else { throw .notAnInteger }
        return number
    }

    static func integer(_ digits: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = digits.first == UInt8(ascii: "-")
        let magnitude = isNegative ? UnsafeRawBufferPointer(rebasing: digits.dropFirst()) : digits
        guard let first = magnitude.first, magnitude.count <= 19 else { return nil }
        if first == UInt8(ascii: "0") { return digits.count == 1 ? 0 : nil }
        // The magnitude of the least integer is more than any integer; so what is counted is negative.
        var number: Int64 = 0
        for digit in magnitude {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (product, isProductTooLow) = number.multipliedReportingOverflow(by: 10)
            let (next, isTooLow) = product.subtractingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
            guard !isProductTooLow, !isTooLow else { return nil }
            number = next
        }
        if isNegative { return number }
        return number == .min ? nil : -number
    }

    /// A word as a score; nil if it is none.
    func float(_ place: Int) -> Double? {
        guard let first = words[place].first, isspace(Int32(first)) == 0 else { return nil }
        return Self.float(words[place])
    }

    private static func float(_ word: UnsafeRawBufferPointer) -> Double? {
        if let integer = integer(word) { return Double(integer) }
        return String(decoding: word, as: UTF8.self).withCString { start in
            var end: UnsafeMutablePointer<CChar>?
            let number = strtod(start, &end)
            let isWhole = end.map { UnsafePointer($0) == start + word.count } ?? false
            return isWhole && !number.isNaN ? number : nil
        }
    }

    /// A word as one end of a range of scores; nil if it is none.
    ///
    /// White space may stand before it, and an empty word is 0.
    func bound(_ place: Int) -> (score: Double, isExcluded: Bool)? {
        let word = words[place]
        guard word.first == UInt8(ascii: "(") else { return Self.float(word).map { ($0, false) } }
        return Self.float(UnsafeRawBufferPointer(rebasing: word.dropFirst())).map { ($0, true) }
    }
}
