// SPDX-License-Identifier: Apache-2.0

import CHiredis
import Hiredis
import RedlockTesting
import Testing

/// The command as RESP2 wants it, made without hiredis.
private func expectedCommand(_ arguments: [[UInt8]]) -> [UInt8] {
    RESPValue.array(arguments.map { .bulkString($0) }).encoded
}

/// The same command as hiredis makes it.
private func encodedByHiredis(_ arguments: [[UInt8]]) -> [UInt8] {
    let bytes = arguments.map { argument in
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(1, argument.count))
        for (index, byte) in argument.enumerated() { copy[index] = CChar(bitPattern: byte) }
        return copy
    }
    defer { for copy in bytes { copy.deallocate() } }
    var starts = bytes.map { UnsafePointer($0) as UnsafePointer<CChar>? }
    var command: sds?
    let count = Int(redisFormatSdsCommandArgv(&command, Int32(arguments.count), &starts, arguments.map(\.count)))
    defer { redisFreeSdsCommand(command) }
    return command.map { command in (0..<count).map { UInt8(bitPattern: command[$0]) } } ?? []
}

@Suite("Encoding commands")
struct CommandEncoderTests {
    @Test(
        "Arguments are counted bytes, whatever they hold",
        arguments: [
            ["PING"], [""], ["", "", ""], ["SET", "a key", "%s %d %n %%"], ["a\r\nb", "\r\n", "*1\r\n$4\r\nPING\r\n"],
            ["nul\0nul", "\0"], ["grüße", "日本語", "👩‍👩‍👧‍👦"], ["x", String(repeating: "long ", count: 30_000)],
        ]
    )
    func oddArguments(arguments: [String]) throws {
        var encoder = CommandEncoder()
        let expected = expectedCommand(arguments.map { Array($0.utf8) })

        encoder.begin()
        for argument in arguments { encoder.append(argument) }
        #expect(try encoder.withEncoded { Array($0) } == expected)

        encoder.begin()
        for argument in arguments { encoder.append(Array(argument.utf8)) }
        #expect(try encoder.withEncoded { Array($0) } == expected)

        encoder.begin()
        for argument in arguments { Array(argument.utf8).withUnsafeBytes { encoder.append($0) } }
        #expect(try encoder.withEncoded { Array($0) } == expected)
    }

    @Test("hiredis encodes alike")
    func hiredisEncodesAlike() throws {
        var generator = SeededRandom(seed: 6)
        var encoder = CommandEncoder()
        for _ in 0..<500 {
            let arguments = (0..<Int.random(in: 1...120, using: &generator)).map { _ in
                (0..<Int.random(in: 0...120, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator)
                }
            }
            encoder.begin()
            for argument in arguments { encoder.append(argument) }
            #expect(try encoder.withEncoded { Array($0) } == encodedByHiredis(arguments))
        }
    }

    @Test("An argument in three parts is one argument")
    func parts() throws {
        var encoder = CommandEncoder()
        encoder.begin()
        encoder.append("grü", "", "ße")
        encoder.append("", "", "")
        encoder.append(-12, 0, "ä")
        encoder.append(7, "-", "a", " b")
        let expected = ["grüße", "", "-12 0 ä", "7 - a b"].map { Array($0.utf8) }
        #expect(try encoder.withEncoded { Array($0) } == expectedCommand(expected))
    }

    @Test("All 256 bytes pass")
    func allBytes() throws {
        var encoder = CommandEncoder()
        encoder.begin()
        encoder.append(Array(UInt8.min...UInt8.max))
        #expect(try encoder.withEncoded { Array($0) } == expectedCommand([Array(UInt8.min...UInt8.max)]))
    }

    @Test("Numbers are decimal", arguments: [0, 1, -1, 9, 10, -10, 30_000, 1 << 53, .max, .min])
    func numbers(number: Int64) throws {
        var encoder = CommandEncoder()
        encoder.begin()
        encoder.append(number)
        #expect(try encoder.withEncoded { Array($0) } == expectedCommand([Array(String(number).utf8)]))
    }

    @Test("One encoder encodes many commands, long and short, and one command twice")
    func reuse() throws {
        var generator = SeededRandom(seed: 5)
        var encoder = CommandEncoder()
        for _ in 0..<2_000 {
            let arguments = (0..<Int.random(in: 1...40, using: &generator)).map { index in
                [UInt8](repeating: UInt8(index), count: Int.random(in: 0...200, using: &generator))
            }
            encoder.begin()
            for argument in arguments { encoder.append(argument) }
            let expected = expectedCommand(arguments)
            #expect(try encoder.withEncoded { Array($0) } == expected)
            #expect(try encoder.withEncoded { Array($0) } == expected)
        }
    }

    @Test("An error of the body passes through, and the encoder stays usable")
    func bodyThrows() throws {
        var encoder = CommandEncoder()
        encoder.begin()
        encoder.append("PING")
        #expect(throws: CommandEncodingError.tooLarge(byteCount: 1)) {
            try encoder.withEncoded { _ in throw CommandEncodingError.tooLarge(byteCount: 1) }
        }
        #expect(try encoder.withEncoded { Array($0) } == Array("*1\r\n$4\r\nPING\r\n".utf8))
    }

    @Test("A command without a name is a programmer error")
    func noArguments() async {
        await #expect(processExitsWith: .failure) {
            var encoder = CommandEncoder()
            encoder.begin()
            try encoder.withEncoded { _ in }
        }
    }

    @Test("The errors say what happened")
    func descriptions() {
        #expect(CommandEncodingError.tooLarge(byteCount: 700_000_000).description.contains("700000000"))
    }
}
