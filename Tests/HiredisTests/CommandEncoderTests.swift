// SPDX-License-Identifier: Apache-2.0

import Hiredis
import RedlockTesting
import Testing

/// The command as RESP2 wants it, made without hiredis.
private func expectedCommand(_ arguments: [[UInt8]]) -> [UInt8] {
    RESPValue.array(arguments.map { .bulkString($0) }).encoded
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
        #expect(throws: CommandEncodingError.outOfMemory) {
            try encoder.withEncoded { _ in throw CommandEncodingError.outOfMemory }
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
        #expect(CommandEncodingError.outOfMemory.description.contains("memory"))
    }
}
